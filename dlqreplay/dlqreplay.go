// Package dlqreplay moves dead letters: it scans a dead-letter queue and holds what it finds, says why
// each of them died, and sends back those that were chosen, proving with a journal that nothing is lost
// and watching whether what was sent comes back.
//
// The parts, in the order of a run:
//
//	Scan      receives every dead letter once and holds it: a frozen set
//	Plan      groups them by cause, and judges which of the chosen may be replayed
//	Run       moves them: journal, send, delete what was accepted; canary, pace, returns
//	Store     journals and plans on disk, and what a run that ended early had done
//
// Nothing is deleted from a dead-letter queue that was not accepted elsewhere before.
package dlqreplay

import (
	"context"
	"time"

	"github.com/stationmaster/worker/queue"
)

const (
	// MaxHeld is how many dead letters are held at once. SQS hands out about 120,000 messages of a
	// queue and then, to a long poll, nothing, without an error. Source: "Amazon SQS message quotas".
	MaxHeld = 110_000
	// leastHold and mostHold bound for how long one receive hides a dead letter: what a run that was
	// killed held comes back after that time.
	leastHold, mostHold = 2 * time.Minute, 15 * time.Minute
)

// HoldFor returns for how long the receives of a run over n dead letters should hide them: short for
// few, since a run that is killed keeps them hidden for as long; longer for many, whose holds take
// many requests to extend.
func HoldFor(n int64) time.Duration {
	d := leastHold * time.Duration(max(n, 1)) / 10_000
	return min(max(d, leastHold), mostHold).Round(time.Second)
}

// Counts are the approximate numbers of messages of a queue.
type Counts struct{ Visible, InFlight, Delayed int64 }

// Source is what is asked of a dead-letter queue. Its Settler need not be safe against lost answers:
// a delete that was performed and not answered is deleted again, which SQS takes for success.
type Source interface {
	queue.Receiver
	queue.Settler
}

// DLQ is a dead-letter queue.
type DLQ struct {
	Name, ARN string
	FIFO      bool
	Queue     Source
	// Hold is for how long a receive of Queue hides a message; see HoldFor.
	Hold time.Duration
	// Retention is the queue's; 0 when it is not known.
	Retention time.Duration
	// Counts reads the counts of the queue.
	Counts func(ctx context.Context) (Counts, error)
}

// Taker takes dead letters over: ls[i] is the dead letter, ms[i] what is to be sent for it. Answers are
// by index; a nil errs means that all were taken. An error that wraps queue.ErrUnanswered says that the
// message may have been taken; one that wraps queue.ErrRejected that it never will be. Others may pass, and
// are tried again. A Taker never repeats by itself what may have been performed, and bounds its requests.
type Taker interface {
	Take(ctx context.Context, ls []*Letter, ms []queue.Message) (ids []string, errs []error)
}

// Sends is a Taker that sends to a queue.
func Sends(to queue.Sender) Taker { return sends{to} }

type sends struct{ to queue.Sender }

func (s sends) Take(ctx context.Context, _ []*Letter, ms []queue.Message) (ids []string, errs []error) {
	return s.to.Send(ctx, ms)
}

// Destination is where dead letters go.
type Destination struct {
	// Name is what people read: a queue's name, "job audit", a file.
	Name string
	// ARN is the queue's; empty for what is no queue.
	ARN  string
	FIFO bool
	// MaxBytes is the queue's MaximumMessageSize; 0 is queue.MaxBytes.
	MaxBytes int
	Taker    Taker
	// Unchanged: messages go as they are, with their record and their ids. Otherwise the record's
	// failure is replaced by the mark of this replay, and FIFO queues get a fresh deduplication id.
	Unchanged bool
	// Marks: a worker of this program reads the queue, so that messages without a record get the mark, too.
	Marks bool
	// Counts reads the counts of the queue, for Pace.MaxBacklog; nil where there are none.
	Counts func(ctx context.Context) (Counts, error)
}
