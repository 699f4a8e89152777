package jobstest_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stationmaster/worker/jobs"
	"github.com/stationmaster/worker/jobs/jobstest"
	"github.com/stationmaster/worker/queue"
	"github.com/stationmaster/worker/retry"
)

type invitation struct {
	Email string `json:"email"`
}

var errBoom = errors.New("boom")

// definition registers one job in a registry of its own.
func definition(t *testing.T, handle func(context.Context, *jobs.Message[invitation]) error, o ...jobs.Option) *jobs.Definition {
	t.Helper()
	r := jobs.NewRegistry()
	jobs.AddTo(r, "email", handle, o...)
	d, _ := r.Lookup("email")
	return d
}

func TestTheJobSeesTheMessage(t *testing.T) {
	sent := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	var got jobs.Message[invitation]
	d := definition(t, func(_ context.Context, m *jobs.Message[invitation]) error { got = *m; return nil })
	about := []jobstest.Option{
		jobstest.ID("m-7"), jobstest.Group("tenant"), jobstest.Sent(sent), jobstest.Attempt(3), jobstest.Attribute("job", "mail"),
		jobstest.Attributes(map[string]queue.Attribute{"pic": {Type: "Binary", Binary: []byte{1, 2}}}),
	}
	want := jobs.Message[invitation]{
		Info: jobs.Info{
			ID: "m-7", Job: "email", Queue: "jobstest", GroupID: "tenant", Sent: sent, Attempt: 3, Receives: 3, Raw: `{"email":"ada@example.com"}`,
			Attributes: map[string]queue.Attribute{"job": {Type: "String", Text: "mail"}, "pic": {Type: "Binary", Binary: []byte{1, 2}}},
		},
		Body: invitation{Email: "ada@example.com"},
	}
	r := jobstest.Run(t, d, invitation{Email: "ada@example.com"}, about...)
	if diff := cmp.Diff(want, got); diff != "" || r.Err != nil || r.Decision.Action != retry.Done || r.Record.V != 0 {
		t.Errorf("%+v\n%s", r, diff)
	}
	want.Topic = "invitations"
	r = jobstest.Run(t, d, []byte(`{"email":"ada@example.com"}`), append(about, jobstest.Envelope("invitations"))...)
	if diff := cmp.Diff(want, got); diff != "" || r.Err != nil {
		t.Errorf("in an envelope: %+v\n%s", r, diff)
	}
}

func TestTheAnswerIsJudgedAsByAWorker(t *testing.T) {
	for _, row := range []struct {
		name  string
		err   error
		o     []jobstest.Option
		want  retry.Action
		delay time.Duration
		class string
	}{
		{name: "done", want: retry.Done},
		{name: "again", err: errBoom, want: retry.Again, delay: 2 * time.Second},
		{name: "later", err: errBoom, o: []jobstest.Option{jobstest.Attempt(3)}, want: retry.Again, delay: 8 * time.Second},
		{name: "the last attempt", err: errBoom, o: []jobstest.Option{jobstest.Attempt(5)}, want: retry.DeadLetter, class: "error"},
		{name: "another policy", err: errBoom, o: []jobstest.Option{jobstest.Policy(retry.Policy{Attempts: 1})}, want: retry.DeadLetter, class: "error"},
		{name: "never", err: retry.Never(errBoom), want: retry.DeadLetter, class: "error"},
		{name: "after", err: retry.After(errBoom, time.Minute), want: retry.Again, delay: time.Minute},
	} {
		t.Run(row.name, func(t *testing.T) {
			d := definition(t, func(context.Context, *jobs.Message[invitation]) error { return row.err })
			r := jobstest.Run(t, d, `{"email":"x"}`, row.o...)
			if !errors.Is(r.Err, row.err) || r.Decision.Action != row.want || r.Decision.Delay != row.delay || r.Record.Class != row.class {
				t.Errorf("%+v", r)
			}
			if dead := row.want == retry.DeadLetter; dead != (r.Record.V == 1 && r.Record.ID == "message-1" && r.Record.Job == "email") {
				t.Errorf("record %+v", r.Record)
			}
		})
	}
}

