package jobstest_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stationmaster/worker/jobs"
	"github.com/stationmaster/worker/jobs/jobstest"
	"github.com/stationmaster/worker/queue"
	"github.com/stationmaster/worker/retry"
)

// failing is a job that fails so many times with each address.
func failing(t *testing.T, times map[string]int) *jobs.Definition {
	t.Helper()
	return definition(t, func(_ context.Context, m *jobs.Message[invitation]) error {
		if times[m.Body.Email]--; times[m.Body.Email] >= 0 {
			return errors.New("down")
		}
		return nil
	})
}

func to(address string, o ...jobstest.Option) any {
	return jobstest.With(invitation{Email: address}, append(o, jobstest.ID(address))...)
}

func TestEachOfSeveralMessagesHasItsLife(t *testing.T) {
	lives := jobstest.LiveAll(t, failing(t, map[string]int{"b": 1, "c": 9}), []any{
		invitation{Email: "a"}, to("b"), invitation{Email: "c"},
	}, jobstest.Policy(retry.Policy{Attempts: 2, First: time.Hour, Factor: 1, Max: time.Hour}))
	lives.Each[0].WantTries(0)
	lives.Each[0].WantDone(1)
	lives.Each[1].WantTries(0, time.Hour)
	lives.Each[1].WantDone(2)
	lives.Each[2].WantDead("error")
	lives.WantOrder("message-1")
	lives.WantPublished()
}

