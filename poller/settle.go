package poller

import (
	"context"
	"errors"
	"time"

	"github.com/stationmaster/worker/queue"
)

const (
	// settleTimeout bounds one request that settles.
	settleTimeout = 10 * time.Second
	// settleTries is how often a settle is sent even when its lease is over by then.
	settleTries = 3
	settlePause = 100 * time.Millisecond
)

// settling is one entry of a batch: delete, or hide for a time (0: give back).
type settling struct {
	it     *item
	remove bool
	hide   time.Duration
	until  time.Time // of a delayed message, instead of hide
	did    Settlement
	tries  int
}

// mayWait tells whether an entry may wait for others to share its request. On a FIFO queue that is a
// delete whose lane goes on: behind the last one the group stands still until it is through.
func (p *Poller) mayWait(s *settling) bool {
	return !p.o.FIFO || s.remove && p.lanes.goesOn(s.it.group)
}

// settle records the outcome of an item; its lease is extended until the request leaves. It waits
// while as many are unanswered as may be: slow or failing requests must slow the receives down, not
// grow a backlog in memory.
func (p *Poller) settle(ctx context.Context, s *settling) {
	p.unsettled.addBelow(p.room)
	if !p.batch(s).put(s) {
		p.giveUp(ctx, s, errStopped)
	}
}

func (p *Poller) batch(s *settling) *batcher[*settling] {
	if s.remove {
		return p.deletes
	}
	return p.hides
}

// sent pairs an entry with the receipt it was sent with.
type sent struct {
	*settling
	handle   queue.ReceiptHandle
	deadline time.Time
}

func (p *Poller) flushDeletes(ctx context.Context, batch []*settling) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleTimeout)
	defer cancel()
	entries := make([]sent, len(batch))
	handles := make([]queue.ReceiptHandle, len(batch))
	for i, s := range batch {
		p.ledger.endBeats(s.it)
		handle, deadline, _ := p.ledger.lease(s.it)
		entries[i], handles[i] = sent{s, handle, deadline}, handle
	}
	errs := p.o.Settler.Delete(ctx, handles)
	for i, e := range entries {
		p.answered(ctx, e, queue.At(errs, i))
	}
}

// flushHides changes visibility, but never after the local deadline: on a standard queue an old
// receipt can still break the lease of whoever has the message by then.
func (p *Poller) flushHides(ctx context.Context, batch []*settling) {
	end := time.Now().Add(settleTimeout)
	entries := make([]sent, 0, len(batch))
	handles := make([]queue.ReceiptHandle, 0, len(batch))
	visible := make([]time.Duration, 0, len(batch))
	for _, s := range batch {
		p.ledger.endBeats(s.it)
		handle, deadline, over := p.ledger.lease(s.it)
		if over {
			p.giveUp(ctx, s, ErrLeaseLost)
			continue
		}
		entries = append(entries, sent{s, handle, deadline})
		handles = append(handles, handle)
		visible = append(visible, p.hidden(s))
		end = sooner(end, deadline)
	}
	if len(entries) == 0 {
		return
	}
	ctx, cancel := context.WithDeadline(context.WithoutCancel(ctx), end)
	defer cancel()
	errs := p.o.Settler.ChangeVisibility(ctx, handles, visible)
	for i, e := range entries {
		p.answered(ctx, e, queue.At(errs, i))
	}
}

// sooner is the end of a request: it is repeated below, and must not be past the lease of any entry.
func sooner(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// answered takes SQS's answer to one entry: accepted, worth repeating, or the end of it.
func (p *Poller) answered(ctx context.Context, e sent, err error) {
	now := time.Now()
	final := err == nil || errors.Is(err, queue.ErrLeaseLost) || errors.Is(err, queue.ErrRejected) ||
		p.flushOver(now) || (e.tries+1 >= settleTries && !now.Before(e.deadline))
	if !final {
		p.again(ctx, e.settling, settlePause<<min(e.tries, 5))
		return
	}
	d, newest := p.ledger.forget(e.it, e.handle)
	switch {
	case !newest:
		// It came back while this request flew: only the newer receipt holds it now.
		p.again(ctx, e.settling, 0)
	case err == nil:
		p.accepted(ctx, d, e, now)
	default:
		p.left(ctx, d, e.settling, err)
	}
}

// again sends an entry once more after a pause, without holding up the batch that follows.
func (p *Poller) again(ctx context.Context, s *settling, pause time.Duration) {
	s.tries++
	time.AfterFunc(pause, func() {
		if !p.batch(s).put(s) {
			p.giveUp(ctx, s, errStopped)
		}
	})
}

func (p *Poller) accepted(ctx context.Context, d *queue.Delivery, e sent, now time.Time) {
	p.o.Hooks.settled(ctx, d, e.did, nil)
	if e.remove {
		p.memory.settled(d.MessageID)
		if now.After(e.deadline) {
			// Accepted, "but the message might not be deleted" (SQS API reference).
			p.memory.addDone(d.MessageID)
			p.o.Hooks.note(ctx, d, Uncertain, nil)
			p.count(func(r *Report) { r.Uncertain++ })
		}
	} else if !e.until.IsZero() {
		p.delays.add(d.MessageID, e.until)
	} else if e.did == Released {
		p.count(func(r *Report) { r.Released++ })
	}
	p.unsettled.add(-1)
}

// giveUp leaves a delivery to SQS, which redelivers it.
func (p *Poller) giveUp(ctx context.Context, s *settling, err error) {
	handle, _, _ := p.ledger.lease(s.it)
	d, newest := p.ledger.forget(s.it, handle)
	if !newest { // it came back between the two lines above: try with what it brought
		p.again(ctx, s, 0)
		return
	}
	p.left(ctx, d, s, err)
}

// left reports a delivery that was left to SQS. A message whose work is done is remembered, so
// that this process deletes it when it comes back instead of running it again.
func (p *Poller) left(ctx context.Context, d *queue.Delivery, s *settling, err error) {
	if s.remove {
		p.memory.addDone(d.MessageID)
		p.o.Hooks.note(ctx, d, NotDeleted, err)
		p.count(func(r *Report) { r.Uncertain++ })
	}
	p.o.Hooks.settled(ctx, d, s.did, err)
	p.unsettled.add(-1)
}
