package poller_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stationmaster/worker/internal/awsapi"
	"github.com/stationmaster/worker/jobs"
	"github.com/stationmaster/worker/localaws"
	"github.com/stationmaster/worker/poller"
	"github.com/stationmaster/worker/queue"
	"github.com/stationmaster/worker/retry"
)

// takes is a job that takes a while and ends well.
func takes(d time.Duration) job {
	return func(context.Context, *jobs.Message[string]) error { <-time.After(d); return nil }
}

func TestL03ABeatInFlightIsAwaitedBeforeTheSettle(t *testing.T) {
	for _, row := range []struct {
		name   string
		answer error
	}{{"before the delete", nil}, {"before the delay", retry.After(errBoom, 5*time.Second)}} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newStation(t, false)
				began := time.Now()
				var once atomic.Bool
				s.spoil(changeAction, func(*localaws.Request) *localaws.Fault {
					if once.CompareAndSwap(false, true) {
						return &localaws.Fault{Delay: 3 * time.Second} // the first beat, from 14.5 s on
					}
					return nil
				})
				var runs atomic.Int32
				r := start(t, func(context.Context, *jobs.Message[string]) error {
					if runs.Add(1) > 1 {
						return nil
					}
					<-time.After(15 * time.Second)
					return row.answer
				}, s.on)
				s.send(`"x"`)
				pass(17 * time.Second)
				if n := len(s.requests(deleteAction)); n > 0 || len(s.requests(changeAction)) > 1 {
					t.Errorf("settled at 15 s although the beat is answered at 17.5 s")
				}
				pass(5 * time.Second)
				if row.answer != nil {
					equal(t, "runs before the delay is over", runs.Load(), 1)
					pass(time.Second)
					equal(t, "runs after it", runs.Load(), 2)
				}
				r.drain()
				s.holds(0, 0)
				if at := s.requests(deleteAction)[0].at.Sub(began); at < 17500*time.Millisecond {
					t.Errorf("deleted at %v", at)
				}
			})
		})
	}
}

func TestL04WhatWaitsForItsStartKeepsItsLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStation(t, false)
		var receives atomic.Int32
		r := start(t, func(_ context.Context, m *jobs.Message[string]) error {
			receives.Store(max(receives.Load(), int32(m.Receives)))
			<-time.After(50 * time.Second)
			return nil
		}, s.and(func(o *poller.Options) { o.Slots, o.Prefetch = 1, 3 }))
		s.send(`"a"`, `"b"`, `"c"`, `"d"`)
		pass(4 * time.Minute)
		r.drain()
		s.holds(0, 0)
		equal(t, "most receives of one", receives.Load(), 1)
	})
}

func TestL04ALeaseThatIsNearlyOverIsNotStarted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStation(t, false)
		var back returned
		var second atomic.Int64 // the receive in which the second message was started
		budget := poller.NewBudget(1)
		r := start(t, func(_ context.Context, m *jobs.Message[string]) error {
			if m.Body == "a" {
				<-time.After(28 * time.Second)
				return nil
			}
			second.Store(int64(m.Receives))
			return nil
		}, s.and(func(o *poller.Options) { o.Budget = budget; back.hook(o) }))
		stop := s.fails(changeAction, down)
		s.send(`"a"`)
		synctest.Wait()
		s.send(`"b"`) // its lease ends at 29 s; the budget is free at 28 s
		pass(28500 * time.Millisecond)
		equal(t, "gave back a lease too short", back.of(poller.WhyLeaseShort), 1)
		equal(t, "started", second.Load(), 0)
		stop()
		pass(time.Minute)
		r.drain()
		equal(t, "started in receive", second.Load(), 2)
		s.holds(0, 0)
	})
}

func TestL05APassingFaultOfABeatLosesNoLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStation(t, false)
		r := start(t, takes(50*time.Second), s.on)
		stop := s.fails(changeAction, localaws.Fault{Status: 400, Code: "RequestThrottled"})
		s.send(`"x"`)
		pass(25 * time.Second) // the beats of ten seconds have failed
		stop()
		pass(time.Minute)
		r.drain()
		equal(t, "leases lost", r.noted(poller.LeaseLost), 0)
		s.holds(0, 0)
	})
}

func TestL05ALostReceiptCancelsTheJobAndChangesNoVisibilityAfterwards(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStation(t, false)
		causes := make(chan error, 1)
		r := start(t, func(ctx context.Context, _ *jobs.Message[string]) error {
			<-ctx.Done()
			causes <- context.Cause(ctx)
			return errBoom
		}, s.and(func(o *poller.Options) {
			o.Hooks.Started = func(ctx context.Context, d *queue.Delivery, _ *jobs.Info) context.Context {
				s.q.Delete(ctx, []queue.ReceiptHandle{d.Handle}) // somebody else did
				return ctx
			}
		}))
		s.send(`"x"`)
		pass(16 * time.Second)
		equal(t, "cause", <-causes, poller.ErrLeaseLost)
		beats := len(s.requests(changeAction))
		pass(time.Minute)
		equal(t, "changes of visibility after the loss", len(s.requests(changeAction))-beats, 0)
		equal(t, "leases lost", r.noted(poller.LeaseLost), 1)
		r.drain()
	})
}