func TestTheJobSeesWhatEachMessageWasGiven(t *testing.T) {
	got := map[string]string{}
	d := definition(t, func(_ context.Context, m *jobs.Message[invitation]) error {
		got[m.Body.Email] = fmt.Sprint(m.ID, m.GroupID, m.Topic, m.Attributes["plan"].Text, m.Attributes["job"].Text)
		return nil
	})
	lives := jobstest.LiveAll(t, d, []any{
		to("a", jobstest.Attribute("plan", "pro"), jobstest.Group("g")), to("b", jobstest.Envelope("invitations")), to("c"),
	}, jobstest.Attribute("job", "mail"))
	want := map[string]string{"a": "agpromail", "b": "binvitationsmail", "c": "cmail"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	lives.WantAllDone()
}

func TestAGroupIsHandledInOrderAndOthersGoOn(t *testing.T) {
	a, b := jobstest.Group("a"), jobstest.Group("b")
	for _, slots := range []int{1, 4} {
		var mu sync.Mutex
		failed := 0
		d := definition(t, func(_ context.Context, m *jobs.Message[invitation]) error {
			mu.Lock()
			defer mu.Unlock()
			if m.Body.Email == "a1" {
				if failed++; failed == 1 {
					return errors.New("down")
				}
			}
			return nil
		})
		lives := jobstest.LiveAll(t, d, []any{to("a1", a), to("b1", b), to("a2", a), to("b2", b)},
			jobstest.FIFO(), jobstest.Slots(slots), jobstest.Policy(retry.Policy{Attempts: 2, First: time.Minute, Factor: 1, Max: time.Minute}))
		lives.WantAllDone()
		lives.WantOrder("a1", "a1", "a2")
		lives.WantOrder("b1", "b2")
		lives.Each[0].WantTries(0, time.Minute)
		lives.Each[2].WantTries(time.Minute)
		lives.Each[2].WantDone(1)
		lives.Each[3].WantTries(0)
	}
}

func TestADeadLetterInAGroupLetsTheNextGoOn(t *testing.T) {
	lives := jobstest.LiveAll(t, failing(t, map[string]int{"a1": 9, "a2": 9}), []any{to("a1"), to("a2"), to("a3")},
		jobstest.FIFO(), jobstest.Policy(retry.Policy{Attempts: 1}))
	lives.Each[0].WantDead("error")
	lives.Each[1].WantDead("error")
	lives.Each[2].WantDone(1)
	lives.WantOrder("a1", "a2", "a3")
	if lives.Lasted >= 30*time.Second {
		t.Errorf("the second dead letter was found after %v only", lives.Lasted)
	}
}

func TestABatchJobIsGivenWhatThereIs(t *testing.T) {
	r := jobs.NewRegistry()
	var tries atomic.Int64
	jobs.AddBatchTo(r, "batch", func(_ context.Context, ms []*jobs.Message[invitation]) []error {
		errs := make([]error, len(ms))
		for i, m := range ms { // the batches are in the order of the sends
			if m.Body.Email == "b" && tries.Add(1) == 1 {
				errs[i] = errors.New("down")
			}
		}
		return errs
	}, jobs.Batch(3))
	d, _ := r.Lookup("batch")
	lives := jobstest.LiveAll(t, d, []any{to("a"), to("b"), to("c"), to("d")}, jobstest.Policy(retry.Policy{Attempts: 2, First: time.Hour, Factor: 1, Max: time.Hour}))
	lives.WantAllDone()
	lives.WantBatches(3, 1, 1)
	lives.Each[1].WantTries(0, time.Hour)
	if sizes := []int{lives.Each[0].Tries[0].Batch, lives.Each[1].Tries[1].Batch}; !slices.Equal(sizes, []int{3, 1}) {
		t.Errorf("batches %v", sizes)
	}
}

func TestSlotsRunMessagesSideBySide(t *testing.T) {
	for slots, want := range map[int]time.Duration{0: 2 * time.Hour, 2: time.Hour} {
		d := definition(t, func(ctx context.Context, _ *jobs.Message[invitation]) error {
			select {
			case <-time.After(time.Hour):
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
		lives := jobstest.LiveAll(t, d, []any{to("a"), to("b")}, jobstest.Slots(slots))
		if got := lives.Lasted.Round(time.Minute); got != want {
			t.Errorf("%d slots: lasted %v, want %v:\n%s", slots, got, want, lives)
		}
	}
}

// chain is a job that publishes one message less than it was asked for.
type chain struct{ publisher jobs.Publisher }

type links struct {
	Left int `json:"left"`
}

func (c *chain) Provision(_ context.Context, env *jobs.Env) error {
	c.publisher = env.Publisher
	return nil
}

func (c *chain) Handle(ctx context.Context, m *jobs.Message[links]) error {
	if m.Body.Left == 0 {
		return nil
	}
	_, err := c.publisher.Publish(ctx, "links", queue.Message{Body: fmt.Sprintf(`{"left":%d}`, m.Body.Left-1), GroupID: m.GroupID})
	return err
}

func chained() *jobs.Definition {
	r := jobs.NewRegistry()
	jobs.AddJobTo(r, "chain", func() *chain { return &chain{} })
	d, _ := r.Lookup("chain")
	return d
}

func TestWhatAJobPublishesMayComeBackToIt(t *testing.T) {
	for _, o := range [][]jobstest.Option{nil, {jobstest.FIFO(), jobstest.Group("g")}} {
		lives := jobstest.LiveAll(t, chained(), []any{links{Left: 2}}, append(o, jobstest.Subscribed("links"))...)
		lives.WantAllDone()
		lives.WantOrder("message-1", "published-1", "published-2")
		lives.WantPublished("links", "links")
		lives.Each[0].WantPublished("links")
		lives.Each[2].WantPublished()
		left := jobstest.PublishedTo[links](t, lives.Published, "links")
		if diff := cmp.Diff([]links{{1}, {0}}, left); diff != "" {
			t.Error(diff)
		}
	}
	lives := jobstest.LiveAll(t, chained(), []any{links{Left: 2}}, jobstest.Subscribed("others"))
	lives.WantPublished("links")
	if len(lives.Each) != 1 {
		t.Errorf("came back although it was published to another topic:\n%s", lives)
	}
}

// What is not due for long must not hold up what is due sooner, or what is sent meanwhile.
func TestNothingIsOversleptWhileMessagesAreHidden(t *testing.T) {
	d := definition(t, func(_ context.Context, m *jobs.Message[invitation]) error {
		if m.Attempt == 2 {
			return nil
		}
		return retry.After(errors.New("busy"), map[string]time.Duration{"a": 2 * time.Hour, "b": time.Hour}[m.Body.Email])
	})
	lives := jobstest.LiveAll(t, d, []any{to("a"), to("b")})
	lives.Each[0].WantTries(0, 2*time.Hour)
	lives.Each[1].WantTries(0, time.Hour)

	r := jobs.NewRegistry()
	jobs.AddJobTo(r, "late", func() *late { return &late{} })
	d, _ = r.Lookup("late")
	lives = jobstest.LiveAll(t, d, []any{links{Left: 1}}, jobstest.Subscribed("links"))
	lives.WantAllDone()
	lives.Each[0].WantTries(0, time.Hour)
	lives.Each[1].WantTries(10 * time.Minute)
}

// late publishes ten minutes after it has failed.
type late struct{ chain }

func (l *late) Handle(ctx context.Context, m *jobs.Message[links]) error {
	if m.Body.Left == 0 || m.Attempt == 2 {
		return nil
	}
	time.AfterFunc(10*time.Minute, func() { _ = l.chain.Handle(context.WithoutCancel(ctx), m) })
	return retry.After(errors.New("busy"), time.Hour)
}
