package middleware

import (
	"context"
	"fmt"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/stationmaster/worker/deadletter"
	"github.com/stationmaster/worker/internal/tracecarrier"
	"github.com/stationmaster/worker/jobs"
	"github.com/stationmaster/worker/queue"
)

// Trace makes a span of each call, named "job" and the job's name: a child of the worker's own span of
// that message, and the parent of whatever the job traces or publishes. tracers is nil for OpenTelemetry's
// global provider, which the worker command installs when the standard variables say where spans go.
//
// A batch of several messages has no span of the worker's that could be its parent, since each message has
// its own: its span begins a trace, and is linked to the producers that left theirs in an attribute. So is
// a span outside of a worker.
//
// The span has worker.job, messaging.destination.name (the queue), messaging.batch.message_count (of a
// batch) and worker.answer (of one message). A failure sets its status, with error.type, the class, and
// for one message the reason as a template; for a batch how many of its messages failed.
func Trace(tracers trace.TracerProvider) jobs.Middleware {
	if tracers == nil {
		tracers = otel.GetTracerProvider()
	}
	tracer := tracers.Tracer(scope)
	return func(next jobs.Call) jobs.Call {
		return func(ctx context.Context, ms []*jobs.Info) []error {
			if len(ms) == 0 {
				return next(ctx, ms)
			}
			ctx, span := tracer.Start(ctx, "job "+ms[0].Job, about(ctx, ms)...)
			// Deferred by itself, End would write the value of a panic into the span.
			defer func() { span.End() }()
			return observed(ctx, ms, next, func(errs []error) {
				if span.IsRecording() {
					tell(ctx, span, ms, errs)
				}
			})
		}
	}
}

// about is what a span says from its start.
func about(ctx context.Context, ms []*jobs.Info) []trace.SpanStartOption {
	attributes := []attribute.KeyValue{attribute.String("worker.job", ms[0].Job), semconv.MessagingDestinationName(ms[0].Queue)}
	if len(ms) > 1 {
		attributes = append(attributes, semconv.MessagingBatchMessageCount(len(ms)))
	}
	options := []trace.SpanStartOption{trace.WithAttributes(attributes...)}
	if trace.SpanContextFromContext(ctx).IsValid() {
		return options // the parent is linked to the producer
	}
	var links []trace.Link
	for _, m := range ms {
		if from := trace.SpanContextFromContext(tracecarrier.Extract(ctx, m.Attributes, "")); from.IsValid() {
			links = append(links, trace.Link{SpanContext: from})
		}
	}
	return append(options, trace.WithLinks(links...))
}

// tell says on a span how its call ended.
func tell(ctx context.Context, span trace.Span, ms []*jobs.Info, errs []error) {
	failures, first, says := 0, "", ""
	for i, m := range ms {
		answer := outcome(ctx, queue.At(errs, i))
		if len(ms) == 1 {
			span.SetAttributes(attribute.String("worker.answer", answer))
		}
		if !failed(answer) {
			continue
		}
		if failures++; failures == 1 {
			first, says = deadletter.Class(errs[i]), deadletter.Reason(errs[i], m.Raw)
		}
	}
	if failures == 0 {
		return
	}
	if len(ms) > 1 {
		says = fmt.Sprintf("%d of %d messages failed", failures, len(ms))
	}
	span.SetAttributes(semconv.ErrorTypeKey.String(first))
	span.SetStatus(codes.Error, says)
}
