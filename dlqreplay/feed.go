package dlqreplay

import (
	"context"
	"sync"

	"github.com/stationmaster/worker/queue"
)

// markRoom is what the mark of a replay adds to a message at most, for estimates.
const markRoom = 2 << 10

// feed hands parcels to the loops that move them, in batches for one destination. Where order counts, a
// group is a lane: one of its messages is on its way at a time, and what follows one that was not sent
// stays.
type feed struct {
	ordered bool

	mu      sync.Mutex
	ready   map[string][]*parcel // by destination, in order
	turns   []string             // destinations, in the order of their turns
	lanes   map[string]*lane     // ordered only
	inside  int                  // put, and neither done nor left behind
	closed  bool
	changed chan struct{} // closed when something changes
}

// lane is a message group.
type lane struct {
	waiting []*parcel // behind the one that is ready or on its way
	busy    bool      // one is
	closed  bool      // nothing more is put: something before it stays
}

func newFeed(ordered bool) *feed {
	return &feed{ordered: ordered, ready: map[string][]*parcel{}, lanes: map[string]*lane{}, changed: make(chan struct{})}
}

// inLane reports that a parcel must keep its place in its group.
func (f *feed) inLane(p *parcel) bool { return f.ordered && p.to.FIFO && p.letter.GroupID != "" }

// put adds a parcel behind all others; false when its group is closed.
func (f *feed) put(p *parcel) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.inLane(p) {
		l := f.lanes[p.letter.GroupID]
		if l == nil {
			l = &lane{}
			f.lanes[p.letter.GroupID] = l
		}
		switch {
		case l.closed:
			return false
		case l.busy:
			l.waiting = append(l.waiting, p)
			f.inside++
			return true
		}
		l.busy = true
	}
	f.inside++
	f.offer(p)
	return true
}

// offer makes a parcel ready. f.mu is held.
func (f *feed) offer(p *parcel) {
	key := p.to.key()
	if len(f.ready[key]) == 0 {
		f.turns = append(f.turns, key)
	}
	f.ready[key] = append(f.ready[key], p)
	f.change()
}

// change wakes those who wait. f.mu is held.
func (f *feed) change() {
	close(f.changed)
	f.changed = make(chan struct{})
}

// close says that nothing more is put.
func (f *feed) close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
	f.change()
}

// next waits for parcels and takes up to n of them, of a mebibyte together, or one. None says that
// there are no more, or that ctx has ended.
func (f *feed) next(ctx context.Context, n int) []*parcel {
	for {
		f.mu.Lock()
		if ctx.Err() != nil || f.closed && f.inside == 0 {
			f.mu.Unlock()
			return nil
		}
		ps, changed := f.take(n), f.changed
		f.mu.Unlock()
		if len(ps) > 0 {
			return ps
		}
		select {
		case <-changed:
		case <-ctx.Done():
		}
	}
}

// take takes the next batch. f.mu is held.
func (f *feed) take(n int) []*parcel {
	if len(f.turns) == 0 {
		return nil
	}
	key := f.turns[0]
	all := f.ready[key]
	count, bytes := 0, 0
	for count < min(n, len(all)) {
		bytes += all[count].letter.Size + markRoom
		if count > 0 && bytes > queue.MaxBytes {
			break
		}
		count++
	}
	ps := all[:count:count]
	f.turns, f.ready[key] = f.turns[1:], all[count:]
	if len(all) > count {
		f.turns = append(f.turns, key)
	} else {
		delete(f.ready, key)
	}
	return ps
}

// done says that a parcel was sent, or that it was not and what follows it in its group must stay.
func (f *feed) done(p *parcel, sent bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.inside--
	if l := f.lanes[p.letter.GroupID]; f.inLane(p) && l != nil {
		switch {
		case !sent:
			l.closed, l.busy = true, false
			f.inside -= len(l.waiting)
			l.waiting = nil
		case len(l.waiting) > 0:
			next := l.waiting[0]
			l.waiting = l.waiting[1:]
			f.offer(next)
		case l.closed:
			l.busy = false
		default:
			delete(f.lanes, p.letter.GroupID)
		}
	}
	f.change()
}

// shut closes a group: what is in it goes on, and nothing more is put.
func (f *feed) shut(group string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	l := f.lanes[group]
	if l == nil {
		l = &lane{}
		f.lanes[group] = l
	}
	l.closed = true
}

// idle waits until at most n parcels are inside, or ctx ends.
func (f *feed) idle(ctx context.Context, n int) {
	for {
		f.mu.Lock()
		inside, changed := f.inside, f.changed
		f.mu.Unlock()
		if inside <= n {
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}
