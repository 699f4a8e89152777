package telemetry

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// What a million requests cost in dollars, in us-east-1, before the volume discounts, as others
// cited it in 2026: https://aws.amazon.com/sqs/pricing/ is where AWS says it.
const (
	standardPerMillion = 0.40
	fifoPerMillion     = 0.50
)

// estimateAfter is how long a worker counts before it says what a day costs: the requests of its
// first seconds are not the pace of a day.
const estimateAfter = time.Minute

// observed are the instruments that are read when somebody collects: they cost nothing between.
type observed struct {
	requests, settlements metric.Int64ObservableCounter
	slots, busy           metric.Int64ObservableGauge
	perMessage, dollars   metric.Float64ObservableGauge
}

// observe has the queues read at each collection until stop is called. Nothing asks AWS.
func (t *Telemetry) observe(m metric.Meter) (stop func() error, err error) {
	var o observed
	var errs [6]error
	o.requests, errs[0] = m.Int64ObservableCounter("worker.requests",
		metric.WithUnit("{request}"), metric.WithDescription("Requests made to SQS for the queue, retries included."))
	o.settlements, errs[1] = m.Int64ObservableCounter("worker.settlements",
		metric.WithUnit("{settlement}"), metric.WithDescription("How deliveries ended."))
	o.slots, errs[2] = m.Int64ObservableGauge("worker.slots",
		metric.WithUnit("{slot}"), metric.WithDescription("Messages that may be handled at once."))
	o.busy, errs[3] = m.Int64ObservableGauge("worker.slots.busy",
		metric.WithUnit("{slot}"), metric.WithDescription("Slots that handle a message."))
	o.perMessage, errs[4] = m.Float64ObservableGauge("worker.requests.per_message",
		metric.WithDescription("Requests made to SQS for each delivery received, since the start of the process."))
	o.dollars, errs[5] = m.Float64ObservableGauge("worker.estimated_dollars_per_day",
		metric.WithDescription("Estimate of what the requests of this process cost in a day, at their mean pace since its start and at the list price of us-east-1, without the free tier, volume discounts and requests billed by size."))
	if err := errors.Join(errs[:]...); err != nil {
		return nil, fmt.Errorf("make metrics: %w", err)
	}
	registered, err := m.RegisterCallback(func(_ context.Context, to metric.Observer) error {
		for _, q := range t.all() {
			q.observe(&o, to)
		}
		return nil
	}, o.requests, o.settlements, o.slots, o.busy, o.perMessage, o.dollars)
	if err != nil {
		return nil, fmt.Errorf("make metrics: %w", err)
	}
	return registered.Unregister, nil
}

// observe tells what one queue has done so far, once it has been opened.
func (q *Queue) observe(o *observed, to metric.Observer) {
	source, _ := q.attached()
	if source == nil {
		return
	}
	a := &q.attributes
	requests := source.Requests()
	to.ObserveInt64(o.requests, requests, a.named)
	to.ObserveInt64(o.slots, int64(q.o.Slots), a.named)
	to.ObserveInt64(o.busy, int64(source.State().Busy), a.named)
	c := q.Counters()
	for settlement, n := range map[string]int64{
		"deleted": c.Deleted, "retried": c.Retried, "dead_lettered": c.DeadLettered, "released": c.Released,
		"lease_lost": c.LeaseLost, "uncertain": c.Uncertain, "not_deleted": c.NotDeleted,
	} {
		to.ObserveInt64(o.settlements, n, a.named, metric.WithAttributes(attribute.String("worker.settlement", settlement)))
	}
	if c.Received > 0 {
		to.ObserveFloat64(o.perMessage, float64(requests)/float64(c.Received), a.named)
	}
	if ran := time.Since(q.t.started); ran >= estimateAfter {
		price := standardPerMillion
		if q.o.FIFO {
			price = fifoPerMillion
		}
		perDay := float64(requests) / ran.Hours() * 24
		to.ObserveFloat64(o.dollars, perDay*price/1e6, a.named)
	}
}
