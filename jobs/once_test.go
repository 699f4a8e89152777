package jobs_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/stationmaster/worker/jobs"
	"github.com/stationmaster/worker/retry"
)

var errOnce = errors.New("not this time")

// counted is a job that notes what it runs and fails for bodies that say so, once.
type counted struct {
	ran  []string
	fail map[string]bool
}

func (c *counted) answer(id string) error {
	c.ran = append(c.ran, id)
	if c.fail[id] {
		return errOnce
	}
	return nil
}

// open makes an instance of it, single or for batches, behind Once.
func (c *counted) open(t *testing.T, batch bool, s jobs.Seen) *jobs.Instance {
	t.Helper()
	r := jobs.NewRegistry()
	if batch {
		jobs.AddBatchTo(r, "count", func(_ context.Context, ms []*jobs.Message[string]) []error {
			errs := make([]error, len(ms))
			for i, m := range ms {
				errs[i] = c.answer(m.ID)
			}
			return errs
		})
	} else {
		jobs.AddTo(r, "count", func(_ context.Context, m *jobs.Message[string]) error { return c.answer(m.ID) })
	}
	d, _ := r.Lookup("count")
	i, err := d.Open(t.Context(), nil, nil, jobs.Once(s))
	if err != nil {
		t.Fatal(err)
	}
	return i
}

func infos(ids ...string) []*jobs.Info {
	all := make([]*jobs.Info, len(ids))
	for i, id := range ids {
		all[i] = &jobs.Info{ID: id, Raw: `"x"`}
	}
	return all
}

// later reports whether an answer asks for another time without an attempt.
func later(err error) bool {
	after, ok := errors.AsType[*retry.AfterError](err)
	return ok && after.Err == nil
}

// calls are a random history: which messages come together, which of them fail, and how long it is until
// the next ones.
type calls struct {
	ids  []string
	fail []string
	wait time.Duration
}

func TestOnceRunsWhatIsNotFinishedAndNothingElse(t *testing.T) {
	const window = time.Minute
	for _, batch := range []bool{false, true} {
		t.Run(fmt.Sprint("batch ", batch), func(t *testing.T) {
			rapid.Check(t, func(rt *rapid.T) {
				id := rapid.SampledFrom([]string{"a", "b", "c", "d"})
				var history []calls
				for range rapid.IntRange(1, 30).Draw(rt, "calls") {
					most := 1
					if batch {
						most = 6
					}
					history = append(history, calls{
						ids: rapid.SliceOfN(id, 1, most).Draw(rt, "ids"), fail: rapid.SliceOfN(id, 0, 2).Draw(rt, "fail"),
						wait: time.Duration(rapid.IntRange(0, 50).Draw(rt, "wait")) * time.Second,
					})
				}
				var faults []string
				synctest.Test(t, func(t *testing.T) { faults = replay(t, batch, window, history) })
				for _, fault := range faults {
					rt.Error(fault)
				}
			})
		})
	}
}

// replay lets a history happen beside a model: when each message was finished.
func replay(t *testing.T, batch bool, window time.Duration, history []calls) (faults []string) {
	c := &counted{}
	instance := c.open(t, batch, jobs.NewMemory(window, 100))
	finished := map[string]time.Time{}
	for n, call := range history {
		c.ran, c.fail = nil, map[string]bool{}
		for _, id := range call.fail {
			c.fail[id] = true
		}
		var want []string
		for _, id := range call.ids {
			at, done := finished[id]
			if (!done || time.Since(at) >= window) && !slices.Contains(want, id) {
				want = append(want, id)
			}
		}
		errs := instance.Run(t.Context(), infos(call.ids...))
		if !slices.Equal(c.ran, want) {
			faults = append(faults, fmt.Sprintf("call %d of %v ran %v, want %v", n, call.ids, c.ran, want))
		}
		var first []string
		for i, id := range call.ids {
			var err error
			if errs != nil {
				err = errs[i]
			}
			ran := slices.Contains(want, id) && !slices.Contains(first, id)
			first = append(first, id)
			switch {
			case ran && c.fail[id] != errors.Is(err, errOnce), ran && !c.fail[id] && err != nil,
				!ran && slices.Contains(want, id) && !later(err), !ran && !slices.Contains(want, id) && err != nil:
				faults = append(faults, fmt.Sprintf("call %d: the answer for %s is %v", n, id, err))
			}
			if ran && !c.fail[id] {
				finished[id] = time.Now()
			}
		}
		<-time.After(call.wait)
	}
	return faults
}

