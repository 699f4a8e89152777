package tracecarrier_test

import (
	"maps"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/stationmaster/worker/internal/tracecarrier"
	"github.com/stationmaster/worker/queue"
)

const parent = "00-0102030405060708090a0b0c0d0e0f10-0102030405060708-01"

func span() trace.SpanContext {
	state, err := trace.ParseTraceState("vendor=x")
	if err != nil {
		panic(err)
	}
	return trace.NewSpanContext(trace.SpanContextConfig{
		TraceID:    trace.TraceID{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16},
		SpanID:     trace.SpanID{1, 2, 3, 4, 5, 6, 7, 8},
		TraceFlags: trace.FlagsSampled, TraceState: state,
	})
}

func attributes(n int) map[string]queue.Attribute {
	m := make(map[string]queue.Attribute)
	for i := range n {
		m["k"+strconv.Itoa(i)] = queue.Attribute{Type: "String", Text: "v"}
	}
	return m
}

func TestInjectFillsTheRoomThatIsLeft(t *testing.T) {
	identified := attributes(8)
	identified[queue.StationmasterAttribute] = queue.Attribute{Type: "String", Text: `{"id":"x"}`}
	for _, row := range []struct {
		name   string
		given  map[string]queue.Attribute
		parent string
		state  string
	}{
		{"none", nil, parent, "vendor=x"},
		{"seven", attributes(7), parent, "vendor=x"},
		{"eight", attributes(8), parent, ""},
		{"nine, the last place is the failure record's", attributes(9), "", ""},
		{"nine, the record has its place", identified, parent, ""},
		{"ten", attributes(10), "", ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			before := maps.Clone(row.given)
			c := tracecarrier.New(row.given)
			propagation.TraceContext{}.Inject(trace.ContextWithSpanContext(t.Context(), span()), c)
			if got := c.Get("traceparent"); got != row.parent {
				t.Errorf("traceparent %q, want %q", got, row.parent)
			}
			if got := c.Get("tracestate"); got != row.state {
				t.Errorf("tracestate %q, want %q", got, row.state)
			}
			if len(c.Attributes()) > queue.MaxAttributes {
				t.Errorf("%d attributes, at most %d", len(c.Attributes()), queue.MaxAttributes)
			}
			if diff := cmp.Diff(before, row.given); diff != "" {
				t.Errorf("the caller's map changed: %s", diff)
			}
		})
	}
}

func TestAnExistingKeyIsOverwrittenAndTakesNoRoom(t *testing.T) {
	given := attributes(9)
	given["traceparent"] = queue.Attribute{Type: "String", Text: "stale"}
	c := tracecarrier.New(given)
	c.Set("traceparent", parent)
	if got := c.Get("traceparent"); got != parent {
		t.Errorf("traceparent %q, want %q", got, parent)
	}
	if len(c.Attributes()) != 10 || len(c.Keys()) != 10 {
		t.Errorf("%d attributes, %d keys, want 10", len(c.Attributes()), len(c.Keys()))
	}
}

func TestWhatIsInjectedIsExtracted(t *testing.T) {
	c := tracecarrier.New(attributes(3))
	propagation.TraceContext{}.Inject(trace.ContextWithSpanContext(t.Context(), span()), c)
	got := trace.SpanContextFromContext(propagation.TraceContext{}.Extract(t.Context(), tracecarrier.New(c.Attributes())))
	if got.TraceID() != span().TraceID() || got.SpanID() != span().SpanID() || got.TraceState().String() != "vendor=x" {
		t.Errorf("extracted %+v, want %+v", got, span())
	}
}
