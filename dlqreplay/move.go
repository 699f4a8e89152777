package dlqreplay

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/stationmaster/worker/internal/pause"
	"github.com/stationmaster/worker/queue"
)

const (
	// patience is for how long a batch is tried that fails for a passing reason. It is well below the five
	// minutes for which SQS remembers deduplication ids.
	patience = 2 * time.Minute
	// fewTries is how often one message is tried that fails for a passing reason while others are taken,
	// and how often a batch is tried when the run has been interrupted.
	fewTries = 5
	// forgets is for how long SQS remembers a deduplication id. Source: "Exactly-once processing in Amazon
	// SQS", Developer Guide.
	forgets = 5 * time.Minute
)

// contexts are those of a run. caller is the operator's; feed ends when no more is to be sent; work is that of
// requests, and ends only when the operator cannot wait.
type contexts struct{ caller, feed, work context.Context }

// mover is one loop that sends what the feed hands it.
func (r *run) mover(c contexts, f *feed) {
	for {
		ps := f.next(c.feed, r.pacer.batch())
		if len(ps) == 0 {
			return
		}
		err := r.backlog.wait(c.feed, ps[0].to, len(ps))
		if err != nil && c.feed.Err() == nil {
			r.fail(err)
		}
		if err == nil {
			err = r.pacer.wait(c.feed, len(ps))
		}
		if err != nil {
			r.leave(f, ps)
			return
		}
		for _, batch := range batches(r.ready(c, f, ps)) {
			r.send(c, f, batch)
		}
	}
}

// leave leaves parcels in the dead-letter queue, untried or at least not accepted.
func (r *run) leave(f *feed, ps []*parcel) {
	for _, p := range ps {
		p.unload()
		f.done(p, false)
	}
}

// unload lets the message go.
func (p *parcel) unload() {
	if !p.kept {
		p.message = queue.Message{}
	}
}

// ready makes of each parcel what is sent, and returns those that can be.
func (r *run) ready(c contexts, f *feed, ps []*parcel) []*parcel {
	ready := make([]*parcel, 0, len(ps))
	for _, p := range ps {
		if c.feed.Err() != nil {
			r.leave(f, []*parcel{p})
			continue
		}
		if _, held := r.held.keeper.receipt(p.letter.MessageID); !held {
			// Somebody else may have it by now.
			r.lose(f, p)
			continue
		}
		if !p.kept {
			m, err := r.held.Message(p.letter)
			if err != nil {
				r.fail(err)
				r.leave(f, []*parcel{p})
				continue
			}
			p.message = m
		}
		p.marked = r.marker.mark(p.letter, &p.message, p.to, time.Now())
		if size := p.message.Size(); size > p.to.limit() {
			r.refuse(f, []*parcel{p}, []string{fmt.Sprintf("too large: %s takes messages of %d bytes at most", p.to.Name, p.to.limit())})
			continue
		}
		ready = append(ready, p)
	}
	return ready
}

// refuse records parcels that can never be sent.
func (r *run) refuse(f *feed, ps []*parcel, why []string) {
	refusals := make([]Refusal, len(ps))
	for i, p := range ps {
		refusals[i] = Refusal{ID: p.letter.MessageID, Why: why[i]}
	}
	if err := r.o.Journal.Sent(nil, nil, refusals); err != nil {
		r.fail(err)
	}
	for i, p := range ps {
		r.tally.refused(p.letter.MessageID, why[i])
		p.unload()
		f.done(p, r.o.BreakOrder)
	}
}

// send sends a batch: first its intent goes to the disk, then the batch to its destination, then the
// answer to the disk, and what was accepted to those who delete it.
func (r *run) send(c contexts, f *feed, batch []*parcel) {
	if c.feed.Err() != nil {
		r.leave(f, batch)
		return
	}
	if err := r.o.Journal.Sending(unannounced(batch), batch[0].to.Name); err != nil {
		r.fail(err)
		r.leave(f, batch)
		return
	}
	r.tally.fly(batch)
	r.deliver(c, f, batch)
	r.tally.land(batch)
}

// deliver goes on until each parcel of a batch is accepted, refused or left.
func (r *run) deliver(c contexts, f *feed, batch []*parcel) {
	began, wait := time.Now(), firstWait
	for late := 0; ; wait = min(2*wait, longestWait) {
		a := r.take(c, f, batch, began)
		if a.alone {
			for _, p := range batch {
				r.deliver(c, f, []*parcel{p})
			}
			return
		}
		if batch = a.again; len(batch) == 0 {
			return
		}
		if c.feed.Err() != nil {
			late++
		}
		switch {
		case a.broken, time.Since(began) > patience:
			r.fail(a.err)
		case late < fewTries && pause.For(c.work, wait/2+rand.N(wait/2+1)) == nil:
			r.tally.events.tellOften(Event{Kind: Retrying, Err: a.err.Error()})
			if batch = r.resend(f, batch, began); len(batch) == 0 {
				return
			}
			continue
		}
		r.leave(f, batch)
		return
	}
}

