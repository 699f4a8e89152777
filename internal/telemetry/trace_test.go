package telemetry_test

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/embedded"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/stationmaster/worker/internal/awsapi"
	"github.com/stationmaster/worker/internal/telemetry"
	"github.com/stationmaster/worker/jobs"
	"github.com/stationmaster/worker/localaws"
	"github.com/stationmaster/worker/poller"
	"github.com/stationmaster/worker/publish"
	"github.com/stationmaster/worker/queue"
	"github.com/stationmaster/worker/retry"
)

type roundTripper struct{ http.RoundTripper }

func (r roundTripper) Do(request *http.Request) (*http.Response, error) { return r.RoundTrip(request) }

// TestAProcessSpanIsLinkedToItsProducer: through SNS and SQS, in the envelope and without, in an
// attribute or in the header that takes none.
func TestAProcessSpanIsLinkedToItsProducer(t *testing.T) {
	for name, tt := range map[string]struct {
		raw        string
		attributes int
	}{"enveloped": {"false", 0}, "raw": {"true", 0}, "enveloped, no room": {"false", 10}, "raw, no room": {"true", 10}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := newKit(t)
				cfg := aws.Config{
					Region: "us-east-1", BaseEndpoint: aws.String("http://localaws.test"), HTTPClient: roundTripper{localaws.New(localaws.Options{}).Transport()},
					Credentials: credentials.NewStaticCredentialsProvider("AKID", "secret", ""),
				}
				api := awsapi.New(cfg, awsapi.Options{})
				url, err := api.CreateQueue(t.Context(), "email", map[string]string{
					"Policy": `{"Statement":[{"Effect":"Allow","Principal":{"Service":"sns.amazonaws.com"},"Action":"sqs:SendMessage","Resource":"*"}]}`,
				}, nil)
				if err != nil {
					t.Fatal(err)
				}
				topic, err := api.CreateTopic(t.Context(), "invitations", nil, nil)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := api.Subscribe(t.Context(), topic, "sqs", "arn:aws:sqs:us-east-1:000000000000:email", map[string]string{"RawMessageDelivery": tt.raw}); err != nil {
					t.Fatal(err)
				}
				producers := tracetest.NewSpanRecorder()
				m := queue.Message{Body: `{}`, Attributes: map[string]queue.Attribute{}}
				for i := range tt.attributes {
					m.Attributes[fmt.Sprint("k", i)] = queue.Attribute{Type: "String", Text: "v"}
				}
				producer := publish.New(publish.Options{Topics: api, Tracer: sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(producers))})
				if _, err := producer.Publish(t.Context(), topic, m); err != nil {
					t.Fatal(err)
				}
				ds, err := api.Queue(url, awsapi.QueueOptions{}).Receive(t.Context(), 1, time.Second)
				if err != nil || len(ds) != 1 {
					t.Fatal(ds, err)
				}
				h := k.email().Hooks()
				info := jobs.Read(&ds[0])
				h.Finished(h.Started(t.Context(), &ds[0], info), &ds[0], info, poller.Outcome{Attempt: 1})

				published, processed := producers.Ended()[0], k.spans.Ended()[0]
				links := processed.Links()
				if len(links) != 1 || links[0].SpanContext.TraceID() != published.SpanContext().TraceID() || links[0].SpanContext.SpanID() != published.SpanContext().SpanID() {
					t.Fatalf("links %+v, want the span %+v", links, published.SpanContext())
				}
				if processed.Parent().IsValid() || processed.SpanContext().TraceID() == published.SpanContext().TraceID() {
					t.Errorf("parent %+v: a trace of its own is wanted", processed.Parent())
				}
			})
		})
	}
}

func spanned(t *testing.T, k *kit, d *queue.Delivery, o poller.Outcome) sdktrace.ReadOnlySpan {
	t.Helper()
	h := k.email().Hooks()
	h.Finished(h.Started(t.Context(), d, &jobs.Info{}), d, &jobs.Info{}, o)
	ended := k.spans.Ended()
	if len(ended) != 1 {
		t.Fatalf("%d spans", len(ended))
	}
	return ended[0]
}

