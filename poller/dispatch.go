package poller

import (
	"fmt"
	"time"

	"github.com/stationmaster/worker/jobs"
	"github.com/stationmaster/worker/queue"
	"github.com/stationmaster/worker/retry"
)

// unknownReturns is how many times at most a message of unknown kind is handed back within its
// grace: fewer than the ten receives that the redrive policy has beyond the attempts.
const unknownReturns = 8

// dispatch takes in what a receive brought and starts it. It counts in started how many slots are in
// use, also when it panics; they come free one by one.
func (p *Poller) dispatch(c contexts, ds []queue.Delivery, probe uint64, started *int) {
	if p.o.FIFO {
		p.dispatchLanes(c, ds, probe, started)
		return
	}
	var groups map[*jobs.Instance][]*item
	for i := range ds {
		it, ok := p.take(c, &ds[i], probe)
		if !ok {
			continue
		}
		*started++
		instance, known := p.route(c, it)
		switch {
		case !known:
			p.begin(c, nil, it)
		case instance.Batch() <= 1:
			p.begin(c, instance, it)
		default:
			if groups == nil {
				groups = map[*jobs.Instance][]*item{}
			}
			groups[instance] = append(groups[instance], it)
			if len(groups[instance]) == instance.Batch() {
				p.begin(c, instance, groups[instance]...)
				delete(groups, instance)
			}
		}
	}
	for instance, items := range groups {
		p.begin(c, instance, items...)
	}
}

// route finds the job of an item; what asks for too long a delay has none. Options.Route reads what
// producers write: when it panics the kind of this message is unknown, and nothing else is wrong.
func (p *Poller) route(c contexts, it *item) (instance *jobs.Instance, known bool) {
	if it.far {
		return nil, false
	}
	defer func() {
		if v := recover(); v != nil {
			instance, known = nil, false
			p.o.Hooks.note(c.settle, p.ledger.newest(it), Recovered, fmt.Errorf("find the job of a message of %s: panic: %v", p.o.Name, v))
		}
	}()
	return p.o.Route(it.info)
}

// admit takes in one delivery; false when there is nothing to start, because the item is held already.
func (p *Poller) admit(c contexts, d *queue.Delivery) (*item, bool) {
	it, how := p.ledger.admit(d)
	if how == overran {
		p.lose(c.settle, it, nil)
	}
	if how == adopted {
		p.untouched(c, d, WhyAdopted)
	}
	if how != fresh {
		p.o.Hooks.note(c.settle, d, Adopted, nil)
		return it, false
	}
	if p.memory.isDone(d.MessageID) {
		p.o.Hooks.note(c.settle, d, AlreadyDone, nil)
		p.remove(c, it)
		return it, false
	}
	return it, true
}

// take admits one delivery of a standard queue, and gives it back when nothing shall start now.
func (p *Poller) take(c contexts, d *queue.Delivery, probe uint64) (*item, bool) {
	it, ok := p.admit(c, d)
	if !ok {
		return nil, false
	}
	it.probe = probe
	p.read(it, d)
	switch {
	case it.delayed(): // also in a drain: it would only come back to be hidden by somebody else
		p.hop(c, it)
	case c.receive.Err() != nil:
		p.goBack(c, []*item{it}, WhyDrain)
	case p.waits(probe):
		p.goBack(c, []*item{it}, WhyPaused)
	default:
		return it, true
	}
	return nil, false
}

// read opens the message of an item, for its job.
func (p *Poller) read(it *item, d *queue.Delivery) {
	it.attempt = p.memory.attempt(d.MessageID, d.Receives)
	it.info = jobs.Read(d)
	it.info.Queue = p.o.Name
	it.readDelay(d)
	it.info.Attempt = it.attempt
	it.suspect, it.back, it.wish = p.isSuspect(d, it.attempt), false, nil
}

func (p *Poller) begin(c contexts, instance *jobs.Instance, items ...*item) {
	p.runs.add(1)
	p.runners.do(func() {
		defer p.runs.add(-1)
		defer p.slots.release(len(items))
		if instance == nil {
			p.unknown(c, items[0])
			return
		}
		p.runAll(c, instance, items)
	})
}

// runAll runs the items, and those again that came back past their lease meanwhile.
func (p *Poller) runAll(c contexts, instance *jobs.Instance, items []*item) {
	for len(items) > 0 {
		items = p.run(c, instance, items)
		if len(items) > 0 && c.receive.Err() != nil {
			for _, it := range items { // their return is counted already
				p.release(c, it)
			}
			return
		}
	}
}

// unknown keeps a message of unknown kind for its grace, since new producers may start before new
// workers do, and dead-letters it then.
func (p *Poller) unknown(c contexts, it *item) {
	p.noProbe(it.probe)
	d, ok := p.ledger.start(it, nil)
	if !ok {
		p.untouched(c, d, WhyLeaseShort)
		p.release(c, it)
		return
	}
	if it.far {
		p.deadLetter(c, it, d, &queue.DelayTooLongError{Delay: time.Until(it.info.NotBefore).Round(time.Second)})
		return
	}
	first := d.FirstReceived
	if first.IsZero() {
		first = d.Received
	}
	err := &unknownKindError{queue: p.o.Name}
	p.o.Hooks.note(c.settle, d, UnknownKind, err)
	left := p.o.UnknownGrace - time.Since(first)
	if left <= 0 {
		p.deadLetter(c, it, d, err)
		return
	}
	p.untouched(c, d, WhyUnknownKind)
	p.hide(c, it, max(retry.MinRest, min(left, p.o.UnknownGrace/unknownReturns)))
}

// remove deletes the message of an item.
func (p *Poller) remove(c contexts, it *item) {
	p.settle(c.settle, &settling{it: it, remove: true, did: Deleted})
}

// release gives an item back untouched.
func (p *Poller) release(c contexts, it *item) {
	p.back(c, &settling{it: it, did: Released})
}

// hide lets an item come back after d.
func (p *Poller) hide(c contexts, it *item, d time.Duration) {
	p.back(c, &settling{it: it, hide: d, did: Hidden})
}

// back lets an item come back: at once, or on a FIFO queue as soon as its lane has given back what
// stood behind it.
func (p *Poller) back(c contexts, s *settling) {
	s.it.back = true
	if p.o.FIFO {
		s.it.wish = s
		return
	}
	p.settle(c.settle, s)
}

// goBack gives items back that have not been started. Where the queue rests they are hidden for a
// while, or they would come again at once, to be given back again.
func (p *Poller) goBack(c contexts, items []*item, why Why) {
	p.noProbe(items[0].probe)
	p.untouchedItems(c, items, why)
	for _, it := range items {
		if why == WhyPaused {
			p.hide(c, it, retry.MinRest)
		} else {
			p.release(c, it)
		}
	}
}

// noProbe tells the breaker that what it let through as a probe says nothing.
func (p *Poller) noProbe(probe uint64) {
	if p.breaker != nil {
		p.breaker.nothing(probe)
	}
}
