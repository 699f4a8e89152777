package poller

import (
	"slices"
	"sync"

	"github.com/stationmaster/worker/queue"
	"github.com/stationmaster/worker/retry"
)

// lanes are the message groups of a FIFO queue that are worked on: each is one goroutine and one
// slot, and has its messages in the order in which they came.
type lanes struct {
	mu      sync.Mutex
	waiting map[string][]*item // by group, of the lanes that exist
	// most is what the next receive may ask for: less after a failure, since what follows a failed
	// message only goes back.
	most int
}

func (l *lanes) ask() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.most == 0 {
		l.most = queue.MaxBatch
	}
	return l.most
}

func (l *lanes) failed() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.most = 1
}

func (l *lanes) succeeded() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.most = min(max(l.most, 1)*2, queue.MaxBatch)
}

// add puts items behind what a lane has; true when the lane is new and must be started.
func (l *lanes) add(group string, items []*item) (fresh bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.waiting == nil {
		l.waiting = map[string][]*item{}
	}
	before, exists := l.waiting[group]
	l.waiting[group] = append(before, items...)
	return !exists
}

// next takes the first item off a lane; nil ends the lane.
func (l *lanes) next(group string) *item {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := l.waiting[group]
	if len(all) == 0 {
		delete(l.waiting, group)
		return nil
	}
	l.waiting[group] = all[1:]
	return all[0]
}

// mate takes the first item off a lane that goes on, if it fits; nil when none does.
func (l *lanes) mate(group string, fits func(*item) bool) *item {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := l.waiting[group]
	if len(all) == 0 || !fits(all[0]) {
		return nil
	}
	l.waiting[group] = all[1:]
	return all[0]
}

// end takes all that a lane still has, and ends it.
func (l *lanes) end(group string) []*item {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := l.waiting[group]
	delete(l.waiting, group)
	return all
}

// dispatchLanes takes in what a receive of a FIFO queue brought: a lane per group. It returns how
// many slots are in use, one for each new lane.
func (p *Poller) dispatchLanes(c contexts, ds []queue.Delivery) (started int) {
	byGroup := map[string][]*item{}
	var order []string
	for i := range ds {
		it, ok := p.admit(c, &ds[i])
		if !ok {
			continue
		}
		p.read(it, &ds[i])
		group := ds[i].GroupID
		if _, seen := byGroup[group]; !seen {
			order = append(order, group)
		}
		byGroup[group] = append(byGroup[group], it)
	}
	for _, group := range order {
		items := byGroup[group]
		switch {
		case c.receive.Err() != nil:
			p.goBackInOrder(c, items, WhyDrain)
		case p.isPaused():
			p.goBackInOrder(c, items, WhyPaused)
		case p.lanes.add(group, items):
			started++
			p.beginLane(c, group)
		}
	}
	return started
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
	for {
		it := p.lanes.next(group)
		if it == nil {
			return
		}
		why := Why("")
		if c.receive.Err() != nil { // the drain lets what runs end, and starts nothing
			why = WhyDrain
		} else if p.isPaused() {
			why = WhyPaused
		}
		if why != "" {
			p.goBackInOrder(c, append([]*item{it}, p.lanes.end(group)...), why)
			return
		}
		ran := p.pass(c, group, it)
		if slices.ContainsFunc(ran, func(it *item) bool { return it.back }) {
			p.lanes.failed()
			p.giveWay(c, ran, p.lanes.end(group))
			return
		}
		p.lanes.succeeded()
	}
}

// pass runs the first message of a lane, or as many of the same kind as its batch job takes, and
// returns what it ran.
func (p *Poller) pass(c contexts, group string, first *item) []*item {
	items := []*item{first}
	instance, known := p.o.Route(first.info)
	if !known {
		p.unknown(c, first)
		return items
	}
	for len(items) < instance.Batch() {
		it := p.lanes.mate(group, func(it *item) bool {
			other, ok := p.o.Route(it.info)
			return ok && other == instance
		})
		if it == nil {
			break
		}
		items = append(items, it)
	}
	p.runAll(c, instance, items)
	return items
}

// goBackInOrder gives messages of one group back that have not been started.
func (p *Poller) goBackInOrder(c contexts, items []*item, why Why) {
	p.noProbe()
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
