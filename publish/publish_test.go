package publish_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/stationmaster/worker/internal/awsapi"
	"github.com/stationmaster/worker/internal/tracecarrier"
	"github.com/stationmaster/worker/jobs"
	"github.com/stationmaster/worker/localaws"
	"github.com/stationmaster/worker/publish"
	"github.com/stationmaster/worker/queue"
)

var _ jobs.Publisher = (*publish.Client)(nil)

func attributes(n int) map[string]queue.Attribute {
	all := map[string]queue.Attribute{}
	for i := range n {
		all[fmt.Sprintf("k%d", i)] = queue.Attribute{Type: "String", Text: "v"}
	}
	return all
}

func TestOpenFindsItsAccountAndPublishes(t *testing.T) {
	k := newKit(t, "true", "")
	c, err := publish.Open(t.Context(), config(k.server))
	if err != nil {
		t.Fatal(err)
	}
	for _, topic := range []string{"invitations", topicARN} {
		if id, err := c.Publish(t.Context(), topic, queue.Message{Body: topic}); err != nil || id == "" {
			t.Errorf("%s: %q, %v", topic, id, err)
		}
		if got := k.one(t).Body; got != topic {
			t.Errorf("%s: %q arrived", topic, got)
		}
	}
	if _, err := c.Send(t.Context(), "email", queue.Message{Body: "sent"}); err != nil || k.one(t).Body != "sent" {
		t.Errorf("send: %v", err)
	}
	if _, err := c.Send(t.Context(), "nowhere", queue.Message{Body: "sent"}); !errors.Is(err, queue.ErrNotFound) || !strings.Contains(err.Error(), "find queue nowhere") {
		t.Errorf("send to a queue that is not there: %v", err)
	}
}

func TestOpenTellsWhyItCannot(t *testing.T) {
	k := newKit(t, "true", "")
	k.server.Control("GetCallerIdentity", func(*localaws.Request) *localaws.Fault {
		return &localaws.Fault{Status: 403, Code: "InvalidClientTokenId", Message: "unknown key"}
	})
	cfg := config(k.server)
	cfg.Credentials = credentials.NewStaticCredentialsProvider("AKIDOLD", "secret", "")
	_, err := publish.Open(t.Context(), cfg)
	if !errors.Is(err, queue.ErrCredentials) || !strings.HasPrefix(err.Error(), "open publisher: get the caller's identity: credentials refused: ") ||
		!strings.Contains(err.Error(), "set AWS_PROFILE") || strings.Contains(err.Error(), "secret") {
		t.Errorf("error %v", err)
	}
}

func TestPublishMakesAProducerSpanThatTravelsWithTheMessage(t *testing.T) {
	k := newKit(t, "true", "")
	id, err := k.Publish(t.Context(), "invitations", queue.Message{Body: "hello", Attributes: attributes(3)})
	if err != nil {
		t.Fatal(err)
	}
	span, d := k.span(t), k.one(t)
	if span.Name() != "publish invitations" || span.SpanKind() != trace.SpanKindProducer || span.Status().Code != codes.Unset {
		t.Errorf("span %q, %s, %v", span.Name(), span.SpanKind(), span.Status())
	}
	if diff := cmp.Diff(map[string]string{
		"messaging.system": "aws.sns", "messaging.operation.name": "publish", "messaging.operation.type": "send",
		"messaging.destination.name": "invitations", "messaging.message.id": id, "aws.sns.topic.arn": topicARN,
	}, said(span)); diff != "" {
		t.Error(diff)
	}
	parent := fmt.Sprintf("00-%s-%s-01", span.SpanContext().TraceID(), span.SpanContext().SpanID())
	want := attributes(3)
	want["traceparent"] = queue.Attribute{Type: "String", Text: parent}
	if diff := cmp.Diff(want, d.Attributes); diff != "" {
		t.Error(diff)
	}
}

// TestTracingCostsNoMessage: with raw delivery the eleventh attribute would.
func TestTracingCostsNoMessage(t *testing.T) {
	for n := range queue.MaxAttributes + 1 {
		k := newKit(t, "true", "")
		given := attributes(n)
		before := maps.Clone(given)
		m := queue.Message{Body: "hello", Attributes: given}
		if _, err := k.Publish(t.Context(), "invitations", m); err != nil {
			t.Fatalf("%d attributes: %v", n, err)
		}
		span, d := k.span(t), k.one(t)
		if len(k.lost) > 0 || len(d.Attributes) > queue.MaxAttributes {
			t.Errorf("%d attributes: %d arrived, lost %v", n, len(d.Attributes), k.lost)
		}
		for name, a := range before {
			if diff := cmp.Diff(a, d.Attributes[name]); diff != "" {
				t.Errorf("%d attributes: %s: %s", n, name, diff)
			}
		}
		if diff := cmp.Diff(before, given); diff != "" || m.TraceHeader != "" {
			t.Errorf("%d attributes: the caller's message changed: %s", n, diff)
		}
		got := trace.SpanContextFromContext(tracecarrier.Extract(t.Context(), d.Attributes, d.TraceHeader))
		if got.TraceID() != span.SpanContext().TraceID() || got.SpanID() != span.SpanContext().SpanID() {
			t.Errorf("%d attributes: the trace is lost: %+v, header %q", n, d.Attributes, d.TraceHeader)
		}
		// One place is left for the failure record, so that a message does not die without its reason.
		if _, traced := d.Attributes["traceparent"]; traced != (n < queue.MaxAttributes-1) {
			t.Errorf("%d attributes: the trace context took one: %t", n, traced)
		}
	}
}

