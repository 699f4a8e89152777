package middleware_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stationmaster/worker/jobs"
	"github.com/stationmaster/worker/jobs/jobstest"
	"github.com/stationmaster/worker/jobs/middleware"
	"github.com/stationmaster/worker/queue"
	"github.com/stationmaster/worker/retry"
)

// layers are all of them, by name.
func (r *rig) layers() map[string]jobs.Middleware {
	return map[string]jobs.Middleware{
		"Recover": middleware.Recover(), "Timeout": middleware.Timeout(time.Hour), "Log": middleware.Log(),
		"Trace": middleware.Trace(r.tracer), "Metrics": middleware.Metrics(r.meters),
		"Once": jobs.Once(jobs.NewMemory(time.Hour, 100)),
	}
}

// usual are all of them in the documented order.
func (r *rig) usual() []jobs.Middleware {
	l := r.layers()
	return []jobs.Middleware{l["Log"], l["Trace"], l["Metrics"], l["Once"], l["Timeout"], l["Recover"]}
}

// TestAnswersPassThroughEachLayerUnchanged: the very error, so that retry, dead letter and pause are what
// the job has asked for.
func TestAnswersPassThroughEachLayerUnchanged(t *testing.T) {
	until := time.Now().Add(time.Hour)
	wants := []error{
		nil, errBoom, retry.Never(errBoom), retry.After(errBoom, time.Minute), retry.After(nil, time.Minute), retry.Pause(errBoom, until),
		fmt.Errorf("wrapped: %w", retry.Never(errBoom)), context.DeadlineExceeded,
	}
	for _, batch := range []bool{false, true} {
		names := []string{"all of them", "Recover", "Timeout", "Log", "Trace", "Metrics"}
		for _, name := range names {
			t.Run(fmt.Sprint(name, " batch ", batch), func(t *testing.T) {
				r := newRig()
				layers := []jobs.Middleware{r.layers()[name]}
				if name == names[0] {
					layers = r.usual()
				}
				next := -1
				i := r.open(t, batch, func(context.Context, string) error { next++; return wants[next] }, layers...)
				var got []error
				if bodies := strings.Split(strings.Repeat("x", len(wants)), ""); batch {
					got = i.Run(t.Context(), messages(bodies...))
				} else {
					for _, m := range messages(bodies...) {
						got = append(got, queue.At(i.Run(t.Context(), []*jobs.Info{m}), 0))
					}
				}
				if !slices.Equal(got, wants) {
					t.Errorf("answers %v, want %v", got, wants)
				}
			})
		}
	}
}

// TestABodyThatIsNoneStaysADecodeError: middleware is around the decoding, too.
func TestABodyThatIsNoneStaysADecodeError(t *testing.T) {
	r := newRig()
	i := r.open(t, false, func(context.Context, string) error { return nil }, r.usual()...)
	err := queue.At(i.Run(t.Context(), []*jobs.Info{{ID: "m-1", Queue: "mails", Raw: "secret"}}), 0)
	if _, ok := errors.AsType[*jobs.DecodeError](err); !ok || !retry.IsNever(err) {
		t.Errorf("answered %v", err)
	}
	if said := r.book.String(); !strings.Contains(said, `"class":"decode"`) || strings.Contains(said, "secret") {
		t.Errorf("logged %s", said)
	}
}

func TestRecoverAnswersForEachMessageWithThePanic(t *testing.T) {
	for _, batch := range []bool{false, true} {
		var seen []error
		look := func(next jobs.Call) jobs.Call {
			return func(ctx context.Context, ms []*jobs.Info) []error { seen = next(ctx, ms); return seen }
		}
		i := newRig().open(t, batch, func(context.Context, string) error { panic(errBoom) }, look, middleware.Recover())
		bodies := []string{"a", "b"}[:1]
		if batch {
			bodies = []string{"a", "b"}
		}
		i.Run(t.Context(), messages(bodies...))
		if len(seen) != len(bodies) {
			t.Fatalf("batch %v: the layer outside saw %v", batch, seen)
		}
		for _, err := range seen {
			p, ok := errors.AsType[*jobs.PanicError](err)
			if !ok || !errors.Is(err, errBoom) || !strings.Contains(p.Frame(), "TestRecoverAnswers") || !strings.Contains(string(p.Stack), "middleware_test.go") {
				t.Errorf("batch %v: the layer outside saw %v", batch, err)
			}
		}
	}
}

