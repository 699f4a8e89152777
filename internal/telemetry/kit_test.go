package telemetry_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/stationmaster/worker/internal/telemetry"
	"github.com/stationmaster/worker/internal/witness"
	"github.com/stationmaster/worker/poller"
	"github.com/stationmaster/worker/queue"
)

// kit is a Telemetry with everything that it writes to.
type kit struct {
	*telemetry.Telemetry
	book   *witness.Book
	spans  *tracetest.SpanRecorder
	reader *metric.ManualReader
}

func newKit(t *testing.T) *kit {
	t.Helper()
	k := &kit{book: &witness.Book{}, spans: tracetest.NewSpanRecorder(), reader: metric.NewManualReader()}
	var err error
	k.Telemetry, err = telemetry.New(telemetry.Options{
		Log: slog.New(slog.NewJSONHandler(k.book, &slog.HandlerOptions{Level: slog.LevelDebug})), Version: "v1.2.3",
		Tracers: sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(k.spans)), Meters: metric.NewMeterProvider(metric.WithReader(k.reader)),
	})
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// email adds the queue that most tests observe.
func (k *kit) email() *telemetry.Queue {
	return k.Queue(telemetry.QueueOptions{Name: "email", Job: "mail", Slots: 4})
}

// get asks the admin port.
func (k *kit) get(t *testing.T, path string) (status int, body string) {
	t.Helper()
	w := httptest.NewRecorder()
	k.Handler().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
	return w.Code, w.Body.String()
}

// measured are the points of all metrics: name and attributes to the count, or to the sum of a counter.
func (k *kit) measured(t *testing.T) map[string]float64 {
	t.Helper()
	return witness.Points(t, k.reader, func(p metricdata.HistogramDataPoint[float64]) float64 { return p.Sum })
}

// source answers as a poller and SQS would.
type source struct {
	state  poller.State
	counts int // how often SQS was asked
	err    error
}

func (s *source) attach(q *telemetry.Queue) {
	q.Attach(telemetry.Source{
		State: func() poller.State { return s.state }, Requests: func() int64 { return 41 },
		Counts: func(ctx context.Context) (visible, inFlight int64, err error) {
			s.counts++
			return 7, 1, errors.Join(s.err, ctx.Err())
		},
	})
}

func delivery() *queue.Delivery {
	now := time.Now()
	return &queue.Delivery{
		Message:   queue.Message{Body: `{"email":"ada@example.com"}`},
		MessageID: "m-1", Handle: "AQEBreceipt", Receives: 2, Sent: now.Add(-3 * time.Second), Received: now, Deadline: now.Add(time.Minute),
	}
}
