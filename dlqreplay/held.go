package dlqreplay

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/stationmaster/worker/queue"
)

// Held are the dead letters that a scan found and holds: nobody else sees them until they are released.
type Held struct {
	dlq    DLQ
	keeper *keeper
	says   *describing
	shelf  *shelf

	mu      sync.Mutex // guards the next two while a scan adds
	letters []*Letter
	byID    map[string]*Letter

	found found
}

// found is what a scan says of the whole.
type found struct {
	total, elsewhere int64
	complete         bool
	why              string
	took             time.Duration
}

// newHeld makes an empty Held, whose keeper goes on after the end of ctx, until release.
func newHeld(ctx context.Context, dlq DLQ, spoolDir string, says *describing, events *teller) *Held {
	return &Held{
		dlq: dlq, says: says, shelf: newShelf(spoolDir), byID: map[string]*Letter{},
		keeper: keep(ctx, dlq.Queue, dlq.Hold, dlq.FIFO, events),
	}
}

// add takes a delivery; fresh is false for one of a letter that is known.
func (h *Held) add(d *queue.Delivery) (fresh bool, err error) {
	h.keeper.add(d)
	h.mu.Lock()
	_, known := h.byID[d.MessageID]
	if !known {
		h.byID[d.MessageID] = nil // another delivery of it is none
	}
	h.mu.Unlock()
	if known {
		return false, nil
	}
	l := h.says.letter(d)
	if err := h.shelf.keep(l.MessageID, d.Message); err != nil {
		return true, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.letters = append(h.letters, l)
	h.byID[l.MessageID] = l
	return true, nil
}

// count returns how many letters there are.
func (h *Held) count() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.letters)
}

// finish puts the letters in order, oldest first. Those of a FIFO group stay as they came, one group after
// the other, and the group with the oldest head goes first.
func (h *Held) finish(f found) {
	h.found = f
	if !h.dlq.FIFO {
		slices.SortStableFunc(h.letters, func(a, b *Letter) int {
			return cmp.Or(a.Sent.Compare(b.Sent), cmp.Compare(a.MessageID, b.MessageID))
		})
		return
	}
	heads := map[string]*Letter{}
	for _, l := range h.letters {
		if heads[l.GroupID] == nil {
			heads[l.GroupID] = l
		}
	}
	slices.SortStableFunc(h.letters, func(a, b *Letter) int {
		first, second := heads[a.GroupID], heads[b.GroupID]
		return cmp.Or(first.Sent.Compare(second.Sent), cmp.Compare(a.GroupID, b.GroupID))
	})
}

// Elsewhere counts what was in the hands of somebody else when the scan began.
func (h *Held) Elsewhere() int64 { return h.found.elsewhere }

// DLQ is the queue that they are in.
func (h *Held) DLQ() DLQ { return h.dlq }

// Letters returns what is held, oldest first; of a FIFO queue in the order in which it must be replayed.
func (h *Held) Letters() []*Letter { return slices.Clone(h.letters) }

// Get finds a letter by its MessageId; nil when there is none.
func (h *Held) Get(id string) *Letter { return h.byID[id] }

// Message returns the message of a letter, exactly as its queue handed it out.
func (h *Held) Message(l *Letter) (queue.Message, error) {
	m, err := h.shelf.message(l.MessageID)
	if err != nil {
		return queue.Message{}, fmt.Errorf("dead letter %s: %w", l.MessageID, err)
	}
	return m, nil
}

// Lost is how many letters are not held any more: they show up in their queue again, for anybody.
func (h *Held) Lost() int {
	_, lost := h.keeper.counts()
	return lost
}

// Release gives everything that is still held back to the queue, and ends the holding; the end of ctx does
// not end it, that of hurry does: what is hidden then comes back by itself.
func (h *Held) Release(ctx context.Context, hurry <-chan struct{}) Handback {
	return h.release(ctx, hurry, nil)
}

func (h *Held) release(ctx context.Context, hurry <-chan struct{}, done func(n int)) Handback {
	back := h.keeper.release(ctx, h.keeper.all(), hurry, done)
	h.keeper.stop()
	_ = h.shelf.close() // a file without a name that nobody reads again
	return back
}

var errNotHeld = errors.New("not among the dead letters that are held")
