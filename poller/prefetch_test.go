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

// returned counts why deliveries went back.
type returned struct{ by [11]atomic.Int32 }

var whys = []poller.Why{
	poller.WhyDrain, poller.WhyPaused, poller.WhyLeaseShort, poller.WhyWaited, poller.WhyLeaseLost, poller.WhyBatchLost,
	poller.WhyGroupStopped, poller.WhyUnknownKind, poller.WhyLater, poller.WhyPauseAsked, poller.WhyAdopted,
}

func (r *returned) hook(o *poller.Options) {
	o.Hooks.Returned = func(_ context.Context, _ *queue.Delivery, why poller.Why) {
		for i, known := range whys {
			if why == known {
				r.by[i].Add(1)
			}
		}
	}
}

func (r *returned) of(why poller.Why) int {
	for i, known := range whys {
		if why == known {
			return int(r.by[i].Load())
		}
	}
	return -1
}

func numbers(n int) []string {
	bodies := make([]string, n)
	for i := range bodies {
		bodies[i] = fmt.Sprintf(`"%d"`, i)
	}
	return bodies
}

func TestAutomaticPrefetchGrowsForShortJobsAndShrinksWithoutLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, func(context.Context, *jobs.Message[string]) error {
			<-time.After(100 * time.Millisecond)
			return nil
		}, func(o *poller.Options) { o.Slots, o.Prefetch = 10, poller.Auto })
		r.q.put(numbers(1000)...)
		pass(3050 * time.Millisecond)
		equal(t, "held ready under load", r.p.State().Prefetch, 10)
		_, held := r.q.left()
		if held < 15 || held > 30 {
			t.Errorf("%d messages held with 10 slots, want about 20", held)
		}
		pass(2 * time.Minute)
		equal(t, "held ready when idle", r.p.State().Prefetch, 0)
		equal(t, "deleted", r.q.seen().deleted, 1000)
		r.drain()
	})
}

func TestAutomaticPrefetchLeavesLongJobsToOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, func(context.Context, *jobs.Message[string]) error {
			<-time.After(20 * time.Second)
			return nil
		}, func(o *poller.Options) { o.Slots, o.Prefetch = 4, poller.Auto })
		r.q.put(numbers(40)...)
		for range 8 {
			pass(21 * time.Second)
			if _, held := r.q.left(); held > 4 {
				t.Errorf("%d messages held with 4 slots: what waits 20 s here could start elsewhere", held)
			}
		}
		pass(3 * time.Minute)
		r.drain()
		equal(t, "deleted", len(r.q.deleted), 40)
	})
}

func TestWhatIsHeldReadyGoesBackWhenRunsBecomeLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var long atomic.Bool
		var back returned
		r := start(t, func(context.Context, *jobs.Message[string]) error {
			if long.Load() {
				<-time.After(time.Minute)
				return nil
			}
			<-time.After(50 * time.Millisecond)
			return nil
		}, func(o *poller.Options) { o.Slots, o.Prefetch = 4, poller.Auto; back.hook(o) })
		r.q.put(numbers(200)...)
		pass(time.Second)
		long.Store(true)
		pass(5 * time.Second)
		if _, held := r.q.left(); held > 4 {
			t.Errorf("%d messages held with 4 slots although their runs take a minute", held)
		}
		if back.of(poller.WhyWaited) == 0 {
			t.Error("nothing went back")
		}
		equal(t, "leases lost", r.noted(poller.LeaseLost), 0)
		long.Store(false)
		pass(2 * time.Minute)
		r.drain()
		equal(t, "deleted", len(r.q.deleted), 200)
	})
}

func TestAFixedPrefetchKeepsItsLeases(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var running, most atomic.Int32
		r := start(t, func(context.Context, *jobs.Message[string]) error {
			most.Store(max(most.Load(), running.Add(1)))
			defer running.Add(-1)
			<-time.After(80 * time.Second) // longer than the lease of 30 s
			return nil
		}, func(o *poller.Options) { o.Slots, o.Prefetch = 2, 3 })
		r.q.put(numbers(5)...)
		pass(time.Second)
		_, held := r.q.left()
		equal(t, "held", held, 5)
		pass(5 * time.Minute)
		r.drain()
		equal(t, "most at once", most.Load(), 2)
		equal(t, "deleted", len(r.q.deleted), 5)
		equal(t, "receives of the last", r.q.messages[4].receives, 1)
	})
}
