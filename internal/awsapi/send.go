package awsapi

import (
	"context"
	"errors"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/stationmaster/worker/queue"
)

// errOtherBody says that SQS stored something else than was sent.
var errOtherBody = errors.New("the MD5 of the stored body differs from that of the body sent; send it again, and expect a duplicate")

// Send sends messages as one batch; the caller packs it. Requests that the network or the service
// lost are repeated within ten seconds, which on a standard queue can store a message twice: SQS
// delivers at least once anyway.
func (q *Queue) Send(ctx context.Context, messages []queue.Message) ([]string, []error) {
	return q.send(ctx, messages, false)
}

// SendOnce is Send with a single request, so that the caller knows what he repeats. An error that wraps
// queue.ErrUnanswered says that the message may have been stored: the answer was lost, the service
// failed in the middle, or it stored something else than was sent. With any other error it was not.
func (q *Queue) SendOnce(ctx context.Context, messages []queue.Message) (ids []string, errs []error) {
	return q.send(ctx, messages, true)
}

// Once is the queue as a sender that makes a single request for each batch; see SendOnce.
func (q *Queue) Once() queue.Sender { return once{q} }

type once struct{ q *Queue }

// Send implements queue.Sender.
func (o once) Send(ctx context.Context, messages []queue.Message) (ids []string, errs []error) {
	return o.q.SendOnce(ctx, messages)
}

// oneTry takes the SDK's own repetitions away.
func oneTry(o *sqs.Options) { o.Retryer = aws.NopRetryer{} }

func (q *Queue) send(ctx context.Context, messages []queue.Message, single bool) ([]string, []error) {
	b := batch{op: "send to", queue: q.name, n: len(messages), once: single}
	sent := make([]string, b.n)
	if b.n == 0 || b.n > queue.MaxBatch {
		return sent, b.wrongSize()
	}
	entries := make([]types.SendMessageBatchRequestEntry, b.n)
	for i := range messages {
		entries[i] = sendEntry(i, &messages[i])
	}
	if err := context.Cause(ctx); err != nil && single {
		b.once = false // nothing is sent
		return sent, b.failed(err)
	}
	ctx, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	var options []func(*sqs.Options)
	if single {
		options = append(options, oneTry)
	}
	out, err := q.client.settle.SendMessageBatch(ctx, &sqs.SendMessageBatchInput{QueueUrl: &q.url, Entries: entries}, options...)
	if err != nil {
		q.requests.Add(attemptsOf(err))
		return sent, b.failed(err)
	}
	q.requests.Add(attempts(out.ResultMetadata))
	for i := range out.Successful {
		s := &out.Successful[i]
		at, ok := b.accept(s.Id)
		if !ok {
			continue
		}
		sent[at] = value(s.MessageId)
		if !intact(&messages[at].Body, s.MD5OfMessageBody) {
			b.fail(at, errOtherBody)
		}
	}
	return sent, b.refused(out.Failed)
}

func sendEntry(i int, m *queue.Message) types.SendMessageBatchRequestEntry {
	e := types.SendMessageBatchRequestEntry{Id: &ids[i], MessageBody: &m.Body, MessageAttributes: sqsAttributes(m.Attributes)}
	if m.Delay > 0 {
		e.DelaySeconds = wholeSeconds(m.Delay)
	}
	if m.GroupID != "" {
		e.MessageGroupId = &m.GroupID
	}
	if m.DeduplicationID != "" {
		e.MessageDeduplicationId = &m.DeduplicationID
	}
	if m.TraceHeader != "" {
		dataType := "String"
		e.MessageSystemAttributes = map[string]types.MessageSystemAttributeValue{
			"AWSTraceHeader": {DataType: &dataType, StringValue: &m.TraceHeader},
		}
	}
	return e
}
