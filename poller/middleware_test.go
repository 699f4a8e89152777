package poller_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stationmaster/worker/deadletter"
	"github.com/stationmaster/worker/jobs"
	"github.com/stationmaster/worker/jobs/middleware"
	"github.com/stationmaster/worker/poller"
)

// TestADeafJobKeepsItsSlotBeyondTheTimeoutOfMiddleware: neither its slot nor its message is given to
// anybody while it runs, alone or in a batch.
func TestADeafJobKeepsItsSlotBeyondTheTimeoutOfMiddleware(t *testing.T) {
	for name, tt := range map[string]struct {
		batch             bool
		slots, runs, left int
	}{"one after the other": {false, 1, 2, 1}, "in a batch": {true, 2, 1, 0}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var running, most, runs atomic.Int32
				deaf := func() {
					runs.Add(1)
					most.Store(max(most.Load(), running.Add(1)))
					defer running.Add(-1)
					<-time.After(5 * time.Minute) // ten visibility timeouts
				}
				instance := deafInstance(t, tt.batch, deaf)
				r := start(t, nil, func(o *poller.Options) {
					o.Slots = tt.slots
					o.Retry.Attempts = 1
					o.Route = func(*jobs.Info) (*jobs.Instance, bool) { return instance, true }
				})
				r.q.put(`"a"`, `"b"`)
				pass(4 * time.Minute)
				equal(t, "busy", r.p.State().Busy, tt.slots)
				equal(t, "runs", runs.Load(), 1)
				stored, inFlight := r.q.left()
				equal(t, "hidden", inFlight, tt.slots)
				equal(t, "stored", stored, tt.left)
				pass(10 * time.Minute)
				equal(t, "busy", r.p.State().Busy, 0)
				r.drain()
				equal(t, "most at once", most.Load(), 1)
				equal(t, "runs", int(runs.Load()), tt.runs)
				sent := r.dead.all()
				equal(t, "dead letters", len(sent), 2)
				for i := range sent {
					record, _ := deadletter.Read(&sent[i])
					equal(t, "class", record.Class, "timeout")
				}
			})
		})
	}
}

// deafInstance is a job that does not look at its context, behind a timeout of five seconds.
func deafInstance(t *testing.T, batch bool, deaf func()) *jobs.Instance {
	t.Helper()
	registry := jobs.NewRegistry()
	use := jobs.Use(middleware.Timeout(5 * time.Second))
	if batch {
		jobs.AddBatchTo(registry, "deaf", func(ctx context.Context, ms []*jobs.Message[string]) []error {
			deaf()
			errs := make([]error, len(ms))
			for i := range errs {
				errs[i] = ctx.Err()
			}
			return errs
		}, use)
	} else {
		jobs.AddTo(registry, "deaf", func(ctx context.Context, _ *jobs.Message[string]) error {
			deaf()
			return ctx.Err()
		}, use)
	}
	d, _ := registry.Lookup("deaf")
	i, err := d.Open(t.Context(), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	return i
}

// TestADrainLeavesADeafJobBehindWhateverItsMiddleware: a drain is bounded all the same.
func TestADrainLeavesADeafJobBehindWhateverItsMiddleware(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		instance := deafInstance(t, false, func() { <-time.After(time.Hour) })
		r := start(t, nil, func(o *poller.Options) {
			o.Route = func(*jobs.Info) (*jobs.Instance, bool) { return instance, true }
		})
		r.q.put(`"a"`)
		pass(time.Minute)
		r.stop()
		pass(30 * time.Second)
		r.kill(poller.ErrDrain)
		report := <-r.done
		equal(t, "abandoned", report.Abandoned, 1)
		pass(time.Hour) // its goroutine ends
	})
}
