package poller

import "time"

// State is what a poller is doing now.
type State struct {
	// State is one of "starting", "polling", "backing off", "paused", "draining", "stopped".
	State string
	// Busy is how many messages are being handled, Receivers how many receive loops there are,
	// Prefetch how many deliveries beyond the slots may be held ready.
	Busy, Receivers, Prefetch int
	// Delayed is how many messages this process has hidden until the time that their producers asked
	// for, and that are not due yet; at most 10,000 are remembered.
	Delayed int
	// Full: no receive is due, because every slot is taken or a delivery waits for the budget.
	Full bool
	// PollEnds is when the open poll returns at the latest; zero when none is open.
	PollEnds time.Time
	// LastPoll is when the last receive completed, well or not; zero before the first.
	LastPoll time.Time
	// Err is why it is backing off.
	Err error
	// PausedBy is who lets the queue rest: one of the By constants; empty when nobody does.
	// PausedUntil is when that ends; zero when only Resume ends it.
	PausedBy    string
	PausedUntil time.Time
	// Breaker is "closed", "open" or "half open"; empty when there is none.
	Breaker string
}

// State tells what the poller is doing.
func (p *Poller) State() State {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := State{
		State: p.state, Busy: int(p.busy.Load()), Receivers: int(p.loops.Load()),
		Delayed:  p.delays.count(),
		Full:     p.slots.available() <= 0 || p.held.Load() > 0,
		LastPoll: p.lastPoll, Err: p.lastErr,
	}
	if p.polls.Load() > 0 {
		s.PollEnds = time.Unix(0, p.openUntil.Load())
	}
	s.Prefetch = max(p.o.Prefetch, 0)
	if p.ahead != nil {
		s.Prefetch = p.ahead.held()
	}
	if p.breaker != nil {
		s.Breaker = p.breaker.name()
	}
	if time.Now().Before(p.paused) {
		s.PausedBy = p.pausedBy
		if p.paused.Before(forever) {
			s.PausedUntil = p.paused
		}
	}
	if s.State == "polling" && s.PausedBy != "" {
		s.State = "paused"
	} else if s.State == "polling" && p.lastErr != nil {
		s.State = "backing off"
	}
	return s
}

// Report is what a poller did with what it held when it was told to drain, and what it left.
type Report struct {
	// Finished: jobs that ended by themselves after the drain began, well or not.
	Finished int
	// Released: deliveries given back untouched or after a cancelled run.
	Released int
	// DeadLettered: dead letters accepted after the drain began.
	DeadLettered int
	// Abandoned: jobs still running at the end; their messages come back by themselves.
	Abandoned int
	// Uncertain: deletes that SQS did not confirm in time; such a message may run again.
	Uncertain int
	Took      time.Duration
}

// Add returns the sum of two reports; Took is the longer one.
func (r Report) Add(o Report) Report {
	return Report{
		Finished:     r.Finished + o.Finished,
		Released:     r.Released + o.Released,
		DeadLettered: r.DeadLettered + o.DeadLettered,
		Abandoned:    r.Abandoned + o.Abandoned,
		Uncertain:    r.Uncertain + o.Uncertain,
		Took:         max(r.Took, o.Took),
	}
}
