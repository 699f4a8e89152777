package poller

import (
	"errors"
	"fmt"

	"github.com/stationmaster/worker/queue"
)

// Causes of a job's context (context.Cause).
var (
	// ErrDrain: the drain deadline has come.
	ErrDrain = errors.New("worker is draining")
	// ErrLeaseLost: another worker may have the message by now.
	ErrLeaseLost = queue.ErrLeaseLost
	// ErrTimeout: this attempt took longer than its timeout.
	ErrTimeout = errors.New("job timeout")

	errStopped = errors.New("poller has stopped")
)

// timeoutError is the failure of an attempt that ran into its timeout.
type timeoutError struct{ err error }

func (e *timeoutError) Error() string { return fmt.Sprintf("%v: %v", ErrTimeout, e.err) }
func (e *timeoutError) Unwrap() []error {
	return []error{ErrTimeout, e.err}
}

// Class names the failure in a dead letter's record.
func (e *timeoutError) Class() string { return "timeout" }

// unknownKindError is the reason of a message that no job here takes.
type unknownKindError struct{ queue string }

func (e *unknownKindError) Error() string {
	return "no job of queue " + e.queue + " takes this kind of message: add it to the queue's jobs"
}

// Class names the failure in a dead letter's record.
func (e *unknownKindError) Class() string { return "unknown_kind" }
