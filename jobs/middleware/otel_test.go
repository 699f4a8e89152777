package middleware_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/stationmaster/worker/jobs"
	"github.com/stationmaster/worker/jobs/middleware"
	"github.com/stationmaster/worker/queue"
	"github.com/stationmaster/worker/retry"
)

// TestASpanIsTheChildOfTheWorkersAndTheParentOfTheJobs: one trace, in which the job is a step.
func TestASpanIsTheChildOfTheWorkersAndTheParentOfTheJobs(t *testing.T) {
	r := newRig()
	ctx, process := r.tracer.Tracer("worker").Start(t.Context(), "process mails")
	var inside trace.SpanContext
	i := r.open(t, false, func(ctx context.Context, _ string) error {
		inside = trace.SpanContextFromContext(ctx)
		return nil
	}, middleware.Trace(r.tracer))
	ms := messages("a")
	ms[0].Attributes = map[string]queue.Attribute{"traceparent": {Type: "String", Text: "00-0102030405060708090a0b0c0d0e0f10-0102030405060708-01"}}
	i.Run(ctx, ms)
	ended := r.spans.Ended()
	if len(ended) != 1 {
		t.Fatalf("%d spans", len(ended))
	}
	span := ended[0]
	if span.Parent().SpanID() != process.SpanContext().SpanID() || span.SpanContext().SpanID() != inside.SpanID() || span.Name() != "job mail" {
		t.Errorf("span %q of %v, the job saw %v", span.Name(), span.Parent(), inside)
	}
	if len(span.Links()) != 0 {
		t.Errorf("links %v: the parent has them", span.Links())
	}
	if span.SpanKind() != trace.SpanKindInternal || span.Status().Code != codes.Unset {
		t.Errorf("a %v with status %v", span.SpanKind(), span.Status())
	}
}

func TestASpanSaysHowItsCallEnded(t *testing.T) {
	panics := func(context.Context, string) error { panic("oh") }
	for name, tt := range map[string]struct {
		do     answers
		bodies []string
		more   map[string]string
		says   string
	}{
		"done":    {func(context.Context, string) error { return nil }, []string{"a"}, map[string]string{"worker.answer": "done"}, ""},
		"after":   {func(context.Context, string) error { return retry.After(nil, time.Hour) }, []string{"a"}, map[string]string{"worker.answer": "after"}, ""},
		"error":   {func(_ context.Context, body string) error { return errors.New("no " + body) }, []string{"alice"}, map[string]string{"worker.answer": "error", "error.type": "error"}, "no <body>"},
		"never":   {func(context.Context, string) error { return retry.Never(errBoom) }, []string{"a"}, map[string]string{"worker.answer": "never", "error.type": "error"}, "boom"},
		"pause":   {func(context.Context, string) error { return retry.Pause(errBoom, time.Now()) }, []string{"a"}, map[string]string{"worker.answer": "pause", "error.type": "error"}, "boom"},
		"goexit":  {func(context.Context, string) error { runtime.Goexit(); return nil }, []string{"a"}, map[string]string{"worker.answer": "error", "error.type": "goexit"}, "the job ended its goroutine (runtime.Goexit), must return"},
		"a batch": {func(_ context.Context, body string) error { return map[string]error{"b": errBoom}[body] }, []string{"a", "b", "c"}, map[string]string{"messaging.batch.message_count": "3", "error.type": "error"}, "1 of 3 messages failed"},
		"panic": {
			panics,
			[]string{"a"},
			map[string]string{"worker.answer": "error", "error.type": "panic"},
			"panic: oh in github.com/stationmaster/worker/jobs/middleware_test.TestASpanSaysHowItsCallEnded.func1",
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig()
			run(t.Context(), r.open(t, len(tt.bodies) > 1, tt.do, middleware.Trace(r.tracer)), messages(tt.bodies...))
			ended := r.spans.Ended()
			if len(ended) != 1 {
				t.Fatalf("%d spans", len(ended))
			}
			got := map[string]string{}
			for _, a := range ended[0].Attributes() {
				got[string(a.Key)] = a.Value.String()
			}
			tt.more["worker.job"], tt.more["messaging.destination.name"] = "mail", "mails"
			if diff := cmp.Diff(tt.more, got); diff != "" {
				t.Error(diff)
			}
			status := ended[0].Status()
			if (status.Code == codes.Error) != (tt.says != "") || status.Description != tt.says {
				t.Errorf("status %v, want %q", status, tt.says)
			}
			if events := ended[0].Events(); len(events) != 0 {
				t.Errorf("events %v", events)
			}
		})
	}
}

