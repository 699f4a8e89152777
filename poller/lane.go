package poller

import (
	"slices"
	"sync"
	"time"

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
	rest := time.Until(p.pausedUntil())
	for _, group := range order {
		items := byGroup[group]
		switch {
		case c.receive.Err() != nil:
			p.handBack(c, items)
		case rest > 0:
			// The first one hides the group; its mates may go back at once behind it.
			p.memory.returned(items[0].id)
			p.hide(c, items[0], retry.Cap(max(rest, retry.MinRest), 0))
			p.handBack(c, items[1:])
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
		if c.receive.Err() != nil { // the drain lets what runs end, and starts nothing
			p.handBack(c, append([]*item{it}, p.lanes.end(group)...))
			return
		}
		if !p.pass(c, group, it) {
			p.lanes.failed()
			p.handBack(c, p.lanes.end(group))
			return
		}
		p.lanes.succeeded()
	}
}

// pass runs the first message of a lane, or as many of the same kind as its batch job takes; false
// when one of them goes back.
func (p *Poller) pass(c contexts, group string, first *item) bool {
	instance, known := p.o.Route(first.info)
	if !known {
		p.unknown(c, first)
		return !first.back
	}
	items := []*item{first}
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
	for again := items; len(again) > 0; {
		again = p.run(c, instance, again)
	}
	return !slices.ContainsFunc(items, func(it *item) bool { return it.back })
}

// handBack gives messages of one group back, one call at a time and last to first: were the first
// one visible before the others, SQS could hand it out and hold back the rest, or hand out the rest
// before it.
func (p *Poller) handBack(c contexts, items []*item) {
	for _, it := range slices.Backward(items) {
		p.memory.returned(it.id)
		p.ledger.endBeats(it)
		p.unsettled.add(1)
		p.flushHides(c.settle, []*settling{{it: it, did: Released}})
	}
}
