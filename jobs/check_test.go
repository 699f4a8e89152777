package jobs_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stationmaster/worker/jobs"
	"github.com/stationmaster/worker/retry"
)

// untouchable is a job that must not be made, set up or run.
type untouchable struct{ t *testing.T }

func (u *untouchable) CheckSettings() error { u.t.Error("its settings were checked"); return nil }
func (u *untouchable) Provision(context.Context, *jobs.Env) error {
	u.t.Error("it was set up")
	return nil
}

func (u *untouchable) Handle(context.Context, *jobs.Message[invited]) error {
	u.t.Error("it was run")
	return nil
}

func (u *untouchable) HandleBatch(context.Context, []*jobs.Message[invited]) []error {
	u.t.Error("it was run")
	return nil
}

func TestADefinitionChecksWithoutMakingTheJob(t *testing.T) {
	r := jobs.NewRegistry()
	made := 0
	fresh := func() *untouchable { made++; return &untouchable{t} }
	jobs.AddTo(r, "single", func(context.Context, *jobs.Message[invited]) error { t.Error("it was run"); return nil })
	jobs.AddBatchTo(r, "batch", func(context.Context, []*jobs.Message[invited]) []error { t.Error("it was run"); return nil })
	jobs.AddJobTo(r, "single-job", fresh)
	jobs.AddBatchJobTo(r, "batch-job", fresh)
	names := r.Names()
	if diff := cmp.Diff([]string{"batch", "batch-job", "single", "single-job"}, names); diff != "" {
		t.Fatal(diff)
	}
	for _, name := range names {
		d, _ := r.Lookup(name)
		if err := d.Check(info(`{"email":"ada"}`)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		err := d.Check(info(`{"email":407}`))
		if _, decoding := errors.AsType[*jobs.DecodeError](err); !decoding || !retry.IsNever(err) || strings.Contains(err.Error(), "407") {
			t.Errorf("%s: %v, want a decode error without a value", name, err)
		}
	}
	if made != 0 {
		t.Errorf("%d jobs were made", made)
	}
}

func TestADefinitionChecksWithTheJobsOwnDecoder(t *testing.T) {
	r := jobs.NewRegistry()
	var seen []string
	jobs.AddTo(r, "own", func(context.Context, *jobs.Message[string]) error { return nil }, jobs.Decode(func(m *jobs.Info, _ any) error {
		seen = append(seen, m.Job)
		switch m.Raw {
		case "bad":
			return errBoom
		case "worse":
			panic("no")
		}
		return nil
	}))
	d, _ := r.Lookup("own")
	m := info("good")
	if err := d.Check(m); err != nil || m.Job != "" {
		t.Errorf("good: %v, and the message's job is %q", err, m.Job)
	}
	if err := d.Check(info("bad")); !errors.Is(err, errBoom) {
		t.Errorf("bad: %v", err)
	}
	if _, panicked := errors.AsType[*jobs.PanicError](d.Check(info("worse"))); !panicked {
		t.Error("a decoder's panic is no error")
	}
	if diff := cmp.Diff([]string{"own", "own", "own"}, seen); diff != "" {
		t.Error(diff)
	}
}

func TestAJobAsksBeforeAReplayOnlyWhereItSaysSo(t *testing.T) {
	r := jobs.NewRegistry()
	handle := func(context.Context, *jobs.Message[string]) error { return nil }
	jobs.AddTo(r, "plain", handle)
	jobs.AddTo(r, "careful", handle, jobs.ReplayAsk())
	for name, want := range map[string]bool{"plain": false, "careful": true} {
		if d, _ := r.Lookup(name); d.AsksBeforeReplay() != want {
			t.Errorf("%s asks: %t, want %t", name, d.AsksBeforeReplay(), want)
		}
	}
}
