package dlqreplay

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/stationmaster/worker/queue"
)

const (
	// keeperLoops is how many requests a keeper has on their way at once, of each kind.
	keeperLoops = 16
	// settleBound bounds one request of a keeper.
	settleBound = 15 * time.Second
	// margin is what is left of a hold, at the least, when it is given up: requests have a way to go.
	margin = time.Second
)

// keeper keeps dead letters from showing up elsewhere while a run holds them: it extends each hold before
// half of it is over, and knows the current receipt. After a hold has ended nothing changes its visibility
// any more: somebody else may have the message by then.
type keeper struct {
	settler queue.Settler
	// hold is for how long an extension hides a message; 0 holds for ever, as a file does.
	hold   time.Duration
	fifo   bool
	events *teller

	mu    sync.Mutex
	holds map[string]*hold // by MessageId
	lost  int
	came  int // letters so far

	quit, over chan struct{}
	stopped    sync.Once
}

// hold is one dead letter in our hands.
type hold struct {
	id, group string
	// place is the order in which the letters came.
	place  int
	handle queue.ReceiptHandle
	// received is when the receipt began, deadline when the hold ends by our clock.
	received, deadline time.Time
	// beat is closed when the extension under way has been answered; nil when there is none.
	beat chan struct{}
	// leaving: it is being given back, and must not be extended any more.
	leaving, lost bool
}

// keep starts a keeper. It goes on after ctx has ended, until stop.
func keep(ctx context.Context, settler queue.Settler, holdFor time.Duration, fifo bool, events *teller) *keeper {
	k := &keeper{
		settler: settler, hold: holdFor, fifo: fifo, events: events,
		holds: map[string]*hold{}, quit: make(chan struct{}), over: make(chan struct{}),
	}
	go k.run(context.WithoutCancel(ctx))
	return k
}

// stop ends the extensions, and waits for those under way.
func (k *keeper) stop() {
	k.stopped.Do(func() { close(k.quit) })
	<-k.over
}

// add takes a delivery into the keeper's hands. A message that it holds already keeps its place and gets
// the newer receipt; fresh is false then.
func (k *keeper) add(d *queue.Delivery) (fresh bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	h := k.holds[d.MessageID]
	if fresh = h == nil; fresh {
		h = &hold{id: strings.Clone(d.MessageID), group: strings.Clone(d.GroupID), place: k.came}
		k.came++
		k.holds[h.id] = h
	}
	if h.lost {
		k.lost--
	}
	// What comes from an answer of SQS may be a part of it, and would keep all of it in memory.
	h.handle = queue.ReceiptHandle(strings.Clone(string(d.Handle)))
	h.received, h.deadline, h.lost, h.leaving = d.Received, d.Deadline, false, false
	return fresh
}

// receipt returns the current receipt of a letter; false when it is not held, or not any more.
func (k *keeper) receipt(id string) (queue.ReceiptHandle, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	h := k.holds[id]
	if h == nil || k.expired(h, time.Now()) {
		return "", false
	}
	return h.handle, true
}

// expired notices that a hold has ended. k.mu is held.
func (k *keeper) expired(h *hold, now time.Time) bool {
	if !h.lost && k.hold > 0 && over(now, h.deadline) {
		h.lost = true
		k.lost++
	}
	return h.lost
}

// over reports whether a deadline has passed by one of our clocks: the monotonic one stands still while the
// machine sleeps, and the other may be set back.
func over(now, deadline time.Time) bool {
	return !now.Before(deadline) || !now.Round(0).Before(deadline)
}

// lose notes that SQS no longer takes a receipt, unless there is a newer one.
func (k *keeper) lose(id string, handle queue.ReceiptHandle) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if h := k.holds[id]; h != nil && h.handle == handle && !h.lost {
		h.lost = true
		k.lost++
	}
}

// drop forgets letters that are no longer in the queue.
func (k *keeper) drop(ids ...string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, id := range ids {
		k.remove(id)
	}
}

// left forgets a letter that was given back, unless it has been received anew since.
func (k *keeper) left(id string, handle queue.ReceiptHandle) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if h := k.holds[id]; h != nil && h.handle == handle {
		k.remove(id)
	}
}

// remove is drop for one; k.mu is held.
func (k *keeper) remove(id string) {
	if h := k.holds[id]; h != nil {
		if h.lost {
			k.lost--
		}
		delete(k.holds, id)
	}
}

// counts returns how many letters are held, and how many were and are not any more.
func (k *keeper) counts() (held, lost int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	now := time.Now()
	for _, h := range k.holds {
		k.expired(h, now)
	}
	return len(k.holds) - k.lost, k.lost
}

// all returns the MessageIds of what is held, in the order in which it came.
func (k *keeper) all() []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	holds := slices.SortedFunc(maps.Values(k.holds), func(a, b *hold) int { return a.place - b.place })
	ids := make([]string, len(holds))
	for i, h := range holds {
		ids[i] = h.id
	}
	return ids
}

// hidden returns how many letters are held, and until when the last of them stays hidden by itself.
func (k *keeper) hidden() (n int, until time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	now := time.Now()
	for _, h := range k.holds {
		if !k.expired(h, now) {
			n++
			until = later(until, h.deadline)
		}
	}
	if n > 0 && k.hold > 0 {
		until = until.Add(margin)
	}
	return n, until
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// idle waits; false when ctx or quit ends first.
func idle(ctx context.Context, d time.Duration, quit <-chan struct{}) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	case <-quit:
		return false
	}
}
