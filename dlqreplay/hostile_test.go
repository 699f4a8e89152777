package dlqreplay_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stationmaster/worker/deadletter"
	"github.com/stationmaster/worker/dlqreplay"
	"github.com/stationmaster/worker/internal/awsapi"
	"github.com/stationmaster/worker/localaws"
	"github.com/stationmaster/worker/queue"
)

// killed leaves the journal and the holds of a run that had sent everything and was killed before it
// deleted: what it held is hidden for as long as hold says.
func (d *depot) killed(n int, hold time.Duration) (id string) {
	d.t.Helper()
	d.sendPlain(n)
	dlq := d.dlq
	dlq.Queue, dlq.Hold = d.api.Queue(d.url, awsapi.QueueOptions{Visibility: hold}), hold
	held := d.scan(func(o *dlqreplay.ScanOptions) { o.DLQ = dlq })
	j, err := d.store.Begin(dlqreplay.Header{Action: dlqreplay.ActionReplay, DLQ: d.dlq.Name, FIFO: d.dlq.FIFO})
	must(d.t, err)
	from := ids(held.Letters())
	must(d.t, j.Select(from))
	must(d.t, j.Sending(from, d.to.Name))
	var made []string
	for _, l := range held.Letters() {
		m, err := held.Message(l)
		must(d.t, err)
		some, errs := d.work.Send(d.t.Context(), []queue.Message{m})
		if errs != nil {
			d.t.Fatal(errs)
		}
		made = append(made, some...)
	}
	must(d.t, j.Sent(from, made, nil))
	must(d.t, j.Close())
	dlqreplay.KeeperOf(held).Stop()
	return j.ID()
}

func (d *depot) goOn(id string) *dlqreplay.Report {
	d.t.Helper()
	j, past, err := d.store.Resume(id)
	must(d.t, err)
	defer j.Close() //nolint:errcheck // its report tells
	return d.run(dlqreplay.Options{
		ReplayID: id, Held: d.scan(nil), Judge: d.judge(), Pace: dlqreplay.Pace{StopOnReturn: 1}, Journal: j, Past: past, Event: d.event,
	})
}

// A run of many letters hides them for longer than a resume would that finds few: what is still hidden
// then is not gone.
func TestAResumeWaitsAsLongAsTheKilledRunMayHide(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDepot(t, "work")
		id := d.killed(30, 10*time.Minute)
		r := d.goOn(id)
		pass(t, 15*time.Minute)
		d.holds(0, 0)
		if r.Replayed != 30 || r.Undeleted != 0 || r.Ambiguous != 0 {
			t.Errorf("%+v", r)
		}
	})
}

// What somebody else holds is not deleted, and will be sent again by whoever reads that it was.
func TestWhatIsInOtherHandsIsNotTakenForDeleted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDepot(t, "work")
		id := d.killed(5, 10*time.Minute)
		pass(t, 11*time.Minute)
		other := d.scan(nil)
		r := d.goOn(id)
		other.Release(t.Context(), nil)
		d.holds(5, 0)
		if r.Undeleted != 5 || r.Whole() {
			t.Errorf("%d undeleted, want 5: %+v", r.Undeleted, r)
		}
		if r := d.goOn(id); !r.Whole() {
			t.Errorf("%+v", r)
		}
		d.holds(0, 0)
	})
}

// pass lets the bubble's time pass.
func pass(t *testing.T, d time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	<-ctx.Done()
}

// refuser is a destination that is no queue, such as a job, and refuses everything.
type refuser struct {
	mu    sync.Mutex
	calls map[string]int
}

func (r *refuser) Take(_ context.Context, ls []*dlqreplay.Letter, _ []queue.Message) ([]string, []error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, l := range ls {
		r.calls[l.MessageID]++
	}
	return nil, queue.Each(fmt.Errorf("no such user: %w", queue.ErrRejected), len(ls))
}

// A job runs once on what it refuses: it may have done half of its work.
func TestAJobThatRefusesIsNotRunTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDepot(t, "work")
		d.sendPlain(20)
		job := &refuser{calls: map[string]int{}}
		d.to = &dlqreplay.Destination{Name: "job email", Taker: job, Unchanged: true}
		if r := d.run(d.begin()); r.Failed != 20 {
			t.Errorf("%+v", r)
		}
		for id, n := range job.calls {
			if n != 1 {
				t.Errorf("%s: run %d times", id, n)
			}
		}
	})
}

// What was sent and not answered, and then left, may be in both places: the report says so, also when the
// operator never resumes.
func TestWhatIsLeftAndMayHaveBeenSentIsCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDepot(t, "work")
		d.sendPlain(10)
		o := d.begin()
		d.once("SendMessageBatch", d.workURL, 1<<20, localaws.Fault{Lose: true})
		r := d.run(o)
		if r.Outcome != dlqreplay.Failed || r.Left != 10 || r.Unsure != 10 {
			t.Errorf("%s, %d left, %d unsure; want failed, 10 and 10", r.Outcome, r.Left, r.Unsure)
		}
	})
}

func TestAFingerprintMayBeShortened(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDepot(t, "work")
		d.send(dead(`{"n":1}`, deadletter.Death{Job: "email", Queue: "work", Now: time.Now()}, time.Now(), errors.New("boom")))
		h := d.scan(nil)
		defer h.Release(t.Context(), nil)
		fingerprint := h.Letters()[0].Fingerprint
		for _, not := range []bool{false, true} {
			p := d.plan(h, dlqreplay.Filter{{Key: "group", Value: strings.ToUpper(fingerprint[:4]), Not: not}}, d.judge())
			if want := map[bool]int{false: 1, true: 0}[not]; p.Matched != want {
				t.Errorf("not %v: %d match", not, p.Matched)
			}
		}
	})
}

