package poller

import (
	"context"
	"slices"
	"sync"
)

// Budget caps the messages that are handled at once over several pollers. An open poll reserves
// nothing of it: a delivery that must wait keeps its slot and its lease. When it is short, what
// comes free goes to the poller that has least of it for its weight.
type Budget struct {
	size int

	mu     sync.Mutex
	free   int
	claims []*claim
}

// claim is one run that waits.
type claim struct {
	share   *share
	n       int
	granted chan struct{}
}

// share is what one poller has of a budget.
type share struct {
	budget  *Budget
	weight  int
	running int // guarded by the budget's lock
	waiting tally
}

// NewBudget makes a budget of n messages; at least 1.
func NewBudget(n int) *Budget { return &Budget{size: max(n, 1), free: max(n, 1)} }

func (b *Budget) join(weight int) *share { return &share{budget: b, weight: max(weight, 1)} }

// acquire takes n of the budget, or all of it when n is more than there is.
func (s *share) acquire(ctx context.Context, n int) (taken int, err error) {
	b := s.budget
	n = min(n, b.size)
	b.mu.Lock()
	if len(b.claims) == 0 && b.free >= n {
		b.free -= n
		s.running += n
		b.mu.Unlock()
		return n, nil
	}
	c := &claim{share: s, n: n, granted: make(chan struct{})}
	b.claims = append(b.claims, c)
	s.waiting.add(1)
	b.mu.Unlock()
	defer s.waiting.add(-1)
	select {
	case <-c.granted:
		return n, nil
	case <-ctx.Done():
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if i := slices.Index(b.claims, c); i >= 0 {
		b.claims = slices.Delete(b.claims, i, i+1)
		b.grant() // it may have stood in the way of a smaller one
		return 0, ctx.Err()
	}
	return n, nil // granted in the same moment
}

func (s *share) release(n int) {
	b := s.budget
	b.mu.Lock()
	defer b.mu.Unlock()
	b.free += n
	s.running -= n
	b.grant()
}

// grant serves the claims that what is free is enough for, the least served share first; of one
// share, the oldest.
func (b *Budget) grant() {
	for len(b.claims) > 0 {
		best := 0
		for i, c := range b.claims {
			if c.share.running*b.claims[best].share.weight < b.claims[best].share.running*c.share.weight {
				best = i
			}
		}
		c := b.claims[best]
		if b.free < c.n {
			return // the next in turn is not passed over, or a batch might wait for ever
		}
		b.claims = slices.Delete(b.claims, best, best+1)
		b.free -= c.n
		c.share.running += c.n
		close(c.granted)
	}
}
