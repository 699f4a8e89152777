package poller

import (
	"sync"
	"time"
)

// Auto lets a poller find Options.Prefetch by itself.
const Auto = -1

// prefetch finds how many deliveries beyond the slots are worth holding ready. They spare each slot
// the wait for the next receive; but what waits here cannot start elsewhere, so none shall wait for
// longer than a tenth of the visibility timeout. It doubles while receives come back full, and halves
// with each one that does not.
type prefetch struct {
	slots int
	bound time.Duration // of the wait of one delivery

	mu   sync.Mutex
	now  int
	mean time.Duration // of a run; 0: not known yet
}

func newPrefetch(slots int, visibility time.Duration) *prefetch {
	return &prefetch{slots: slots, bound: visibility / 10}
}

// ran takes in how long one run was.
func (f *prefetch) ran(took time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.mean == 0 {
		f.mean = max(took, 1)
		return
	}
	f.mean += (took - f.mean) / 8
}

// received takes in whether a receive came back full, and returns what to hold from now on.
func (f *prefetch) received(full bool) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case !full:
		f.now /= 2
	case f.mean > 0:
		f.now = max(1, 2*f.now)
	}
	f.now = min(f.now, f.limit())
	return f.now
}

// limit is how many there may be: the last of n waits for n/slots runs.
func (f *prefetch) limit() int {
	if f.mean <= 0 {
		return f.slots
	}
	return int(min(float64(f.slots), float64(f.slots)*float64(f.bound)/float64(f.mean)))
}

// waited says that a delivery waited for too long: the runs are longer than they were.
func (f *prefetch) waited() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.now, f.mean = 0, max(f.mean, f.bound*time.Duration(f.slots)+1)
}

func (f *prefetch) held() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.now
}
