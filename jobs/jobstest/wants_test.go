package jobstest_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stationmaster/worker/jobs"
	"github.com/stationmaster/worker/jobs/jobstest"
	"github.com/stationmaster/worker/queue"
	"github.com/stationmaster/worker/retry"
)

// wanter keeps what a test was told.
type wanter struct {
	testing.TB
	said []string
}

func (w *wanter) Helper()                      {}
func (w *wanter) Errorf(f string, args ...any) { w.said = append(w.said, fmt.Sprintf(f, args...)) }

// told is what a want says when it is broken; "" when it holds.
func told(t *testing.T, want func(testing.TB)) string {
	t.Helper()
	w := &wanter{TB: t}
	want(w)
	return strings.Join(w.said, "\n")
}

const deadTable = `
  attempt  at  took  answer              next
  1        0s  0s    connection refused  again after 1h
  2        1h  0s    connection refused  dead-lettered, class error`

func TestABrokenWantShowsTheLife(t *testing.T) {
	policy := jobstest.Policy(retry.Policy{Attempts: 2, First: time.Hour, Factor: 1, Max: time.Hour})
	dead := jobstest.Live(t, steps(t, errors.New("connection refused")), invitation{}, policy)
	done := jobstest.Live(t, relaying(t, nil), invitation{}, jobstest.ID("i-7"))
	moved := jobstest.Live(t, steps(t, retry.After(nil, time.Hour)), invitation{}, jobstest.Policy(retry.Policy{Attempts: 1}))
	const doneTable = "\n  attempt  at  took  answer  next\n  1        0s  0s    done    deleted"
	for _, row := range []struct {
		life  *jobstest.Life
		want  func(*jobstest.Life)
		said  string
		table string
	}{
		{dead, func(l *jobstest.Life) { l.WantDone(1) }, "message-1 of job email: want it done at attempt 1, it is dead", deadTable},
		{dead, func(l *jobstest.Life) { l.WantDead("panic") }, `message-1 of job email: want it dead with class "panic", its class is "error"`, deadTable},
		{dead, func(l *jobstest.Life) { l.WantReason("down") }, `message-1 of job email: want it dead because "down", the reason is "connection refused"`, deadTable},
		{dead, func(l *jobstest.Life) { l.WantTries(0, 2*time.Hour) }, "message-1 of job email: want it tried at 0s 2h, it was tried at 0s 1h", deadTable},
		{dead, func(l *jobstest.Life) { l.WantTries() }, "message-1 of job email: want it tried at no time, it was tried at 0s 1h", deadTable},
		{dead, func(l *jobstest.Life) { l.WantPublished("a", "b") }, "message-1 of job email: want published to a b, got nothing published", deadTable},
		{done, func(l *jobstest.Life) { l.WantDone(2) }, "i-7 of job relay: want it done at attempt 2, it was done at attempt 1", doneTable},
		{done, func(l *jobstest.Life) { l.WantDead("error") }, `i-7 of job relay: want it dead with class "error", it was done`, doneTable},
		{done, func(l *jobstest.Life) { l.WantReason("x") }, `i-7 of job relay: want it dead because "x", it was done`, doneTable},
		{done, func(l *jobstest.Life) { l.WantPublished() }, "i-7 of job relay: want nothing published, got published to welcomed", doneTable},
		{moved, func(l *jobstest.Life) { l.WantDead("error") }, `message-1 of job email: want it dead with class "error", SQS moved it and it has no record`, ""},
		{moved, func(l *jobstest.Life) { l.WantReason("x") }, `message-1 of job email: want it dead because "x", SQS moved it and it has no record`, ""},
	} {
		said := told(t, func(tb testing.TB) { row.want(row.life.For(tb)) })
		head, table, _ := strings.Cut(said, ":\n ")
		if row.table != "" && "\n "+table != row.table || head != "jobstest: "+row.said {
			t.Errorf("said\n%s\nwant\njobstest: %s:%s", said, row.said, row.table)
		}
	}
	if end := "\n  -        11h  -     -                       moved to the dead-letter queue by SQS, without a record"; !strings.HasSuffix(moved.String(), end) {
		t.Errorf("told as\n%s\nwant at its end%s", moved, end)
	}
}

