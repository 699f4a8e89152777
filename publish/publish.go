// Package publish is the producers' side: it publishes to topics and sends to queues by name, with
// a producer span whose W3C context travels in the message's attributes.
package publish

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/stationmaster/worker/internal/awsapi"
	"github.com/stationmaster/worker/queue"
)

// scope names the producer of the spans. The attribute keys are those of the OpenTelemetry
// semantic conventions 1.44.0, where messaging is still in development.
const scope = "github.com/stationmaster/worker/publish"

// Topics publishes to a topic by its ARN and returns SNS's MessageId.
type Topics interface {
	Publish(ctx context.Context, topicARN string, m queue.Message) (id string, err error)
}

// Options says how a Client reaches topics and queues.
type Options struct {
	Topics Topics
	// Queues finds a queue by name; nil when nothing is sent to queues.
	Queues func(ctx context.Context, name string) (queue.Sender, error)
	// Names are other names of topics, as a configuration has them: each for a name or an ARN.
	Names map[string]string
	// Partition, Region and Account make the ARN of a topic given by name. An empty Partition is
	// "aws".
	Partition, Region, Account string
	// Linger, when it is not 0, lets concurrent calls of Publish share requests: each waits up to this
	// long, at most a second, for others to the same topic. It spares requests where many publish at
	// once, and costs a lone caller the wait. FIFO topics are not gathered.
	Linger time.Duration
	// Tracer makes the spans; nil is OpenTelemetry's global provider.
	Tracer trace.TracerProvider
}

// Client publishes and sends. It is safe for concurrent use and is a jobs.Publisher.
type Client struct {
	o      Options
	tracer trace.Tracer
	gather gather
}

// New makes a Client.
func New(o Options) *Client {
	if o.Partition == "" {
		o.Partition = "aws"
	}
	if o.Tracer == nil {
		o.Tracer = otel.GetTracerProvider()
	}
	return &Client{o: o, tracer: o.Tracer.Tracer(scope)}
}

// Open makes a Client for the account and region of cfg, which it asks AWS for.
func Open(ctx context.Context, cfg aws.Config) (*Client, error) {
	api := awsapi.New(cfg, awsapi.Options{})
	who, err := api.Identity(ctx)
	if err != nil {
		return nil, fmt.Errorf("open publisher: %w", err)
	}
	return New(Options{
		Topics: api, Partition: who.Partition, Region: who.Region, Account: who.Account,
		Queues: func(ctx context.Context, name string) (queue.Sender, error) {
			url, err := api.QueueURL(ctx, name, "")
			if err != nil {
				return nil, err
			}
			return api.Queue(url, awsapi.QueueOptions{}), nil
		},
	}), nil
}

// Publish publishes m to a topic, given by name or ARN, and returns SNS's MessageId. The trace
// context takes no attribute that is needed, and m itself is not changed. What can never arrive is
// refused before the network: more than ten attributes or 1 MiB, and FIFO without a group.
func (c *Client) Publish(ctx context.Context, topic string, m queue.Message) (string, error) {
	if c.o.Topics == nil {
		return "", fmt.Errorf("publish to %s: this client has no topics; set Options.Topics", topic)
	}
	arn, err := c.topicARN(topic)
	if err != nil {
		return "", err
	}
	d := c.topic(arn)
	if c.o.Linger > 0 && !d.fifo {
		return c.gathered(ctx, &d, m)
	}
	return c.one(ctx, &d, m, func(ctx context.Context, m queue.Message) (string, error) { return c.o.Topics.Publish(ctx, arn, m) })
}

// Send sends m to a queue, given by name, and returns SQS's MessageId. It refuses what Publish refuses.
func (c *Client) Send(ctx context.Context, name string, m queue.Message) (string, error) {
	if c.o.Queues == nil {
		return "", fmt.Errorf("send to %s: this client has no queues; set Options.Queues", name)
	}
	d := toQueue(name)
	return c.one(ctx, &d, m, func(ctx context.Context, m queue.Message) (string, error) {
		to, err := c.o.Queues(ctx, name)
		if err != nil {
			return "", err
		}
		ids, errs := to.Send(ctx, []queue.Message{m})
		if err := queue.At(errs, 0); err != nil {
			return "", err
		}
		return ids[0], nil
	})
}

// one sends one message, with a span of its own.
func (c *Client) one(ctx context.Context, d *destination, m queue.Message, send func(context.Context, queue.Message) (string, error)) (string, error) {
	if err := d.check(&m); err != nil {
		return "", err
	}
	ctx, span := c.start(ctx, d.operation, d)
	defer span.End()
	d.inject(ctx, &m)
	id, err := send(ctx, m)
	if err != nil {
		err = d.told(err, &m)
	}
	finish(span, id, err)
	return id, err
}

// withWay adds the way out to what AWS answered.
func withWay(err error, permission string) error {
	switch {
	case errors.Is(err, queue.ErrNotFound):
		return fmt.Errorf("%w; correct the name, or create what is declared with: worker topology apply", err)
	case errors.Is(err, queue.ErrDenied):
		return fmt.Errorf("%w; allow %s to this role", err, permission)
	}
	return err
}

func (c *Client) topicARN(topic string) (string, error) {
	if other := c.o.Names[topic]; other != "" {
		topic = other
	}
	if strings.HasPrefix(topic, "arn:") {
		return topic, nil
	}
	if topic == "" || c.o.Region == "" || c.o.Account == "" {
		return "", fmt.Errorf("publish to %q: %w: a topic's name needs a region and an account, not %q and %q; give its ARN",
			topic, queue.ErrRejected, c.o.Region, c.o.Account)
	}
	return strings.Join([]string{"arn", c.o.Partition, "sns", c.o.Region, c.o.Account, topic}, ":"), nil
}

func (c *Client) start(ctx context.Context, operation string, d *destination, more ...trace.SpanStartOption) (context.Context, trace.Span) {
	kind := "send"
	if operation == "create" {
		kind = operation
	}
	return c.tracer.Start(ctx, operation+" "+d.name, append([]trace.SpanStartOption{
		trace.WithSpanKind(trace.SpanKindProducer), trace.WithAttributes(d.more...), trace.WithAttributes(
			attribute.String("messaging.system", d.system),
			attribute.String("messaging.operation.name", operation),
			attribute.String("messaging.operation.type", kind),
			attribute.String("messaging.destination.name", d.name),
		),
	}, more...)...)
}

func finish(span trace.Span, id string, err error) {
	if err == nil {
		span.SetAttributes(attribute.String("messaging.message.id", id))
		return
	}
	kind := "_OTHER"
	var coded interface{ ErrorCode() string }
	if errors.As(err, &coded) {
		kind = coded.ErrorCode()
	}
	span.SetAttributes(attribute.String("error.type", kind))
	span.SetStatus(codes.Error, err.Error())
}
