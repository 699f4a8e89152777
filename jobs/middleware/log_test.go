package middleware_test

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stationmaster/worker/deadletter"
	"github.com/stationmaster/worker/jobs"
	"github.com/stationmaster/worker/jobs/middleware"
	"github.com/stationmaster/worker/retry"
)

// run runs a job on a goroutine of its own, which it may end.
func run(ctx context.Context, i *jobs.Instance, ms []*jobs.Info) {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		i.Run(ctx, ms)
	}()
	<-ended
}

func TestLogSaysWhatAJobAnswered(t *testing.T) {
	boom := func(class string) map[string]any {
		return map[string]any{"err": "boom", "class": class, "fingerprint": deadletter.Fingerprint("mail", class, "boom")}
	}
	for answer, tt := range map[string]struct {
		do   answers
		more map[string]any
	}{
		"done":  {func(context.Context, string) error { return nil }, nil},
		"after": {func(context.Context, string) error { return retry.After(nil, time.Hour) }, nil},
		"error": {func(context.Context, string) error { return errBoom }, boom("error")},
		"never": {func(context.Context, string) error { return retry.Never(errBoom) }, boom("error")},
		"pause": {func(context.Context, string) error { return retry.Pause(errBoom, time.Now()) }, boom("error")},
	} {
		t.Run(answer, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig()
				i := r.open(t, false, func(ctx context.Context, body string) error { <-time.After(time.Second); return tt.do(ctx, body) }, middleware.Log())
				i.Run(t.Context(), messages("hello"))
				about := map[string]any{"job": "mail", "queue": "mails", "id": "m-1", "receive_count": 3.0, "attempt": 2.0}
				starts := map[string]any{"level": "DEBUG", "msg": "job starts"}
				answered := map[string]any{"level": "INFO", "msg": "job answered", "answer": answer, "elapsed": 1e9}
				for _, with := range []map[string]any{starts, answered} {
					maps.Copy(with, about)
				}
				maps.Copy(answered, tt.more)
				if diff := cmp.Diff([]map[string]any{starts, answered}, r.book.Records(t)); diff != "" {
					t.Error(diff)
				}
			})
		})
	}
}

// TestLogSaysNothingOfABody: whatever the job does with it.
func TestLogSaysNothingOfABody(t *testing.T) {
	const secret = "hunter2 of Ada Lovelace"
	for name, do := range map[string]answers{
		"error":  func(_ context.Context, body string) error { return fmt.Errorf("no mailbox for %s", body) },
		"never":  func(_ context.Context, body string) error { return retry.Never(fmt.Errorf("no mailbox for %s", body)) },
		"panic":  func(_ context.Context, body string) error { panic(body) },
		"goexit": func(context.Context, string) error { runtime.Goexit(); return nil },
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig()
			ms := messages(secret)
			ms[0].Subject, ms[0].GroupID = secret, "group-1"
			run(t.Context(), r.open(t, false, do, middleware.Log(), middleware.Trace(r.tracer), middleware.Metrics(r.meters)), ms)
			told := r.book.String() + fmt.Sprint(r.measured(t))
			for _, span := range r.spans.Ended() {
				told += fmt.Sprint(span.Name(), span.Attributes(), span.Events(), span.Status())
			}
			if strings.Contains(told, "hunter2") || strings.Contains(told, "Lovelace") {
				t.Errorf("the body was told: %s", told)
			}
			records := r.book.Records(t)
			if len(records) != 2 || records[1]["class"] == nil || records[1]["group_id"] != "group-1" {
				t.Errorf("logged %v", records)
			}
		})
	}
}

func TestLogNamesEachMessageOfABatchAndItsOwnAnswer(t *testing.T) {
	r := newRig()
	r.level = slog.LevelInfo
	i := r.open(t, true, func(_ context.Context, body string) error {
		if body == "bad" {
			return errBoom
		}
		return nil
	}, middleware.Log())
	ms := messages("good", "bad")
	ms[0].ID = strings.Repeat("x", 101) // a producer's own
	i.Run(t.Context(), ms)
	records := r.book.Records(t)
	if len(records) != 2 {
		t.Fatalf("logged %v", records)
	}
	if _, has := records[0]["id"]; has || records[0]["answer"] != "done" || records[0]["batch"] != 2.0 {
		t.Errorf("the first: %v", records[0])
	}
	if records[1]["id"] != "m-2" || records[1]["answer"] != "error" || records[1]["err"] != "boom" {
		t.Errorf("the second: %v", records[1])
	}
}

// TestWhoIsInterruptedHasNotFailed: a drain is no fault of the job's. A verdict stands all the same.
func TestWhoIsInterruptedHasNotFailed(t *testing.T) {
	for want, do := range map[string]answers{
		"interrupted": func(ctx context.Context, _ string) error { <-ctx.Done(); return ctx.Err() },
		"done":        func(ctx context.Context, _ string) error { <-ctx.Done(); return nil },
		"never":       func(ctx context.Context, _ string) error { <-ctx.Done(); return retry.Never(errBoom) },
	} {
		t.Run(want, func(t *testing.T) {
			r := newRig()
			ctx, cancel := context.WithCancelCause(t.Context())
			cancel(errDrain)
			r.open(t, false, do, r.usual()...).Run(ctx, messages("a"))
			failed := want == "never"
			records := r.book.Records(t)
			if got := records[len(records)-1]; got["answer"] != want || (got["err"] != nil) != failed {
				t.Errorf("logged %v", got)
			}
			if span := r.spans.Ended()[0]; (span.Status().Description != "") != failed {
				t.Errorf("status of the span: %v", span.Status())
			}
			series := "worker.job.answers messaging.destination.name=mails worker.answer=" + want + " worker.job=mail"
			if failed {
				series = "worker.job.answers error.type=_OTHER" + strings.TrimPrefix(series, "worker.job.answers")
			}
			if got := r.measured(t); got[series] != 1 {
				t.Errorf("measured %v", got)
			}
		})
	}
}

func TestLogIsQuietBelowItsLevel(t *testing.T) {
	r := newRig()
	r.level = slog.LevelWarn
	i := r.open(t, false, func(context.Context, string) error { return errBoom }, middleware.Log())
	i.Run(t.Context(), messages("a"))
	if said := r.book.String(); said != "" {
		t.Errorf("logged %s", said)
	}
}
