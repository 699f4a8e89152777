package dlqreplay

import (
	"context"
	"fmt"
	"sync"
)

// halt is why a run sends no more: the first reason counts.
type halt struct {
	stop context.CancelFunc

	mu      sync.Mutex
	outcome Outcome
	why     string
}

// because stops the run; first is false when it had been stopped before.
func (h *halt) because(outcome Outcome, why string) (first bool) {
	h.mu.Lock()
	if first = h.outcome == ""; first {
		h.outcome, h.why = outcome, why
	}
	h.mu.Unlock()
	h.stop()
	return first
}

// reason is why the run was stopped; Completed when it was not.
func (h *halt) reason() (outcome Outcome, why string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.outcome == "" {
		return Completed, ""
	}
	return h.outcome, h.why
}

// tooMany reports whether so many returns are more than a share of what was sent.
func tooMany(returned, sent int, share float64) bool {
	return share < 1 && float64(returned) > share*float64(sent)
}

// stopOver stops the run over its returns.
func (r *run) stopOver(returned, sent int, last Return) {
	why := fmt.Sprintf("%d of %d returned", returned, sent)
	if last.Reason != "" {
		why += ": " + last.Reason
	}
	if last.Fingerprint != "" {
		why += " (group " + last.Fingerprint + ")"
	}
	if r.halt.because(Stopped, why) {
		r.tally.events.tell(Event{Kind: Stopping, Why: why})
	}
}

// fail stops the run because something does not work.
func (r *run) fail(err error) {
	if r.halt.because(Failed, err.Error()) {
		r.tally.events.tell(Event{Kind: Stopping, Why: err.Error()})
	}
}

// failed reports that something does not work.
func (r *run) failed() bool {
	outcome, _ := r.halt.reason()
	return outcome == Failed
}
