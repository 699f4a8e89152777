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
	"github.com/stationmaster/worker/retry"
)

// TestAHalfOpenBreakerLetsOneProbeThrough: not the receives that had passed it while it was closed and
// got their slots only now.
func TestAHalfOpenBreakerLetsOneProbeThrough(t *testing.T) {
	for name, change := range map[string]func(*poller.Options){
		"standard": func(*poller.Options) {}, "fifo": fifo,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var open atomic.Bool
				var probes, most, slow atomic.Int32
				r := start(t, func(_ context.Context, m *jobs.Message[string]) error {
					switch {
					case m.Body == "slow": // began before, and says nothing of what came since
						slow.Add(1)
						<-time.After(45 * time.Second)
						return nil
					case open.Load():
						most.Store(max(most.Load(), probes.Add(1)))
						<-time.After(20 * time.Second)
						probes.Add(-1)
					default:
						<-time.After(50 * time.Millisecond)
					}
					return retry.After(errBoom, time.Second)
				}, func(o *poller.Options) {
					change(o)
					o.Breaker, o.Slots, o.Receivers, o.Retry.Attempts = true, 4, 4, 100
				})
				for i := range 3 {
					r.q.putGroup(fmt.Sprint("slow", i), `"slow"`)
				}
				pass(100 * time.Millisecond)
				equal(t, "slow ones", slow.Load(), 3)
				for i := range 60 {
					r.q.putGroup(fmt.Sprint(i), fmt.Sprintf(`"%d"`, i))
				}
				for i := 0; i < 2000 && r.noted(poller.BreakerOpened) == 0; i++ {
					pass(10 * time.Millisecond)
				}
				open.Store(true)
				pass(50 * time.Second)
				equal(t, "probes at once", most.Load(), 1)
				equal(t, "deleted", len(r.q.deleted), 3)
				equal(t, "closed by what began before", r.noted(poller.BreakerClosed), 0)
				r.kill(poller.ErrDrain)
				report := <-r.done
				equal(t, "abandoned", report.Abandoned, 0)
			})
		})
	}
}

// TestAProbeThatTakesLongClosesTheBreakerAllTheSame: another one is let through meanwhile.
func TestAProbeThatTakesLongClosesTheBreakerAllTheSame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var down atomic.Bool
		down.Store(true)
		r := start(t, func(context.Context, *jobs.Message[string]) error {
			if down.Load() {
				return retry.After(errBoom, time.Second)
			}
			<-time.After(3 * time.Minute) // a probe counts as lost after one
			return nil
		}, func(o *poller.Options) { o.Breaker, o.Slots, o.Retry.Attempts = true, 10, 100 })
		r.q.put(numbers(40)...)
		for i := 0; i < 2000 && r.noted(poller.BreakerOpened) == 0; i++ {
			pass(100 * time.Millisecond)
		}
		down.Store(false)
		pass(3*time.Minute + 40*time.Second)
		equal(t, "closed", r.noted(poller.BreakerClosed), 1)
		equal(t, "breaker", r.p.State().Breaker, "closed")
		pass(20 * time.Minute)
		r.drain()
		equal(t, "deleted", len(r.q.deleted), 40)
	})
}
