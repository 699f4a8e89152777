package publish

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/stationmaster/worker/internal/tracecarrier"
	"github.com/stationmaster/worker/queue"
)

// ErrHeldBack says that an entry of a batch was not sent, because one before it, of the same message
// group, was not accepted: sent without it, it would have overtaken it. Send both again, in order.
var ErrHeldBack = errors.New("held back")

var errNothingSaid = errors.New("the answer says nothing of this entry: it may have been accepted")

// batches publishes up to ten messages in one request, with index-aligned answers. Topics that have no
// such method are given the messages one by one.
type batches interface {
	PublishBatch(ctx context.Context, topicARN string, messages []queue.Message) (ids []string, errs []error)
}

// PublishBatch publishes any number of messages to a topic, given by name or ARN, in requests of up to
// ten entries and 256 KiB, one after the other. The answer is index-aligned: ids[i] is SNS's MessageId,
// or errs[i] says why there is none; a nil errs means that all were accepted. No entry is left without
// an answer, and one that fails costs no other, save on a FIFO topic: what follows it in its message
// group and has not left yet is answered with ErrHeldBack, so that order is kept.
//
// Once ctx has ended, what has not left is answered with its error. An entry whose answer was lost may
// have been published.
//
// Source of the limits: PublishBatch, SNS API reference.
func (c *Client) PublishBatch(ctx context.Context, topic string, messages []queue.Message) (ids []string, errs []error) {
	if c.o.Topics == nil {
		return c.none(messages, fmt.Errorf("publish to %s: this client has no topics; set Options.Topics", topic))
	}
	arn, err := c.topicARN(topic)
	if err != nil {
		return c.none(messages, err)
	}
	d := c.topic(arn)
	return c.batch(ctx, &d, messages, nil)
}

// topic is a topic with the way to send batches to it.
func (c *Client) topic(arn string) destination {
	d := toTopic(arn)
	d.pack = topicBytes
	d.send = func(ctx context.Context, ms []queue.Message) ([]string, []error) {
		if many, ok := c.o.Topics.(batches); ok && len(ms) > 1 {
			return many.PublishBatch(ctx, arn, ms)
		}
		return oneByOne(ms, d.fifo, func(m queue.Message) (string, error) { return c.o.Topics.Publish(ctx, arn, m) })
	}
	return d
}

// SendBatch sends any number of messages to a queue, given by name, in requests of up to ten entries and
// 1 MiB; for the rest it is PublishBatch. Source of the limits: SendMessageBatch, SQS API reference.
func (c *Client) SendBatch(ctx context.Context, name string, messages []queue.Message) (ids []string, errs []error) {
	if c.o.Queues == nil {
		return c.none(messages, fmt.Errorf("send to %s: this client has no queues; set Options.Queues", name))
	}
	if len(messages) == 0 {
		return nil, nil
	}
	d := toQueue(name)
	to, err := c.o.Queues(ctx, name)
	if err != nil {
		return c.none(messages, withWay(err, d.permission))
	}
	d.pack, d.send = queue.MaxBytes, to.Send
	return c.batch(ctx, &d, messages, nil)
}

func (c *Client) none(messages []queue.Message, err error) ([]string, []error) {
	return make([]string, len(messages)), queue.Each(err, len(messages))
}

// run is one batch on its way.
type run struct {
	c        *Client
	d        *destination
	messages []queue.Message // with their trace contexts
	spans    []trace.Span    // nil where an entry never left
	ids      []string
	errs     []error
	// late are those whose context has no room in the attributes and that SNS has no field for: they
	// take that of the request.
	late   []bool
	failed map[string]bool // message groups
	stop   error           // what every further request would be answered
}

// batch sends messages within ctx. Each belongs to the trace of ctx, or to that of its own entry of from.
func (c *Client) batch(ctx context.Context, d *destination, messages []queue.Message, from []context.Context) ([]string, []error) {
	n := len(messages)
	r := &run{
		c: c, d: d, messages: make([]queue.Message, n), spans: make([]trace.Span, n),
		ids: make([]string, n), errs: make([]error, n), late: make([]bool, n), failed: map[string]bool{},
	}
	var chunk []int
	size := 0
	for i := range messages {
		r.messages[i] = messages[i]
		m := &r.messages[i]
		if err := d.check(m); err != nil {
			r.answer(i, "", err)
			continue
		}
		own := ctx //nolint:contextcheck // a caller who shares the request keeps his own trace
		if from != nil {
			own = from[i]
		}
		create, span := c.start(own, "create", d)
		r.spans[i] = span
		d.inject(create, m)
		if from == nil && !d.fields && m.TraceHeader != messages[i].TraceHeader {
			m.TraceHeader, r.late[i] = "", true
		}
		if len(chunk) == queue.MaxBatch || size+m.Size() > d.pack || len(chunk) > 0 && !r.share(chunk[0], i) {
			r.put(ctx, chunk)
			chunk, size = chunk[:0], 0
		}
		chunk, size = append(chunk, i), size+m.Size()
	}
	r.put(ctx, chunk)
	for i, span := range r.spans {
		if span != nil {
			finish(span, r.ids[i], r.errs[i])
			span.End()
		}
	}
	for _, err := range r.errs {
		if err != nil {
			return r.ids, r.errs
		}
	}
	return r.ids, nil
}