func TestWithoutATracerTheCallersOwnSpanTravels(t *testing.T) {
	k := newKit(t, "true", "")
	c := k.client(publish.Options{Tracer: noop.NewTracerProvider()})
	if _, err := c.Publish(t.Context(), "invitations", queue.Message{Body: "none"}); err != nil {
		t.Fatal(err)
	}
	if d := k.one(t); len(d.Attributes) > 0 || d.TraceHeader != "" {
		t.Errorf("nobody traces, and %v, %q arrived", d.Attributes, d.TraceHeader)
	}
	outer := trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}, TraceFlags: trace.FlagsSampled})
	if _, err := c.Publish(trace.ContextWithSpanContext(t.Context(), outer), "invitations", queue.Message{Body: "outer"}); err != nil {
		t.Fatal(err)
	}
	if got := k.one(t).Attributes["traceparent"].Text; got != "00-01000000000000000000000000000000-0200000000000000-01" {
		t.Errorf("traceparent %q", got)
	}
}

func TestPublishKnowsTopicsByTheirOtherNames(t *testing.T) {
	k := newKit(t, "true", "")
	c := k.client(publish.Options{Names: map[string]string{"news": topicARN, "short": "invitations", "self": "self"}})
	for _, topic := range []string{"news", "short"} {
		if _, err := c.Publish(t.Context(), topic, queue.Message{Body: topic}); err != nil || k.one(t).Body != topic {
			t.Errorf("%s: %v", topic, err)
		}
	}
	if _, err := c.Publish(t.Context(), "self", queue.Message{Body: "x"}); !errors.Is(err, queue.ErrNotFound) {
		t.Errorf("a name for itself: %v", err)
	}
}

func TestPublishTellsWhatIsWrongAndTheWayOut(t *testing.T) {
	none := publish.New(publish.Options{})
	k := newKit(t, "true", "")
	refused := func(status int, code string) func(*localaws.Request) *localaws.Fault {
		return func(*localaws.Request) *localaws.Fault {
			return &localaws.Fault{Status: status, Code: code, Message: "no"}
		}
	}
	for _, tt := range []struct {
		name  string
		c     *publish.Client
		topic string
		m     queue.Message
		fault func(*localaws.Request) *localaws.Fault
		class error
		says  []string
		kind  string // error.type of the span; empty: there is none
	}{
		{"no topics", none, "invitations", queue.Message{Body: "x"}, nil, nil, []string{"publish to invitations: this client has no topics; set Options.Topics"}, ""},
		{"no name", k.Client, "", queue.Message{Body: "x"}, nil, queue.ErrRejected, []string{`publish to "": rejected`, "give its ARN"}, ""},
		{
			"no region", publish.New(publish.Options{Topics: k.api, Account: accountID}), "invitations",
			queue.Message{Body: "x"},
			nil, queue.ErrRejected,
			[]string{`publish to "invitations": rejected: a topic's name needs a region and an account, not "" and "000000000000"; give its ARN`},
			"",
		},
		{
			"eleven attributes", k.Client, "invitations",
			queue.Message{Body: "x", Attributes: attributes(11)},
			nil, queue.ErrRejected,
			[]string{"publish to invitations: rejected: 11 attributes, at most 10; put some into the body"},
			"",
		},
		{
			"no such topic", k.Client, "nowhere",
			queue.Message{Body: "x"},
			nil, queue.ErrNotFound,
			[]string{"publish to nowhere: NotFound: Topic does not exist", "; correct the name, or create what is declared with: worker topology apply"},
			"NotFound",
		},
		{"no body", k.Client, "invitations", queue.Message{}, nil, queue.ErrRejected, []string{"publish to invitations: InvalidParameter: Invalid parameter: Empty message"}, "InvalidParameter"},
		{
			"denied", k.Client, "invitations",
			queue.Message{Body: "x"},
			refused(403, "AuthorizationError"), queue.ErrDenied,
			[]string{"publish to invitations: access denied: AuthorizationError: no", "; allow sns:Publish to this role"},
			"AuthorizationError",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			k.spans.Reset()
			if tt.fault != nil {
				defer k.server.Control("Publish", tt.fault)()
			}
			id, err := tt.c.Publish(t.Context(), tt.topic, tt.m)
			if err == nil || id != "" || tt.class != nil && !errors.Is(err, tt.class) {
				t.Fatalf("%q, %v; want an error of class %v", id, err, tt.class)
			}
			for _, says := range tt.says {
				if !strings.Contains(err.Error(), says) {
					t.Errorf("error %q does not say %q", err, says)
				}
			}
			if got := k.received(t, "email"); len(got) > 0 {
				t.Errorf("%d messages arrived", len(got))
			}
			if tt.kind == "" {
				if n := len(k.spans.Ended()); n > 0 {
					t.Errorf("%d spans for what never left", n)
				}
				return
			}
			span := k.span(t)
			if span.Status().Code != codes.Error || span.Status().Description != err.Error() || said(span)["error.type"] != tt.kind {
				t.Errorf("span: %v, error.type %q; want %s", span.Status(), said(span)["error.type"], tt.kind)
			}
		})
	}
}

