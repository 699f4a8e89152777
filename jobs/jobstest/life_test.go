package jobstest_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stationmaster/worker/jobs"
	"github.com/stationmaster/worker/jobs/jobstest"
	"github.com/stationmaster/worker/queue"
	"github.com/stationmaster/worker/retry"
)

// steps is a job that answers each try with the next of its answers, and the last one ever after.
func steps(t *testing.T, answers ...error) *jobs.Definition {
	t.Helper()
	tries := 0
	return definition(t, func(context.Context, *jobs.Message[invitation]) error {
		tries++
		return answers[min(tries, len(answers))-1]
	})
}

var hourly = retry.Policy{Attempts: 4, First: time.Hour, Factor: 2, Max: 6 * time.Hour}

func TestALifeOfRetriesEndsInTheDeadLetterQueue(t *testing.T) {
	life := jobstest.Live(t, steps(t, errors.New("connection refused")), invitation{Email: "ada@example.com"}, jobstest.Policy(hourly))
	life.WantTries(0, time.Hour, 3*time.Hour, 7*time.Hour)
	life.WantDead("error")
	life.WantReason("connection refused")
	if life.Record.Receives != 4 || !strings.Contains(life.Dead.Body, "ada@example.com") {
		t.Errorf("dead letter %+v of %q", life.Record, life.Dead.Body)
	}
	want := `
  attempt  at  took  answer              next
  1        0s  0s    connection refused  again after 1h
  2        1h  0s    connection refused  again after 2h
  3        3h  0s    connection refused  again after 4h
  4        7h  0s    connection refused  dead-lettered, class error`
	if diff := cmp.Diff(want, "\n"+life.String()); diff != "" {
		t.Error(diff)
	}
}

func TestALifeEndsWhenTheJobSucceeds(t *testing.T) {
	life := jobstest.Live(t, steps(t, errors.New("down"), retry.After(nil, 10*time.Minute), nil), invitation{}, jobstest.Policy(hourly), jobstest.Envelope("invitations"))
	life.WantTries(0, time.Hour, time.Hour+10*time.Minute)
	life.WantDone(2) // what came back because it was asked to has spent no attempt
}

func TestALifeSeesNeverPanicsAndTimeouts(t *testing.T) {
	jobstest.Live(t, steps(t, retry.Never(errors.New("nobody"))), invitation{}).WantTries(0)
	panics := definition(t, func(context.Context, *jobs.Message[invitation]) error { panic("oh") })
	jobstest.Live(t, panics, invitation{}, jobstest.Policy(retry.Policy{Attempts: 1})).WantDead("panic")
	hangs := definition(t, func(ctx context.Context, _ *jobs.Message[invitation]) error {
		<-ctx.Done()
		return ctx.Err()
	}, jobs.Timeout(20*time.Minute))
	life := jobstest.Live(t, hangs, invitation{}, jobstest.Policy(retry.Policy{Attempts: 2, First: time.Minute, Factor: 1, Max: time.Minute}))
	life.WantTries(0, 21*time.Minute)
	life.WantDead("timeout")
	if took := life.Tries[0].Took; took != 20*time.Minute {
		t.Errorf("took %v", took)
	}
}

// A job that wants another time for ever is moved by SQS in the end, without a record.
func TestALifeMayEndInSQSsHands(t *testing.T) {
	life := jobstest.Live(t, steps(t, retry.After(nil, time.Hour)), invitation{}, jobstest.Policy(hourly))
	if life.Done || life.Record.V != 0 || life.Dead.Body == "" || len(life.Tries) != 14 {
		t.Errorf("want it moved after 14 receives, its life was\n%s", life)
	}
}

func TestALifeKnowsWhatWasPublished(t *testing.T) {
	relay := func(fails error) *jobs.Definition {
		return relaying(t, fails)
	}
	life := jobstest.Live(t, relay(nil), invitation{Email: "ada@example.com"})
	life.WantDone(1)
	life.WantPublished("welcomed")
	life = jobstest.Live(t, relay(errors.New("later")), invitation{}, jobstest.Policy(retry.Policy{Attempts: 2, First: time.Second, Factor: 1, Max: time.Second}))
	life.WantPublished("welcomed", "welcomed")
}

type relayJob struct {
	fails     error
	publisher jobs.Publisher
}

func (r *relayJob) Provision(_ context.Context, env *jobs.Env) error {
	r.publisher = env.Publisher
	return nil
}

func (r *relayJob) Handle(ctx context.Context, m *jobs.Message[invitation]) error {
	if _, err := r.publisher.Publish(ctx, "welcomed", queue.Message{Body: m.Raw}); err != nil {
		return err
	}
	return r.fails
}

func relaying(t *testing.T, fails error) *jobs.Definition {
	t.Helper()
	r := jobs.NewRegistry()
	jobs.AddJobTo(r, "relay", func() *relayJob { return &relayJob{fails: fails} })
	d, _ := r.Lookup("relay")
	return d
}
