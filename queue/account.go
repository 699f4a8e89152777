package queue

import "time"

// Subscription is one subscription as SNS lists it. ARN is a word instead of an ARN while it waits to
// be confirmed ("PendingConfirmation") and for a while after its end ("Deleted").
type Subscription struct{ ARN, TopicARN, Protocol, Endpoint, Owner string }

// MoveTask is one task of SQS's own redrive.
type MoveTask struct {
	// Handle cancels the task; SQS tells it only while the task is running.
	Handle string
	// Status is RUNNING, COMPLETED, CANCELLING, CANCELLED or FAILED; Failure says why it has failed.
	Status, Failure string
	// From and To are ARNs; To is empty when each message goes where it came from.
	From, To string
	Started  time.Time
	// Moved of about ToMove messages are moved; ToMove was counted when the task was started.
	Moved, ToMove int64
	PerSecond     int // 0: SQS chooses
}

// Running reports whether the task moves messages still.
func (t *MoveTask) Running() bool { return t.Status == "RUNNING" || t.Status == "CANCELLING" }