// TestASpanWithoutAParentIsLinkedToTheProducers: a batch has no one span of the worker's above it.
func TestASpanWithoutAParentIsLinkedToTheProducers(t *testing.T) {
	r := newRig()
	ms := messages("a", "b", "c")
	for n, m := range ms[1:] {
		m.Attributes = map[string]queue.Attribute{"traceparent": {Type: "String", Text: fmt.Sprintf("00-0102030405060708090a0b0c0d0e0f1%d-0102030405060708-01", n)}}
	}
	r.open(t, true, func(context.Context, string) error { return nil }, middleware.Trace(r.tracer)).Run(t.Context(), ms)
	var linked []string
	for _, l := range r.spans.Ended()[0].Links() {
		linked = append(linked, l.SpanContext.TraceID().String())
	}
	if diff := cmp.Diff([]string{"0102030405060708090a0b0c0d0e0f10", "0102030405060708090a0b0c0d0e0f11"}, linked); diff != "" {
		t.Error(diff)
	}
}

// smtpError has a class of the job's own.
type smtpError int

func (e smtpError) Error() string { return fmt.Sprint("answer ", int(e)) }
func (e smtpError) Class() string { return fmt.Sprint("smtp_", int(e)) }

func TestMetricsCountCallsAndAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig()
		answers := map[string]error{
			"ok": nil, "451": smtpError(451), "452": smtpError(452), "never": retry.Never(errBoom), "after": retry.After(nil, time.Hour),
			"pause": retry.Pause(nil, time.Now()), "slow": context.DeadlineExceeded, "gone": context.Canceled,
		}
		do := func(_ context.Context, body string) error {
			switch body {
			case "panic":
				panic(body)
			case "goexit":
				runtime.Goexit()
			}
			return answers[body]
		}
		single, batch := r.open(t, false, do, middleware.Metrics(r.meters)), r.open(t, true, do, middleware.Metrics(r.meters))
		for _, body := range []string{"ok", "451", "452", "panic", "goexit", "slow"} {
			run(t.Context(), single, messages(body))
		}
		batch.Run(t.Context(), messages("ok", "ok", "never", "after", "pause", "gone"))
		if errs := single.Run(t.Context(), []*jobs.Info{{Queue: "mails", Raw: "not JSON"}}); len(errs) != 1 {
			t.Errorf("answers %v", errs)
		}
		const at = "messaging.destination.name=mails "
		want := map[string]float64{"worker.job.call.duration " + at + "worker.job=mail": 8}
		for answer, n := range map[string]float64{
			at + "worker.answer=done": 3, at + "worker.answer=after": 1,
			"error.type=_OTHER " + at + "worker.answer=error": 2, "error.type=_OTHER " + at + "worker.answer=never": 1,
			"error.type=_OTHER " + at + "worker.answer=pause": 1, "error.type=panic " + at + "worker.answer=error": 1,
			"error.type=goexit " + at + "worker.answer=error": 1, "error.type=timeout " + at + "worker.answer=error": 1,
			"error.type=canceled " + at + "worker.answer=error": 1, "error.type=decode " + at + "worker.answer=never": 1,
		} {
			want["worker.job.answers "+answer+" worker.job=mail"] = n
		}
		if diff := cmp.Diff(want, r.measured(t)); diff != "" {
			t.Error(diff)
		}
	})
}
