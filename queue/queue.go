// Package queue holds the values and the narrow ports that everything above speaks: a message as
// a producer wrote it, one delivery of it, and the three things that can be asked of a queue
// (receive, settle, send). It knows no SDK and no clock; internal/awsapi fits the ports to Amazon
// SQS and tests fit them to fakes.
package queue

import (
	"context"
	"time"
)

// Limits of Amazon SQS that more than one package must respect.
// Source: the SQS API reference (ReceiveMessage, SendMessage, ChangeMessageVisibility).
const (
	// MaxBatch is the most entries one batch request or one receive may carry.
	MaxBatch = 10
	// MaxAttributes is the most message attributes one message may carry.
	MaxAttributes = 10
	// MaxBytes is the largest message, body and attributes together, and the largest batch.
	MaxBytes = 1 << 20
	// MaxWait is the longest long poll.
	MaxWait = 20 * time.Second
	// MaxHeld is how long one receipt can be kept invisible, counted from the receive.
	MaxHeld = 12 * time.Hour
	// MaxDelay is the longest DelaySeconds of one message on a standard queue.
	MaxDelay = 15 * time.Minute
)

// Attribute is one message attribute. Type is the exact DataType as AWS spells it, custom suffix
// included ("String", "Number.int", "Binary.png"). Binary types use Binary, all others Text.
type Attribute struct {
	Type   string
	Text   string
	Binary []byte
}

// Message is what a producer sent, without anything that a queue added.
type Message struct {
	Body       string
	Attributes map[string]Attribute
	// GroupID is the MessageGroupId: order on FIFO queues, tenant on fair standard queues.
	GroupID string
	// DeduplicationID is the MessageDeduplicationId (FIFO only).
	DeduplicationID string
	// TraceHeader is the AWSTraceHeader system attribute. It counts neither as an attribute nor
	// toward the size.
	TraceHeader string
	// Delay is SQS's DelaySeconds, rounded up to whole seconds: at most MaxDelay, and on a FIFO queue
	// none. Topics have no such thing. It is only sent, never received.
	Delay time.Duration
}

// ReceiptHandle names one receipt of a message. It is a credential: never log it.
type ReceiptHandle string

// Delivery is one receipt of a message.
type Delivery struct {
	Message
	// MessageID is SQS's own id; every send, and so every replay, makes a new one.
	MessageID string
	Handle    ReceiptHandle
	// Receives is ApproximateReceiveCount, this receive included.
	Receives int
	// Sent and FirstReceived are SQS's times; zero when SQS did not say.
	Sent, FirstReceived time.Time
	// Received is when the response arrived.
	Received time.Time
	// Deadline is when the lease ends by our clock: the arrival of the response, less a margin
	// for the way back, plus the visibility timeout.
	Deadline time.Time
	// SourceARN is DeadLetterQueueSourceArn: the queue this message came from when SQS itself
	// moved it into a dead-letter queue.
	SourceARN string
}

// Receiver receives up to n messages, waiting up to wait for the first.
//
// Errors are classed: errors.Is tells ErrThrottled, ErrNotFound, ErrDenied and ErrCredentials
// apart; anything else is the network or the service and may pass by itself.
type Receiver interface {
	Receive(ctx context.Context, n int, wait time.Duration) ([]Delivery, error)
}

// Repeater is a Receiver of a FIFO queue, whose lost answers can be asked for again: their groups would
// stand still until the visibility timeout ends.
type Repeater interface {
	// ReceiveAs is Receive under an attempt id. Repeated with the same id within five minutes it
	// brings the same deliveries, as long as none of them has been touched.
	ReceiveAs(ctx context.Context, attempt string, n int, wait time.Duration) ([]Delivery, error)
}

// Settler ends deliveries or moves their deadline. Both methods take at most MaxBatch handles and
// answer by index; a nil slice means that every entry was accepted. They do not retry: the caller
// knows how much lease is left, the adapter does not.
type Settler interface {
	Delete(ctx context.Context, handles []ReceiptHandle) []error
	// ChangeVisibility hides handles[i] for visible[i] from now; 0 gives the message back.
	ChangeVisibility(ctx context.Context, handles []ReceiptHandle, visible []time.Duration) []error
}

// Sender sends messages, at most MaxBatch and MaxBytes at once. ids and errs are index-aligned;
// a nil errs means that all were accepted.
type Sender interface {
	Send(ctx context.Context, messages []Message) (ids []string, errs []error)
}
