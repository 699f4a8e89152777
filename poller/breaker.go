package poller

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/stationmaster/worker/retry"
)

const (
	// breakerRuns is how many finished runs are looked at, breakerFails how many failures of them
	// open the breaker.
	breakerRuns  = 20
	breakerFails = breakerRuns / 2
	// minOpen and maxOpen bound the time for which it stays open; it doubles with each failed probe.
	minOpen = 30 * time.Second
	maxOpen = 5 * time.Minute
)

// breaker stops polling while the other side of the jobs is down: messages that stay in the queue
// cost nothing, those that fail cost an attempt each. It is of this process: another one may see
// another side of the network.
//
//	closed ── half of the last 20 failed ──▶ open ── its time is over ──▶ half open: one message
//	   ▲                                      ▲                                │        │
//	   └───────────── it succeeded ───────────┼────────────────────────────────┘        │
//	                                          └───────────── it failed ─────────────────┘
type breaker struct {
	mu     sync.Mutex
	runs   [breakerRuns]bool // true: failed
	seen   int
	next   int
	failed int
	state  breakerState
	length time.Duration // of the last time it was open
	until  time.Time     // when it is over
	// probe is when the probe that is under way counts as lost; zero when none is.
	probe time.Time
	// last is the number of the newest probe, first that of the first since it was open last: what has
	// a lower one, or none, is no probe now.
	last, first uint64
	changed     chan struct{}
}

type breakerState int

const (
	closed breakerState = iota
	opened
	halfOpen
)

func newBreaker() *breaker { return &breaker{changed: make(chan struct{})} }

func (b *breaker) change() {
	close(b.changed)
	b.changed = make(chan struct{})
}

// enter returns how many messages the next receive may ask for, and waits while that is none. A probe
// has a number; patience is after what time it counts as lost.
func (b *breaker) enter(ctx context.Context, most int, patience time.Duration) (n int, probe uint64, err error) {
	for {
		b.mu.Lock()
		now := time.Now()
		if b.state != halfOpen { // open: it opened after the caller had passed the gate, what comes goes back
			b.mu.Unlock()
			return most, 0, ctx.Err()
		}
		if !now.Before(b.probe) { // none is under way, or it counts as lost
			b.probe = now.Add(patience)
			b.last++
			probe = b.last
			b.mu.Unlock()
			return 1, probe, ctx.Err()
		}
		changed, left := b.changed, b.probe.Sub(now)
		b.mu.Unlock()
		timer := time.NewTimer(left)
		select {
		case <-changed:
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return 0, 0, ctx.Err()
		}
		timer.Stop()
	}
}

// refuses reports whether only probes may start, and this is none.
func (b *breaker) refuses(probe uint64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.state == halfOpen && probe < b.first
}

// nothing says that a probe has come to nothing.
func (b *breaker) nothing(probe uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.state == halfOpen && probe == b.last && !b.probe.IsZero() {
		b.probe = time.Time{}
		b.change()
	}
}

// ended records a run that says something about the other side. It returns for how long the breaker
// opens; 0 when it does not.
func (b *breaker) ended(probe uint64, failed bool) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch b.state {
	case opened:
		return 0 // of a run that began before
	case halfOpen:
		if probe < b.first {
			return 0 // as well
		}
		b.probe = time.Time{}
		defer b.change()
		if failed {
			return b.open(min(2*b.length, maxOpen))
		}
		b.reset()
		return 0
	case closed:
	}
	if b.seen == breakerRuns && b.runs[b.next] {
		b.failed--
	}
	b.runs[b.next] = failed
	b.next = (b.next + 1) % breakerRuns
	b.seen = min(b.seen+1, breakerRuns)
	if failed {
		b.failed++
	}
	if b.seen == breakerRuns && b.failed >= breakerFails {
		return b.open(minOpen)
	}
	return 0
}

func (b *breaker) open(length time.Duration) time.Duration {
	b.state, b.length, b.until = opened, length, time.Now().Add(length)
	return length
}

// cutShort lets the time end for which it is open.
func (b *breaker) cutShort() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.until = time.Time{}
}

// name says what it does, for people.
func (b *breaker) name() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch b.state {
	case opened:
		return "open"
	case halfOpen:
		return "half open"
	case closed:
	}
	return "closed"
}

// over lets the next message through as a probe, once the time is over for which it was open.
func (b *breaker) over() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.state == opened && !time.Now().Before(b.until) {
		b.state, b.probe, b.first = halfOpen, time.Time{}, b.last+1
		b.change()
	}
}

func (b *breaker) reset() {
	b.state, b.seen, b.next, b.failed, b.probe = closed, 0, 0, 0, time.Time{}
}

func (b *breaker) isClosed() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.state == closed
}

// asked reports whether a job asked for another time, for its message or for the whole queue.
func asked(err error) bool {
	if later, ok := errors.AsType[*retry.AfterError](err); ok && later.Err == nil {
		return true
	}
	_, pause := errors.AsType[*retry.PauseError](err)
	return pause
}

// judged tells the breaker how a run ended. What says nothing about the other side of the job does
// not count: a permanent failure, a body that nobody can decode, a run that was cut, a job that asks
// for another time.
func (p *Poller) judged(c contexts, probe uint64, cause, err error) {
	b := p.breaker
	if b == nil {
		return
	}
	cut := err != nil && (errors.Is(cause, ErrDrain) || errors.Is(cause, ErrLeaseLost) || c.handle.Err() != nil)
	if cut || retry.IsNever(err) || asked(err) {
		b.nothing(probe)
		return
	}
	before := b.isClosed()
	if length := b.ended(probe, err != nil); length > 0 {
		p.pause(time.Now().Add(length), ByBreaker)
		p.o.Hooks.note(c.settle, nil, BreakerOpened, err)
	} else if !before && b.isClosed() {
		p.o.Hooks.note(c.settle, nil, BreakerClosed, nil)
	}
}
