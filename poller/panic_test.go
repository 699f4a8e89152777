package poller_test

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stationmaster/worker/deadletter"
	"github.com/stationmaster/worker/jobs"
	"github.com/stationmaster/worker/poller"
	"github.com/stationmaster/worker/queue"
)

// crowd is a job that counts how many of it run at once.
type crowd struct{ running, most, runs atomic.Int32 }

func (c *crowd) job(context.Context, *jobs.Message[string]) error {
	c.runs.Add(1)
	c.most.Store(max(c.most.Load(), c.running.Add(1)))
	defer c.running.Add(-1)
	<-time.After(time.Second)
	return nil
}

// TestAPanicOfRouteIsOfItsMessageAlone: neither its mates nor the slots suffer.
func TestAPanicOfRouteIsOfItsMessageAlone(t *testing.T) {
	for name, change := range map[string]func(*poller.Options){
		"standard": func(*poller.Options) {}, "fifo": func(o *poller.Options) { fifo(o) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var c crowd
				r := start(t, c.job, func(o *poller.Options) {
					change(o)
					route := o.Route
					o.Slots, o.UnknownGrace = 3, time.Minute
					o.Route = func(i *jobs.Info) (*jobs.Instance, bool) {
						if strings.Contains(i.Raw, "bad") {
							panic("cannot read this")
						}
						return route(i)
					}
				})
				for i := range 30 {
					body := fmt.Sprintf(`"%d"`, i)
					if i%10 == 1 {
						body = fmt.Sprintf(`"bad %d"`, i)
					}
					r.q.putGroup(fmt.Sprint(i), body)
				}
				pass(10 * time.Minute)
				equal(t, "busy", r.p.State().Busy, 0)
				report := r.drain()
				equal(t, "abandoned", report.Abandoned, 0)
				equal(t, "most at once", c.most.Load(), 3)
				equal(t, "runs", c.runs.Load(), 27)
				equal(t, "deleted", len(r.q.deleted), 30)
				sent := r.dead.all()
				equal(t, "dead letters", len(sent), 3)
				for i := range sent {
					record, _ := deadletter.Read(&sent[i])
					equal(t, "class", record.Class, "unknown_kind")
				}
				if r.noted(poller.Recovered) < 3 {
					t.Errorf("%d notes of a panic", r.noted(poller.Recovered))
				}
			})
		})
	}
}

// TestAPanicOfAHookChangesNothing: whatever hook it is, what is received is handled and deleted once,
// in the slots that there are.
func TestAPanicOfAHookChangesNothing(t *testing.T) {
	bad := func() { panic("hook") }
	for name, spoil := range map[string]func(*poller.Hooks){
		"received": func(h *poller.Hooks) { h.Received = func(context.Context, int, int, time.Duration, error) { bad() } },
		"started": func(h *poller.Hooks) {
			h.Started = func(context.Context, *queue.Delivery, *jobs.Info) context.Context { bad(); return nil }
		},
		"finished": func(h *poller.Hooks) {
			h.Finished = func(context.Context, *queue.Delivery, *jobs.Info, poller.Outcome) { bad() }
		},
		"settled": func(h *poller.Hooks) {
			h.Settled = func(context.Context, *queue.Delivery, poller.Settlement, error) { bad() }
		},
		"extended": func(h *poller.Hooks) { h.Extended = func(context.Context, int, error) { bad() } },
		"returned": func(h *poller.Hooks) { h.Returned = func(context.Context, *queue.Delivery, poller.Why) { bad() } },
		"note":     func(h *poller.Hooks) { h.Note = func(context.Context, *queue.Delivery, poller.Note, error) { bad() } },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var c crowd
				var recovered atomic.Int32
				r := start(t, c.job, func(o *poller.Options) {
					o.Slots = 3
					note := o.Hooks.Note
					o.Hooks.Note = func(ctx context.Context, d *queue.Delivery, what poller.Note, err error) {
						if what == poller.Recovered {
							recovered.Add(1)
						}
						note(ctx, d, what, err)
					}
					spoil(&o.Hooks)
				})
				r.q.put(numbers(10)...)
				pass(10 * time.Second)
				r.p.Pause(time.Now().Add(time.Minute))
				r.q.put(`"more"`) // an open poll brings it, and it goes back
				pass(5 * time.Minute)
				equal(t, "busy", r.p.State().Busy, 0)
				report := r.drain()
				equal(t, "abandoned", report.Abandoned, 0)
				equal(t, "most at once", c.most.Load(), 3)
				equal(t, "runs", c.runs.Load(), 11)
				stored, inFlight := r.q.left()
				equal(t, "left", stored+inFlight, 0)
				if want := name != "note" && name != "extended"; (recovered.Load() > 0) != want {
					t.Errorf("%d notes of a panic", recovered.Load())
				}
			})
		})
	}
}
