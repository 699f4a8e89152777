package dlqreplay

import (
	"context"
	crand "crypto/rand"
	"time"

	"github.com/stationmaster/worker/queue"
)

// attemptFor is how long SQS remembers an answer, less what the last request may take. Source:
// ReceiveRequestAttemptId of ReceiveMessage, SQS API reference.
const attemptFor = 4 * time.Minute

// receiver receives from a dead-letter queue. On FIFO queues each receive has a name, so that an answer that
// was lost can be asked for again.
type receiver struct {
	dlq     DLQ
	attempt string
	began   time.Time // the attempt
}

// receive makes one receive.
func (v *receiver) receive(ctx context.Context, n int) ([]queue.Delivery, error) {
	call, cancel := context.WithTimeout(ctx, receiveBound)
	defer cancel()
	r, ok := v.dlq.Queue.(queue.Repeater)
	if !v.dlq.FIFO || !ok {
		return v.dlq.Queue.Receive(call, n, scanWait)
	}
	if v.attempt == "" || time.Since(v.began) > attemptFor {
		v.attempt, v.began = crand.Text(), time.Now()
	}
	ds, err := r.ReceiveAs(call, v.attempt, n, scanWait)
	if err == nil || len(ds) > 0 || answered(err) {
		v.attempt = ""
	}
	return ds, err
}
