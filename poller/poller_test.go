package poller_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stationmaster/worker/deadletter"
	"github.com/stationmaster/worker/jobs"
	"github.com/stationmaster/worker/poller"
	"github.com/stationmaster/worker/queue"
	"github.com/stationmaster/worker/retry"
)

type job = func(context.Context, *jobs.Message[string]) error

// rig is one poller on one fake queue, running.
type rig struct {
	q    *fakeQueue
	dead *deadLetters
	p    *poller.Poller
	// stop ends the receives, kill the jobs.
	stop context.CancelFunc
	kill context.CancelCauseFunc
	done chan poller.Report

	notes map[poller.Note]*atomic.Int32
}

func (r *rig) noted(n poller.Note) int { return int(r.notes[n].Load()) }

// drain stops the poller and returns its report.
func (r *rig) drain() poller.Report {
	r.stop()
	return <-r.done
}

// start must be called inside a synctest bubble.
func start(t *testing.T, do job, change func(*poller.Options)) *rig {
	t.Helper()
	r := &rig{
		q: newFakeQueue(30 * time.Second), dead: &deadLetters{}, done: make(chan poller.Report, 1),
		notes: map[poller.Note]*atomic.Int32{},
	}
	for _, n := range []poller.Note{
		poller.LeaseLost, poller.Adopted, poller.AlreadyDone, poller.UnknownKind, poller.Uncertain,
		poller.NotDeleted, poller.NotDeadLettered, poller.IgnoresEnd, poller.Recovered, poller.Suspect,
		poller.BreakerOpened, poller.BreakerClosed, poller.NotExtendable,
	} {
		r.notes[n] = &atomic.Int32{}
	}
	instance := open(t, do)
	o := poller.Options{
		Name: "email", Receiver: r.q, Settler: r.q, DeadLetters: r.dead, Slots: 4,
		Retry: retry.Policy{Attempts: 3, First: 2 * time.Second, Factor: 2, Max: time.Minute},
		Route: func(*jobs.Info) (*jobs.Instance, bool) { return instance, true },
		Hooks: poller.Hooks{Note: func(_ context.Context, _ *queue.Delivery, what poller.Note, _ error) {
			r.notes[what].Add(1)
		}},
	}
	if change != nil {
		change(&o)
	}
	o.Visibility = r.q.visibility
	p, err := poller.New(o)
	if err != nil {
		t.Fatal(err)
	}
	r.p = p
	receive, stop := context.WithCancel(t.Context())
	handle, kill := context.WithCancelCause(t.Context())
	r.stop, r.kill = stop, kill
	go func() { r.done <- p.Run(receive, handle) }()
	t.Cleanup(func() { stop(); kill(poller.ErrDrain) })
	return r
}

func TestHandlesAndDeletesInBatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var handled atomic.Int32
		r := start(t, func(context.Context, *jobs.Message[string]) error { handled.Add(1); return nil },
			func(o *poller.Options) { o.Slots = 40 })
		synctest.Wait()
		bodies := make([]string, 200)
		for i := range bodies {
			bodies[i] = fmt.Sprintf(`"%d"`, i)
		}
		r.q.put(bodies...)
		pass(5 * time.Second)
		report := r.drain()
		equal(t, "handled", handled.Load(), 200)
		equal(t, "deleted", len(r.q.deleted), 200)
		if r.q.deletes > 30 { // twenty full ones, and smaller ones while the pace is learnt
			t.Errorf("200 deletes took %d requests, want batches of about ten", r.q.deletes)
		}
		equal(t, "abandoned", report.Abandoned, 0)
		equal(t, "uncertain", report.Uncertain, 0)
	})
}

func TestReceivesOnlyWhatCanStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var running, most atomic.Int32
		r := start(t, func(context.Context, *jobs.Message[string]) error {
			most.Store(max(most.Load(), running.Add(1)))
			defer running.Add(-1)
			<-time.After(time.Second)
			return nil
		}, func(o *poller.Options) { o.Slots = 3 })
		for i := range 30 {
			r.q.put(fmt.Sprintf(`"%d"`, i))
		}
		pass(3500 * time.Millisecond)
		_, held := r.q.left()
		equal(t, "held while three run", held, 3)
		pass(time.Minute)
		r.drain()
		equal(t, "most at once", most.Load(), 3)
		equal(t, "deleted", len(r.q.deleted), 30)
		for _, n := range r.q.asked {
			if n > 3 {
				t.Fatalf("a receive asked for %d with 3 slots", n)
			}
		}
	})
}

func TestIdleQueueCostsThreeReceivesAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, func(context.Context, *jobs.Message[string]) error { return nil },
			func(o *poller.Options) { o.Slots = 100 })
		for i := range 500 { // a burst first, so that there are loops to give up
			r.q.put(fmt.Sprintf(`"%d"`, i))
		}
		pass(2 * time.Minute)
		before := r.q.seen().receives
		pass(10 * time.Minute)
		got := r.q.seen().receives - before
		if got < 29 || got > 31 {
			t.Errorf("ten idle minutes cost %d receives, want 30", got)
		}
		equal(t, "deleted", len(r.q.deleted), 500)
		equal(t, "receive loops left", r.p.State().Receivers, 1)
		r.drain()
	})
}

func TestLeaseIsKeptWhileTheJobRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var runs atomic.Int32
		r := start(t, func(ctx context.Context, _ *jobs.Message[string]) error {
			runs.Add(1)
			select {
			case <-time.After(5 * time.Minute):
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		}, nil)
		r.q.put(`"long"`)
		pass(6 * time.Minute)
		r.drain()
		equal(t, "runs", runs.Load(), 1)
		equal(t, "deleted", len(r.q.deleted), 1)
		if r.q.changes < 10 || r.q.changes > 25 {
			t.Errorf("5 minutes on a lease of 30s took %d beats, want about 20", r.q.changes)
		}
	})
}

func TestBeatsAreBatchedAndRepeatedOnPassingErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, func(ctx context.Context, _ *jobs.Message[string]) error {
			<-time.After(40 * time.Second)
			return ctx.Err()
		}, func(o *poller.Options) { o.Slots = 10 })
		var failures atomic.Int32
		r.q.fail = func(op string, _ queue.ReceiptHandle) error {
			if op == "change" && failures.Add(1) <= 20 { // the first two batches of ten
				return queue.ErrThrottled
			}
			return nil
		}
		for i := range 10 {
			r.q.put(fmt.Sprintf(`"%d"`, i))
		}
		pass(2 * time.Minute)
		r.drain()
		equal(t, "deleted", len(r.q.deleted), 10)
		equal(t, "leases lost", r.noted(poller.LeaseLost), 0)
		if r.q.changes > 8 {
			t.Errorf("%d requests extended ten leases, want them batched", r.q.changes)
		}
	})
}

func TestALostLeaseCancelsTheJobAndSettlesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		causes := make(chan error, 10)
		var runs atomic.Int32
		r := start(t, func(ctx context.Context, _ *jobs.Message[string]) error {
			if runs.Add(1) > 1 {
				return nil
			}
			<-ctx.Done()
			causes <- context.Cause(ctx)
			return ctx.Err()
		}, nil)
		r.q.fail = func(op string, h queue.ReceiptHandle) error {
			if op == "change" && h == "m0#1" {
				return queue.ErrLeaseLost
			}
			return nil
		}
		r.q.put(`"x"`)
		pass(20 * time.Second)
		equal(t, "cause", <-causes, poller.ErrLeaseLost)
		equal(t, "visibility changes accepted", r.q.seen().hidden, 0)
		equal(t, "deleted", r.q.seen().deleted, 0)
		pass(time.Minute) // SQS redelivers; the second run succeeds
		r.drain()
		equal(t, "runs", runs.Load(), 2)
		equal(t, "deleted", len(r.q.deleted), 1)
	})
}

func TestRedeliveryBeforeTheDeadlineIsAdopted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var runs atomic.Int32
		r := start(t, func(context.Context, *jobs.Message[string]) error {
			runs.Add(1)
			<-time.After(10 * time.Second)
			return nil
		}, nil)
		r.q.put(`"x"`)
		pass(5 * time.Second)
		r.q.set(func(q *fakeQueue) { q.messages[0].visible = time.Now() }) // at least once means at least once
		r.q.put(`"wakes the poll"`)
		pass(20 * time.Second)
		r.drain()
		equal(t, "runs of both messages", runs.Load(), 2)
		equal(t, "adopted", r.noted(poller.Adopted), 1)
		equal(t, "deleted", len(r.q.deleted), 2)
		equal(t, "receives of the first", r.q.messages[0].receives, 2)
	})
}