// An expression that never ends must not be tried on a hundred thousand letters in turn.
func TestAnExpressionThatNeverEndsIsGivenUp(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.jsonl")
	write(t, path, 300)
	h, _, err := dlqreplay.OpenImport(t.Context(), path, t.TempDir())
	must(t, err)
	defer h.Release(t.Context(), nil)
	// Each burns its time: one does under the race detector.
	endless := []string{`last(range(infinite))`, `repeat(null)`, `[range(infinite) | select(. < 0)]`}
	if hundredThousand < 100_000 {
		endless = endless[:1]
	}
	for _, expression := range endless {
		began := time.Now()
		_, err := h.Plan(t.Context(), dlqreplay.Filter{{Key: "where", Value: expression}}, dlqreplay.Judge{}, time.Now())
		if err == nil || !strings.Contains(err.Error(), "longer than") || time.Since(began) > time.Minute {
			t.Errorf("%s: %v after %v", expression, err, time.Since(began))
		}
	}
}

// A destination whose counts may not be read would be waited for for ever.
func TestABacklogThatMayNotBeReadEndsTheRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDepot(t, "work")
		d.sendPlain(5)
		o := d.begin()
		o.Pace.MaxBacklog = 10
		d.to.Counts = func(context.Context) (dlqreplay.Counts, error) { return dlqreplay.Counts{}, queue.ErrDenied }
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		if r := d.runIn(ctx, o); r.Outcome != dlqreplay.Failed || r.Released != 5 {
			t.Errorf("%+v", r)
		}
	})
}

// A machine that sleeps stops its monotonic clock, and SQS does not wait for it.
func TestHoldsEndWhileTheMachineSleeps(t *testing.T) {
	now := time.Now()
	for name, c := range map[string]struct {
		now  time.Time
		over bool
	}{
		"in time":        {now.Add(time.Minute), false},
		"late":           {now.Add(3 * time.Minute), true},
		"slept":          {dlqreplay.Slept(now.Add(time.Minute), time.Hour), true},
		"clock set back": {dlqreplay.Slept(now.Add(3*time.Minute), -time.Hour), true},
	} {
		if got := dlqreplay.Over(c.now, now.Add(2*time.Minute)); got != c.over {
			t.Errorf("%s: over is %v", name, got)
		}
	}
}

// A stream that is cut while it waits for more has not replayed everything, however much of what it chose
// is sent.
func TestAStreamThatIsCutIsNotWhole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDepot(t, "work")
		d.sendPlain(30)
		pass(t, time.Second)
		held := d.scan(func(o *dlqreplay.ScanOptions) { o.Budget = 10 })
		j, err := d.store.Begin(dlqreplay.Header{Action: dlqreplay.ActionReplay, DLQ: d.dlq.Name})
		must(t, err)
		defer j.Close() //nolint:errcheck // its report tells
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		d.server.Control("ReceiveMessage", func(*localaws.Request) *localaws.Fault {
			time.AfterFunc(2*time.Second, cancel)
			return &localaws.Fault{Status: 503}
		})
		r := d.runIn(ctx, dlqreplay.Options{
			ReplayID: j.ID(), Held: held, Plan: d.plan(held, nil, d.judge()), Judge: d.judge(), Stream: true,
			Pace: dlqreplay.Pace{StopOnReturn: 1}, Journal: j,
		})
		if r.Outcome != dlqreplay.Interrupted || !r.More || r.Whole() || r.Replayed != 10 {
			t.Errorf("%+v", r)
		}
	})
}

// No returns prove nothing where nobody has received the canary.
func TestACanaryThatNobodyHasTriedProvesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDepot(t, "work") // and nobody works
		d.send(dead(`{"n":0}`, deadletter.Death{Job: "email", Queue: "work", Now: time.Now()}, time.Now(), errors.New("boom")))
		d.sendPlain(20)
		o := d.begin()
		o.Pace = dlqreplay.Pace{Canary: 3, Settle: time.Minute, StopOnReturn: 0.05}
		d.run(o)
		if told := d.told(dlqreplay.Unobserved); len(told) != 1 || !strings.Contains(told[0].Why, "3 wait in work") {
			t.Errorf("%+v", told)
		}
	})
}

// Who writes a record may write any time into it, and clocks differ: a stream that passes a letter over for
// its time says so.
func TestAStreamSaysWhatItPassesOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDepot(t, "work")
		d.sendPlain(20)
		d.send(dead(`{"n":20}`, deadletter.Death{Job: "email", Queue: "work", Now: time.Now().AddDate(50, 0, 0)}, time.Now(), errors.New("boom")))
		pass(t, time.Second)
		j, err := d.store.Begin(dlqreplay.Header{Action: dlqreplay.ActionReplay, DLQ: d.dlq.Name})
		must(t, err)
		defer j.Close() //nolint:errcheck // its report tells
		r := d.run(dlqreplay.Options{
			ReplayID: j.ID(), Held: d.scan(func(o *dlqreplay.ScanOptions) { o.Only = []string{"?"}; o.Budget = 1 }),
			Judge: d.judge(), Stream: true, Pace: dlqreplay.Pace{StopOnReturn: 1}, Journal: j,
		})
		if !strings.Contains(r.Why, "1 stay") || r.Replayed < 19 {
			t.Errorf("%+v", r)
		}
		d.conserved(21, 0)
	})
}
