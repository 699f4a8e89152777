package poller_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stationmaster/worker/jobs"
	"github.com/stationmaster/worker/poller"
	"github.com/stationmaster/worker/queue"
)

func TestDrainLetsJobsFinishAndKeepsTheirLeases(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, func(context.Context, *jobs.Message[string]) error {
			<-time.After(90 * time.Second)
			return nil
		}, nil)
		r.q.put(`"a"`, `"b"`)
		pass(time.Second)
		report := r.drain()
		equal(t, "report", fmt.Sprintf("%+v", poller.Report{Finished: 2, Took: report.Took}), fmt.Sprintf("%+v", report))
		equal(t, "deleted", len(r.q.deleted), 2)
		equal(t, "leases lost", r.noted(poller.LeaseLost), 0)
		equal(t, "state", r.p.State().State, "stopped")
	})
}

func TestDrainGivesBackWhatTheOpenPollBrings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var runs atomic.Int32
		r := start(t, func(context.Context, *jobs.Message[string]) error { runs.Add(1); return nil }, nil)
		pass(5 * time.Second)
		r.stop()
		pass(5 * time.Second)
		r.q.put(`"late"`)
		report := <-r.done
		equal(t, "runs", runs.Load(), 0)
		equal(t, "released", report.Released, 1)
		stored, inFlight := r.q.left()
		equal(t, "stored", stored, 1)
		equal(t, "in flight", inFlight, 0)
		if report.Took > 6*time.Second {
			t.Errorf("drain took %v after the poll had returned", report.Took)
		}
	})
}

func TestDrainWaitsForTheOpenPollUnlessHurried(t *testing.T) {
	for _, row := range []struct {
		name  string
		hurry bool
		want  time.Duration
	}{{"waits", false, 15 * time.Second}, {"hurried", true, 0}} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := start(t, func(context.Context, *jobs.Message[string]) error { return nil }, nil)
				pass(5 * time.Second)
				r.stop()
				synctest.Wait()
				if ends := time.Until(r.p.State().PollEnds); ends != 15*time.Second {
					t.Errorf("the poll is announced to end in %v", ends)
				}
				if row.hurry {
					r.p.Hurry()
				}
				report := <-r.done
				equal(t, "took", report.Took, row.want)
			})
		})
	}
}

func TestCutPollsEndAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, func(context.Context, *jobs.Message[string]) error { return nil },
			func(o *poller.Options) { o.CutPolls = true })
		pass(5 * time.Second)
		equal(t, "took", r.drain().Took, 0)
		equal(t, "state error", r.p.State().Err, nil)
	})
}

func TestDrainDeadlineCancelsAndReleases(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		causes := make(chan error, 1)
		r := start(t, func(ctx context.Context, _ *jobs.Message[string]) error {
			<-ctx.Done()
			causes <- context.Cause(ctx)
			return ctx.Err()
		}, func(o *poller.Options) { o.CutPolls = true })
		r.q.put(`"x"`)
		pass(time.Second)
		r.stop()
		pass(10 * time.Second)
		r.kill(poller.ErrDrain)
		report := <-r.done
		equal(t, "cause", <-causes, poller.ErrDrain)
		equal(t, "released", report.Released, 1)
		equal(t, "abandoned", report.Abandoned, 0)
		stored, inFlight := r.q.left()
		equal(t, "stored", stored, 1)
		equal(t, "in flight", inFlight, 0)
		equal(t, "dead letters", len(r.dead.all()), 0)
	})
}

func TestAJobThatIgnoresItsEndIsAbandonedWithAShortLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, func(context.Context, *jobs.Message[string]) error {
			<-time.After(time.Hour)
			return nil
		}, func(o *poller.Options) { o.CutPolls = true })
		r.q.put(`"x"`)
		pass(time.Second)
		r.kill(poller.ErrDrain)
		report := <-r.done
		equal(t, "abandoned", report.Abandoned, 1)
		equal(t, "told", r.noted(poller.IgnoresEnd), 1)
		pass(11 * time.Second)
		stored, _ := r.q.left()
		equal(t, "stored again ten seconds later", stored, 1)
		pass(2 * time.Hour) // the job returns into a poller that has gone, and harms nothing
	})
}

func TestTheLoopOutlivesErrorsAndPanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var handled, calls atomic.Int32
		r := start(t, func(context.Context, *jobs.Message[string]) error { handled.Add(1); return nil }, nil)
		r.q.set(func(q *fakeQueue) {
			q.failReceive = func() error {
				switch n := calls.Add(1); {
				case n <= 3:
					return queue.ErrThrottled
				case n == 4:
					panic("in the receiver")
				case n <= 6:
					return queue.ErrCredentials
				}
				return nil
			}
		})
		pass(25 * time.Second) // the first poll ends; the faults begin
		equal(t, "state", r.p.State().State, "backing off")
		pass(5 * time.Minute)
		r.q.put(`"x"`)
		pass(time.Minute)
		equal(t, "handled", handled.Load(), 1)
		equal(t, "recovered", r.noted(poller.Recovered), 1)
		equal(t, "state", r.p.State().State, "polling")
		r.drain()
	})
}

func TestSlowSettlingSlowsTheReceives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, func(context.Context, *jobs.Message[string]) error { return nil },
			func(o *poller.Options) { o.Slots = 2 })
		stuck := make(chan struct{})
		r.q.set(func(q *fakeQueue) { q.stuck = stuck })
		for i := range 200 {
			r.q.put(fmt.Sprintf(`"%d"`, i))
		}
		pass(10 * time.Second)
		_, held := r.q.left()
		if held > 50 {
			t.Errorf("%d messages held while no delete is answered, want a bounded few", held)
		}
		close(stuck)
		pass(time.Minute)
		r.drain()
		equal(t, "deleted", len(r.q.deleted), 200)
	})
}

func TestOptionsNameEveryFault(t *testing.T) {
	_, err := poller.New(poller.Options{Name: "email", Slots: 0, Prefetch: -2, Timeout: -1})
	if err == nil {
		t.Fatal("accepted")
	}
	want := "poller email: receiver, settler and route are required\nslots 0: must be at least 1\n" +
		"prefetch -2, receivers 0: must not be negative\ntimeout -1ns, unknown grace 0s: must not be negative"
	equal(t, "error", err.Error(), want)
}