// resend returns what of a batch may be sent again, and records which of it may exist twice then.
func (r *run) resend(f *feed, batch []*parcel, began time.Time) []*parcel {
	var held, doubtful []*parcel
	remembered := !over(time.Now(), began.Add(forgets-patience)) // by SQS, and so the deduplication id
	for _, p := range batch {
		if _, ok := r.held.keeper.receipt(p.letter.MessageID); !ok {
			r.lose(f, p)
			continue
		}
		held = append(held, p)
		if p.lost && !p.doubted && (!p.to.FIFO || !remembered) {
			p.again = true
			doubtful = append(doubtful, p)
		}
		p.lost = false
	}
	if len(doubtful) == 0 {
		return held
	}
	if err := r.o.Journal.Sending(idsOf(doubtful), doubtful[0].to.Name); err != nil {
		r.fail(err)
		r.leave(f, held)
		return nil
	}
	return held
}

// answer is what came of one request.
type answer struct {
	// again are to be tried again, because of err. broken: that cannot help.
	again  []*parcel
	err    error
	broken bool
	// alone: the batch was refused as a whole, and its parcels may be at fault one by one.
	alone bool
}

// take makes one request, and records and counts its answer.
func (r *run) take(c contexts, f *feed, batch []*parcel, began time.Time) (a answer) {
	ls, ms := make([]*Letter, len(batch)), make([]queue.Message, len(batch))
	for i, p := range batch {
		ls[i], ms[i] = p.letter, p.message
	}
	ids, errs := batch[0].to.Taker.Take(c.work, ls, ms)
	// A job has tried each of them already.
	if len(batch) > 1 && batch[0].to.ARN != "" && allRejected(errs, len(batch)) {
		return answer{alone: true}
	}
	var (
		taken, refused []*parcel
		made, whys     []string
	)
	for i, p := range batch {
		err := queue.At(errs, i)
		switch {
		case err == nil:
			taken, made = append(taken, p), append(made, at(ids, i))
			continue
		case errors.Is(err, queue.ErrNotFound), errors.Is(err, queue.ErrDenied), errors.Is(err, queue.ErrCredentials):
			a.broken, a.err = true, err
		case errors.Is(err, queue.ErrUnanswered):
			p.lost = true
			r.tally.doubt(p)
		case errors.Is(err, queue.ErrThrottled):
		case errors.Is(err, queue.ErrRejected), r.hopeless(p, began):
			refused, whys = append(refused, p), append(whys, reasonOf(err))
			continue
		}
		a.again = append(a.again, p)
		if a.err == nil {
			a.err = err
		}
	}
	r.accept(f, taken, made)
	if len(refused) > 0 {
		r.refuse(f, refused, whys)
	}
	return a
}

// hopeless reports that a message fails again and again while its destination takes others.
func (r *run) hopeless(p *parcel, began time.Time) bool {
	p.tries++
	return p.tries >= fewTries && r.accepted.since(p.to, began)
}

// accept records what a destination has taken, and hands it to those who delete it. When that cannot be
// recorded it is deleted all the same: it is accepted, and this process knows.
func (r *run) accept(f *feed, ps []*parcel, made []string) {
	if len(ps) == 0 {
		return
	}
	r.accepted.now(ps[0].to)
	ids := idsOf(ps)
	if err := r.o.Journal.Sent(ids, made, nil); err != nil {
		r.fail(err)
	}
	r.sent.add(ids)
	r.tally.sent(ps)
	r.held.shelf.drop(ids)
	r.deletes <- ids
	for _, p := range ps {
		p.message = queue.Message{}
		f.done(p, true)
	}
}

func allRejected(errs []error, n int) bool {
	for i := range n {
		if !errors.Is(queue.At(errs, i), queue.ErrRejected) {
			return false
		}
	}
	return true
}

func at(ids []string, i int) string {
	if i < len(ids) {
		return ids[i]
	}
	return ""
}

// reasonOf is an error without what differs from one request to the next.
func reasonOf(err error) string {
	text, _, _ := strings.Cut(err.Error(), " (request ")
	return text
}
