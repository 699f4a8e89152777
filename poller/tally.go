package poller

import "sync"

// tally counts what is under way and tells when nothing is. Unlike a sync.WaitGroup it may be
// added to while it is waited for: a job that ignored its end may still settle.
type tally struct {
	mu   sync.Mutex
	n    int
	idle chan struct{} // not nil: somebody waits for the end
	less chan struct{} // not nil: somebody waits for room
}

// addBelow adds one, as soon as fewer than most are under way.
func (t *tally) addBelow(most int) {
	for {
		t.mu.Lock()
		if t.n < most {
			t.n++
			t.mu.Unlock()
			return
		}
		if t.less == nil {
			t.less = make(chan struct{})
		}
		less := t.less
		t.mu.Unlock()
		<-less
	}
}

func (t *tally) add(n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.n += n
	if t.n == 0 && t.idle != nil {
		close(t.idle)
		t.idle = nil
	}
	if n < 0 && t.less != nil {
		close(t.less)
		t.less = nil
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