// TestASpanOfAnErrorWithoutACode: the network knows none.
func TestASpanOfAnErrorWithoutACode(t *testing.T) {
	k := newKit(t, "true", "")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := k.Publish(ctx, "invitations", queue.Message{Body: "x"}); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	if got := said(k.span(t))["error.type"]; got != "_OTHER" {
		t.Errorf("error.type %q", got)
	}
}

func TestALostAnswerIsAskedForAgain(t *testing.T) {
	k := newKit(t, "true", "")
	n := 0
	k.server.Control("Publish", func(*localaws.Request) *localaws.Fault {
		if n++; n == 1 {
			return &localaws.Fault{Status: 503}
		}
		return nil
	})
	if _, err := k.Publish(t.Context(), "invitations", queue.Message{Body: "x"}); err != nil || n != 2 {
		t.Errorf("%d requests, %v", n, err)
	}
	k.one(t)
	k.span(t)
}

func TestSendSendsWithASpanOfItsOwn(t *testing.T) {
	k := newKit(t, "true", "")
	asked := ""
	c := k.client(publish.Options{Queues: func(ctx context.Context, name string) (queue.Sender, error) {
		asked = name
		url, err := k.api.QueueURL(ctx, name, "")
		if err != nil {
			return nil, err
		}
		return k.api.Queue(url, awsapi.QueueOptions{}), nil
	}})
	m := queue.Message{Body: "hello", GroupID: "ada", Attributes: attributes(9)}
	id, err := c.Send(t.Context(), "email", m)
	if err != nil || asked != "email" {
		t.Fatal(asked, err)
	}
	d, span := k.one(t), k.span(t)
	if d.MessageID != id || d.GroupID != "ada" || d.Body != "hello" || len(d.Attributes) != 9 {
		t.Errorf("delivery %+v", d)
	}
	got := trace.SpanContextFromContext(tracecarrier.Extract(t.Context(), d.Attributes, d.TraceHeader))
	if d.TraceHeader == "" || got.SpanID() != span.SpanContext().SpanID() {
		t.Errorf("the trace is lost: header %q", d.TraceHeader)
	}
	if diff := cmp.Diff(map[string]string{
		"messaging.system": "aws_sqs", "messaging.operation.name": "send", "messaging.operation.type": "send",
		"messaging.destination.name": "email", "messaging.message.id": id,
	}, said(span)); diff != "" || span.Name() != "send email" || span.SpanKind() != trace.SpanKindProducer {
		t.Errorf("span %q, %s: %s", span.Name(), span.SpanKind(), diff)
	}

	if _, err := c.Send(t.Context(), "nowhere", m); !errors.Is(err, queue.ErrNotFound) || !strings.HasSuffix(err.Error(), "; correct the name, or create what is declared with: worker topology apply") {
		t.Errorf("to nowhere: %v", err)
	}
	if span := k.span(t); span.Status().Code != codes.Error {
		t.Errorf("to nowhere: span %v", span.Status())
	}
	m.Attributes = attributes(11)
	if _, err := c.Send(t.Context(), "email", m); !errors.Is(err, queue.ErrRejected) || !strings.HasPrefix(err.Error(), "send to email: ") {
		t.Errorf("eleven attributes: %v", err)
	}
	defer k.server.Control("SendMessageBatch", func(*localaws.Request) *localaws.Fault {
		return &localaws.Fault{Status: 403, Code: "AccessDenied", Message: "no"}
	})()
	if _, err := c.Send(t.Context(), "email", queue.Message{Body: "x"}); !errors.Is(err, queue.ErrDenied) || !strings.HasSuffix(err.Error(), "; allow sqs:GetQueueUrl and sqs:SendMessage to this role") {
		t.Errorf("denied: %v", err)
	}
	if _, err := publish.New(publish.Options{}).Send(t.Context(), "email", m); err == nil || err.Error() != "send to email: this client has no queues; set Options.Queues" {
		t.Errorf("without queues: %v", err)
	}
}

// TestManyMayPublishTheSameMessage: the map of attributes is shared by all of them.
func TestManyMayPublishTheSameMessage(t *testing.T) {
	k := newKit(t, "true", "")
	m := queue.Message{Body: "hello", Attributes: attributes(2)}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if _, err := k.Publish(t.Context(), "invitations", m); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	parents := map[string]bool{}
	for _, d := range k.received(t, "email") {
		parents[d.Attributes["traceparent"].Text] = true
	}
	if len(parents) != 8 || len(m.Attributes) != 2 {
		t.Errorf("%d trace contexts of 8, %d attributes of 2", len(parents), len(m.Attributes))
	}
}
