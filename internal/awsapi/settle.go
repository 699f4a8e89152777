package awsapi

import (
	"context"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/stationmaster/worker/queue"
)

// Delete deletes the messages of handles. A request that the network or the service lost is
// repeated within five seconds and within ctx; entries that were refused are not: the caller knows
// how much lease is left.
func (q *Queue) Delete(ctx context.Context, handles []queue.ReceiptHandle) []error {
	b := batch{op: "delete from", queue: q.name, n: len(handles), handles: handles}
	if b.n == 0 || b.n > queue.MaxBatch {
		return b.wrongSize()
	}
	ctx, cancel := context.WithTimeout(ctx, settleTimeout)
	defer cancel()
	done, first := q.settleDirect(ctx, deleteCall, handles, nil)
	if done {
		return nil
	}
	entries := make([]types.DeleteMessageBatchRequestEntry, b.n)
	for i := range handles {
		entries[i] = types.DeleteMessageBatchRequestEntry{Id: &ids[i], ReceiptHandle: (*string)(&handles[i])}
	}
	out, err := q.client.settle.DeleteMessageBatch(ctx, &sqs.DeleteMessageBatchInput{QueueUrl: &q.url, Entries: entries}, first.options()...)
	if err != nil {
		q.requests.Add(attemptsOf(err))
		return b.failed(err)
	}
	q.requests.Add(attempts(out.ResultMetadata))
	return answers(&b, out.Successful, out.Failed, func(e *types.DeleteMessageBatchResultEntry) *string { return e.Id })
}

// settleDirect makes the call without the SDK; done says that every entry was accepted. Otherwise
// the SDK has to do it, with what came of the first try.
func (q *Queue) settleDirect(ctx context.Context, op operation, handles []queue.ReceiptHandle, visible []time.Duration) (done bool, first *taken) {
	d := q.client.settled
	w, t := d.begin(op)
	if w == nil {
		return false, nil
	}
	w.body = appendSettle(w.body, q.url, handles, visible)
	answer, first := d.send(ctx, w, t)
	if answer == nil {
		return false, first
	}
	if !decodeSettled(answer.Body, len(handles)) {
		return false, d.takeover(answer)
	}
	answer.Release()
	q.requests.Add(1)
	d.succeeded(ctx)
	return true, nil
}

// ChangeVisibility hides handles[i] for visible[i] from now, in whole seconds rounded up; 0 gives
// the message back at once. It repeats requests as Delete does.
func (q *Queue) ChangeVisibility(ctx context.Context, handles []queue.ReceiptHandle, visible []time.Duration) []error {
	b := batch{op: "change visibility in", queue: q.name, n: len(handles), handles: handles}
	if b.n == 0 || b.n > queue.MaxBatch {
		return b.wrongSize()
	}
	if len(visible) != b.n {
		return b.failed(fmt.Errorf("%w: %d handles with %d durations", queue.ErrRejected, b.n, len(visible)))
	}
	for _, v := range visible {
		// Checked here, so that InvalidParameterValue can only be about the receipt.
		if v < 0 || v > queue.MaxHeld {
			return b.failed(fmt.Errorf("%w: visibility timeout %s, must be 0s to %s", queue.ErrRejected, v, queue.MaxHeld))
		}
	}
	ctx, cancel := context.WithTimeout(ctx, settleTimeout)
	defer cancel()
	done, first := q.settleDirect(ctx, hideCall, handles, visible)
	if done {
		return nil
	}
	entries := make([]types.ChangeMessageVisibilityBatchRequestEntry, b.n)
	for i := range handles {
		entries[i] = types.ChangeMessageVisibilityBatchRequestEntry{
			Id: &ids[i], ReceiptHandle: (*string)(&handles[i]), VisibilityTimeout: wholeSeconds(visible[i]),
		}
	}
	out, err := q.client.settle.ChangeMessageVisibilityBatch(ctx,
		&sqs.ChangeMessageVisibilityBatchInput{QueueUrl: &q.url, Entries: entries}, first.options()...)
	if err != nil {
		q.requests.Add(attemptsOf(err))
		return b.failed(err)
	}
	q.requests.Add(attempts(out.ResultMetadata))
	return answers(&b, out.Successful, out.Failed, func(e *types.ChangeMessageVisibilityBatchResultEntry) *string { return e.Id })
}
