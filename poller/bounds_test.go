package poller_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stationmaster/worker/jobs"
	"github.com/stationmaster/worker/poller"
	"github.com/stationmaster/worker/queue"
	"github.com/stationmaster/worker/retry"
)

// patient is a Settler whose changes of visibility repeat a failing request for as long as their
// context lasts, as an SDK does. It notes those that went on past the lease of a receipt.
type patient struct {
	*fakeQueue
	mu   sync.Mutex
	late []queue.ReceiptHandle
}

func (s *patient) ChangeVisibility(ctx context.Context, handles []queue.ReceiptHandle, d []time.Duration) []error {
	for {
		s.fakeQueue.mu.Lock()
		for _, h := range handles {
			if m := s.receipts[h]; time.Now().After(m.visible) {
				s.mu.Lock()
				s.late = append(s.late, h)
				s.mu.Unlock()
			}
		}
		s.fakeQueue.mu.Unlock()
		select {
		case <-ctx.Done():
			return queue.Each(ctx.Err(), len(handles))
		case <-time.After(250 * time.Millisecond):
		}
	}
}

func TestL05NoRequestThatChangesVisibilityGoesOnPastTheDeadline(t *testing.T) {
	for name, do := range map[string]job{
		"beats": func(ctx context.Context, _ *jobs.Message[string]) error { <-ctx.Done(); return ctx.Err() },
		"a hide": func(context.Context, *jobs.Message[string]) error {
			<-time.After(11 * time.Second)
			return errBoom
		},
		"a release": func(ctx context.Context, _ *jobs.Message[string]) error { <-ctx.Done(); return ctx.Err() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var s *patient
				r := start(t, do, func(o *poller.Options) {
					q, ok := o.Settler.(*fakeQueue)
					if !ok {
						t.Fatal("no fake queue")
					}
					q.visibility = 12 * time.Second
					s = &patient{fakeQueue: q}
					o.Settler = s
				})
				r.q.put(`"x"`)
				pass(10 * time.Second)
				if name == "a release" {
					r.kill(poller.ErrDrain)
				}
				pass(20 * time.Second)
				r.kill(poller.ErrDrain)
				<-r.done
				s.mu.Lock()
				defer s.mu.Unlock()
				equal(t, "tries past the lease", len(s.late), 0)
			})
		})
	}
}

// What is on its way back when every settle fails must not hold up a drain past its deadline.
func TestADrainIsBoundedWhileNothingCanBeSettled(t *testing.T) {
	for _, fifo := range []bool{false, true} {
		t.Run(fmt.Sprintf("fifo %v", fifo), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := start(t, func(context.Context, *jobs.Message[string]) error { return nil }, func(o *poller.Options) {
					o.Slots, o.FIFO = 4, fifo
					q, ok := o.Settler.(*fakeQueue)
					if !ok {
						t.Fatal("no fake queue")
					}
					q.visibility, q.fifo = 10*time.Minute, fifo
					q.fail = func(string, queue.ReceiptHandle) error { return errBoom }
				})
				for i := range 38 { // as many unanswered settles as there may be
					r.q.putGroup(fmt.Sprint("g", i), `"x"`)
					pass(200 * time.Millisecond)
				}
				pass(time.Second)
				r.stop()
				r.q.putGroup("last", `"y"`, `"z"`)
				pass(20 * time.Second)
				began := time.Now()
				r.kill(poller.ErrDrain)
				<-r.done
				if took := time.Since(began); took > 30*time.Second {
					t.Errorf("the drain went on for %v after its deadline", took)
				}
			})
		})
	}
}

// A queue that rests is not received from, not even by a loop that waited for a slot when the rest began.
func TestALoopThatWaitsForASlotDoesNotReceiveOnceTheQueueRests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var runs atomic.Int32
		r := start(t, func(context.Context, *jobs.Message[string]) error {
			runs.Add(1)
			<-time.After(time.Second)
			return retry.Pause(errBoom, time.Now().Add(5*time.Minute))
		}, func(o *poller.Options) { o.Slots = 1 })
		r.q.put(`"x"`, `"y"`)
		pass(4 * time.Minute)
		equal(t, "runs", runs.Load(), 1)
		equal(t, "receives", r.q.seen().receives, 1)
		r.drain()
	})
}