func TestEachMessageOfABatchMayBeAnother(t *testing.T) {
	got := map[string]string{}
	d := definition(t, func(_ context.Context, m *jobs.Message[invitation]) error {
		got[m.ID] = fmt.Sprint(m.Attempt, m.Attributes["plan"].Text, m.Attributes["all"].Text)
		return nil
	})
	jobstest.RunBatch(t, d, []any{
		jobstest.With(`{}`, jobstest.ID("a"), jobstest.Attribute("plan", "pro")), jobstest.With(`{}`, jobstest.Attempt(3)), `{}`,
	}, jobstest.Attribute("all", "yes"))
	want := map[string]string{"a": "1proyes", "message-2": "3yes", "message-3": "1yes"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestAPanicAndABadBodyAreFailures(t *testing.T) {
	d := definition(t, func(context.Context, *jobs.Message[invitation]) error { panic("no") })
	if r := jobstest.Run(t, d, `{}`); r.Decision.Action != retry.Again {
		t.Errorf("panic: %+v", r)
	}
	r := jobstest.Run(t, d, "hello")
	if r.Decision.Action != retry.DeadLetter || r.Record.Class != "decode" {
		t.Errorf("bad body: %+v", r)
	}
}

func TestMiddlewareAndTimeout(t *testing.T) {
	d := definition(t, func(ctx context.Context, _ *jobs.Message[invitation]) error { <-ctx.Done(); return ctx.Err() },
		jobs.Timeout(time.Millisecond))
	called := 0
	r := jobstest.Run(t, d, `{}`, jobstest.Use(func(next jobs.Call) jobs.Call {
		return func(ctx context.Context, ms []*jobs.Info) []error { called++; return next(ctx, ms) }
	}))
	if !errors.Is(r.Err, context.DeadlineExceeded) || called != 1 {
		t.Errorf("%v, middleware called %d times", r.Err, called)
	}
}

// station has settings, publishes, and must be closed.
type station struct {
	Name  string        `config:"name"`
	Token jobs.Secret   `config:"token"`
	Wait  time.Duration `config:"wait"`
	Slots int           `config:"slots"`
	Lines []string      `config:"lines"`

	publisher jobs.Publisher
	closed    *int
}

func (s *station) Provision(_ context.Context, env *jobs.Env) error {
	s.publisher = env.Publisher
	env.Log.Info("provisioned", "job", env.Job)
	if s.Name == "" {
		return errors.New("name: not set")
	}
	return nil
}

func (s *station) HandleBatch(ctx context.Context, ms []*jobs.Message[invitation]) []error {
	errs := make([]error, len(ms))
	for i, m := range ms {
		if m.Body.Email == "" {
			errs[i] = retry.Never(errors.New("no address"))
			continue
		}
		text := fmt.Sprintf("%s %s %s %s %d %v", m.ID, s.Name, string(s.Token), s.Wait, s.Slots, s.Lines)
		_, errs[i] = s.publisher.Publish(ctx, "arrivals", queue.Message{Body: text})
	}
	return errs
}

func (s *station) Close() error { *s.closed++; return nil }

func stations(t *testing.T) (d *jobs.Definition, closed *int) {
	t.Helper()
	closed = new(int)
	r := jobs.NewRegistry()
	jobs.AddBatchJobTo(r, "station", func() *station { return &station{closed: closed} })
	d, _ = r.Lookup("station")
	return d, closed
}

func TestSettingsAsInAFileOrByAFunction(t *testing.T) {
	d, closed := stations(t)
	bodies := []any{invitation{Email: "a"}, invitation{}}
	for name, settings := range map[string]jobstest.Option{
		"map": jobstest.Settings(map[string]any{
			"name": "Ulm", "token": jobs.Secret("hunter2"), "wait": 5 * time.Second, "slots": 4, "lines": []string{"a", "b"},
		}),
		"map as a file has it": jobstest.Settings(map[string]any{
			"name": "Ulm", "token": "hunter2", "wait": "5s", "slots": int64(4), "lines": []any{"a", "b"},
		}),
		"function": jobstest.Settings(func(into any) {
			s := into.(*station)
			s.Name, s.Token, s.Wait, s.Slots, s.Lines = "Ulm", "hunter2", 5*time.Second, 4, []string{"a", "b"}
		}),
	} {
		*closed = 0
		r := jobstest.RunBatch(t, d, bodies, settings)
		want := []jobstest.Published{{Topic: "arrivals", Message: queue.Message{Body: "message-1 Ulm hunter2 5s 4 [a b]"}}}
		if diff := cmp.Diff(want, r[0].Published); diff != "" || r[0].Err != nil || *closed != 1 {
			t.Errorf("%s: %v, closed %d times\n%s", name, r[0].Err, *closed, diff)
		}
		if r[1].Record.Reason != "no address" || r[1].Record.ID != "message-2" {
			t.Errorf("%s: record %+v", name, r[1].Record)
		}
	}
	r := jobstest.Run(t, d, bodies[0], jobstest.Settings(map[string]any{"name": "Ulm"}), jobstest.PublishFails(errBoom))
	if !errors.Is(r.Err, errBoom) || len(r.Published) != 0 {
		t.Errorf("publish fails: %+v", r)
	}
}

func TestProvisionReturnsWhatIsWrongWithTheSettings(t *testing.T) {
	d, _ := stations(t)
	for _, row := range []struct {
		settings map[string]any
		want     string
	}{
		{map[string]any{"name": "Ulm"}, ""},
		{map[string]any{}, "name: not set"},
		{map[string]any{"name": "Ulm", "title": "x"}, "title"},
		{map[string]any{"name": 7}, "must be"},
		{map[string]any{"name": "Ulm", "wait": "soon"}, "wait"},
	} {
		err := jobstest.Provision(t, d, jobstest.Settings(row.settings))
		if (err == nil) != (row.want == "") || (err != nil && !strings.Contains(err.Error(), row.want)) {
			t.Errorf("%v: %v, want %q", row.settings, err, row.want)
		}
	}
}

// watcher is a test that notes how it was ended.
type watcher struct {
	testing.TB
	said string
}

type ended struct{}

func (w *watcher) Helper()                      {}
func (w *watcher) Context() context.Context     { return w.TB.Context() }
func (w *watcher) Output() io.Writer            { return io.Discard }
func (w *watcher) Fatalf(f string, args ...any) { w.said = fmt.Sprintf(f, args...); panic(ended{}) }

func TestWhatCannotRunEndsTheTest(t *testing.T) {
	d, _ := stations(t)
	named := jobstest.Settings(map[string]any{"name": "Ulm"})
	for _, row := range []struct {
		run  func(testing.TB)
		want string
	}{
		{func(w testing.TB) { jobstest.Run(w, "nobody", "{}") }, `job "nobody" is not registered, only []: import its package`},
		{func(w testing.TB) { jobstest.Run(w, d, "{}") }, "job station: provision: name: not set"},
		{func(w testing.TB) { jobstest.RunBatch(w, d, make([]any, 11), named) }, "11 messages for job station: a worker gives it at most 10 at once"},
		{func(w testing.TB) { jobstest.Run(w, d, func() {}, named) }, "encode the body: json: unsupported type: func()"},
	} {
		w := &watcher{TB: t}
		func() {
			defer func() {
				if v := recover(); v != (ended{}) {
					t.Errorf("want %q: ended by %v", row.want, v)
				}
			}()
			row.run(w)
		}()
		if w.said != "jobstest: "+row.want {
			t.Errorf("said %q, want %q", w.said, row.want)
		}
	}
}
