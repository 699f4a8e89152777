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
	b := batch{op: "delete from", queue: q.name, n: len(handles), receipts: true}
	if b.n == 0 || b.n > queue.MaxBatch {
		return b.wrongSize()
	}
	entries := make([]types.DeleteMessageBatchRequestEntry, b.n)
	for i := range handles {
		entries[i] = types.DeleteMessageBatchRequestEntry{Id: &ids[i], ReceiptHandle: (*string)(&handles[i])}
	}
	ctx, cancel := context.WithTimeout(ctx, settleTimeout)
	defer cancel()
	out, err := q.client.settle.DeleteMessageBatch(ctx, &sqs.DeleteMessageBatchInput{QueueUrl: &q.url, Entries: entries})
	if err != nil {
		q.requests.Add(attemptsOf(err))
		return b.failed(err)
	}
	q.requests.Add(attempts(out.ResultMetadata))
	if len(out.Successful) == b.n {
		return nil
	}
	for i := range out.Successful {
		b.accept(out.Successful[i].Id)
	}
	return b.refused(out.Failed)
}

// ChangeVisibility hides handles[i] for visible[i] from now, in whole seconds rounded up; 0 gives
// the message back at once. It repeats requests as Delete does.
func (q *Queue) ChangeVisibility(ctx context.Context, handles []queue.ReceiptHandle, visible []time.Duration) []error {
	b := batch{op: "change visibility in", queue: q.name, n: len(handles), receipts: true}
	if b.n == 0 || b.n > queue.MaxBatch {
		return b.wrongSize()
	}
	if len(visible) != b.n {
		return b.failed(fmt.Errorf("%w: %d handles with %d durations", queue.ErrRejected, b.n, len(visible)))
	}
	entries := make([]types.ChangeMessageVisibilityBatchRequestEntry, b.n)
	for i := range handles {
		// Checked here, so that InvalidParameterValue can only be about the receipt.
		if visible[i] < 0 || visible[i] > queue.MaxHeld {
			return b.failed(fmt.Errorf("%w: visibility timeout %s, must be 0s to %s", queue.ErrRejected, visible[i], queue.MaxHeld))
		}
		entries[i] = types.ChangeMessageVisibilityBatchRequestEntry{
			Id: &ids[i], ReceiptHandle: (*string)(&handles[i]), VisibilityTimeout: wholeSeconds(visible[i]),
		}
	}
	ctx, cancel := context.WithTimeout(ctx, settleTimeout)
	defer cancel()
	out, err := q.client.settle.ChangeMessageVisibilityBatch(ctx,
		&sqs.ChangeMessageVisibilityBatchInput{QueueUrl: &q.url, Entries: entries})
	if err != nil {
		q.requests.Add(attemptsOf(err))
		return b.failed(err)
	}
	q.requests.Add(attempts(out.ResultMetadata))
	if len(out.Successful) == b.n {
		return nil
	}
	for i := range out.Successful {
		b.accept(out.Successful[i].Id)
	}
	return b.refused(out.Failed)
}
