package poller

import "time"

// Who lets a queue rest, as State says it.
const (
	ByOperator      = "operator"
	ByConfiguration = "configuration"
	ByJob           = "job"
	ByBreaker       = "breaker"
)

// forever is when a pause ends that only Resume ends.
var forever = time.Unix(1<<40, 0)

// Pause lets this queue rest in this process until the given time; the zero time is until Resume.
// A pause that ends earlier than the one that is on changes nothing. Jobs that run go on; what waits
// for its start goes back.
func (p *Poller) Pause(until time.Time) {
	if until.IsZero() {
		until = forever
	}
	p.pause(until, ByOperator)
}

func (p *Poller) pause(until time.Time, by string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if until.After(p.paused) {
		p.paused, p.pausedBy = until, by
	}
}

// Resume ends every pause, also one of the breaker, which goes on with its probe.
func (p *Poller) Resume() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.breaker != nil {
		p.breaker.cutShort()
	}
	p.paused, p.pausedBy = time.Time{}, ""
	close(p.resumed)
	p.resumed = make(chan struct{})
}

// isPaused reports whether nothing may start now.
func (p *Poller) isPaused() bool {
	until, _ := p.pauseEnds()
	return time.Now().Before(until)
}

// pauseEnds is when the pause ends, and a channel that is closed when it is ended before.
func (p *Poller) pauseEnds() (until time.Time, resumed <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.paused, p.resumed
}