func TestOnceTellsACopyOfARunningMessageToComeLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := jobs.NewRegistry()
		runs := 0
		jobs.AddTo(r, "slow", func(context.Context, *jobs.Message[string]) error {
			runs++
			<-time.After(time.Minute)
			return nil
		})
		d, _ := r.Lookup("slow")
		instance, err := d.Open(t.Context(), nil, nil, jobs.Once(jobs.NewMemory(time.Hour, 10)))
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan []error)
		go func() { done <- instance.Run(t.Context(), infos("a")) }()
		synctest.Wait()
		errs := instance.Run(t.Context(), infos("a"))
		if len(errs) != 1 || !later(errs[0]) {
			t.Errorf("the copy is answered %v, want later", errs)
		}
		if errs := <-done; len(errs) > 0 && errs[0] != nil {
			t.Error(errs)
		}
		if errs := instance.Run(t.Context(), infos("a")); len(errs) > 0 && errs[0] != nil || runs != 1 {
			t.Errorf("after it had finished: %v, %d runs", errs, runs)
		}
	})
}

func TestOnceFreesWhatPanicsOrIsCut(t *testing.T) {
	r := jobs.NewRegistry()
	runs := 0
	jobs.AddTo(r, "job", func(ctx context.Context, _ *jobs.Message[string]) error {
		switch runs++; runs {
		case 1:
			panic("first")
		case 2:
			return ctx.Err()
		}
		return nil
	})
	d, _ := r.Lookup("job")
	instance, err := d.Open(t.Context(), nil, nil, jobs.Once(jobs.NewMemory(time.Hour, 10)))
	if err != nil {
		t.Fatal(err)
	}
	cut, cancel := context.WithCancel(t.Context())
	cancel()
	for n, ctx := range []context.Context{t.Context(), cut, t.Context(), t.Context()} {
		errs := instance.Run(ctx, infos("a"))
		if failed := len(errs) > 0 && errs[0] != nil; failed != (n < 2) {
			t.Errorf("run %d is answered %v", n, errs)
		}
	}
	if runs != 3 {
		t.Errorf("%d runs, want 3: the fourth is a duplicate of what is finished", runs)
	}
}

func TestOnceKeepsJobsApartAndForgetsTheOldestFirst(t *testing.T) {
	m := jobs.NewMemory(time.Hour, 2)
	finish := func(job, id string) {
		t.Helper()
		if claim, err := m.Claim(t.Context(), job, id); err != nil || claim != jobs.Free {
			t.Fatalf("claim of %s %s: %v, %v", job, id, claim, err)
		}
		if err := m.Release(t.Context(), job, id, true); err != nil {
			t.Fatal(err)
		}
	}
	finish("mail", "1")
	finish("hook", "1")
	finish("mail", "2") // one too many: mail 1 goes
	for _, tt := range []struct {
		job, id string
		want    jobs.Claim
	}{{"hook", "1", jobs.Finished}, {"mail", "2", jobs.Finished}, {"mail", "1", jobs.Free}, {"mail", "1", jobs.Taken}} {
		if claim, err := m.Claim(t.Context(), tt.job, tt.id); err != nil || claim != tt.want {
			t.Errorf("claim of %s %s: %v, %v, want %v", tt.job, tt.id, claim, err, tt.want)
		}
	}
}

// brokenStore is a Seen that cannot be reached.
type brokenStore struct{}

var errStore = errors.New("store is down")

func (brokenStore) Claim(context.Context, string, string) (jobs.Claim, error) { return 0, errStore }
func (brokenStore) Release(context.Context, string, string, bool) error       { return errStore }

func TestOnceRunsNothingWithoutItsStore(t *testing.T) {
	c := &counted{}
	errs := c.open(t, true, brokenStore{}).Run(t.Context(), infos("a", "b"))
	if len(c.ran) > 0 || len(errs) != 2 || !errors.Is(errs[0], errStore) || !strings.HasPrefix(errs[1].Error(), "claim message b: ") {
		t.Errorf("ran %v, answered %v", c.ran, errs)
	}
}
