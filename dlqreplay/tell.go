package dlqreplay

import (
	"sync"
	"time"
)

// often is how long there is between two events of a kind that comes often.
const often = 200 * time.Millisecond

// teller tells events, one at a time. A nil teller and one without a function tell nobody.
type teller struct {
	f func(Event)

	mu   sync.Mutex
	last map[EventKind]time.Time
}

func tell(f func(Event)) *teller { return &teller{f: f, last: map[EventKind]time.Time{}} }

// to tells f from now on: a scan and the run of what it holds speak in turn.
func (t *teller) to(f func(Event)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.f = f
}

func (t *teller) tell(e Event) { t.say(e, 0) }

// tellOften leaves out what comes too soon after another of its kind.
func (t *teller) tellOften(e Event) { t.say(e, often) }

// say tells e, unless another of its kind was told less than apart ago.
func (t *teller) say(e Event, apart time.Duration) {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.f == nil {
		return
	}
	e.At = time.Now()
	if apart > 0 {
		if last, told := t.last[e.Kind]; told && e.At.Sub(last) < apart {
			return
		}
		t.last[e.Kind] = e.At
	}
	t.f(e)
}