// TestThePanicOfALayerIsTheWorkersToRecover: outside of Recover there is the worker's own.
func TestThePanicOfALayerIsTheWorkersToRecover(t *testing.T) {
	layer := func(jobs.Call) jobs.Call {
		return func(context.Context, []*jobs.Info) []error { panic("layer") }
	}
	r := newRig()
	i := r.open(t, true, func(context.Context, string) error { return nil }, middleware.Log(), middleware.Recover(), layer)
	for _, errs := range [][]error{
		i.Run(t.Context(), messages("a", "b")),
		r.open(t, true, func(context.Context, string) error { return nil }, layer, middleware.Recover()).Run(t.Context(), messages("a", "b")),
	} {
		if len(errs) != 2 {
			t.Fatalf("answers %v", errs)
		}
		for _, err := range errs {
			if p, ok := errors.AsType[*jobs.PanicError](err); !ok || p.Value != "layer" {
				t.Errorf("answered %v", err)
			}
		}
	}
}

// TestALayerThatSeesAPanicLetsItGoOn: what recovers it outside finds the first stack.
func TestALayerThatSeesAPanicLetsItGoOn(t *testing.T) {
	for _, name := range []string{"Log", "Trace", "Metrics"} {
		r := newRig()
		var recovered any
		outside := func(next jobs.Call) jobs.Call {
			return func(ctx context.Context, ms []*jobs.Info) []error {
				defer func() { recovered = recover() }()
				return next(ctx, ms)
			}
		}
		i := r.open(t, false, func(context.Context, string) error { explode(); return nil }, outside, r.layers()[name])
		i.Run(t.Context(), messages("a"))
		p, ok := recovered.(*jobs.PanicError)
		if !ok || p.Value != "oh" || !strings.HasSuffix(p.Frame(), "middleware_test.explode") {
			t.Errorf("%s: recovered %v", name, recovered)
		}
	}
}

func explode() { panic("oh") }

// TestThroughAWholeLife: with all layers around it, a worker makes of each way to end what it makes
// without them.
func TestThroughAWholeLife(t *testing.T) {
	policy := jobstest.Policy(retry.Policy{Attempts: 2, First: time.Minute, Factor: 1, Max: time.Minute})
	for name, tt := range map[string]struct {
		do    answers
		tries int
		class string
	}{
		"done":    {func(context.Context, string) error { return nil }, 1, ""},
		"error":   {func(context.Context, string) error { return errBoom }, 2, "error"},
		"never":   {func(context.Context, string) error { return retry.Never(errBoom) }, 1, "error"},
		"panic":   {func(context.Context, string) error { panic("oh") }, 2, "panic"},
		"goexit":  {func(context.Context, string) error { runtime.Goexit(); return nil }, 2, "goexit"},
		"timeout": {func(ctx context.Context, _ string) error { <-ctx.Done(); return errBoom }, 2, "timeout"},
		"deaf": {func(context.Context, string) error {
			<-time.After(90 * time.Minute) // longer than the timeout, and than many visibility timeouts
			return errBoom
		}, 2, "timeout"},
	} {
		for _, batch := range []bool{false, true} {
			t.Run(fmt.Sprint(name, " batch ", batch), func(t *testing.T) {
				registry := jobs.NewRegistry()
				if batch {
					jobs.AddBatchTo(registry, "mail", func(ctx context.Context, ms []*jobs.Message[string]) []error {
						return []error{tt.do(ctx, ms[0].Body)}
					})
				} else {
					jobs.AddTo(registry, "mail", func(ctx context.Context, m *jobs.Message[string]) error { return tt.do(ctx, m.Body) })
				}
				d, _ := registry.Lookup("mail")
				life := jobstest.Live(t, d, `"hello"`, policy, jobstest.Use(newRig().usual()...))
				if len(life.Tries) != tt.tries {
					t.Errorf("want %d tries, its life was\n%s", tt.tries, life)
				}
				if tt.class == "" {
					life.WantDone(1)
				} else {
					life.WantDead(tt.class)
				}
			})
		}
	}
}
