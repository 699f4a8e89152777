package poller_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stationmaster/worker/jobs"
	"github.com/stationmaster/worker/poller"
	"github.com/stationmaster/worker/retry"
)

func TestTheBudgetCapsRunningJobsOverAllQueues(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var running, most atomic.Int32
		job := func(context.Context, *jobs.Message[string]) error {
			most.Store(max(most.Load(), running.Add(1)))
			defer running.Add(-1)
			<-time.After(time.Second)
			return nil
		}
		budget := poller.NewBudget(3)
		share := func(o *poller.Options) { o.Budget, o.Slots = budget, 10 }
		a, b := start(t, job, share), start(t, job, share)
		for i := range 15 {
			a.q.put(fmt.Sprintf(`"%d"`, i))
			b.q.put(fmt.Sprintf(`"%d"`, i))
		}
		pass(1200 * time.Millisecond)
		before := a.q.seen().receives + b.q.seen().receives
		pass(1500 * time.Millisecond)
		if polls := a.q.seen().receives + b.q.seen().receives - before; polls > 2 {
			t.Errorf("%d polls although deliveries of both queues wait for the budget", polls)
		}
		pass(2500 * time.Millisecond)
		if done := a.q.seen().deleted; done < 3 {
			t.Errorf("queue a had %d done after 5 s: both must get their part", done)
		}
		pass(time.Minute)
		a.stop()
		b.stop()
		<-a.done
		<-b.done
		equal(t, "most at once", most.Load(), 3)
		equal(t, "deleted", len(a.q.deleted)+len(b.q.deleted), 30)
		equal(t, "leases lost", a.noted(poller.LeaseLost)+b.noted(poller.LeaseLost), 0)
	})
}

func TestWeightsShareTheBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		job := func(context.Context, *jobs.Message[string]) error { <-time.After(time.Second); return nil }
		budget := poller.NewBudget(4)
		a := start(t, job, func(o *poller.Options) { o.Budget, o.Slots, o.Weight = budget, 10, 3 })
		b := start(t, job, func(o *poller.Options) { o.Budget, o.Slots, o.Weight = budget, 10, 1 })
		for i := range 200 {
			a.q.put(fmt.Sprintf(`"%d"`, i))
			b.q.put(fmt.Sprintf(`"%d"`, i))
		}
		pass(20 * time.Second)
		da, db := a.q.seen().deleted, b.q.seen().deleted
		// Not three times as many: while a queue has nothing that waits, the other takes what is free.
		if 2*da < 3*db {
			t.Errorf("weights 3 and 1 got %d and %d done", da, db)
		}
		if db == 0 {
			t.Error("the light queue starves")
		}
		a.kill(poller.ErrDrain)
		b.kill(poller.ErrDrain)
		<-a.done
		<-b.done
	})
}

func TestTheBreakerStopsPollingAndProbesWithOneMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var down atomic.Bool
		down.Store(true)
		var runs atomic.Int32
		r := start(t, func(context.Context, *jobs.Message[string]) error {
			runs.Add(1)
			if down.Load() {
				return retry.After(errBoom, time.Second)
			}
			return nil
		}, func(o *poller.Options) { o.Breaker, o.Slots, o.Retry.Attempts = true, 10, 100 })
		for i := range 100 {
			r.q.put(fmt.Sprintf(`"%d"`, i))
		}
		pass(10 * time.Second)
		opened := runs.Load()
		if opened < 20 || opened > 40 {
			t.Errorf("%d runs before the breaker opened, want the 20 that it looks at and what ran beside them", opened)
		}
		pass(15 * time.Second)
		equal(t, "runs while it is open", runs.Load(), opened)
		pass(15 * time.Second) // 30 s are over: one probe, which fails
		equal(t, "runs of the probe", runs.Load(), opened+1)
		down.Store(false)
		pass(3 * time.Minute)
		r.drain()
		equal(t, "opened", r.noted(poller.BreakerOpened), 2)
		equal(t, "closed", r.noted(poller.BreakerClosed), 1)
		equal(t, "deleted", len(r.q.deleted), 100)
	})
}

func TestPermanentFailuresDoNotOpenTheBreaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, func(context.Context, *jobs.Message[string]) error { return retry.Never(errBoom) },
			func(o *poller.Options) { o.Breaker, o.Slots = true, 10 })
		for i := range 60 {
			r.q.put(fmt.Sprintf(`"%d"`, i))
		}
		pass(10 * time.Second)
		r.drain()
		equal(t, "opened", r.noted(poller.BreakerOpened), 0)
		equal(t, "dead letters", len(r.dead.all()), 60)
	})
}

func TestTheRateBoundsStarts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var runs atomic.Int32
		r := start(t, func(context.Context, *jobs.Message[string]) error { runs.Add(1); return nil },
			func(o *poller.Options) { o.Rate, o.Slots = 5, 20 })
		for i := range 100 {
			r.q.put(fmt.Sprintf(`"%d"`, i))
		}
		pass(4 * time.Second)
		if n := runs.Load(); n < 18 || n > 26 {
			t.Errorf("%d starts in 4 s at 5 a second and a burst of 5", n)
		}
		pass(30 * time.Second)
		r.drain()
		equal(t, "deleted", len(r.q.deleted), 100)
	})
}

