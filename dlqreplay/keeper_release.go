package dlqreplay

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/stationmaster/worker/queue"
)

const (
	// releaseTries is how often a release is tried. What is not given back comes back by itself.
	releaseTries = 5
	firstWait    = 200 * time.Millisecond
	longestWait  = 5 * time.Second
)

// Handback says what became of letters that were to be given back to their queue.
type Handback struct {
	// Released are visible in their queue again. Gone were in nobody's hands, or in somebody else's: their
	// hold had ended.
	Released, Gone int
	// Hidden could not be given back: the queue shows them again at HiddenUntil.
	Hidden      int
	HiddenUntil time.Time
}

func (b *Handback) add(o Handback) {
	b.Released += o.Released
	b.Gone += o.Gone
	b.Hidden += o.Hidden
	b.HiddenUntil = later(b.HiddenUntil, o.HiddenUntil)
}

// release gives letters back to their queue and forgets them; the end of ctx does not end it, that of
// hurry does. Of a FIFO group the last goes first, in a request of its own: were the first one visible
// before the others, SQS could hand out the rest before it. done, when not nil, is told how many are
// dealt with.
func (k *keeper) release(ctx context.Context, ids []string, hurry <-chan struct{}, done func(n int)) Handback {
	ctx, cancel := unlessHurried(ctx, hurry)
	defer cancel()
	var (
		g    sync.WaitGroup
		mu   sync.Mutex
		all  Handback
		n    int
		free = make(chan struct{}, keeperLoops)
	)
	for _, lane := range k.lanes(ids) {
		free <- struct{}{}
		g.Go(func() {
			defer func() { <-free }()
			for _, batch := range lane {
				b := k.releaseBatch(ctx, batch)
				mu.Lock()
				all.add(b)
				n += len(batch)
				if done != nil {
					done(n)
				}
				mu.Unlock()
			}
		})
	}
	g.Wait()
	return all
}

// lanes puts letters into batches. The batches of one lane go one after the other.
func (k *keeper) lanes(ids []string) (lanes [][][]string) {
	if !k.fifo {
		for batch := range slices.Chunk(ids, queue.MaxBatch) {
			lanes = append(lanes, [][]string{batch})
		}
		return lanes
	}
	groups := k.lastFirst(ids)
	for some := range slices.Chunk(groups, queue.MaxBatch) {
		var lane [][]string
		for at := 0; ; at++ {
			var batch []string
			for _, g := range some {
				if at < len(g) {
					batch = append(batch, g[at])
				}
			}
			if len(batch) == 0 {
				break
			}
			lane = append(lane, batch)
		}
		lanes = append(lanes, lane)
	}
	return lanes
}

// lastFirst returns the letters of each group, the last of them first.
func (k *keeper) lastFirst(ids []string) (groups [][]string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	held := make([]*hold, 0, len(ids))
	for _, id := range ids {
		if h := k.holds[id]; h != nil {
			held = append(held, h)
		}
	}
	slices.SortFunc(held, func(a, b *hold) int { return b.place - a.place })
	at := map[string]int{}
	for _, h := range held {
		i, known := at[h.group]
		if !known {
			i = len(groups)
			at[h.group] = i
			groups = append(groups, nil)
		}
		groups[i] = append(groups[i], h.id)
	}
	return groups
}

// releaseBatch gives at most ten letters back.
func (k *keeper) releaseBatch(ctx context.Context, ids []string) (b Handback) {
	wait := firstWait
	for range releaseTries {
		if ctx.Err() != nil {
			break
		}
		var once Handback
		once, ids = k.releaseOnce(ctx, ids)
		b.add(once)
		if len(ids) == 0 || !idle(ctx, wait, nil) {
			break
		}
		wait = min(2*wait, longestWait)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	now := time.Now()
	for _, id := range ids {
		switch h := k.holds[id]; {
		case h == nil:
		case k.expired(h, now):
			b.Gone++
		default:
			b.Hidden++
			b.HiddenUntil = later(b.HiddenUntil, h.deadline.Add(margin))
		}
		k.remove(id)
	}
	return b
}

// unlessHurried is a context that the end of ctx does not end, but that of hurry does.
func unlessHurried(ctx context.Context, hurry <-chan struct{}) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	if hurried(hurry) {
		cancel()
		return ctx, cancel
	}
	go func() {
		select {
		case <-hurry:
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, cancel
}

func hurried(hurry <-chan struct{}) bool {
	select {
	case <-hurry:
		return true
	default:
		return false
	}
}

// releaseOnce makes one request, when no extension of these letters is under way any more: it would hide
// them again.
func (k *keeper) releaseOnce(ctx context.Context, ids []string) (b Handback, again []string) {
	k.leave(ctx, ids)
	var (
		asked   []string
		handles []queue.ReceiptHandle
	)
	k.mu.Lock()
	now := time.Now()
	bound := now.Add(settleBound)
	for _, id := range ids {
		switch h := k.holds[id]; {
		case h == nil: // deleted
		case k.expired(h, now):
			b.Gone++
			k.remove(id)
		default:
			asked, handles = append(asked, id), append(handles, h.handle)
			if k.hold > 0 {
				bound = earlier(bound, h.deadline)
			}
		}
	}
	k.mu.Unlock()
	if len(asked) == 0 {
		return b, nil
	}
	call, cancel := context.WithDeadline(ctx, bound)
	errs := k.settler.ChangeVisibility(call, handles, make([]time.Duration, len(handles)))
	cancel()
	for i, id := range asked {
		switch err := queue.At(errs, i); {
		case err == nil:
			b.Released++
			k.left(id, handles[i])
		case errors.Is(err, queue.ErrLeaseLost):
			b.Gone++
			k.left(id, handles[i])
		default:
			again = append(again, id)
		}
	}
	return b, again
}

// leave ends the extensions of letters, and waits for those under way.
func (k *keeper) leave(ctx context.Context, ids []string) {
	var beats []chan struct{}
	k.mu.Lock()
	for _, id := range ids {
		if h := k.holds[id]; h != nil {
			h.leaving = true
			if h.beat != nil {
				beats = append(beats, h.beat)
			}
		}
	}
	k.mu.Unlock()
	for _, beat := range beats {
		select {
		case <-beat:
		case <-ctx.Done():
			return
		}
	}
}
