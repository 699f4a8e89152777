package telemetry

import (
	"context"
	"maps"
	"sync"
	"sync/atomic"
	"time"
)

// counters count since the start of the process.
type counters struct {
	received, done, deleted, retried, deadLettered, leaseLost, released, extended, uncertain, notDeleted atomic.Int64
	returned                                                                                             reasons
}

// reasons counts by reason.
type reasons struct {
	mu sync.Mutex
	by map[string]int64
}

func (r *reasons) add(why string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.by == nil {
		r.by = map[string]int64{}
	}
	r.by[why]++
}

func (r *reasons) all() map[string]int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.by)
}

// Counters are what happened to the messages of one queue since the start of the process.
type Counters struct {
	// Received counts deliveries, Done the jobs that succeeded.
	Received int64 `json:"received"`
	Done     int64 `json:"done"`
	// Deleted counts the deletes that SQS accepted, dead-lettered messages included.
	Deleted int64 `json:"deleted"`
	// Retried counts the failures that SQS was asked to bring back.
	Retried      int64 `json:"retried"`
	DeadLettered int64 `json:"dead_lettered"`
	LeaseLost    int64 `json:"lease_lost"`
	// Released counts the deliveries handed back untouched.
	Released int64 `json:"released"`
	// Extended counts lease extensions.
	Extended int64 `json:"extended"`
	// Uncertain counts deletes that were accepted after their lease had ended, NotDeleted those that
	// were given up: such a message may run again.
	Uncertain  int64 `json:"uncertain"`
	NotDeleted int64 `json:"not_deleted"`
	// Returned counts, by reason, the receives that spent no attempt.
	Returned map[string]int64 `json:"returned,omitempty"`
}

// Counters returns the counts so far.
func (q *Queue) Counters() Counters {
	c := &q.count
	return Counters{
		Received: c.received.Load(), Done: c.done.Load(), Deleted: c.deleted.Load(), Retried: c.retried.Load(),
		DeadLettered: c.deadLettered.Load(), LeaseLost: c.leaseLost.Load(), Released: c.released.Load(),
		Extended: c.extended.Load(), Uncertain: c.uncertain.Load(), NotDeleted: c.notDeleted.Load(),
		Returned: c.returned.all(),
	}
}

// consecutive counts what happened in a row.
type consecutive struct{ empty, failed atomic.Int64 }

// EmptyPolls returns how many receives in a row came back with nothing.
func (q *Queue) EmptyPolls() int { return int(q.consecutive.empty.Load()) }

// Fault is why the queue could not be opened; nil when it is, or when nobody has tried.
func (q *Queue) Fault() error {
	_, fault := q.attached()
	return fault
}

// countsFor is how long the numbers of a queue are shown before SQS is asked again: an idle queue
// must not cost more because somebody watches it.
const countsFor = 15 * time.Second

// cachedCounts are the numbers last read. Whoever reads them holds the lock, so that two watchers
// cost one request.
type cachedCounts struct {
	mu                sync.Mutex
	visible, inFlight int64
	err               error
	read              time.Time
}

// counts returns the queue's approximate numbers; false when SQS did not tell.
func (q *Queue) counts(ctx context.Context, s *Source) (visible, inFlight int64, ok bool) {
	c := &q.cached
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.read.IsZero() || time.Since(c.read) >= countsFor {
		c.visible, c.inFlight, c.err = s.Counts(ctx)
		if ctx.Err() == nil { // an answer that the watcher did not wait for is none
			c.read = time.Now()
		}
	}
	return c.visible, c.inFlight, c.err == nil
}
