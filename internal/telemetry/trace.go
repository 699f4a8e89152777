package telemetry

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/stationmaster/worker/internal/tracecarrier"
	"github.com/stationmaster/worker/jobs"
	"github.com/stationmaster/worker/queue"
)

// startSpan starts the process span of one delivery. The producer is linked and is not the parent:
// a trace that spans hours of retries, or a replay next week, helps nobody. The conventions advise
// the same.
func (q *Queue) startSpan(ctx context.Context, d *queue.Delivery, info *jobs.Info) context.Context {
	if !q.t.traces() {
		return ctx
	}
	from, ok := producer(ctx, d, info)
	options := append(make([]trace.SpanStartOption, 0, 4),
		trace.WithSpanKind(trace.SpanKindConsumer),
		trace.WithNewRoot(),
		q.attributes.span,
		trace.WithAttributes(semconv.MessagingMessageID(d.MessageID), attribute.Int("worker.receive_count", d.Receives)))
	if ok {
		options = append(options, trace.WithLinks(trace.Link{SpanContext: from}))
	}
	ctx, span := q.t.tracer.Start(ctx, q.attributes.spanName, options...) //nolint:spancheck // endSpan ends it
	if span.SpanContext().IsValid() {
		q.t.tracing.Store(true)
	}
	return context.WithValue(ctx, spanKey{}, span)
}

// spanKey finds the span that was started here: the context may hold one of somebody above.
type spanKey struct{}

// probeEvery is how many deliveries go by before it is asked again whether anybody traces.
const probeEvery = 64

// traces reports whether spans go anywhere. Without an SDK the API makes spans that nobody sees, at
// a cost that a fast job would notice; one may still be installed later, so now and then it is tried.
func (t *Telemetry) traces() bool {
	return t.tracing.Load() || t.probed.Add(1)%probeEvery == 1
}

// endSpan ends the span of one run; reason is why it failed, as a template, since a trace is seen by
// more people than the message is.
func endSpan(ctx context.Context, outcome string, attempt int, reason string) {
	span, ok := ctx.Value(spanKey{}).(trace.Span)
	if !ok {
		return
	}
	if !span.IsRecording() {
		span.End()
		return
	}
	span.SetAttributes(attribute.String("worker.outcome", outcome), attribute.Int("worker.attempt", attempt))
	if failed(outcome) {
		span.SetAttributes(semconv.ErrorTypeKey.String(outcome))
		span.SetStatus(codes.Error, reason)
	}
	span.End()
}

// producer finds the span that published or sent the message: in its SQS attributes, in the
// envelope's, or in the AWSTraceHeader, which SNS and SQS pass on by themselves.
func producer(ctx context.Context, d *queue.Delivery, info *jobs.Info) (trace.SpanContext, bool) {
	if len(d.Attributes) == 0 && len(info.Attributes) == 0 && d.TraceHeader == "" {
		return trace.SpanContext{}, false // the common case of a producer that does not trace
	}
	none := trace.ContextWithSpanContext(ctx, trace.SpanContext{})
	from := trace.SpanContextFromContext(tracecarrier.Extract(none, d.Attributes, ""))
	if !from.IsValid() {
		from = trace.SpanContextFromContext(tracecarrier.Extract(none, info.Attributes, d.TraceHeader))
	}
	return from, from.IsValid()
}
