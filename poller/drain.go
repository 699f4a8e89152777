package poller

import (
	"context"
	"time"

	"github.com/stationmaster/worker/queue"
)

// drain switches to draining and returns when that was.
func (p *Poller) drain() time.Time {
	p.mu.Lock()
	p.draining = true
	p.state = "draining"
	p.mu.Unlock()
	p.deletes.rush()
	p.hides.rush()
	return time.Now()
}

// awaitRuns waits for the open polls and for the jobs: as long as the handle context lasts, and a little
// longer for those that notice its end. The leases of the rest are cut short. A loop that cannot get rid
// of what its poll brought, because nothing can be settled, is not waited for any longer either.
func (p *Poller) awaitRuns(c contexts) {
	idle := make(chan struct{})
	go func() { // ends with the last of them
		_ = c.group.Wait() // the loops answer nothing: whatever happens to them is handled inside
		<-p.runs.empty()
		close(idle)
	}()
	select {
	case <-idle:
		return
	case <-c.handle.Done():
	}
	timer := time.NewTimer(endGrace)
	defer timer.Stop()
	select {
	case <-idle:
		return
	case <-timer.C:
	}
	left := p.ledger.running()
	p.count(func(r *Report) { r.Abandoned += len(left) })
	for len(left) > 0 {
		n := min(len(left), queue.MaxBatch)
		p.shorten(c.settle, left[:n])
		left = left[n:]
	}
}

// shorten cuts the leases of abandoned items short.
func (p *Poller) shorten(ctx context.Context, items []*item) {
	end := time.Now().Add(beatTimeout)
	var handles []queue.ReceiptHandle
	var visible []time.Duration
	for _, it := range items {
		p.ledger.endBeats(it)
		handle, deadline, over := p.ledger.lease(it)
		p.o.Hooks.note(ctx, p.ledger.newest(it), IgnoresEnd, ErrDrain)
		if !over {
			handles, visible = append(handles, handle), append(visible, min(abandonedLease, p.o.Visibility))
			end = sooner(end, deadline)
		}
	}
	if len(handles) > 0 {
		ctx, cancel := context.WithDeadline(ctx, end)
		defer cancel()
		p.o.Settler.ChangeVisibility(ctx, handles, visible)
	}
}

// flush waits, within bounds, until everything that was decided has been answered.
func (p *Poller) flush() {
	p.flushEnd.Store(time.Now().Add(flushTimeout).UnixNano())
	timer := time.NewTimer(flushTimeout + settleTimeout)
	defer timer.Stop()
	select {
	case <-p.unsettled.empty():
	case <-timer.C:
	}
}

func (p *Poller) flushOver(now time.Time) bool {
	end := p.flushEnd.Load()
	return end != 0 && now.UnixNano() > end
}
