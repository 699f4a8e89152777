package middleware

import (
	"context"
	"errors"
	"sync"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"github.com/stationmaster/worker/deadletter"
	"github.com/stationmaster/worker/jobs"
	"github.com/stationmaster/worker/queue"
)

// seconds are the buckets of a call's duration, those of the worker's own durations.
var seconds = metric.WithExplicitBucketBoundaries(.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600)

// Metrics measures what it wraps by two instruments. meters is nil for OpenTelemetry's global provider,
// which the worker command installs, and whose metrics GET /metrics answers.
//
//   - worker.job.call.duration, a histogram in seconds: one call, of one message or of a batch, with
//     worker.job and messaging.destination.name (the queue). Its count is the number of calls.
//   - worker.job.answers, a counter: the answers, one for each message, with worker.job,
//     messaging.destination.name and worker.answer (done, error, after, never, pause, interrupted), and of
//     what has failed error.type: canceled, decode, goexit, panic, timeout, or _OTHER.
//
// The number of their series is bounded by the jobs and the queues. The worker's own
// messaging.process.duration is of a whole attempt; these are of what lies inside of this layer.
func Metrics(meters metric.MeterProvider) jobs.Middleware {
	if meters == nil {
		meters = otel.GetMeterProvider()
	}
	meter := meters.Meter(scope)
	m := &measures{byCall: map[place]metric.MeasurementOption{}, byAnswer: map[answerKey]metric.MeasurementOption{}}
	var errs [2]error
	m.duration, errs[0] = meter.Float64Histogram("worker.job.call.duration",
		metric.WithUnit("s"), seconds, metric.WithDescription("Duration of one call of a job, of one message or a batch."))
	m.answers, errs[1] = meter.Int64Counter("worker.job.answers",
		metric.WithUnit("{message}"), metric.WithDescription("What jobs answered, by message."))
	if err := errors.Join(errs[:]...); err != nil {
		otel.Handle(err) // the instruments that came with it measure nothing, and a job is worth more
	}
	return func(next jobs.Call) jobs.Call {
		return func(ctx context.Context, ms []*jobs.Info) []error {
			if len(ms) == 0 {
				return next(ctx, ms)
			}
			began := time.Now()
			return observed(ctx, ms, next, func(errs []error) { m.record(ctx, ms, errs, time.Since(began)) })
		}
	}
}

// measures are the instruments and the attributes that have been measured with: making a set of them
// costs more than measuring.
type measures struct {
	duration metric.Float64Histogram
	answers  metric.Int64Counter

	mu       sync.Mutex
	byCall   map[place]metric.MeasurementOption
	byAnswer map[answerKey]metric.MeasurementOption
}

type place struct{ job, queue string }

type answerKey struct {
	place
	answer, class string
}

func (m *measures) record(ctx context.Context, ms []*jobs.Info, errs []error, took time.Duration) {
	at := place{ms[0].Job, ms[0].Queue}
	m.duration.Record(ctx, took.Seconds(), m.call(at))
	for i := range ms {
		err := queue.At(errs, i)
		key := answerKey{place: at, answer: outcome(ctx, err)}
		if failed(key.answer) {
			key.class = errorType(err)
		}
		m.answers.Add(ctx, 1, m.answer(key))
	}
}

func (m *measures) call(at place) metric.MeasurementOption {
	m.mu.Lock()
	defer m.mu.Unlock()
	o, has := m.byCall[at]
	if !has {
		o = metric.WithAttributeSet(attribute.NewSet(at.attributes()...))
		m.byCall[at] = o
	}
	return o
}

func (m *measures) answer(key answerKey) metric.MeasurementOption {
	m.mu.Lock()
	defer m.mu.Unlock()
	o, has := m.byAnswer[key]
	if !has {
		attributes := append(key.attributes(), attribute.String("worker.answer", key.answer))
		if key.class != "" {
			attributes = append(attributes, semconv.ErrorTypeKey.String(key.class))
		}
		o = metric.WithAttributeSet(attribute.NewSet(attributes...))
		m.byAnswer[key] = o
	}
	return o
}

func (p place) attributes() []attribute.KeyValue {
	return []attribute.KeyValue{attribute.String("worker.job", p.job), semconv.MessagingDestinationName(p.queue)}
}

// errorType is the class of a failure where it is one of ours: a class of the job's own may be anything,
// and would make a series of each.
func errorType(err error) string {
	switch class := deadletter.Class(err); class {
	case "canceled", "decode", "goexit", "panic", "timeout":
		return class
	}
	return semconv.ErrorTypeOther.Value.AsString()
}
