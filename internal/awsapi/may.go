package awsapi

import (
	"context"
	"errors"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/stationmaster/worker/queue"
)

// The dry calls below ask for something that SQS cannot do, so that only a missing permission tells:
// who may not is refused before anybody looks at what he asks for. They return nil for every other
// answer, since nothing follows from it, and touch no message whatever the server makes of them.

// noReceipt is no receipt of any queue.
const noReceipt = "stationmaster-asks-for-permission-only"

// MaySend returns an error that wraps queue.ErrDenied when sqs:SendMessage is denied.
func (q *Queue) MaySend(ctx context.Context) error {
	return q.may(ctx, "sqs:SendMessage", func(ctx context.Context) error {
		_, err := q.client.control.SendMessageBatch(ctx,
			&sqs.SendMessageBatchInput{QueueUrl: &q.url, Entries: []types.SendMessageBatchRequestEntry{}})
		return err
	})
}

// MayDelete returns an error that wraps queue.ErrDenied when sqs:DeleteMessage is denied.
func (q *Queue) MayDelete(ctx context.Context) error {
	receipt := noReceipt
	return q.may(ctx, "sqs:DeleteMessage", func(ctx context.Context) error {
		_, err := q.client.control.DeleteMessage(ctx, &sqs.DeleteMessageInput{QueueUrl: &q.url, ReceiptHandle: &receipt})
		return err
	})
}

// MayChangeVisibility returns an error that wraps queue.ErrDenied when sqs:ChangeMessageVisibility is
// denied.
func (q *Queue) MayChangeVisibility(ctx context.Context) error {
	receipt := noReceipt
	return q.may(ctx, "sqs:ChangeMessageVisibility", func(ctx context.Context) error {
		_, err := q.client.control.ChangeMessageVisibility(ctx,
			&sqs.ChangeMessageVisibilityInput{QueueUrl: &q.url, ReceiptHandle: &receipt, VisibilityTimeout: 0})
		return err
	})
}

func (q *Queue) may(ctx context.Context, action string, ask func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, controlTimeout)
	defer cancel()
	if err := wrap(action+" on", q.name, ask(ctx)); errors.Is(err, queue.ErrDenied) {
		return err
	}
	return nil
}
