package awsapi

import (
	"context"
	"time"

	"github.com/stationmaster/worker/queue"
)

// attemptKey is the key of the attempt id in the context of one receive.
type attemptKey struct{}

// ReceiveAs is Receive from a FIFO queue under an attempt id, 1 to 128 letters, digits and punctuation.
// Repeated within five minutes it brings the same deliveries, as long as none of them has been touched,
// and their leases start anew. Source: ReceiveRequestAttemptId of ReceiveMessage, SQS API reference.
func (q *Queue) ReceiveAs(ctx context.Context, attempt string, n int, wait time.Duration) ([]queue.Delivery, error) {
	return q.Receive(context.WithValue(ctx, attemptKey{}, attempt), n, wait)
}

// attemptOf is the attempt id of a receive; nil when it has none.
func attemptOf(ctx context.Context) *string {
	if id, ok := ctx.Value(attemptKey{}).(string); ok && id != "" {
		return &id
	}
	return nil
}