// share tells whether two messages can be in one request. SNS has one trace header for all of it.
func (r *run) share(i, j int) bool {
	return r.d.fields || r.messages[i].TraceHeader == r.messages[j].TraceHeader
}

// put sends a chunk, without what must not overtake, and notes the answers.
func (r *run) put(ctx context.Context, chunk []int) {
	var left []int
	for _, i := range chunk {
		switch m := &r.messages[i]; {
		case r.stop != nil:
			r.answer(i, "", r.stop)
		case ctx.Err() != nil:
			r.answer(i, "", fmt.Errorf("%s: not sent: %w", r.d.where(), context.Cause(ctx)))
		case r.d.fifo && r.failed[m.GroupID]:
			r.answer(i, "", fmt.Errorf("%s: %w: an entry before it in message group %q was not accepted; send both again, in order", r.d.where(), ErrHeldBack, m.GroupID))
		default:
			left = append(left, i)
		}
	}
	if len(left) == 0 {
		return
	}
	ms, links := make([]queue.Message, len(left)), make([]trace.Link, len(left))
	for at, i := range left {
		ms[at], links[at] = r.messages[i], trace.Link{SpanContext: r.spans[i].SpanContext()}
	}
	sending, span := r.c.start(ctx, r.d.operation, r.d, trace.WithLinks(links...),
		trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(attribute.Int("messaging.batch.message_count", len(left))))
	for at, i := range left {
		if r.late[i] {
			tracecarrier.Inject(sending, &ms[at])
		}
	}
	ids, errs := r.d.send(sending, ms)
	if len(left) > 1 && every(errs, len(left), queue.ErrRejected) {
		// One entry that the service finds malformed costs it the whole request, of which it has
		// accepted nothing: each by itself, and only that one fails.
		span.SetStatus(codes.Error, errs[0].Error())
		span.End()
		for _, i := range left {
			r.put(ctx, []int{i})
		}
		return
	}
	for at, i := range left {
		id, err := "", queue.At(errs, at)
		if at < len(ids) {
			id = ids[at]
		}
		switch {
		case err != nil:
			id, err = "", r.d.told(err, &r.messages[i])
			span.SetStatus(codes.Error, err.Error())
		case id == "":
			err = fmt.Errorf("%s: %w: %w", r.d.where(), queue.ErrUnanswered, errNothingSaid)
		}
		r.answer(i, id, err)
	}
	if hopeless(errs, len(left)) {
		r.stop = r.errs[left[0]]
	}
	span.End()
}

// hopeless tells what would be said of every further entry too, so that nobody has to ask a hundred times.
func hopeless(errs []error, n int) bool {
	return every(errs, n, queue.ErrNotFound) || every(errs, n, queue.ErrDenied) || every(errs, n, queue.ErrCredentials)
}

func every(errs []error, n int, class error) bool {
	for i := range n {
		if !errors.Is(queue.At(errs, i), class) {
			return false
		}
	}
	return true
}

func (r *run) answer(i int, id string, err error) {
	r.ids[i], r.errs[i] = id, err
	if err != nil {
		r.failed[r.messages[i].GroupID] = true
	}
}

// oneByOne is a batch where there is none. An entry that fails holds back those that follow it in its
// group, where the order counts or nobody knows.
func oneByOne(ms []queue.Message, ordered bool, send func(queue.Message) (string, error)) ([]string, []error) {
	ids, errs := make([]string, len(ms)), make([]error, len(ms))
	failed := map[string]bool{}
	for i, m := range ms {
		if ordered && m.GroupID != "" && failed[m.GroupID] {
			errs[i] = fmt.Errorf("%w: an entry before it in message group %q was not accepted; send both again, in order", ErrHeldBack, m.GroupID)
			continue
		}
		if ids[i], errs[i] = send(m); errs[i] != nil {
			failed[m.GroupID] = true
		}
	}
	return ids, errs
}

// isFIFO tells FIFO topics and queues, whose names end so. Source: CreateTopic and CreateQueue.
func isFIFO(name string) bool { return strings.HasSuffix(name, ".fifo") }
