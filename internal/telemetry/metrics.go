package telemetry

import (
	"errors"
	"fmt"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
)

// seconds are the buckets of a job's duration: the conventions end at 10 s, jobs do not.
var seconds = metric.WithExplicitBucketBoundaries(.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600)

type instruments struct {
	received, receiveErrors, extensions metric.Int64Counter
	ticks, tickErrors                   metric.Int64Counter
	process, dwell                      metric.Float64Histogram
}

func newInstruments(m metric.Meter) (instruments, error) {
	var made instruments
	var errs [7]error
	made.received, errs[0] = m.Int64Counter("messaging.client.consumed.messages",
		metric.WithUnit("{message}"), metric.WithDescription("Deliveries received."))
	made.receiveErrors, errs[1] = m.Int64Counter("worker.receive.errors",
		metric.WithUnit("{error}"), metric.WithDescription("Receives that failed."))
	made.extensions, errs[2] = m.Int64Counter("worker.lease.extensions",
		metric.WithUnit("{extension}"), metric.WithDescription("Visibility timeouts extended while a job ran."))
	made.process, errs[3] = m.Float64Histogram("messaging.process.duration",
		metric.WithUnit("s"), seconds, metric.WithDescription("Duration of one run of a job."))
	made.dwell, errs[4] = m.Float64Histogram("worker.dwell",
		metric.WithUnit("s"), seconds, metric.WithDescription("Time from the send to the receive."))
	made.ticks, errs[5] = m.Int64Counter("worker.schedule.ticks",
		metric.WithUnit("{tick}"), metric.WithDescription("Ticks of schedules, by how they went."))
	made.tickErrors, errs[6] = m.Int64Counter("worker.schedule.errors",
		metric.WithUnit("{error}"), metric.WithDescription("Tries to publish a tick that failed."))
	if err := errors.Join(errs[:]...); err != nil {
		return made, fmt.Errorf("make metrics: %w", err)
	}
	return made, nil
}

// attributes are made once per queue: the hooks run for each delivery.
type attributes struct {
	spanName string
	span     trace.SpanStartEventOption
	named    metric.MeasurementOption // the queue alone
	queue    metric.MeasurementOption // receiving from it
	outcomes map[string]metric.MeasurementOption
}

func newAttributes(o QueueOptions, system attribute.KeyValue) attributes {
	base := []attribute.KeyValue{
		system, semconv.MessagingDestinationName(o.Name),
	}
	process := append(base[:2:2], semconv.MessagingOperationName("process"), attribute.String("worker.job", o.Job))
	a := attributes{
		spanName: "process " + o.Name,
		span:     trace.WithAttributes(append(process[:4:4], semconv.MessagingOperationTypeProcess)...),
		named:    metric.WithAttributeSet(attribute.NewSet(base...)),
		queue:    metric.WithAttributeSet(attribute.NewSet(append(base[:2:2], semconv.MessagingOperationName("receive"))...)),
		outcomes: map[string]metric.MeasurementOption{},
	}
	for _, outcome := range outcomes {
		set := append(process[:4:4], attribute.String("worker.outcome", outcome))
		if failed(outcome) {
			set = append(set, semconv.ErrorTypeKey.String(outcome))
		}
		a.outcomes[outcome] = metric.WithAttributeSet(attribute.NewSet(set...))
	}
	return a
}

func (a *attributes) outcome(outcome string) metric.MeasurementOption { return a.outcomes[outcome] }
