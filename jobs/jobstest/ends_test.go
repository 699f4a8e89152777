package jobstest_test

import (
	"context"
	"flag"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stationmaster/worker/jobs"
	"github.com/stationmaster/worker/jobs/jobstest"
	"github.com/stationmaster/worker/queue"
	"github.com/stationmaster/worker/retry"
)

// ends lets a process of its own run what ends its test.
var ends = flag.Bool("jobstest.ends", false, "run what ends its test")

// A life needs a real testing.T, which has no other way to fail than to fail.
func TestWhatCannotLiveEndsTheTest(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	echo := func(t *testing.T) *jobs.Definition {
		t.Helper()
		r := jobs.NewRegistry()
		jobs.AddJobTo(r, "echo", func() *echoing { return &echoing{} })
		d, _ := r.Lookup("echo")
		return d
	}
	for _, row := range []struct {
		name string
		run  func(*testing.T)
		want string
	}{
		{"no message", func(t *testing.T) { jobstest.LiveAll(t, steps(t, nil), nil) }, "jobstest: no message for job email"},
		{
			"one id twice", func(t *testing.T) { jobstest.LiveAll(t, steps(t, nil), []any{to("a"), to("a")}) },
			"jobstest: two messages have the id a: give each its own, by With",
		},
		{
			"an option of the job", func(t *testing.T) { jobstest.LiveAll(t, steps(t, nil), []any{to("a", jobstest.Policy(hourly))}) },
			"jobstest: With is given an option that is not of one message: give it to the call for all of them",
		},
		{
			"With twice", func(t *testing.T) { jobstest.RunBatch(t, steps(t, nil), []any{jobstest.With(to("a"))}) },
			"jobstest: With is given a message that has options already: give them all to one With",
		},
		{
			"refused by SQS", func(t *testing.T) { jobstest.Live(t, steps(t, nil), invitation{}, jobstest.Attribute("plan", "")) },
			"jobstest: send message-1: send to jobstest: InvalidParameterValue: Message (user) attribute 'plan' must contain a non-empty value",
		},
		{"settings", func(t *testing.T) { d, _ := stations(t); jobstest.Live(t, d, "{}") }, "jobstest: job station: provision: name: not set"},
		{
			"no end", func(t *testing.T) { jobstest.Live(t, echo(t), "{}", jobstest.Subscribed("echo")) },
			"jobstest: job echo has published 1000 messages that came back to it: it does not end",
		},
		{
			"four days", func(t *testing.T) {
				jobstest.Live(t, steps(t, retry.After(nil, 11*time.Hour)), "{}", jobstest.Policy(retry.Policy{Attempts: 9}))
			},
			"jobstest: job email: 1 of 1 messages have not ended after 96h:\n",
		},
		{"no answer to serve", func(t *testing.T) { jobstest.Serve(t) }, "jobstest: Serve is given no answer: give it one at least"},
	} {
		t.Run(row.name, func(t *testing.T) {
			if *ends {
				row.run(t)
				return
			}
			run := exec.CommandContext(t.Context(), self, "-jobstest.ends", "-test.timeout=1m", "-test.run", "^TestWhatCannotLiveEndsTheTest$/^"+strings.ReplaceAll(row.name, " ", "_")+"$")
			said, err := run.CombinedOutput()
			if err == nil || !strings.Contains(string(said), row.want) || strings.Contains(string(said), "panic") {
				t.Errorf("%v: want said %q, got\n%s", err, row.want, said)
			}
		})
	}
}

// echoing publishes whatever comes, and so has no end.
type echoing struct{ publisher jobs.Publisher }

func (e *echoing) Provision(_ context.Context, env *jobs.Env) error {
	e.publisher = env.Publisher
	return nil
}

func (e *echoing) Handle(ctx context.Context, m *jobs.Message[invitation]) error {
	_, err := e.publisher.Publish(ctx, "echo", queue.Message{Body: m.Raw})
	return err
}