func TestSuspectsRunOneAtATimeAndAreNamedFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var running, most atomic.Int32
		r := start(t, func(_ context.Context, m *jobs.Message[string]) error {
			if m.Receives > 5 {
				most.Store(max(most.Load(), running.Add(1)))
				defer running.Add(-1)
			}
			<-time.After(time.Second)
			return nil
		}, func(o *poller.Options) { o.Suspects, o.SuspectAfter, o.Slots = poller.NewLane(), 5, 10 })
		r.q.putReceived(7, `"0"`, `"1"`, `"2"`) // another worker died of them
		r.q.put(`"3"`, `"4"`, `"5"`)
		pass(time.Minute)
		r.drain()
		equal(t, "suspects at once", most.Load(), 1)
		equal(t, "named", r.noted(poller.Suspect), 3)
		equal(t, "deleted", len(r.q.deleted), 6)
		equal(t, "dead letters", len(r.dead.all()), 0)
	})
}

func TestPauseAndResume(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, func(context.Context, *jobs.Message[string]) error { return nil }, nil)
		synctest.Wait()
		r.p.Pause(time.Now().Add(time.Hour))
		pass(21 * time.Second) // the open poll ends
		r.q.put(`"x"`)
		pass(10 * time.Minute)
		equal(t, "deleted while paused", r.q.seen().deleted, 0)
		equal(t, "state", r.p.State().State, "paused")
		r.p.Resume()
		pass(time.Second)
		equal(t, "deleted", r.q.seen().deleted, 1)
		r.drain()
	})
}

func TestABatchAnswersPerMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg := jobs.NewRegistry()
		var calls, largest atomic.Int32
		jobs.AddBatchTo(reg, "batch", func(_ context.Context, ms []*jobs.Message[string]) []error {
			calls.Add(1)
			largest.Store(max(largest.Load(), int32(len(ms))))
			errs := make([]error, len(ms))
			for i, m := range ms {
				if m.Body == "bad" {
					errs[i] = retry.Never(errors.New("bad one"))
				}
			}
			return errs
		})
		d, _ := reg.Lookup("batch")
		instance, err := d.Open(t.Context(), nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		r := start(t, func(context.Context, *jobs.Message[string]) error { return nil }, func(o *poller.Options) {
			o.Slots = 20
			o.Route = func(*jobs.Info) (*jobs.Instance, bool) { return instance, true }
		})
		synctest.Wait()
		r.q.put(`"a"`, `"bad"`, `"c"`, `"d"`, `not json`, `"f"`)
		pass(5 * time.Second)
		r.drain()
		equal(t, "deleted", len(r.q.deleted), 6)
		equal(t, "dead letters", len(r.dead.all()), 2)
		if largest.Load() < 4 {
			t.Errorf("the largest batch had %d messages, want them together", largest.Load())
		}
	})
}

func TestAnswersThatAskForAnotherTimeDoNotOpenTheBreaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, func(context.Context, *jobs.Message[string]) error { return retry.After(nil, time.Second) },
			func(o *poller.Options) { o.Breaker, o.Slots = true, 10 })
		r.q.put(numbers(60)...)
		pass(10 * time.Second)
		equal(t, "opened", r.noted(poller.BreakerOpened), 0)
		equal(t, "breaker", r.p.State().Breaker, "closed")
		r.drain()
	})
}

func TestWhatWaitsGoesBackWhenTheBreakerOpens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var back returned
		var runs atomic.Int32
		r := start(t, func(context.Context, *jobs.Message[string]) error {
			runs.Add(1)
			<-time.After(100 * time.Millisecond)
			return retry.After(errBoom, time.Minute)
		}, func(o *poller.Options) {
			o.Breaker, o.Slots, o.Prefetch, o.Retry.Attempts = true, 2, 30, 100
			back.hook(o)
		})
		r.q.put(numbers(60)...)
		pass(5 * time.Second)
		if n := runs.Load(); n > 24 {
			t.Errorf("%d runs, want the 20 that it looks at and what ran beside them", n)
		}
		if back.of(poller.WhyPaused) < 5 {
			t.Errorf("%d messages went back: what is held ready must not fail, too", back.of(poller.WhyPaused))
		}
		state := r.p.State()
		equal(t, "breaker", state.Breaker, "open")
		equal(t, "paused by", state.PausedBy, poller.ByBreaker)
		for _, h := range r.q.hidden {
			if h.d < retry.MinRest && h.d != lease {
				t.Errorf("%s was hidden for %v, want at least %v", h.id, h.d, retry.MinRest)
			}
		}
		r.p.Resume()
		synctest.Wait()
		equal(t, "breaker after an operator's resume", r.p.State().Breaker, "half open")
		r.drain()
	})
}

func TestAQueueThatWaitsForTheBudgetIsFullNotStuck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		budget := poller.NewBudget(1)
		long := func(context.Context, *jobs.Message[string]) error { <-time.After(10 * time.Minute); return nil }
		share := func(o *poller.Options) { o.Budget, o.Slots = budget, 10 }
		a, b := start(t, long, share), start(t, long, share)
		a.q.put(`"x"`)
		synctest.Wait()
		b.q.put(`"y"`)
		pass(5 * time.Minute)
		state := b.p.State()
		if !state.Full || state.Busy != 0 || !state.PollEnds.IsZero() {
			t.Errorf("state %+v: no poll is due while its delivery waits for the budget", state)
		}
		pass(20 * time.Minute)
		a.drain()
		b.drain()
	})
}
