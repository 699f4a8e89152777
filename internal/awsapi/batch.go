package awsapi

import (
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"

	"github.com/stationmaster/worker/queue"
)

// ids are the entry ids of every batch: the position, so that an answer finds its entry without a
// map.
var ids = [queue.MaxBatch]string{"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"}

// errNoAnswer marks an entry that the response neither accepts nor refuses.
var errNoAnswer = errors.New("the response says nothing of this entry")

// batch reads the answer of a batch call by position.
type batch struct {
	op, queue string
	n         int
	// handles are what the entries of a settle carry, and nothing else that could be invalid.
	handles []queue.ReceiptHandle
	// once: the request is not repeated here, and its caller must know what was lost.
	once     bool
	answered [queue.MaxBatch]bool
	errs     []error
}

// accept notes a successful entry and returns its position.
func (b *batch) accept(id *string) (int, bool) {
	i := b.position(id)
	if i < 0 {
		return 0, false
	}
	b.answered[i] = true
	return i, true
}

// fail notes the error of entry i.
func (b *batch) fail(i int, err error) {
	if b.errs == nil {
		b.errs = make([]error, b.n)
	}
	b.answered[i] = true
	b.errs[i] = b.wrap(err)
}

// refused notes what the service refused and what it forgot, and returns the answer by index.
func (b *batch) refused(entries []types.BatchResultErrorEntry) []error {
	for i := range entries {
		if at := b.position(entries[i].Id); at >= 0 {
			b.fail(at, &entryError{code: value(entries[i].Code), message: value(entries[i].Message), sender: entries[i].SenderFault})
		}
	}
	for i := range b.n {
		if !b.answered[i] {
			b.fail(i, errNoAnswer)
		}
	}
	return b.errs
}

// answers reads the answer of a settle: what was accepted, whose ids id tells, and what was not.
func answers[E any](b *batch, accepted []E, refused []types.BatchResultErrorEntry, id func(*E) *string) []error {
	if len(accepted) == b.n {
		return nil
	}
	for i := range accepted {
		b.accept(id(&accepted[i]))
	}
	return b.refused(refused)
}

// failed answers every entry with the error of the whole request.
func (b *batch) failed(err error) []error {
	return queue.Each(b.wrap(err), b.n)
}

func (b *batch) wrap(err error) error {
	err = b.lost(err)
	if b.once && unanswered(err) {
		err = fmt.Errorf("%w: %w", queue.ErrUnanswered, err)
	}
	return &fault{op: b.op, name: b.queue, class: classify(err), err: err, handles: b.handles}
}

// wrongSize answers an empty batch, which is no work, and one that is too large.
func (b *batch) wrongSize() []error {
	if b.n == 0 {
		return nil
	}
	return b.failed(fmt.Errorf("%w: %d entries in one batch, must be at most %d", queue.ErrRejected, b.n, queue.MaxBatch))
}

// lost classes InvalidParameterValue of a settle as a lost lease: the duration was checked before
// the request, so only the receipt is left to be invalid. A receipt whose message has been held
// for the whole twelve hours answers the same, and its lease is over as well.
func (b *batch) lost(err error) error {
	if b.handles == nil {
		return err
	}
	var api smithy.APIError
	if errors.As(err, &api) && api.ErrorCode() == "InvalidParameterValue" {
		return fmt.Errorf("%w: %w", queue.ErrLeaseLost, err)
	}
	return err
}

func (b *batch) position(id *string) int {
	if id == nil || len(*id) != 1 {
		return -1
	}
	i := int((*id)[0] - '0')
	if i < 0 || i >= b.n {
		return -1
	}
	return i
}

// entryError is the answer to one entry of a batch. It is a smithy.APIError, so that the code that
// reads request errors reads it too.
type entryError struct {
	code, message string
	sender        bool
}

func (e *entryError) Error() string        { return e.code + ": " + e.message }
func (e *entryError) ErrorCode() string    { return e.code }
func (e *entryError) ErrorMessage() string { return e.message }
func (e *entryError) ErrorFault() smithy.ErrorFault {
	if e.sender {
		return smithy.FaultClient
	}
	return smithy.FaultServer
}

// attempts counts the HTTP requests of a call that succeeded.
func attempts(m middleware.Metadata) int64 {
	if r, ok := retry.GetAttemptResults(m); ok && len(r.Results) > 0 {
		return int64(len(r.Results))
	}
	return 1
}

// attemptsOf counts the HTTP requests of a call that failed.
func attemptsOf(err error) int64 {
	if most, ok := errors.AsType[*retry.MaxAttemptsError](err); ok {
		return int64(most.Attempt)
	}
	return 1
}
