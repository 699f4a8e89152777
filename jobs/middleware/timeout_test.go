package middleware_test

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stationmaster/worker/deadletter"
	"github.com/stationmaster/worker/jobs"
	"github.com/stationmaster/worker/jobs/middleware"
	"github.com/stationmaster/worker/queue"
	"github.com/stationmaster/worker/retry"
)

var errDrain = errors.New("worker is draining")

func TestTimeout(t *testing.T) {
	until := time.Now().Add(time.Hour)
	wait := func(answer error) answers {
		return func(ctx context.Context, _ string) error { <-ctx.Done(); return answer }
	}
	for name, tt := range map[string]struct {
		do    answers
		limit time.Duration // of the attempt, outside of the middleware; 0: none
		drain time.Duration // when the attempt is cancelled; 0: never
		took  time.Duration
		class string // empty: the answer of the job, unchanged
		want  error
	}{
		"in time":                           {do: func(context.Context, string) error { return errBoom }, want: errBoom},
		"out of time":                       {do: wait(errBoom), took: 5 * time.Second, class: "timeout", want: errBoom},
		"the context's own error":           {do: func(ctx context.Context, _ string) error { <-ctx.Done(); return ctx.Err() }, took: 5 * time.Second, class: "timeout", want: context.DeadlineExceeded},
		"done all the same":                 {do: wait(nil), took: 5 * time.Second},
		"never":                             {do: wait(retry.Never(errBoom)), took: 5 * time.Second, want: errBoom},
		"after":                             {do: wait(retry.After(errBoom, time.Second)), took: 5 * time.Second, want: errBoom},
		"pause":                             {do: wait(retry.Pause(errBoom, until)), took: 5 * time.Second, want: errBoom},
		"a panic":                           {do: func(ctx context.Context, _ string) error { <-ctx.Done(); panic(errBoom) }, took: 5 * time.Second, want: errBoom},
		"the attempt is over before":        {do: wait(errBoom), limit: 2 * time.Second, took: 2 * time.Second, want: errBoom},
		"the attempt is over after":         {do: wait(errBoom), limit: time.Minute, took: 5 * time.Second, class: "timeout", want: errBoom},
		"a drain before":                    {do: wait(errBoom), drain: time.Second, took: time.Second, want: errBoom},
		"a drain of a job that is late":     {do: wait(errBoom), drain: time.Minute, took: 5 * time.Second, class: "timeout", want: errBoom},
		"cancelled before it has begun":     {do: wait(errBoom), drain: -1, want: errBoom},
		"deaf: waited for as long as it is": {do: func(context.Context, string) error { <-time.After(time.Hour); return errBoom }, took: time.Hour, class: "timeout", want: errBoom},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancelCause(t.Context())
				defer cancel(nil)
				if tt.limit > 0 {
					var end context.CancelFunc
					ctx, end = context.WithTimeout(ctx, tt.limit)
					defer end()
				}
				switch {
				case tt.drain > 0:
					defer time.AfterFunc(tt.drain, func() { cancel(errDrain) }).Stop()
				case tt.drain < 0:
					cancel(errDrain)
				}
				var cause error
				i := newRig().open(t, false, func(ctx context.Context, body string) error {
					defer func() { cause = context.Cause(ctx) }()
					return tt.do(ctx, body)
				}, middleware.Timeout(5*time.Second), middleware.Recover())
				began := time.Now()
				err := queue.At(i.Run(ctx, messages("a")), 0)
				if took := time.Since(began); took != tt.took {
					t.Errorf("took %v, want %v", took, tt.took)
				}
				if !errors.Is(err, tt.want) {
					t.Errorf("answered %v, want %v", err, tt.want)
				}
				said := err != nil && strings.HasPrefix(err.Error(), "job took longer than 5s: ")
				if said != (tt.class == "timeout") || said && (deadletter.Class(err) != "timeout" || !errors.Is(err, context.DeadlineExceeded)) {
					t.Errorf("answered %v of class %s", err, deadletter.Class(err))
				}
				if tt.drain != 0 && tt.class == "" && !errors.Is(cause, errDrain) {
					t.Errorf("the job's context ended by %v, want the drain", cause)
				}
				if tt.class == "timeout" && deadletter.Class(cause) != "timeout" {
					t.Errorf("the job's context ended by %v, want the timeout", cause)
				}
			})
		})
	}
}

