package poller

import (
	"slices"

	"github.com/stationmaster/worker/jobs"
	"github.com/stationmaster/worker/queue"
	"github.com/stationmaster/worker/retry"
)

// arrival is what a receive brought of one group, in order.
type arrival struct {
	group string
	// first came before any that is held already, rest behind the first of those that are.
	first, held, rest []*item
}

// dispatchLanes takes in what a receive of a FIFO queue brought: a lane per group. It counts in
// taken how many slots are in use, one for each new lane.
func (p *Poller) dispatchLanes(c contexts, ds []queue.Delivery, probe uint64, taken *int) {
	for _, a := range p.arrivals(c, ds, probe) {
		*taken += p.enter(c, a.group, nil, a.first)
		*taken += p.enter(c, a.group, a.held, a.rest)
	}
}

func (p *Poller) arrivals(c contexts, ds []queue.Delivery, probe uint64) (all []*arrival) {
	by := map[string]*arrival{}
	for i := range ds {
		a, seen := by[ds[i].GroupID]
		if !seen {
			a = &arrival{group: ds[i].GroupID}
			by[a.group] = a
			all = append(all, a)
		}
		it, ok := p.admit(c, &ds[i])
		if !ok {
			a.held = append(a.held, it)
			continue
		}
		it.probe = probe
		p.read(it, &ds[i])
		if len(a.held) == 0 {
			a.first = append(a.first, it)
		} else {
			a.rest = append(a.rest, it)
		}
	}
	return all
}

// enter puts items of one group on its lane, or gives them back. It returns how many slots that takes.
func (p *Poller) enter(c contexts, group string, before, items []*item) int {
	switch {
	case len(items) == 0:
	case c.receive.Err() != nil:
		p.goBackInOrder(c, items, WhyDrain)
	case p.waits(items[0].probe):
		p.goBackInOrder(c, items, WhyPaused)
	default:
		switch p.lanes.add(group, before, items) {
		case behind:
		case started:
			p.beginLane(c, group)
			return 1
		case refused:
			p.goBackInOrder(c, items, WhyGroupStopped)
		}
	}
	return 0
}

func (p *Poller) beginLane(c contexts, group string) {
	p.runs.add(1)
	go func() {
		defer p.runs.add(-1)
		defer p.slots.release(1)
		p.lane(c, group)
	}()
}

// lane runs the messages of one group, one after the other. At the first that does not end in a
// delete it stops: what follows goes back, to come again behind it.
func (p *Poller) lane(c contexts, group string) {
	var ran []*item
	whole := false
	defer func() {
		if !whole { // a job has ended this goroutine
			p.lanes.failed()
			p.giveWay(c, ran, p.lanes.end(group, ran))
		}
	}()
	for {
		it := p.lanes.next(group)
		if it == nil {
			break
		}
		if it.delayed() {
			p.hopLane(c, group, it)
			break
		}
		why := Why("")
		if c.receive.Err() != nil { // the drain lets what runs end, and starts nothing
			why = WhyDrain
		} else if p.waits(it.probe) {
			why = WhyPaused
		}
		if why != "" {
			p.goBackInOrder(c, append([]*item{it}, p.lanes.end(group, nil)...), why)
			break
		}
		var instance *jobs.Instance
		if instance, ran = p.taken(c, group, it); instance == nil {
			p.unknown(c, it)
		} else {
			p.runAll(c, instance, ran)
		}
		if slices.ContainsFunc(ran, func(it *item) bool { return it.back }) {
			p.lanes.failed()
			p.giveWay(c, ran, p.lanes.end(group, ran))
			break
		}
		p.lanes.succeeded()
	}
	whole = true
}

// taken is what runs next on a lane: its first message, or as many of the same kind as its batch job
// takes. Without an instance nobody knows the first one's kind.
func (p *Poller) taken(c contexts, group string, first *item) (*jobs.Instance, []*item) {
	items := []*item{first}
	instance, known := p.route(c, first)
	if !known {
		return nil, items
	}
	for len(items) < instance.Batch() {
		it := p.lanes.mate(group, func(it *item) bool {
			other, ok := p.route(c, it)
			return ok && other == instance && !it.delayed()
		})
		if it == nil {
			break
		}
		items = append(items, it)
	}
	return instance, items
}

// goBackInOrder gives messages of one group back that have not been started.
func (p *Poller) goBackInOrder(c contexts, items []*item, why Why) {
	p.noProbe(items[0].probe)
	p.lanes.leave(items)
	p.untouchedItems(c, items, why)
	if why == WhyPaused { // the first one hides the whole group
		p.hide(c, items[0], retry.MinRest)
	} else {
		p.release(c, items[0])
	}
	p.yield(c, items[:1], items[1:])
}

// giveWay gives back what was run and must come again, and the mates that stood behind it.
func (p *Poller) giveWay(c contexts, ran, mates []*item) {
	p.untouchedItems(c, mates, WhyGroupStopped)
	p.yield(c, ran, mates)
}

// yield gives messages of one group back, one call at a time and last to first: the mates at once,
// what was run as it was decided. Were the first one visible before the others, SQS could hand it out
// alone, and the others only when their own leases end.
func (p *Poller) yield(c contexts, first, mates []*item) {
	for _, it := range mates {
		it.wish = &settling{it: it, did: Released}
	}
	for _, it := range slices.Backward(slices.Concat(first, mates)) {
		if it.wish == nil {
			continue // deleted, or left to SQS
		}
		p.unsettled.add(1)
		p.flushHides(c.settle, []*settling{it.wish})
	}
}
