package telemetry_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/stationmaster/worker/internal/telemetry"
	"github.com/stationmaster/worker/poller"
	"github.com/stationmaster/worker/queue"
)

// book is what was logged, as JSON lines.
type book struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *book) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *book) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// records takes the records since the last call, without their times.
func (b *book) records(t *testing.T) []map[string]any {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	all := []map[string]any{}
	for line := range strings.Lines(b.text.String()) {
		var record map[string]any
		if err := json.Unmarshal([]byte(line), &record); err != nil {
			t.Fatal(err)
		}
		delete(record, "time")
		all = append(all, record)
	}
	b.text.Reset()
	return all
}

// kit is a Telemetry with everything that it writes to.
type kit struct {
	*telemetry.Telemetry
	book   *book
	spans  *tracetest.SpanRecorder
	reader *metric.ManualReader
}

func newKit(t *testing.T) *kit {
	t.Helper()
	k := &kit{book: &book{}, spans: tracetest.NewSpanRecorder(), reader: metric.NewManualReader()}
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
	var all metricdata.ResourceMetrics
	if err := k.reader.Collect(t.Context(), &all); err != nil {
		t.Fatal(err)
	}
	points := map[string]float64{}
	for _, scope := range all.ScopeMetrics {
		for _, m := range scope.Metrics {
			switch data := m.Data.(type) {
			case metricdata.Sum[int64]:
				for _, p := range data.DataPoints {
					points[m.Name+" "+p.Attributes.Encoded(plain{})] = float64(p.Value)
				}
			case metricdata.Histogram[float64]:
				for _, p := range data.DataPoints {
					points[m.Name+" "+p.Attributes.Encoded(plain{})] = p.Sum
				}
			case metricdata.Gauge[int64]:
				for _, p := range data.DataPoints {
					points[m.Name+" "+p.Attributes.Encoded(plain{})] = float64(p.Value)
				}
			case metricdata.Gauge[float64]:
				for _, p := range data.DataPoints {
					points[m.Name+" "+p.Attributes.Encoded(plain{})] = p.Value
				}
			default:
				t.Errorf("metric %s is a %T", m.Name, data)
			}
		}
	}
	return points
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

// plain writes attributes as name=value, sorted.
type plain struct{}

func (plain) ID() attribute.EncoderID { return attribute.EncoderID{} }

func (plain) Encode(i attribute.Iterator) string {
	var parts []string
	for i.Next() {
		a := i.Attribute()
		parts = append(parts, string(a.Key)+"="+a.Value.String())
	}
	return strings.Join(parts, " ")
}
