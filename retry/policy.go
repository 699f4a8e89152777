// Package retry decides what becomes of a message whose job returned an error. It is pure: an
// error, an attempt, the time held and a random number go in, a decision comes out.
//
// The delay before attempt n+1 is drawn evenly from [0, min(Max, First·Factor^(n-1))]: exponential
// with full jitter, so that a thousand messages that failed together do not return together. It
// is never more than what SQS still allows: a receipt can be hidden for 12 hours counted from the
// receive, and extending does not start that clock again.
package retry

import (
	"errors"
	"math"
	"time"
)

const (
	// MinRest is the shortest delay of a hand-back that can repeat without spending an attempt:
	// each one costs a receive, and SQS moves the message at maxReceiveCount all the same.
	MinRest = 30 * time.Second
	// maxHeld is SQS's 12 hours less a margin for the request's way there: 43,200 s asked right
	// after a receive is likely to be refused.
	maxHeld = 12*time.Hour - 10*time.Second
)

// Default is what a queue gets that configures nothing.
var Default = Policy{Attempts: 5, First: 2 * time.Second, Factor: 2, Max: 15 * time.Minute}

// Policy says how often and how far apart.
type Policy struct {
	// Attempts is how many times a message is tried before it is dead-lettered; at least 1.
	Attempts int
	// First bounds the delay after the first attempt, Max every delay.
	First, Max time.Duration
	// Factor is what the bound grows by with each attempt; at least 1.
	Factor float64
}

// Failure is what a job's error is judged by.
type Failure struct {
	Err error
	// Attempt is the number of this attempt, counted from 1.
	Attempt int
	// Held is the time since the receive.
	Held time.Duration
	// Now is the present, for errors that name a time (Pause).
	Now time.Time
}

// Action is what to do with the message.
type Action int

const (
	// Done: the job succeeded; delete.
	Done Action = iota
	// Again: hide it for Delay, then it comes back.
	Again
	// DeadLetter: send it to the dead-letter queue with its reason, then delete.
	DeadLetter
	// Rest: hide it for Delay and stop polling this queue until Until.
	Rest
)

// String returns the action's name.
func (a Action) String() string {
	switch a {
	case Done:
		return "done"
	case Again:
		return "again"
	case DeadLetter:
		return "dead-letter"
	case Rest:
		return "rest"
	}
	return "unknown"
}

// Decision is the answer.
type Decision struct {
	Action Action
	// Delay is how long the message stays hidden (Again, Rest).
	Delay time.Duration
	// Until is when polling goes on (Rest).
	Until time.Time
	// Spends says whether this run counts as an attempt.
	Spends bool
}

// Decide judges a failure. random is in [0, 1).
func (p Policy) Decide(f Failure, random float64) Decision {
	if f.Err == nil {
		return Decision{Action: Done, Spends: true}
	}
	if IsNever(f.Err) {
		return Decision{Action: DeadLetter, Spends: true}
	}
	if pause, ok := errors.AsType[*PauseError](f.Err); ok {
		rest := max(pause.Until.Sub(f.Now), MinRest)
		return Decision{Action: Rest, Delay: Cap(rest, f.Held), Until: pause.Until}
	}
	after, asked := errors.AsType[*AfterError](f.Err)
	if asked && after.Err == nil {
		return Decision{Action: Again, Delay: Cap(max(after.Delay, MinRest), f.Held)}
	}
	if f.Attempt >= max(p.Attempts, 1) {
		return Decision{Action: DeadLetter, Spends: true}
	}
	delay := p.delay(f.Attempt, random)
	if asked {
		delay = after.Delay
	}
	return Decision{Action: Again, Delay: Cap(delay, f.Held), Spends: true}
}

// Bound returns the longest delay after the given attempt: what delay's jitter is drawn below.
func (p Policy) Bound(attempt int) time.Duration {
	bound := float64(p.First) * math.Pow(max(p.Factor, 1), float64(max(attempt, 1)-1))
	if bound > float64(p.Max) { // also when it is +Inf
		return p.Max
	}
	return time.Duration(bound)
}

func (p Policy) delay(attempt int, random float64) time.Duration {
	return time.Duration(random * float64(p.Bound(attempt)))
}

// Cap returns d, or what is left of the 12 hours after held, whichever is less; never below 0.
func Cap(d, held time.Duration) time.Duration {
	return max(0, min(d, maxHeld-held))
}
