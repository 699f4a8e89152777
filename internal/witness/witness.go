// Package witness keeps what code under test logs and measures.
package witness

import (
	"bytes"
	"encoding/json"
	"strings"
	"sync"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

// Book is what was written: a log, or what a program says. It may be read meanwhile. The zero Book is empty.
type Book struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write implements io.Writer.
func (b *Book) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

// String is all that was written and not taken.
func (b *Book) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// Records are the lines as JSON, without their times.
func (b *Book) Records(t testing.TB) []map[string]any {
	t.Helper()
	return records(t, b.String())
}

// Take is Records for what was written since the last Take.
func (b *Book) Take(t testing.TB) []map[string]any {
	t.Helper()
	b.mu.Lock()
	text := b.text.String()
	b.text.Reset()
	b.mu.Unlock()
	return records(t, text)
}

func records(t testing.TB, text string) []map[string]any {
	t.Helper()
	all := []map[string]any{}
	for line := range strings.Lines(text) {
		var record map[string]any
		if err := json.Unmarshal([]byte(line), &record); err != nil {
			t.Fatal(err)
		}
		delete(record, "time")
		all = append(all, record)
	}
	return all
}

// Points are those of all metrics: "name attribute=value …", by the names of the attributes, to the value of
// a counter or gauge, and to what of makes of a histogram.
func Points(t testing.TB, reader *metric.ManualReader, of func(metricdata.HistogramDataPoint[float64]) float64) map[string]float64 {
	t.Helper()
	var all metricdata.ResourceMetrics
	if err := reader.Collect(t.Context(), &all); err != nil {
		t.Fatal(err)
	}
	points := map[string]float64{}
	for _, scope := range all.ScopeMetrics {
		for _, m := range scope.Metrics {
			note := func(at attribute.Set, value float64) { points[m.Name+" "+at.Encoded(plain{})] = value }
			switch data := m.Data.(type) {
			case metricdata.Sum[int64]:
				for _, p := range data.DataPoints {
					note(p.Attributes, float64(p.Value))
				}
			case metricdata.Histogram[float64]:
				for _, p := range data.DataPoints {
					note(p.Attributes, of(p))
				}
			case metricdata.Gauge[int64]:
				for _, p := range data.DataPoints {
					note(p.Attributes, float64(p.Value))
				}
			case metricdata.Gauge[float64]:
				for _, p := range data.DataPoints {
					note(p.Attributes, p.Value)
				}
			default:
				t.Errorf("metric %s is a %T", m.Name, data)
			}
		}
	}
	return points
}

// plain writes attributes as name=value, sorted.
type plain struct{}

// ID implements attribute.Encoder: it is not cached.
func (plain) ID() attribute.EncoderID { return attribute.EncoderID{} }

// Encode implements attribute.Encoder.
func (plain) Encode(i attribute.Iterator) string {
	var parts []string
	for i.Next() {
		a := i.Attribute()
		parts = append(parts, string(a.Key)+"="+a.Value.String())
	}
	return strings.Join(parts, " ")
}
