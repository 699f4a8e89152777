package publish

import (
	"context"
	"errors"
	"fmt"

	"go.opentelemetry.io/otel/attribute"

	"github.com/stationmaster/worker/internal/awsarn"
	"github.com/stationmaster/worker/internal/tracecarrier"
	"github.com/stationmaster/worker/queue"
)

// topicBytes is the largest message, and the largest batch, of a topic whose MaximumMessageSize nobody
// has set; it can be queue.MaxBytes at most. Source: PublishBatch, SNS API reference.
const topicBytes = 256 << 10

// destination is a topic or a queue, and how it is spoken to.
type destination struct {
	verb, name        string // "publish to", the name that the errors say
	key               string // tells topics apart
	operation, system string // of the spans
	permission        string
	more              []attribute.KeyValue
	fifo              bool
	// fields: each message of a batch has a trace header of its own.
	fields bool
	pack   int // bytes of one request
	send   func(ctx context.Context, messages []queue.Message) (ids []string, errs []error)
}

func toTopic(arn string) destination {
	name := awsarn.Name(arn)
	return destination{
		verb: "publish to", name: name, key: arn, operation: "publish", system: "aws.sns", permission: "sns:Publish",
		more: []attribute.KeyValue{attribute.String("aws.sns.topic.arn", arn)}, fifo: isFIFO(name),
	}
}

func toQueue(name string) destination {
	return destination{
		verb: "send to", name: name, operation: "send", system: "aws_sqs", permission: "sqs:GetQueueUrl and sqs:SendMessage",
		fifo: isFIFO(name), fields: true,
	}
}

func (d *destination) where() string { return d.verb + " " + d.name }

// check refuses what can never arrive, before anything is sent, and writes the delay as it travels.
//
// More than ten attributes are refused. SNS would take them, and throw the message away without a
// word at each subscription with raw delivery, because SQS takes ten.
func (d *destination) check(m *queue.Message) error {
	if err := d.delay(m); err != nil {
		return fmt.Errorf("%s: %w", d.where(), err)
	}
	if n := len(m.Attributes); n > queue.MaxAttributes {
		return fmt.Errorf("%s: %w: %d attributes, at most %d; put some into the body", d.where(), queue.ErrRejected, n, queue.MaxAttributes)
	}
	if n := m.Size(); n > queue.MaxBytes {
		return fmt.Errorf("%s: %w: %d bytes with its attributes, at most %d; keep the content elsewhere, as in S3, and send its key",
			d.where(), queue.ErrRejected, n, queue.MaxBytes)
	}
	if d.fifo && m.GroupID == "" {
		return fmt.Errorf("%s: %w: FIFO keeps order within a MessageGroupId, and this message has none",
			d.where(), queue.ErrRejected)
	}
	return nil
}

// inject puts the span of ctx on m, unless that made it too large: tracing costs no message.
func (d *destination) inject(ctx context.Context, m *queue.Message) {
	before := *m
	tracecarrier.Inject(ctx, m)
	for _, most := range []int{topicBytes, queue.MaxBytes} {
		if before.Size() <= most && m.Size() > most {
			*m = before
		}
	}
}

// told adds the way out to what AWS answered about m.
func (d *destination) told(err error, m *queue.Message) error {
	switch {
	case errors.Is(err, queue.ErrRejected) && d.system == "aws.sns" && m.Size() > topicBytes:
		return fmt.Errorf("%w; it has %d bytes with its attributes, and a topic takes %d unless its MaximumMessageSize says more:"+
			" raise that, or keep the content elsewhere, as in S3, and publish its key", err, m.Size(), topicBytes)
	case errors.Is(err, queue.ErrRejected) && d.fifo && m.DeduplicationID == "":
		return fmt.Errorf("%w; it has no MessageDeduplicationId: give one, or turn ContentBasedDeduplication on", err)
	}
	return withWay(err, d.permission)
}