func TestL05AMissingPermissionIsToldOnceAndTheJobIsCancelledInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStation(t, false)
		var ended atomic.Int64
		began := time.Now()
		r := start(t, func(ctx context.Context, _ *jobs.Message[string]) error {
			<-ctx.Done()
			ended.CompareAndSwap(0, int64(time.Since(began)))
			return ctx.Err()
		}, s.on)
		s.fails(changeAction, denied)
		s.send(`"x"`)
		pass(29500 * time.Millisecond)
		equal(t, "told", r.noted(poller.NotExtendable), 1)
		equal(t, "cancelled when the lease ends", time.Duration(ended.Load()), lease-margin)
		equal(t, "requests", len(s.requests(changeAction)), 1)
		pass(2 * time.Minute)
		equal(t, "told after further messages", r.noted(poller.NotExtendable), 1)
		r.kill(poller.ErrDrain)
		<-r.done
	})
}

func TestL05NothingChangesVisibilityAfterTheDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStation(t, false)
		var runs atomic.Int32
		r := start(t, func(context.Context, *jobs.Message[string]) error {
			if runs.Add(1) == 1 {
				<-time.After(40 * time.Second) // deaf, and past its lease
			}
			return errBoom
		}, s.and(func(o *poller.Options) { o.Wait = time.Second }))
		// This process gets nothing more; another one takes the message over when the lease has ended.
		s.send(`"x"`)
		pass(time.Second)
		stopBeats := s.fails(changeAction, down)
		s.fails(receiveAction, down)
		pass(34 * time.Second)
		stopBeats()
		changes := len(s.requests(changeAction))
		pass(time.Minute) // the job fails at 40 s
		equal(t, "changes of visibility by the old owner", len(s.requests(changeAction))-changes, 0)
		equal(t, "deletes", len(s.requests(deleteAction)), 0)
		r.kill(poller.ErrDrain)
		<-r.done
	})
}

func TestL06TwelveHoursCountFromTheReceive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStation(t, false)
		refused := 0
		r := start(t, func(ctx context.Context, m *jobs.Message[string]) error {
			if m.Receives > 1 {
				return nil
			}
			if m.Body == "late" { // fails with a minute left, and asks for half a day
				<-time.After(12*time.Hour - time.Minute)
				return retry.After(errBoom, 12*time.Hour)
			}
			<-ctx.Done()
			return context.Cause(ctx)
		}, s.and(func(o *poller.Options) {
			o.Hooks.Extended = func(_ context.Context, _ int, err error) {
				if err != nil {
					refused++
				}
			}
			o.Hooks.Settled = func(_ context.Context, _ *queue.Delivery, _ poller.Settlement, err error) {
				if err != nil {
					t.Errorf("settle: %v", err)
				}
			}
		}))
		s.send(`"endless"`, `"late"`)
		pass(12*time.Hour - 30*time.Second)
		equal(t, "leases lost before", r.noted(poller.LeaseLost), 0)
		pass(time.Minute)
		equal(t, "refused beats", refused, 0)
		equal(t, "leases lost", r.noted(poller.LeaseLost), 1)
		pass(time.Minute)
		r.drain()
		s.holds(0, 0)
	})
}

func TestL07ARedeliveryIsAdoptedAndItsReceiptDeletes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStation(t, false)
		var runs atomic.Int32
		var back returned
		r := start(t, func(context.Context, *jobs.Message[string]) error {
			runs.Add(1)
			<-time.After(10 * time.Second)
			return nil
		}, s.and(func(o *poller.Options) {
			back.hook(o)
			o.Hooks.Started = func(ctx context.Context, d *queue.Delivery, _ *jobs.Info) context.Context {
				// At least once means at least once: it is handed out again at once.
				s.q.ChangeVisibility(ctx, []queue.ReceiptHandle{d.Handle}, []time.Duration{0})
				return ctx
			}
		}))
		s.send(`"x"`)
		pass(time.Minute)
		r.drain()
		equal(t, "runs", runs.Load(), 1)
		equal(t, "adopted", r.noted(poller.Adopted), 1)
		equal(t, "receives that spent no attempt", back.of(poller.WhyAdopted), 1)
		s.holds(0, 0) // the first receipt would have been accepted, and deleted nothing
	})
}

func TestL27TheQueuesOwnVisibilityTimeoutIsReadAndReadAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStation(t, false)
		s.q = newAPI(s.server).Queue(s.url, awsapi.QueueOptions{})
		r := start(t, takes(10*time.Minute), s.on)
		s.send(`"x"`)
		pass(5 * time.Minute)
		if n := len(s.requests(changeAction)); n < 19 || n > 23 {
			t.Errorf("%d beats in 5 minutes on leases of 30 s, want about 21", n)
		}
		if err := s.api.SetQueueAttributes(t.Context(), s.url, map[string]string{"VisibilityTimeout": "300"}); err != nil {
			t.Fatal(err)
		}
		pass(6 * time.Minute)
		before := len(s.requests(changeAction))
		s.send(`"y"`)
		pass(11 * time.Minute)
		if n := len(s.requests(changeAction)) - before; n < 3 || n > 5 {
			t.Errorf("%d beats in 10 minutes on leases of 5 minutes, want about 4", n)
		}
		r.drain()
		s.holds(0, 0)
	})
}