func TestABrokenWantShowsTheLives(t *testing.T) {
	failed := 0
	d := definition(t, func(_ context.Context, m *jobs.Message[invitation]) error {
		switch m.Body.Email {
		case "b":
			if failed++; failed == 1 {
				return errors.New("down")
			}
		case "c":
			return retry.After(errors.New("busy"), 90*time.Second)
		}
		return nil
	})
	lives := jobstest.LiveAll(t, d, []any{to("a"), to("b"), to("c")},
		jobstest.Policy(retry.Policy{Attempts: 2, First: time.Minute, Factor: 1, Max: time.Minute}))
	const table = `
  message  attempt  at     took  answer  next
  a        1        0s     0s    done    deleted
  b        1        0s     0s    down    again after 1m
  c        1        0s     0s    busy    again after 1m30s
  b        2        1m     0s    done    deleted
  c        2        1m30s  0s    busy    dead-lettered, class error`
	for _, row := range []struct {
		want func(*jobstest.Lives)
		said string
	}{
		{func(l *jobstest.Lives) { l.WantAllDone() }, "want all done, dead are c"},
		{func(l *jobstest.Lives) { l.WantOrder("b", "a", "b") }, "want the tries in the order b a b, got a b b"},
		{func(l *jobstest.Lives) { l.WantOrder("a", "x") }, "want the tries in the order a x, got a"},
		{func(l *jobstest.Lives) { l.WantBatches(3) }, "want calls with [3] messages, got [1 1 1 1 1]"},
		{func(l *jobstest.Lives) { l.WantPublished("x") }, "want published to x, got nothing published"},
	} {
		said := told(t, func(tb testing.TB) { row.want(lives.For(tb)) })
		if diff := cmp.Diff("jobstest: job email: "+row.said+":"+table, said); diff != "" {
			t.Error(diff)
		}
	}
}

func TestATableShowsWhatIsLongInOneLine(t *testing.T) {
	answers := []error{
		errors.New("first line\n\tsecond " + strings.Repeat("x", 100)), retry.After(nil, 90*time.Minute),
		retry.Pause(errors.New("busy"), time.Date(2000, 1, 1, 3, 0, 0, 0, time.UTC)), nil,
	}
	n := 0
	r := jobs.NewRegistry()
	jobs.AddBatchTo(r, "batch", func(ctx context.Context, ms []*jobs.Message[invitation]) []error {
		select {
		case <-time.After(1500 * time.Millisecond):
		case <-ctx.Done():
		}
		n++
		errs := make([]error, len(ms))
		for i := range errs {
			errs[i] = answers[n-1]
		}
		return errs
	})
	d, _ := r.Lookup("batch")
	lives := jobstest.LiveAll(t, d, []any{invitation{}, invitation{}}, jobstest.Policy(hourly), jobstest.Slots(2))
	long := "first line second " + strings.Repeat("x", 51) + "…"
	want := strings.ReplaceAll(`
  message    attempt  at        took  batch  answer                  next
  message-1  1        0s        1.5s  2      LONG                    again after 1h
  message-2  1        0s        1.5s  2      LONG                    again after 1h
  message-1  2        1h0m1.5s  1.5s  2      come back after 1h30m0s again after 1h30m, no attempt spent
  message-2  2        1h0m1.5s  1.5s  2      come back after 1h30m0s again after 1h30m, no attempt spent
  message-1  2        2h30m3s   1.5s  2      busy                    the queue rests for 29m55.5s, no attempt spent
  message-2  2        2h30m3s   1.5s  2      busy                    the queue rests for 29m55.5s, no attempt spent
  message-1  2        3h0m0.5s  1.5s  2      done                    deleted
  message-2  2        3h0m0.5s  1.5s  2      done                    deleted`, "LONG", long)
	for _, short := range []string{"answer", "come back after 1h30m0s", "busy", "done"} {
		filled := fmt.Sprintf("%-72s", short)
		want = strings.ReplaceAll(want, fmt.Sprintf("%-24s", short), filled)
	}
	if diff := cmp.Diff(strings.ReplaceAll(want, long+strings.Repeat(" ", 20), long+"  "), "\n"+lives.String()); diff != "" {
		t.Error(diff)
	}
}

func TestPublishedToSaysWhatCannotBeDecoded(t *testing.T) {
	published := []jobstest.Published{{Topic: "a", Message: queue.Message{Body: `{"email":"x"}`}}, {Topic: "b", Message: queue.Message{Body: `{"email":7}`}}}
	if got := jobstest.PublishedTo[invitation](t, published, "a"); len(got) != 1 || got[0].Email != "x" {
		t.Errorf("published to a: %+v", got)
	}
	said := told(t, func(tb testing.TB) { jobstest.PublishedTo[invitation](tb, published, "b") })
	want := "jobstest: message 2 of 2, published to b, is no jobstest_test.invitation: " +
		"json: cannot unmarshal number into Go struct field invitation.email of type string:\n  " + `{"email":7}`
	if said != want {
		t.Errorf("said\n%s\nwant\n%s", said, want)
	}
}
