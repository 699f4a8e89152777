package webhook_test

import (
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/stationmaster/worker/jobs/jobstest"
	"github.com/stationmaster/worker/retry"
)

func receiver(url string) []jobstest.Option {
	return []jobstest.Option{
		jobstest.Settings(map[string]any{"url": url + "/hook?token=hunter2", "secret": secret, "allow_private": true}),
		jobstest.Policy(retry.Policy{Attempts: 4, First: time.Hour, Factor: 2, Max: 6 * time.Hour}), jobstest.ID("m-1"),
	}
}

// A receiver that says when it wants to be asked again is asked then, and sees one id each time and a
// signature of that time.
func TestAReceiverSetsThePace(t *testing.T) {
	var ids, stamps []string
	seen := func(answer http.HandlerFunc) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			ids, stamps = append(ids, r.Header.Get("webhook-id")), append(stamps, r.Header.Get("webhook-timestamp"))
			answer(w, r)
		}
	}
	url := jobstest.Serve(t, seen(jobstest.Answer(503)), seen(jobstest.Answer(429, "Retry-After", "600")), seen(jobstest.Answer(204)))
	life := jobstest.Live(t, "webhook", body, receiver(url)...)
	life.WantTries(0, time.Hour, 70*time.Minute)
	life.WantDone(3)
	if want := []string{"m-1", "m-1", "m-1"}; !slices.Equal(ids, want) || stamps[0] == stamps[1] || stamps[1] == stamps[2] {
		t.Errorf("ids %q at %q", ids, stamps)
	}
}

func TestAReceiverThatIsGoneIsAskedOnce(t *testing.T) {
	life := jobstest.Live(t, "webhook", body, receiver(jobstest.Serve(t, jobstest.Answer(410)))...)
	life.WantTries(0)
	life.WantDead("http_410")
	life.WantGolden("gone")
}

func TestAReceiverThatStaysDownIsGivenUp(t *testing.T) {
	life := jobstest.Live(t, "webhook", body, receiver(jobstest.Serve(t, jobstest.Answer(500)))...)
	life.WantTries(0, time.Hour, 3*time.Hour, 7*time.Hour)
	life.WantDead("http_500")
}