func TestRedeliveryPastTheLeaseWaitsForTheOldRun(t *testing.T) {
	for _, row := range []struct {
		name string
		ends error // of the run that outlived its lease
		runs int32
	}{
		{"which succeeds: deleted with the newest receipt", nil, 1},
		{"which fails: a fresh run", errBoom, 2},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var runs, running atomic.Int32
				r := start(t, func(context.Context, *jobs.Message[string]) error {
					if running.Add(1) > 1 {
						t.Error("two runs of one message at once")
					}
					defer running.Add(-1)
					if runs.Add(1) > 1 {
						return nil
					}
					<-time.After(50 * time.Second) // deaf to its context
					return row.ends
				}, nil)
				var down atomic.Bool
				down.Store(true)
				r.q.fail = func(op string, _ queue.ReceiptHandle) error {
					if op == "change" && down.Load() {
						return errBoom
					}
					return nil
				}
				r.q.put(`"x"`)
				pass(35 * time.Second)
				down.Store(false)
				pass(2 * time.Minute)
				r.drain()
				equal(t, "runs", runs.Load(), row.runs)
				equal(t, "deleted", len(r.q.deleted), 1)
				equal(t, "leases lost", r.noted(poller.LeaseLost), 1)
			})
		})
	}
}

func TestDoneButNotDeletedIsRememberedAndNotRunAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var runs atomic.Int32
		r := start(t, func(context.Context, *jobs.Message[string]) error { runs.Add(1); return nil }, nil)
		var down atomic.Bool
		down.Store(true)
		r.q.fail = func(op string, _ queue.ReceiptHandle) error {
			if op == "delete" && down.Load() {
				return errBoom
			}
			return nil
		}
		r.q.put(`"x"`)
		pass(45 * time.Second)
		down.Store(false)
		pass(2 * time.Minute)
		r.drain()
		equal(t, "runs", runs.Load(), 1)
		equal(t, "deleted", len(r.q.deleted), 1)
	})
}

func TestFailedEntriesOfABatchAreRepeatedAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, func(context.Context, *jobs.Message[string]) error { return nil },
			func(o *poller.Options) { o.Slots = 10 })
		var once atomic.Bool
		r.q.fail = func(op string, h queue.ReceiptHandle) error {
			if op == "delete" && h == "m3#1" && once.CompareAndSwap(false, true) {
				return errBoom
			}
			return nil
		}
		for i := range 10 {
			r.q.put(fmt.Sprintf(`"%d"`, i))
		}
		pass(10 * time.Second)
		r.drain()
		equal(t, "failed once", once.Load(), true)
		equal(t, "deleted", len(r.q.deleted), 10)
		equal(t, "receives of the failed", r.q.messages[3].receives, 1)
	})
}

func TestFailureBacksOffAndTheLastAttemptIsDeadLetteredWithItsReason(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var runs atomic.Int32
		r := start(t, func(context.Context, *jobs.Message[string]) error { runs.Add(1); return errBoom }, nil)
		r.q.put(`"secret-token-4711"`)
		pass(5 * time.Minute)
		r.drain()
		equal(t, "runs", runs.Load(), 3)
		equal(t, "hidden between", len(r.q.hidden), 2)
		for i, h := range r.q.hidden {
			if limit := 2 * time.Second << i; h.d < 0 || h.d > limit {
				t.Errorf("delay %d = %v, want at most %v", i, h.d, limit)
			}
		}
		equal(t, "deleted", len(r.q.deleted), 1)
		sent := r.dead.all()
		if len(sent) != 1 {
			t.Fatalf("%d dead letters, want 1", len(sent))
		}
		equal(t, "body", sent[0].Body, `"secret-token-4711"`)
		record, ok := deadletter.Read(&sent[0])
		equal(t, "has a record", ok, true)
		equal(t, "reason", record.Reason, "boom")
		equal(t, "receives", record.Receives, 3)
		equal(t, "deaths", record.Deaths, 1)
	})
}

func TestNothingIsDeletedWhenTheDeadLetterIsNotAccepted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, func(context.Context, *jobs.Message[string]) error { return retry.Never(errBoom) }, nil)
		r.dead.err = queue.ErrDenied
		r.q.put(`"x"`)
		pass(time.Minute)
		r.drain()
		equal(t, "deleted", r.q.seen().deleted, 0)
		if r.noted(poller.NotDeadLettered) == 0 {
			t.Error("nobody was told")
		}
	})
}

func TestNeverIsDeadLetteredAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var runs atomic.Int32
		r := start(t, func(context.Context, *jobs.Message[string]) error { runs.Add(1); return retry.Never(errBoom) }, nil)
		r.q.put(`"x"`)
		pass(time.Second)
		r.drain()
		equal(t, "runs", runs.Load(), 1)
		equal(t, "dead letters", len(r.dead.all()), 1)
		equal(t, "deleted", len(r.q.deleted), 1)
	})
}

func TestUnknownKindIsKeptForItsGraceThenDeadLettered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, func(context.Context, *jobs.Message[string]) error { return nil }, func(o *poller.Options) {
			o.Route = func(*jobs.Info) (*jobs.Instance, bool) { return nil, false }
			o.Job = "email"
		})
		r.q.put(`{"event":"who knows"}`)
		pass(14 * time.Minute)
		equal(t, "dead letters within the grace", len(r.dead.all()), 0)
		if n := r.q.seen().first; n < 2 || n > 10 {
			t.Errorf("%d receives within the grace, want a few: the redrive policy has ten to spare", n)
		}
		pass(5 * time.Minute)
		r.drain()
		sent := r.dead.all()
		if len(sent) != 1 {
			t.Fatalf("%d dead letters after the grace, want 1", len(sent))
		}
		record, _ := deadletter.Read(&sent[0])
		equal(t, "class", record.Class, "unknown_kind")
		equal(t, "deleted", len(r.q.deleted), 1)
	})
}

func TestUntouchedReturnsSpendNoAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var attempts []int
		r := start(t, func(_ context.Context, m *jobs.Message[string]) error {
			attempts = append(attempts, m.Attempt)
			if len(attempts) <= 5 {
				return retry.After(nil, time.Second)
			}
			return errBoom
		}, nil)
		r.q.put(`"x"`)
		pass(10 * time.Minute)
		r.drain()
		equal(t, "attempts", fmt.Sprint(attempts), "[1 1 1 1 1 1 2 3]")
		equal(t, "dead letters", len(r.dead.all()), 1)
	})
}

func TestPauseRestsTheQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var runs atomic.Int32
		r := start(t, func(context.Context, *jobs.Message[string]) error {
			if runs.Add(1) == 1 {
				return retry.Pause(errBoom, time.Now().Add(5*time.Minute))
			}
			return nil
		}, func(o *poller.Options) { o.Slots = 1 })
		r.q.put(`"x"`, `"y"`)
		pass(4 * time.Minute)
		equal(t, "runs while paused", runs.Load(), 1)
		equal(t, "state", r.p.State().State, "paused")
		pass(3 * time.Minute)
		r.drain()
		equal(t, "deleted", len(r.q.deleted), 2)
	})
}

func TestTimeoutCancelsAndCountsAsAFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, func(ctx context.Context, _ *jobs.Message[string]) error {
			<-ctx.Done()
			return ctx.Err()
		}, func(o *poller.Options) { o.Timeout = 5 * time.Second; o.Retry.Attempts = 1 })
		r.q.put(`"x"`)
		pass(10 * time.Second)
		r.drain()
		sent := r.dead.all()
		if len(sent) != 1 {
			t.Fatalf("%d dead letters, want 1", len(sent))
		}
		record, _ := deadletter.Read(&sent[0])
		equal(t, "class", record.Class, "timeout")
	})
}

// Every receive that asks for fewer than ten costs as much as one that asks for ten.
func TestASaturatedQueueIsReceivedInTens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, func(context.Context, *jobs.Message[string]) error {
			<-time.After(3 * time.Millisecond) // the bubble's clock
			return nil
		}, func(o *poller.Options) { o.Slots, o.Receivers = 40, 6 })
		synctest.Wait()
		bodies := make([]string, 1000)
		for i := range bodies {
			bodies[i] = fmt.Sprintf(`"%d"`, i)
		}
		r.q.put(bodies...)
		pass(5 * time.Second)
		r.drain()
		equal(t, "deleted", len(r.q.deleted), 1000)
		r.q.mu.Lock()
		defer r.q.mu.Unlock()
		if got := r.q.receives; got > 120 { // a hundred full ones, the first, and those that found nothing
			t.Errorf("1000 messages took %d receives, asking for %v", got, r.q.asked)
		}
	})
}