func TestATimeoutOfABatchIsOfItsPlainErrorsOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		answers := map[string]error{"plain": errBoom, "never": retry.Never(errBoom), "done": nil}
		i := newRig().open(t, true, func(ctx context.Context, body string) error { <-ctx.Done(); return answers[body] }, middleware.Timeout(time.Second))
		errs := i.Run(t.Context(), messages("plain", "never", "done"))
		if len(errs) != 3 || deadletter.Class(errs[0]) != "timeout" || !errors.Is(errs[1], answers["never"]) || errs[2] != nil {
			t.Errorf("answered %v", errs)
		}
	})
}

// TestTwoTimeoutsAreToldApart: the error names the one that was over.
func TestTwoTimeoutsAreToldApart(t *testing.T) {
	for _, tt := range []struct {
		outer, inner time.Duration
		want         string
	}{
		{time.Second, time.Minute, "job took longer than 1s: boom"},
		{time.Minute, time.Second, "job took longer than 1s: boom"},
		{time.Second, time.Second, "job took longer than 1s: boom"},
		{time.Second, 0, "job took longer than 1s: boom"},
		{0, -time.Second, "boom"},
	} {
		synctest.Test(t, func(t *testing.T) {
			i := newRig().open(t, false, func(ctx context.Context, _ string) error {
				select {
				case <-ctx.Done():
				case <-time.After(time.Hour):
				}
				return errBoom
			}, middleware.Timeout(tt.outer), middleware.Timeout(tt.inner))
			if err := queue.At(i.Run(t.Context(), messages("a")), 0); err == nil || err.Error() != tt.want {
				t.Errorf("%v around %v: answered %v, want %s", tt.outer, tt.inner, err, tt.want)
			}
		})
	}
}

// TestADeafJobIsReportedOnceAndNothingElse: neither is one that returns, however it does.
func TestADeafJobIsReportedOnceAndNothingElse(t *testing.T) {
	for name, tt := range map[string]struct {
		do   func(ctx context.Context) error
		want int
	}{
		"deaf":    {func(context.Context) error { <-time.After(time.Hour); return nil }, 1},
		"late":    {func(context.Context) error { <-time.After(7 * time.Second); return nil }, 0},
		"obeys":   {func(ctx context.Context) error { <-ctx.Done(); return nil }, 0},
		"panics":  {func(context.Context) error { panic("oh") }, 0},
		"goexits": {func(context.Context) error { runtime.Goexit(); return nil }, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig()
				i := r.open(t, true, func(ctx context.Context, _ string) error { return tt.do(ctx) }, middleware.Timeout(5*time.Second))
				ended := make(chan struct{})
				go func() {
					defer close(ended)
					i.Run(t.Context(), messages("hello", "goodbye"))
				}()
				<-ended
				<-time.After(time.Hour)
				said := r.book.Records(t)
				if len(said) != tt.want {
					t.Fatalf("logged %v", said)
				}
				if tt.want > 0 && (said[0]["level"] != "WARN" || said[0]["id"] != "m-1" || said[0]["batch"] != 2.0 || said[0]["job"] != "mail") {
					t.Errorf("logged %v", said[0])
				}
			})
		})
	}
}

// TestATimeoutFreesItsClaim: outside of it, Once lets the message be tried again.
func TestATimeoutFreesItsClaim(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		runs := 0
		i := newRig().open(t, false, func(ctx context.Context, _ string) error {
			if runs++; runs == 1 {
				<-ctx.Done()
				return ctx.Err()
			}
			return nil
		}, jobs.Once(jobs.NewMemory(time.Hour, 10)), middleware.Timeout(time.Second))
		for n, fails := range []bool{true, false, false} {
			if err := queue.At(i.Run(t.Context(), messages("a")), 0); (err != nil) != fails {
				t.Errorf("run %d is answered %v", n, err)
			}
		}
		if runs != 2 {
			t.Errorf("%d runs, want 2: the third is a duplicate", runs)
		}
	})
}
