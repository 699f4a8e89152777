package middleware_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"testing"

	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/stationmaster/worker/internal/witness"
	"github.com/stationmaster/worker/jobs"
)

var errBoom = errors.New("boom")

// rig takes what the layers tell.
type rig struct {
	level  slog.Level
	book   witness.Book
	to     io.Writer // where records go: the book
	spans  *tracetest.SpanRecorder
	tracer *sdktrace.TracerProvider
	reader *metric.ManualReader
	meters *metric.MeterProvider
}

func newRig() *rig {
	r := &rig{level: slog.LevelDebug, spans: tracetest.NewSpanRecorder(), reader: metric.NewManualReader()}
	r.to = &r.book
	r.tracer = sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(r.spans))
	r.meters = metric.NewMeterProvider(metric.WithReader(r.reader))
	return r
}

// answers by the body of a message, for jobs of one message and of several.
type answers func(ctx context.Context, body string) error

// open makes the job "mail" with layers around it; a batch job when that is wanted.
func (r *rig) open(t testing.TB, batch bool, do answers, layers ...jobs.Middleware) *jobs.Instance {
	t.Helper()
	registry := jobs.NewRegistry()
	if batch {
		jobs.AddBatchTo(registry, "mail", func(ctx context.Context, ms []*jobs.Message[string]) []error {
			errs := make([]error, len(ms))
			for i, m := range ms {
				errs[i] = do(ctx, m.Body)
			}
			return errs
		}, jobs.Use(layers...))
	} else {
		jobs.AddTo(registry, "mail", func(ctx context.Context, m *jobs.Message[string]) error { return do(ctx, m.Body) }, jobs.Use(layers...))
	}
	d, _ := registry.Lookup("mail")
	log := slog.New(slog.NewJSONHandler(r.to, &slog.HandlerOptions{Level: r.level})).With("job", "mail")
	i, err := d.Open(t.Context(), nil, &jobs.Env{Job: "mail", Log: log})
	if err != nil {
		t.Fatal(err)
	}
	return i
}

// messages are one for each body; the first has the id m-1.
func messages(bodies ...string) []*jobs.Info {
	ms := make([]*jobs.Info, len(bodies))
	for i, body := range bodies {
		raw, err := json.Marshal(body)
		if err != nil {
			panic(err) // a string is always JSON
		}
		ms[i] = &jobs.Info{ID: "m-" + string(rune('1'+i)), Queue: "mails", Receives: 3, Attempt: 2, Raw: string(raw)}
	}
	return ms
}

// measured are the points of all metrics: name and attributes to the count.
func (r *rig) measured(t *testing.T) map[string]float64 {
	t.Helper()
	return witness.Points(t, r.reader, func(p metricdata.HistogramDataPoint[float64]) float64 { return float64(p.Count) })
}
