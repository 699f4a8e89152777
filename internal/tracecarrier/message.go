package tracecarrier

import (
	"context"
	"strings"

	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/stationmaster/worker/queue"
)

var w3c propagation.TraceContext

// Inject puts the span of ctx on m: as W3C attributes, or, when ten attributes leave no room, as
// AWSTraceHeader, which takes none. A header that the producer set stays.
func Inject(ctx context.Context, m *queue.Message) {
	span := trace.SpanContextFromContext(ctx)
	if !span.IsValid() {
		return
	}
	c := New(m.Attributes)
	w3c.Inject(ctx, c)
	m.Attributes = c.Attributes()
	if c.Get(parent) == "" && m.TraceHeader == "" {
		m.TraceHeader = header(span)
	}
}

// Extract returns ctx with the span that a message was produced in, from its attributes or else
// from its AWSTraceHeader; ctx as it is when neither says one.
func Extract(ctx context.Context, attributes map[string]queue.Attribute, traceHeader string) context.Context {
	if found := w3c.Extract(ctx, New(attributes)); trace.SpanContextFromContext(found).IsRemote() {
		return found
	}
	if span, ok := parseHeader(traceHeader); ok {
		return trace.ContextWithRemoteSpanContext(ctx, span)
	}
	return ctx
}

// header writes X-Ray's form: Root=1-<8 hex>-<24 hex>;Parent=<16 hex>;Sampled=1. The root is the
// W3C trace id with a dash in it.
func header(span trace.SpanContext) string {
	id := span.TraceID().String()
	sampled := "0"
	if span.IsSampled() {
		sampled = "1"
	}
	return "Root=1-" + id[:8] + "-" + id[8:] + ";Parent=" + span.SpanID().String() + ";Sampled=" + sampled
}

func parseHeader(text string) (trace.SpanContext, bool) {
	var config trace.SpanContextConfig
	var rootErr, parentErr error
	for field := range strings.SplitSeq(text, ";") {
		key, v, _ := strings.Cut(strings.TrimSpace(field), "=")
		switch key {
		case "Root":
			config.TraceID, rootErr = trace.TraceIDFromHex(strings.ReplaceAll(strings.TrimPrefix(v, "1-"), "-", ""))
		case "Parent":
			config.SpanID, parentErr = trace.SpanIDFromHex(v)
		case "Sampled":
			if v == "1" {
				config.TraceFlags = trace.FlagsSampled
			}
		}
	}
	config.Remote = true
	span := trace.NewSpanContext(config)
	return span, rootErr == nil && parentErr == nil && span.IsValid()
}
