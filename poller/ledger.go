package poller

import (
	"context"
	"sync"
	"time"

	"github.com/stationmaster/worker/jobs"
	"github.com/stationmaster/worker/queue"
)

// item is one message that this poller holds, from its receive until it is settled. What stands
// below the line is guarded by the ledger's lock; what stands above belongs to whoever runs it.
type item struct {
	id      string // MessageId
	group   string // MessageGroupId
	info    *jobs.Info
	attempt int
	// suspect: it has been received more often than its tries can explain.
	suspect bool
	// far: it asks for more delay than SQS can give.
	far bool
	// probe is which probe of the breaker brought it; 0: none.
	probe uint64
	// back: it was not deleted; in a FIFO lane, what follows it must not run.
	back bool
	// wish is how it shall come back, until its lane does it.
	wish *settling
	// leaving: it is on its way back to the queue. The lanes' lock guards it.
	leaving bool

	// ──
	d   *queue.Delivery // the newest delivery
	run *run            // nil: waits for its start

	deadline time.Time
	next     time.Time // of the next beat
	rest     time.Time // no beat before it: the last one failed
	beating  chan struct{}
	// ended: no beat starts any more, the item is being settled.
	ended bool
	// expired: the local deadline has passed, or SQS no longer knows the receipt.
	expired bool
	// stale: it expired and came back; the old run is being waited for.
	stale bool
	// noted: its job was reported for going on after its end.
	noted bool
}

// run is one call of a job, for one message or for a batch.
type run struct {
	cancel context.CancelCauseFunc
	endBy  time.Time // of its timeout; zero: none
}

// ledger knows every message held, by MessageId.
type ledger struct {
	mu    sync.Mutex
	items map[string]*item
	// armed is when the beats wake up next; zero: not at all.
	armed time.Time
	wake  chan struct{}
}

func newLedger() *ledger {
	return &ledger{items: map[string]*item{}, wake: make(chan struct{}, 1)}
}

// admitted says what became of a delivery that was just received.
type admitted int

const (
	fresh   admitted = iota // a new item
	adopted                 // its job runs here: the newer receipt replaced the older
	waits                   // its job runs here, past its lease: the redelivery waits for its end
	overran                 // the same, and nobody had noticed yet that the lease is over
)

// admit takes in a delivery. A message that is held already is never held twice.
func (l *ledger) admit(d *queue.Delivery) (*item, admitted) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if it, held := l.items[d.MessageID]; held {
		how := adopted
		if over := !time.Now().Before(it.deadline); it.run != nil && (it.expired || over) {
			how = waits
			if !it.expired {
				how = overran
			}
			it.stale = true
		}
		it.d, it.deadline, it.expired = d, d.Deadline, false
		l.arm(it, lead(d))
		return it, how
	}
	it := &item{id: d.MessageID, group: d.GroupID, d: d, deadline: d.Deadline}
	l.items[d.MessageID] = it
	l.arm(it, lead(d))
	return it, fresh
}

// arm sets the item's next beat and wakes the beats when they would sleep past it.
func (l *ledger) arm(it *item, lead time.Duration) {
	it.next = it.deadline.Add(-lead)
	if l.armed.IsZero() || it.next.Before(l.armed) {
		l.armed = it.next
		select {
		case l.wake <- struct{}{}:
		default:
		}
	}
}

// endBeats lets no further beat start and waits for the one in flight: a late beat would undo the
// delete or the delay that follows.
func (l *ledger) endBeats(it *item) {
	l.mu.Lock()
	it.ended = true
	flying := it.beating
	l.mu.Unlock()
	if flying != nil {
		<-flying
	}
}

// lease returns the newest receipt and whether its lease has ended by the local clock.
func (l *ledger) lease(it *item) (handle queue.ReceiptHandle, deadline time.Time, over bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return it.d.Handle, it.deadline, it.expired || !time.Now().Before(it.deadline)
}

// forget takes an item out of the ledger if handle is still its newest receipt, and returns its
// newest delivery.
func (l *ledger) forget(it *item, handle queue.ReceiptHandle) (d *queue.Delivery, newest bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if it.d.Handle != handle {
		return it.d, false
	}
	delete(l.items, it.d.MessageID)
	return it.d, true
}

// end marks the run of an item as over. again is the delivery that came back past the lease of
// that run; lost says that the lease is over and nothing came back.
func (l *ledger) end(it *item) (again *queue.Delivery, lost bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	it.run = nil
	if it.stale {
		it.stale = false
		return it.d, false
	}
	return nil, it.expired || !time.Now().Before(it.deadline)
}

// enough is the least that must be left of a lease for a job to start: less is given back rather
// than run into a redelivery.
func enough(d *queue.Delivery) time.Duration { return min(lease(d)/10, 2*time.Second) }

// start binds an item to its run and returns its newest delivery; false when its lease is over or
// has less than enough left.
func (l *ledger) start(it *item, r *run) (*queue.Delivery, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	it.run = r
	return it.d, !it.expired && time.Until(it.deadline) >= enough(it.d)
}

// newest returns the newest delivery of an item.
func (l *ledger) newest(it *item) *queue.Delivery {
	l.mu.Lock()
	defer l.mu.Unlock()
	return it.d
}

// cancel ends the run of an item, if it has one.
func (l *ledger) cancel(it *item, why error) {
	l.mu.Lock()
	r := it.run
	l.mu.Unlock()
	if r != nil {
		r.cancel(why)
	}
}

// running returns the items whose job has not returned.
func (l *ledger) running() []*item {
	l.mu.Lock()
	defer l.mu.Unlock()
	var found []*item
	for _, it := range l.items {
		if it.run != nil {
			found = append(found, it)
		}
	}
	return found
}
