package jobstest_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stationmaster/worker/jobs"
	"github.com/stationmaster/worker/jobs/jobstest"
	"github.com/stationmaster/worker/retry"
)

// getting is a job that gets a URL by a client.
func getting(t *testing.T, client *http.Client, url string) *jobs.Definition {
	t.Helper()
	return definition(t, func(ctx context.Context, _ *jobs.Message[invitation]) error {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
		if err != nil {
			return err
		}
		answer, err := client.Do(r)
		if err != nil {
			return err
		}
		defer answer.Body.Close()
		if _, err := io.Copy(io.Discard, answer.Body); err != nil {
			return err
		}
		if answer.StatusCode != http.StatusOK {
			return fmt.Errorf("answer %d", answer.StatusCode)
		}
		return nil
	})
}

var twiceHourly = jobstest.Policy(retry.Policy{Attempts: 4, First: time.Hour, Factor: 1, Max: time.Hour})

func TestAJobTalksToAServer(t *testing.T) {
	answers := []http.HandlerFunc{jobstest.Answer(503), jobstest.Answer(429, "Retry-After", "60"), jobstest.Answer(200)}
	for name, client := range map[string]*http.Client{"its own client": {Transport: &http.Transport{}}, "the default client": http.DefaultClient} {
		t.Run(name, func(t *testing.T) {
			life := jobstest.Live(t, getting(t, client, jobstest.Serve(t, answers...)), invitation{}, twiceHourly)
			life.WantTries(0, time.Hour, 2*time.Hour)
			life.WantDone(3)
		})
	}
}

// A server that keeps connections open stops no clock where the job uses net/http's own client.
func TestConnectionsOfTheDefaultClientAreClosedAfterEachTry(t *testing.T) {
	turn := 0
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if turn++; turn == 2 { // the first is of the test itself, and leaves its connection behind
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	defer s.Close()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, answer.Body); err != nil {
		t.Error(err)
	}
	answer.Body.Close()
	jobstest.Live(t, getting(t, http.DefaultClient, s.URL), invitation{}, twiceHourly).WantTries(0, time.Hour)
}

// place is where in a file a function waits, stood how long it did.
var place, stood = regexp.MustCompile(` /\S+/(\w+\.go):\d+`), regexp.MustCompile(`still for [\d.]+m?s`)

func TestAStandingClockIsExplained(t *testing.T) {
	const (
		head = "jobstest: NAME: the virtual clock of job email has stood still for LONG.\n" +
			"It moves only while the life waits for the clock alone, and this waits for something else:\n\n  "
		open = "net/http.(*persistConn).readLoop transport.go (IO wait)\n\n"
		idle = "It is an idle connection of the job's HTTP client. Let the test's server close it: one of jobstest.Serve does, one of httptest with Config.SetKeepAlivesEnabled(false)."
		runs = "No timeout of the job ends that, for its clock stands still: let the test answer or hang up, or test the job with jobstest.Run."
		rest = "What waits so between tries must be closed when a try ends, or the job be tested with jobstest.Run."
	)
	var holds [3]gate
	for n := range holds {
		holds[n] = make(gate, 10)
	}
	keeps := httptest.NewServer(jobstest.Answer(503))
	defer keeps.Close()
	silent := jobstest.Serve(t, func(http.ResponseWriter, *http.Request) { <-holds[0] })
	for _, row := range []struct {
		name        string
		job         *jobs.Definition
		waits, cure string
		mend        func()
		table       string
	}{
		{"an idle connection", getting(t, &http.Client{Transport: &http.Transport{}}, keeps.URL), open, idle, keeps.CloseClientConnections, `  message    attempt  at  took  answer      next
  message-1  1        0s  0s    answer 503  again after 1h
  message-1  -        -   -     -           has not ended
`},
		{"no answer", getting(t, http.DefaultClient, silent), open, runs, holds[0].release, `  message    attempt  at  took  answer  next
  message-1  -        -   -     -       has not ended
`},
		{
			"another's channel", definition(t, func(context.Context, *jobs.Message[invitation]) error { holds[1].wait(); return nil }),
			"github.com/stationmaster/worker/jobs/jobstest_test.gate.wait clock_test.go (chan receive)\n\n", runs, holds[1].release, "",
		},
		{
			"another's channel, between tries", definition(t, func(context.Context, *jobs.Message[invitation]) error { go holds[2].wait(); return errBoom }),
			"github.com/stationmaster/worker/jobs/jobstest_test.gate.wait clock_test.go (chan receive)\n\n", rest, holds[2].release, "",
		},
	} {
		t.Run(row.name, func(t *testing.T) {
			said := standing(t, row.job, row.cure, row.mend)
			if want := head + row.waits + row.cure + "\n\nSo far:\n\n" + row.table; !strings.HasPrefix(said, want) {
				t.Errorf("said\n%s\nwant\n%s", said, want)
			}
		})
	}
}

// gate lets one wait at a time go on.
type gate chan struct{}

func (g gate) wait() { <-g }

func (g gate) release() { g <- struct{}{} }

// standing is what was said first of a life whose clock stands still, and that names the cure; mend ends
// that each time. A busy machine may look like a clock that stands, and say something else.
func standing(t *testing.T, d *jobs.Definition, cure string, mend func()) string {
	t.Helper()
	var said []string
	jobstest.Live(t, d, invitation{}, jobstest.Policy(retry.Policy{Attempts: 2, First: time.Hour, Factor: 1, Max: time.Hour}),
		jobstest.Patience(100*time.Millisecond, func(text string) {
			if strings.Contains(text, cure) {
				said = append(said, text)
				mend()
			}
		}))
	if len(said) == 0 {
		return ""
	}
	text := place.ReplaceAllString(stood.ReplaceAllString(said[0], "still for LONG"), " $1")
	return strings.ReplaceAll(text, t.Name(), "NAME")
}

// The connections of one life must not be closed by another: a channel of a bubble is its own.
func TestParallelLivesMayShareTheDefaultClient(t *testing.T) {
	s := httptest.NewServer(jobstest.Answer(503))
	defer s.Close()
	t.Run("lives", func(t *testing.T) {
		for n := range 8 {
			t.Run(fmt.Sprint(n), func(t *testing.T) {
				t.Parallel()
				life := jobstest.Live(t, getting(t, http.DefaultClient, s.URL), invitation{}, twiceHourly, jobstest.Use(func(next jobs.Call) jobs.Call {
					return func(ctx context.Context, ms []*jobs.Info) []error {
						errs := next(ctx, ms)
						for range 1000 { // let others run while the connection is idle
							runtime.Gosched()
						}
						return errs
					}
				}))
				life.WantTries(0, time.Hour, 2*time.Hour, 3*time.Hour)
			})
		}
	})
}