func TestAProcessSpanSaysWhatBecameOfTheMessage(t *testing.T) {
	usual := map[string]string{
		"messaging.system": "aws_sqs", "messaging.destination.name": "email", "messaging.operation.name": "process", "messaging.operation.type": "process",
		"messaging.message.id": "m-1", "worker.job": "mail", "worker.receive_count": "2", "worker.attempt": "1",
	}
	for _, tt := range []struct {
		outcome string
		o       poller.Outcome
		status  codes.Code
		says    string
	}{
		{"done", poller.Outcome{}, codes.Unset, ""},
		{"later", poller.Outcome{Err: retry.After(nil, time.Second), Decision: retry.Decision{Action: retry.Again}}, codes.Unset, ""},
		{"retried", poller.Outcome{Err: errAda, Decision: retry.Decision{Action: retry.Again, Spends: true}}, codes.Error, "no mailbox for <body>"},
		{"rested", poller.Outcome{Err: errAda, Decision: retry.Decision{Action: retry.Rest}}, codes.Error, "no mailbox for <body>"},
		{"dead_lettered", poller.Outcome{Err: errAda, Decision: retry.Decision{Action: retry.DeadLetter}}, codes.Error, "no mailbox for <body>"},
		{"returned", poller.Outcome{Err: errAda, Returned: poller.WhyDrain}, codes.Unset, ""},
	} {
		t.Run(tt.outcome, func(t *testing.T) {
			tt.o.Attempt = 1
			span := spanned(t, newKit(t), delivery(), tt.o)
			want := maps.Clone(usual)
			want["worker.outcome"] = tt.outcome
			if tt.status == codes.Error {
				want["error.type"] = tt.outcome
			}
			got := map[string]string{}
			for _, a := range span.Attributes() {
				got[string(a.Key)] = a.Value.String()
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
			if span.Name() != "process email" || span.SpanKind() != trace.SpanKindConsumer || len(span.Links()) > 0 {
				t.Errorf("span %q of kind %s with %d links", span.Name(), span.SpanKind(), len(span.Links()))
			}
			if s := span.Status(); s.Code != tt.status || s.Description != tt.says {
				t.Errorf("status %+v, want %v %q", s, tt.status, tt.says)
			}
		})
	}
}

// TestTheOuterAttributesComeFirst: a replay writes its own, around an envelope that has the old ones.
func TestTheOuterAttributesComeFirst(t *testing.T) {
	const outer, inner = "00-0a000000000000000000000000000000-0a00000000000000-01", "00-0b000000000000000000000000000000-0b00000000000000-01"
	header := "Root=1-0c000000-000000000000000000000000;Parent=0c00000000000000;Sampled=1"
	text := func(s string) map[string]queue.Attribute {
		return map[string]queue.Attribute{"traceparent": {Type: "String", Text: s}}
	}
	for _, tt := range []struct {
		name         string
		outer, inner map[string]queue.Attribute
		header       string
		want         byte // the first of the trace id; 0: no link
	}{
		{"all", text(outer), text(inner), header, 0x0a},
		{"inner and header", nil, text(inner), header, 0x0b},
		{"header", nil, nil, header, 0x0c},
		{"nonsense outside", text("nonsense"), text(inner), "", 0x0b},
		{"nonsense", text("nonsense"), nil, "nonsense", 0},
		{"nothing", nil, nil, "", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			k := newKit(t)
			h := k.email().Hooks()
			d := delivery()
			d.Attributes, d.TraceHeader = tt.outer, tt.header
			// A span that is there already, of whoever runs the worker, is nobody's producer.
			ctx := trace.ContextWithSpanContext(t.Context(), trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{9}, SpanID: trace.SpanID{9}}))
			h.Finished(h.Started(ctx, d, &jobs.Info{Attributes: tt.inner}), d, &jobs.Info{}, poller.Outcome{})
			links := k.spans.Ended()[0].Links()
			switch {
			case tt.want == 0 && len(links) > 0:
				t.Errorf("links %+v", links)
			case tt.want != 0 && (len(links) != 1 || links[0].SpanContext.TraceID()[0] != tt.want):
				t.Errorf("links %+v, want %x", links, tt.want)
			}
		})
	}
}

// TestTheJobRunsInsideItsSpan: what it traces itself is below it.
func TestTheJobRunsInsideItsSpan(t *testing.T) {
	k := newKit(t)
	h := k.email().Hooks()
	ctx := h.Started(t.Context(), delivery(), &jobs.Info{})
	inside := trace.SpanFromContext(ctx)
	if !inside.SpanContext().IsValid() || !inside.IsRecording() {
		t.Fatal("the job's context has no span")
	}
	// A span that the job left in the context it returned is not ended for it.
	h.Finished(trace.ContextWithSpan(ctx, trace.SpanFromContext(context.WithoutCancel(t.Context()))), delivery(), &jobs.Info{}, poller.Outcome{})
	if ended := k.spans.Ended(); len(ended) != 1 || ended[0].SpanContext().SpanID() != inside.SpanContext().SpanID() {
		t.Errorf("ended %v", ended)
	}
}

// delegate is a provider that an SDK may be installed behind later, as OpenTelemetry's global one.
type delegate struct {
	embedded.TracerProvider
	behind trace.TracerProvider
}

func (d *delegate) Tracer(string, ...trace.TracerOption) trace.Tracer {
	return delegateTracer{provider: d}
}

type delegateTracer struct {
	embedded.Tracer
	provider *delegate
}

func (t delegateTracer) Start(ctx context.Context, name string, o ...trace.SpanStartOption) (context.Context, trace.Span) {
	return t.provider.behind.Tracer("behind").Start(ctx, name, o...)
}

// TestAnSDKThatIsInstalledLaterIsFound: by an embedding program, after the worker was made.
func TestAnSDKThatIsInstalledLaterIsFound(t *testing.T) {
	global := &delegate{behind: noop.NewTracerProvider()}
	w, err := telemetry.New(telemetry.Options{Tracers: global})
	if err != nil {
		t.Fatal(err)
	}
	h := w.Queue(telemetry.QueueOptions{Name: "email"}).Hooks()
	run := func() {
		h.Finished(h.Started(t.Context(), delivery(), &jobs.Info{}), delivery(), &jobs.Info{}, poller.Outcome{})
	}
	for range 200 {
		run()
	}
	spans := tracetest.NewSpanRecorder()
	global.behind = sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans))
	for range 64 {
		run()
	}
	if n := len(spans.Ended()); n == 0 {
		t.Error("no span within 64 deliveries")
	}
	spans.Reset()
	for range 10 {
		run()
	}
	if n := len(spans.Ended()); n != 10 {
		t.Errorf("%d spans of 10 after the first", n)
	}
}
