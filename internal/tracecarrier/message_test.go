package tracecarrier_test

import (
	"testing"

	"go.opentelemetry.io/otel/trace"

	"github.com/stationmaster/worker/internal/tracecarrier"
	"github.com/stationmaster/worker/queue"
)

func TestInjectFallsBackToTheHeaderThatTakesNoRoom(t *testing.T) {
	ctx := trace.ContextWithSpanContext(t.Context(), span())
	full := queue.Message{Attributes: attributes(10)}
	tracecarrier.Inject(ctx, &full)
	if want := "Root=1-01020304-05060708090a0b0c0d0e0f10;Parent=0102030405060708;Sampled=1"; full.TraceHeader != want {
		t.Errorf("header %q, want %q", full.TraceHeader, want)
	}
	roomy := queue.Message{}
	tracecarrier.Inject(ctx, &roomy)
	if roomy.TraceHeader != "" || roomy.Attributes["traceparent"].Text != parent {
		t.Errorf("with room: %+v, want the attribute alone", roomy)
	}
	for name, m := range map[string]queue.Message{"full": full, "roomy": roomy} {
		got := trace.SpanContextFromContext(tracecarrier.Extract(t.Context(), m.Attributes, m.TraceHeader))
		if got.TraceID() != span().TraceID() || got.SpanID() != span().SpanID() || !got.IsSampled() || !got.IsRemote() {
			t.Errorf("%s: extracted %+v", name, got)
		}
	}
	kept := queue.Message{Attributes: attributes(10), TraceHeader: "Root=mine"}
	if tracecarrier.Inject(ctx, &kept); kept.TraceHeader != "Root=mine" {
		t.Errorf("the producer's header became %q", kept.TraceHeader)
	}
}

func TestNoSpanInjectsNothingAndNonsenseExtractsNothing(t *testing.T) {
	m := queue.Message{Attributes: attributes(1)}
	tracecarrier.Inject(t.Context(), &m)
	if len(m.Attributes) != 1 || m.TraceHeader != "" {
		t.Errorf("injected without a span: %+v", m)
	}
	for _, header := range []string{"", "Root=1-xyz;Parent=1", "Root=1-01020304-05060708090a0b0c0d0e0f10", "Self=1-2-3"} {
		ctx := tracecarrier.Extract(t.Context(), map[string]queue.Attribute{"traceparent": {Type: "String", Text: "00-nonsense"}}, header)
		if got := trace.SpanContextFromContext(ctx); got.IsValid() {
			t.Errorf("header %q gives %+v", header, got)
		}
	}
}
