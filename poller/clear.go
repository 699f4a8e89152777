package poller

import (
	"context"

	"github.com/stationmaster/worker/deadletter"
	"github.com/stationmaster/worker/queue"
)

// Lane lets one thing through at a time. Pollers that share one run their suspects one by one: what
// takes a process down takes it down alone, and is named in the log before it starts.
type Lane chan struct{}

// NewLane makes a free lane.
func NewLane() Lane { return make(Lane, 1) }

// clear waits until the items may run: their turn among the slots, as suspects, by the rate, in the
// budget. Their leases are kept meanwhile. It returns what to call when the run has ended, or why they
// must go back instead: a drain starts nothing, and neither does a queue that rests.
func (p *Poller) clear(c contexts, items []*item) (over func(), why Why) {
	var undo []func()
	over = func() {
		for _, u := range undo {
			u()
		}
	}
	ok, n := true, min(len(items), p.o.Slots)
	if p.running != nil {
		turn, done := c.receive, func() {}
		if p.ahead != nil {
			turn, done = context.WithTimeout(c.receive, p.o.Visibility/10)
		}
		if ok = p.running.Acquire(turn, int64(n)) == nil; ok {
			undo = append(undo, func() { p.running.Release(int64(n)) })
		}
		done()
		if !ok && c.receive.Err() == nil {
			p.ahead.waited()
			p.slots.resize(p.o.Slots)
			return func() {}, WhyWaited
		}
	}
	if ok && suspects(items) {
		select {
		case p.o.Suspects <- struct{}{}:
			undo = append(undo, func() { <-p.o.Suspects })
		case <-c.receive.Done():
			ok = false
		}
	}
	if ok && p.limiter != nil {
		ok = p.limiter.WaitN(c.receive, min(len(items), p.limiter.Burst())) == nil
	}
	if ok && p.share != nil {
		var taken int
		var err error
		if taken, err = p.share.acquire(c.receive, n); err == nil {
			undo = append(undo, func() { p.share.release(taken) })
		}
	}
	switch {
	case c.receive.Err() != nil:
		why = WhyDrain
	case p.waits(items[0].probe):
		why = WhyPaused
	default:
		p.warnOf(c.settle, items)
		return over, ""
	}
	over()
	return func() {}, why
}

// isFree reports whether nothing can hold up a run: the common case, which needs no bookkeeping.
func (p *Poller) isFree(items []*item) bool {
	return p.running == nil && p.limiter == nil && p.share == nil && !suspects(items)
}

// suspects reports whether one of the items is a suspect.
func suspects(items []*item) bool {
	for _, it := range items {
		if it.suspect {
			return true
		}
	}
	return false
}

// isSuspect reports whether a message has been received more often than a worker that lives would
// let it: every try that ended by itself was settled, and the last one dead-lettered. What tells its
// failure was given up by a worker that lived, and has been received by whoever looked at it since; the
// mark of a replay tells none.
func (p *Poller) isSuspect(d *queue.Delivery, attempt int) bool {
	if p.o.Suspects == nil || attempt <= p.o.SuspectAfter {
		return false
	}
	record, _ := deadletter.Read(&d.Message)
	return !record.Failed()
}

func (p *Poller) warnOf(ctx context.Context, items []*item) {
	for _, it := range items {
		if it.suspect {
			p.o.Hooks.note(ctx, p.ledger.newest(it), Suspect, nil)
		}
	}
}
