package poller

import (
	"context"
	"slices"
	"sync"
	"time"
)

// fillWait is how long a loaded receive loop waits for enough free slots to make its next receive
// a full one: short beside any round trip to AWS, long beside a fast job.
const fillWait = 5 * time.Millisecond

// slots counts what the receive loops may still ask for. An open poll holds what it asked for.
//
// Loops are served in the order in which they came, and one that wants a full receive is woken when
// it can have it, not at every slot that comes free.
type slots struct {
	mu      sync.Mutex
	total   int
	free    int // below 0 after a resize, until enough is released
	waiting []*waiter
	// timer ends the patience of head, which some free slots are not enough for.
	timer *time.Timer
	head  *waiter
}

// waiter is one receive loop that waits.
type waiter struct {
	want, enough int
	granted      chan int // of one: how many it got
}

func newSlots(n int) *slots { return &slots{total: n, free: n} }

// acquire takes up to want slots and waits for the first. With fill it waits a little longer for
// all of them.
func (s *slots) acquire(ctx context.Context, want int, fill bool) (int, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	enough := 1
	if fill {
		enough = want
	}
	s.mu.Lock()
	if len(s.waiting) == 0 {
		if n := s.take(want, enough); n > 0 {
			s.mu.Unlock()
			return n, nil
		}
	}
	w := &waiter{want: want, enough: enough, granted: make(chan int, 1)}
	s.waiting = append(s.waiting, w)
	s.serve()
	s.mu.Unlock()
	select {
	case n := <-w.granted:
		return n, nil
	case <-ctx.Done():
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := slices.Index(s.waiting, w); i >= 0 {
		s.waiting = slices.Delete(s.waiting, i, i+1)
	} else {
		s.free += <-w.granted // granted in the same moment
	}
	s.serve()
	return 0, ctx.Err()
}

// take takes up to want; 0 when fewer than enough are free.
func (s *slots) take(want, enough int) int {
	want = min(want, s.total)
	if s.free <= 0 || s.free < min(enough, want) {
		return 0
	}
	n := min(s.free, want)
	s.free -= n
	return n
}

// serve gives what is free to those who wait.
func (s *slots) serve() {
	for len(s.waiting) > 0 {
		w := s.waiting[0]
		n := s.take(w.want, w.enough)
		if n == 0 {
			s.bound(w)
			return
		}
		s.waiting = slices.Delete(s.waiting, 0, 1)
		w.granted <- n
	}
}

// bound lets the first in turn wait no longer than fillWait from when some slots are free.
func (s *slots) bound(w *waiter) {
	if s.free <= 0 || s.head == w {
		return
	}
	s.head = w
	if s.timer == nil {
		s.timer = time.AfterFunc(fillWait, s.hurry)
		return
	}
	s.timer.Reset(fillWait)
}

func (s *slots) hurry() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.waiting) > 0 && s.waiting[0] == s.head {
		s.head.enough = 1
		s.serve()
	}
}

func (s *slots) release(n int) {
	if n == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.free += n
	s.serve()
}

// resize changes how many there are.
func (s *slots) resize(total int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.free += total - s.total
	s.total = total
	s.serve()
}

func (s *slots) available() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.free
}
