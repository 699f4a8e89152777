package poller

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/stationmaster/worker/jobs"
	"github.com/stationmaster/worker/queue"
	"github.com/stationmaster/worker/retry"
)

// Defaults of what Options leaves at zero.
const (
	DefaultVisibility   = 30 * time.Second
	DefaultUnknownGrace = 15 * time.Minute
)

// Options make a poller. Receiver, Settler and Route are required.
type Options struct {
	// Name is the queue's name, for errors and dead letters.
	Name     string
	Receiver queue.Receiver
	Settler  queue.Settler
	// DeadLetters takes what fails for good. Nil leaves that to the queue's redrive policy: a
	// failed message is then hidden until SQS has counted it out.
	DeadLetters queue.Sender
	// Route finds the job of a message; false means that its kind is unknown here.
	Route func(*jobs.Info) (*jobs.Instance, bool)
	// Job names the job in the record of a message that has none of its own (unknown kind).
	Job   string
	Retry retry.Policy
	// Slots is how many messages are handled at once; at least 1.
	Slots int
	// Prefetch is how many more may be held ready; they count as received and get beats. Auto lets it
	// grow up to Slots while what is held ready is likely to start within a tenth of Visibility.
	Prefetch int
	// Receivers pins the number of receive loops; 0 adapts it to the load.
	Receivers int
	// Visibility is the lease that each receive asks for, or that the queue gives.
	Visibility time.Duration
	// Wait is how long a receive waits for the first message; 0 is the longest that SQS knows, which
	// makes an idle queue cheapest.
	Wait time.Duration
	// Timeout bounds one attempt; 0 leaves it to the job's own, or to the 12 hours of SQS.
	Timeout time.Duration
	// UnknownGrace is how long, from its first receive, a message of unknown kind is kept.
	UnknownGrace time.Duration
	// FIFO: the queue is one. Messages of one group run one after the other, groups side by side.
	FIFO bool
	// Budget caps the messages handled at once over all pollers that share it; nil is no cap. Weight
	// is this poller's part of it when it is short; 0 is 1.
	Budget *Budget
	Weight int
	// Breaker rests the polling while half of the runs fail.
	Breaker bool
	// Rate bounds the messages started per second; 0 is no bound.
	Rate float64
	// Suspects is the lane, one per process, of messages on their try beyond SuspectAfter.
	Suspects     Lane
	SuspectAfter int
	// Paused: the queue rests from the start, until Resume.
	Paused bool
	// CutPolls cancels the open poll at drain. Only for a server that hands nothing to a caller
	// that has gone: on AWS what a cut poll brought stays hidden for the visibility timeout.
	CutPolls bool
	Hooks    Hooks
	// Random draws the jitter of retries, from 0 up to and without 1, and is called from many goroutines;
	// nil is math/rand. A test that draws 1 gets the bound of each delay.
	Random func() float64
	// Build and Host go into dead letters.
	Build, Host string
}

func (o *Options) check() error {
	var faults []error
	fault := func(format string, a ...any) { faults = append(faults, fmt.Errorf(format, a...)) }
	if o.Receiver == nil || o.Settler == nil || o.Route == nil {
		fault("receiver, settler and route are required")
	}
	if o.Slots < 1 {
		fault("slots %d: must be at least 1", o.Slots)
	}
	if (o.Prefetch < 0 && o.Prefetch != Auto) || o.Receivers < 0 {
		fault("prefetch %d, receivers %d: must not be negative", o.Prefetch, o.Receivers)
	}
	if o.Visibility < 0 || o.Visibility > queue.MaxHeld {
		fault("visibility %v: must be between 1s and 12h", o.Visibility)
	}
	if o.Rate < 0 || o.Weight < 0 || o.SuspectAfter < 0 {
		fault("rate %v, weight %d, suspect after %d: must not be negative", o.Rate, o.Weight, o.SuspectAfter)
	}
	if o.Timeout < 0 || o.UnknownGrace < 0 {
		fault("timeout %v, unknown grace %v: must not be negative", o.Timeout, o.UnknownGrace)
	}
	if len(faults) > 0 {
		return fmt.Errorf("poller %s: %w", o.Name, errors.Join(faults...))
	}
	return nil
}

func (o *Options) fill() {
	if o.Visibility == 0 {
		o.Visibility = DefaultVisibility
	}
	if o.Wait <= 0 || o.Wait > queue.MaxWait {
		o.Wait = queue.MaxWait
	}
	if o.UnknownGrace == 0 {
		o.UnknownGrace = DefaultUnknownGrace
	}
	if o.Random == nil {
		o.Random = rand.Float64
	}
	if o.Retry == (retry.Policy{}) {
		o.Retry = retry.Default
	}
}