// repeater is a FIFO queue that notes which receives got no answer.
type repeater struct {
	*fakeQueue
	mu   sync.Mutex
	lost map[string]bool // by attempt: it has not been asked for again
	most int
	lose bool
}

func (r *repeater) ReceiveAs(ctx context.Context, attempt string, n int, wait time.Duration) ([]queue.Delivery, error) {
	r.mu.Lock()
	lose := r.lose
	delete(r.lost, attempt)
	if lose {
		r.lost[attempt] = true
	}
	r.most = max(r.most, len(r.lost))
	r.mu.Unlock()
	if lose {
		return nil, errBoom
	}
	return r.Receive(ctx, n, wait)
}

func TestNoReceiveLoopEndsWhileAnAnswerOfItsIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &repeater{lost: map[string]bool{}}
		r := start(t, func(context.Context, *jobs.Message[string]) error { <-time.After(time.Second); return nil },
			func(o *poller.Options) {
				q, ok := o.Settler.(*fakeQueue)
				if !ok {
					t.Fatal("no fake queue")
				}
				q.fifo, s.fakeQueue = true, q
				o.Slots, o.FIFO, o.Receiver, o.Wait = 40, true, s, 2*time.Second
			})
		for i := range 200 {
			r.q.putGroup(fmt.Sprint("g", i), `"x"`)
		}
		pass(1500 * time.Millisecond)
		if n := r.p.State().Receivers; n < 2 {
			t.Fatalf("%d receive loops under load", n)
		}
		s.mu.Lock()
		s.lose = true
		s.mu.Unlock()
		pass(5 * time.Second)
		s.mu.Lock()
		s.lose = false
		s.mu.Unlock()
		pass(time.Minute)
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.most < 2 {
			t.Fatalf("%d answers were lost at a time: shows nothing", s.most)
		}
		equal(t, "lost answers that nobody asked for again", len(s.lost), 0)
		equal(t, "loops of an idle queue", r.p.State().Receivers, 1)
		r.drain()
	})
}

// By then another worker may have it, one that knows its kind.
func TestAMessageOfUnknownKindIsNotDeadLetteredPastItsLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, func(context.Context, *jobs.Message[string]) error {
			<-time.After(40 * time.Second) // deaf, and past the leases of its group
			return nil
		}, func(o *poller.Options) {
			q, ok := o.Settler.(*fakeQueue)
			if !ok {
				t.Fatal("no fake queue")
			}
			q.fifo, o.FIFO, o.UnknownGrace = true, true, time.Nanosecond
			q.fail = func(op string, _ queue.ReceiptHandle) error {
				if op == "change" {
					return errBoom
				}
				return nil
			}
			known := o.Route
			o.Route = func(m *jobs.Info) (*jobs.Instance, bool) {
				if m.Raw == `"new"` {
					return nil, false
				}
				return known(m)
			}
		})
		r.q.putGroup("a", `"x"`, `"new"`)
		pass(time.Second)
		r.q.set(func(q *fakeQueue) { q.failReceive = func() error { return errBoom } }) // another worker's now
		pass(time.Minute)
		equal(t, "dead letters", len(r.dead.all()), 0)
		r.kill(poller.ErrDrain)
		<-r.done
	})
}

// slowly is a Sender that takes its time.
type slowly struct{ *deadLetters }

func (s slowly) Send(ctx context.Context, m []queue.Message) ([]string, []error) {
	<-time.After(4 * time.Second)
	return s.deadLetters.Send(ctx, m)
}

// Otherwise it lies in the dead-letter queue and comes back as well, and the report knows nothing of it.
func TestADrainWaitsForTheDeleteOfWhatIsBeingDeadLettered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, func(ctx context.Context, _ *jobs.Message[string]) error {
			<-ctx.Done()
			return retry.Never(errBoom)
		}, func(o *poller.Options) { o.DeadLetters = slowly{o.DeadLetters.(*deadLetters)} })
		r.q.put(`"x"`)
		pass(time.Second)
		r.stop()
		pass(20 * time.Second)
		r.kill(poller.ErrDrain)
		report := <-r.done
		equal(t, "dead-lettered", report.DeadLettered, 1)
		equal(t, "deleted", r.q.seen().deleted, 1)
	})
}
