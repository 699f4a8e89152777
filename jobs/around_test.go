package jobs_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/stationmaster/worker/jobs"
)

// TestEachLayerSeesAnAnswerForEachMessage: whatever the layer below answers.
func TestEachLayerSeesAnAnswerForEachMessage(t *testing.T) {
	r := jobs.NewRegistry()
	jobs.AddBatchTo(r, "batch", func(context.Context, []*jobs.Message[string]) []error { return nil })
	answers := func(errs ...error) jobs.Middleware {
		return func(jobs.Call) jobs.Call { return func(context.Context, []*jobs.Info) []error { return errs } }
	}
	for name, tt := range map[string]struct {
		below  jobs.Middleware
		failed []bool
	}{
		"none":     {answers(), nil},
		"too few":  {answers(errBoom), []bool{true, true}},
		"too many": {answers(nil, errBoom, errBoom), []bool{false, true}},
		"exact":    {answers(nil, nil), []bool{false, false}},
	} {
		t.Run(name, func(t *testing.T) {
			var seen []error
			above := func(next jobs.Call) jobs.Call {
				return func(ctx context.Context, ms []*jobs.Info) []error { seen = next(ctx, ms); return seen }
			}
			got := open(t, r, "batch", above, tt.below).Run(t.Context(), infos("a", "b"))
			if len(seen) != len(tt.failed) || len(got) != len(tt.failed) {
				t.Fatalf("the layer above saw %v, the worker %v", seen, got)
			}
			for i, failed := range tt.failed {
				if (seen[i] != nil) != failed || !errors.Is(got[i], seen[i]) {
					t.Errorf("message %d: the layer above saw %v, the worker %v, want a failure: %v", i, seen[i], got[i], failed)
				}
			}
		})
	}
}

func TestLogIsTheWorkersInARunAndDiscardsOutsideOfOne(t *testing.T) {
	r := jobs.NewRegistry()
	jobs.AddTo(r, "greet", func(ctx context.Context, _ *jobs.Message[string]) error {
		jobs.Log(ctx).InfoContext(ctx, "greeted")
		return nil
	})
	d, _ := r.Lookup("greet")
	var book bytes.Buffer
	log := slog.New(slog.NewTextHandler(&book, nil)).With("job", "greet")
	around := func(next jobs.Call) jobs.Call {
		return func(ctx context.Context, ms []*jobs.Info) []error {
			jobs.Log(ctx).InfoContext(ctx, "around")
			return next(ctx, ms)
		}
	}
	for _, env := range []*jobs.Env{{Log: log}, {}, nil} {
		i, err := d.Open(t.Context(), nil, env, around)
		if err != nil {
			t.Fatal(err)
		}
		if errs := i.Run(t.Context(), infos("a")); errs != nil && errs[0] != nil {
			t.Error(errs)
		}
	}
	jobs.Log(t.Context()).Info("outside")
	if said := book.String(); strings.Count(said, "\n") != 2 || !strings.Contains(said, "msg=around job=greet") || !strings.Contains(said, "msg=greeted job=greet") {
		t.Errorf("logged %q", said)
	}
}

func TestRecoveredKeepsTheFirstPanic(t *testing.T) {
	panicked := func(panics func()) (p *jobs.PanicError) {
		defer func() { p = jobs.Recovered(recover()) }()
		panics()
		return nil
	}
	first := panicked(func() { explode(nil) })
	if want := "github.com/stationmaster/worker/jobs_test.explode"; first.Frame() != want || !errors.Is(first, errBoom) {
		t.Errorf("frame %q, %v", first.Frame(), first)
	}
	if again := panicked(func() { panic(first) }); again != first {
		t.Errorf("panicked on, it became %v", again)
	}
}
