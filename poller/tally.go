package poller

import "sync"

// tally counts what is under way and tells when nothing is. Unlike a sync.WaitGroup it may be
// added to while it is waited for: a job that ignored its end may still settle.
type tally struct {
	mu   sync.Mutex
	n    int
	idle chan struct{} // not nil: somebody waits
}

func (t *tally) add(n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.n += n
	if t.n == 0 && t.idle != nil {
		close(t.idle)
		t.idle = nil
	}
}

func (t *tally) count() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.n
}

// empty returns a channel that is closed when nothing is under way.
func (t *tally) empty() <-chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.idle == nil {
		t.idle = make(chan struct{})
	}
	idle := t.idle
	if t.n == 0 {
		close(idle)
		t.idle = nil
	}
	return idle
}
