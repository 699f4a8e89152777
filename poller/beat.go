package poller

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/stationmaster/worker/queue"
	"github.com/stationmaster/worker/retry"
)

const (
	// beatTimeout bounds one batch of lease extensions.
	beatTimeout = 5 * time.Second
	// beatRetry is the pause after a beat that failed for a passing reason, a third of the lease at
	// most, but never less than beatRest: a lease that is nearly over must not spin.
	beatRetry = time.Second
	beatRest  = 100 * time.Millisecond
	// zombieAfter is how long after its timeout a job may go on before it is reported.
	zombieAfter = 10 * time.Second
	// minBeat is the shortest extension worth a request; less is left near the 12 hours.
	minBeat = 2 * time.Second
)

// lease is for how long a delivery is held at a time: as long as it was given, which the queue's owner
// may change while the worker runs.
func lease(d *queue.Delivery) time.Duration {
	return max(d.Deadline.Sub(d.Received), time.Second)
}

// lead is how long before its deadline a lease is extended: half of it, so that two failed beats
// can still be repeated.
func lead(d *queue.Delivery) time.Duration { return lease(d) / 2 }

// beats extends leases until stop is closed. One timer serves all items; what is due soon goes
// along, so that batches fill.
func (p *Poller) beats(ctx context.Context, stop <-chan struct{}) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	var flying sync.WaitGroup
	defer flying.Wait()
	for {
		now := time.Now()
		p.zombies(ctx, now)
		batch, lost, next := p.due(now)
		for _, l := range lost {
			p.lose(ctx, l, nil)
		}
		for len(batch) > 0 {
			n := min(len(batch), queue.MaxBatch)
			chunk := batch[:n]
			batch = batch[n:]
			flying.Go(func() { p.beat(ctx, chunk) })
		}
		if next.IsZero() {
			timer.Stop()
		} else {
			timer.Reset(time.Until(next))
		}
		select {
		case <-timer.C:
		case <-p.ledger.wake:
		case <-stop:
			return
		}
	}
}

// extension is one entry of a beat.
type extension struct {
	it       *item
	handle   queue.ReceiptHandle
	visible  time.Duration
	deadline time.Time
}

// due collects what to extend now and what has been lost, and says when to look again.
func (p *Poller) due(now time.Time) (batch []extension, lost []*item, next time.Time) {
	l := p.ledger
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, it := range l.items {
		if it.ended || it.expired || it.beating != nil {
			continue
		}
		if !now.Before(it.deadline) {
			it.expired = true
			lost = append(lost, it)
			continue
		}
		length := lease(it.d)
		if it.next.Sub(now) <= length/10 && !now.Before(it.rest) {
			visible := retry.Cap(length, now.Sub(it.d.Received)).Round(time.Second)
			if visible < min(minBeat, length) {
				it.next = it.deadline // the 12 hours are over: let it run out
			} else {
				it.beating = make(chan struct{})
				batch = append(batch, extension{it: it, handle: it.d.Handle, visible: visible, deadline: it.deadline})
				continue
			}
		}
		if next.IsZero() || it.next.Before(next) {
			next = it.next
		}
	}
	l.armed = next
	return batch, lost, next
}

// beat sends one batch of extensions. A failed beat is not the end: it is repeated until the lease
// really ends.
func (p *Poller) beat(ctx context.Context, batch []extension) {
	handles := make([]queue.ReceiptHandle, len(batch))
	visible := make([]time.Duration, len(batch))
	end := time.Now().Add(beatTimeout)
	for i, e := range batch {
		handles[i], visible[i], end = e.handle, e.visible, sooner(end, e.deadline)
	}
	ctx, cancel := context.WithDeadline(context.WithoutCancel(ctx), end)
	defer cancel()
	asked := time.Now()
	errs := p.o.Settler.ChangeVisibility(ctx, handles, visible)
	p.o.Hooks.extended(ctx, len(batch), errors.Join(errs...))
	for i, e := range batch {
		err := queue.At(errs, i)
		if errors.Is(err, queue.ErrDenied) && p.denied.CompareAndSwap(false, true) {
			p.o.Hooks.note(ctx, nil, NotExtendable, err)
		}
		if p.beaten(e, asked, err) {
			p.lose(ctx, e.it, err)
		}
	}
}

// beaten records the answer to one extension and reports whether the lease is lost.
func (p *Poller) beaten(e extension, asked time.Time, err error) (lost bool) {
	l := p.ledger
	l.mu.Lock()
	defer l.mu.Unlock()
	close(e.it.beating)
	e.it.beating = nil
	if e.it.d.Handle != e.handle { // a newer receipt came meanwhile: its own deadline counts
		l.arm(e.it, lead(e.it.d))
		return false
	}
	now := time.Now()
	switch {
	case err == nil:
		e.it.deadline = asked.Add(e.visible)
		// Near the 12 hours a lease is shorter than what is sent along early.
		e.it.rest = asked.Add(e.visible / 4)
		l.arm(e.it, min(lead(e.it.d), e.visible/2))
	case errors.Is(err, queue.ErrLeaseLost):
		lost = !e.it.expired && !e.it.ended
		e.it.expired = true
	case errors.Is(err, queue.ErrDenied): // asking again changes nothing before the lease is over
		e.it.rest = e.it.deadline
		l.arm(e.it, 0)
	default:
		left := e.it.deadline.Sub(now)
		e.it.rest = now.Add(min(left, max(beatRest, min(beatRetry, left/3))))
		l.arm(e.it, e.it.deadline.Sub(e.it.rest))
	}
	return lost
}

// lose cancels the job of an item whose lease is over.
func (p *Poller) lose(ctx context.Context, it *item, err error) {
	p.ledger.mu.Lock()
	d, r := it.d, it.run
	p.ledger.mu.Unlock()
	if err == nil {
		err = ErrLeaseLost
	}
	p.o.Hooks.note(ctx, d, LeaseLost, err)
	if r != nil {
		r.cancel(ErrLeaseLost)
	}
}

// zombies reports jobs that go on although their timeout is long over; their slot and their lease
// are kept: handing the message back would run it twice.
func (p *Poller) zombies(ctx context.Context, now time.Time) {
	var found []*queue.Delivery
	p.ledger.mu.Lock()
	for _, it := range p.ledger.items {
		if r := it.run; r != nil && !it.noted && !it.ended && !r.endBy.IsZero() && now.Sub(r.endBy) > zombieAfter {
			it.noted = true
			found = append(found, it.d)
		}
	}
	p.ledger.mu.Unlock()
	for _, d := range found {
		p.o.Hooks.note(ctx, d, IgnoresEnd, ErrTimeout)
	}
}
