package poller

import (
	"context"
	"sync"
	"time"
)

// fillWait is how long a loaded receive loop waits for enough free slots to make its next receive
// a full one: short beside any round trip to AWS, long beside a fast job.
const fillWait = 5 * time.Millisecond

// slots counts what the receive loops may still ask for. An open poll holds what it asked for.
type slots struct {
	mu    sync.Mutex
	total int
	free  int // below 0 after a resize, until enough is released
	// freed carries at most one wake-up; who takes it and leaves something passes it on.
	freed chan struct{}
}

func newSlots(n int) *slots {
	return &slots{total: n, free: n, freed: make(chan struct{}, 1)}
}

// acquire takes up to want slots and waits for the first. With fill it waits a little longer for
// all of them.
func (s *slots) acquire(ctx context.Context, want int, fill bool) (int, error) {
	enough := 1
	if fill {
		enough = want
	}
	var waited <-chan time.Time
	for {
		if ctx.Err() != nil {
			return 0, ctx.Err()
		}
		n, some := s.try(want, enough)
		if n > 0 {
			return n, nil
		}
		if some && waited == nil {
			timer := time.NewTimer(fillWait)
			defer timer.Stop()
			waited = timer.C
		}
		select {
		case <-s.freed:
		case <-waited:
			enough, waited = 1, nil
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
}

func (s *slots) try(want, enough int) (n int, some bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	want = min(want, s.total)
	if s.free < min(enough, want) {
		return 0, s.free > 0
	}
	n = min(s.free, want)
	s.free -= n
	if s.free > 0 {
		s.wake()
	}
	return n, true
}

func (s *slots) release(n int) {
	if n == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.free += n
	s.wake()
}

// resize changes how many there are.
func (s *slots) resize(total int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.free += total - s.total
	s.total = total
	if s.free > 0 {
		s.wake()
	}
}

func (s *slots) available() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.free
}

func (s *slots) wake() {
	select {
	case s.freed <- struct{}{}:
	default:
	}
}
