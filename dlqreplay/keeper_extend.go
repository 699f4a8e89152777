package dlqreplay

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/stationmaster/worker/queue"
)

// rounds is how often a keeper looks at its holds within the length of one.
const rounds = 8

// again is how soon extensions that failed for a passing reason are tried again.
const again = time.Second

// run extends holds until stop.
func (k *keeper) run(ctx context.Context) {
	defer close(k.over)
	if k.hold <= 0 {
		<-k.quit
		return
	}
	wait := k.hold / rounds
	for idle(ctx, wait, k.quit) {
		wait = k.hold / rounds
		if failed := k.extend(ctx, k.due()); failed {
			wait = min(wait, again)
		}
	}
}

// due are the holds of which half will be over by the next look, those that end first foremost.
func (k *keeper) due() []*hold {
	k.mu.Lock()
	defer k.mu.Unlock()
	now := time.Now()
	soon := now.Add(k.hold/2 + k.hold/rounds)
	var due []*hold
	for _, h := range k.holds {
		if !k.expired(h, now) && !h.leaving && h.deadline.Before(soon) && h.deadline.Sub(now) > margin/2 {
			due = append(due, h)
		}
	}
	slices.SortFunc(due, func(a, b *hold) int { return cmp.Or(a.deadline.Compare(b.deadline), cmp.Compare(a.place, b.place)) })
	return due
}

// extend extends holds in batches of ten; failed says that some were not, for a passing reason.
func (k *keeper) extend(ctx context.Context, due []*hold) (failed bool) {
	var (
		g    sync.WaitGroup
		mu   sync.Mutex
		free = make(chan struct{}, keeperLoops)
	)
	for batch := range slices.Chunk(due, queue.MaxBatch) {
		free <- struct{}{}
		g.Go(func() {
			defer func() { <-free }()
			if k.extendBatch(ctx, batch) {
				mu.Lock()
				failed = true
				mu.Unlock()
			}
		})
	}
	g.Wait()
	return failed
}

func (k *keeper) extendBatch(ctx context.Context, batch []*hold) (failed bool) {
	handles, visible := make([]queue.ReceiptHandle, 0, len(batch)), make([]time.Duration, 0, len(batch))
	asked := make([]*hold, 0, len(batch))
	k.mu.Lock()
	now := time.Now()
	bound := now.Add(settleBound)
	for _, h := range batch {
		// Most of the twelve hours that one receipt may be held are gone: what is left, and no more.
		most := min(k.hold, queue.MaxHeld-now.Sub(h.received)-2*margin).Truncate(time.Second)
		if h.leaving || k.expired(h, now) || most <= h.deadline.Sub(now) {
			continue
		}
		h.beat = make(chan struct{})
		asked, handles, visible = append(asked, h), append(handles, h.handle), append(visible, most)
		bound = earlier(bound, h.deadline)
	}
	k.mu.Unlock()
	if len(asked) == 0 {
		return false
	}
	call, cancel := context.WithDeadline(ctx, bound)
	errs := k.settler.ChangeVisibility(call, handles, visible)
	cancel()
	var why error
	k.mu.Lock()
	for i, h := range asked {
		err := queue.At(errs, i)
		switch {
		case h.handle != handles[i]: // received anew meanwhile
		case err == nil:
			h.deadline = now.Add(visible[i] - min(visible[i]/10, margin))
		case errors.Is(err, queue.ErrLeaseLost):
			if !h.lost {
				h.lost = true
				if k.holds[h.id] == h {
					k.lost++
				}
			}
		default:
			why = err
		}
		close(h.beat)
		h.beat = nil
	}
	k.mu.Unlock()
	if why != nil {
		k.events.tellOften(Event{Kind: Retrying, Err: why.Error()})
	}
	return why != nil
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}
