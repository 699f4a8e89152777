package slack_test

import (
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/stationmaster/worker/jobs/jobstest"
	"github.com/stationmaster/worker/retry"
)

var impatient = jobstest.Policy(retry.Policy{Attempts: 2, First: time.Second, Factor: 1, Max: time.Second})

// limited answers 429 as often as it is told, and then as Slack does.
func limited(c *channel, times int, after string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if times--; times >= 0 {
			jobstest.Answer(http.StatusTooManyRequests, "Retry-After", after)(w, r)
			return
		}
		c.ServeHTTP(w, r)
	}
}

// While the queue rests no other message is tried: Slack would say 429 to each. No attempt is spent, however
// often that is.
func TestALimitLetsTheQueueRest(t *testing.T) {
	c := &channel{}
	url := jobstest.Serve(t, limited(c, 3, "120"))
	lives := jobstest.LiveAll(t, "slack", []any{`{"n":1}`, `{"n":2}`}, settings(url+path, "{{.Body.n}}"), impatient)
	var tries []time.Duration
	for _, life := range lives.Each {
		life.WantDone(1)
		for _, try := range life.Tries {
			tries = append(tries, try.At.Round(time.Second))
		}
	}
	slices.Sort(tries)
	want := []time.Duration{0, 2 * time.Minute, 4 * time.Minute, 6 * time.Minute, 6 * time.Minute}
	if !slices.Equal(tries, want) || len(c.posts) != 2 {
		t.Errorf("tries at %v, want %v; %d posts:\n%s", tries, want, len(c.posts), lives)
	}
}

func TestAnArchivedChannelIsToldOnce(t *testing.T) {
	c := &channel{code: http.StatusGone, says: "channel_is_archived"}
	life := jobstest.Live(t, "slack", body, settings(jobstest.Serve(t, c.ServeHTTP)+path, "{{.Body.email}}"), impatient)
	life.WantTries(0)
	life.WantDead("slack_channel_is_archived")
	life.WantGolden("archived")
}
