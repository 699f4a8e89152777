package worker_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stationmaster/worker/jobs"
	"github.com/stationmaster/worker/jobs/middleware"
	"github.com/stationmaster/worker/queue"
	"github.com/stationmaster/worker/worker"
)

const aroundConfig = `
[admin]
addr = "127.0.0.1:0"
[ingress]
addr = "127.0.0.1:0"
public_url = "https://hooks.example.com"
[topics.orders]
[queues.mail]
job = "mail"
retry = { attempts = 1 }
wait_time = "1s"
[queues.events]
job = "events"
wait_time = "1s"
[[subscriptions]]
topic = "orders"
protocol = "sqs"
endpoint = "mail"
[[subscriptions]]
topic = "orders"
protocol = "sqs"
endpoint = "events"
[[subscriptions]]
topic = "orders"
protocol = "https"
endpoint = "/hooks/audit"
job = "posted"
`

// through remembers through which layers the messages of each job have come.
type through struct {
	mu   sync.Mutex
	seen map[string][]string
}

type layersKey struct{}

// layer writes its name into the context, behind those outside of it.
func layer(name string) jobs.Middleware {
	return func(next jobs.Call) jobs.Call {
		return func(ctx context.Context, ms []*jobs.Info) []error {
			outside, _ := ctx.Value(layersKey{}).(string)
			return next(context.WithValue(ctx, layersKey{}, outside+name+" "), ms)
		}
	}
}

func (s *through) note(ctx context.Context, job string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	layers, _ := ctx.Value(layersKey{}).(string)
	s.seen[job] = append(s.seen[job], layers+job)
}

func (s *through) of(job string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.seen[job]...)
}

// registry are a job of one message with a layer of its own, a batch job, and one for what is posted.
func (s *through) registry() *jobs.Registry {
	r := jobs.NewRegistry()
	jobs.AddTo(r, "mail", func(ctx context.Context, _ *jobs.Message[invited]) error {
		s.note(ctx, "mail")
		return nil
	}, jobs.Use(layer("own")))
	jobs.AddBatchTo(r, "events", func(ctx context.Context, _ []*jobs.Message[invited]) []error {
		s.note(ctx, "events")
		return nil
	})
	jobs.AddTo(r, "posted", func(ctx context.Context, _ *jobs.Message[invited]) error {
		s.note(ctx, "posted")
		return nil
	})
	return r
}

// TestMiddlewareIsAroundEveryJob: however its messages come, in the order in which it is given, with the
// job's own inside.
func TestMiddlewareIsAroundEveryJob(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	s, log := &through{seen: map[string][]string{}}, &lines{}
	file := write(t, aroundConfig)
	o := worker.Options{
		ConfigFile: file, Jobs: s.registry(), LogTo: log,
		Middleware: []jobs.Middleware{layer("first"), middleware.Log(), layer("second")},
	}
	dev := startDev(t, o, false)
	w, err := dev.Worker(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	r := run(t, w, log)
	defer r.end()
	eventually(t, "the subscription", func() bool {
		return r.endpoint().Subscriptions["arn:aws:sns:us-east-1:000000000000:orders"] == "subscription attached"
	})
	at := strings.TrimPrefix(dev.Info().Endpoint, "http://")
	op, err := worker.OpenOperator(t.Context(), o, at)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := op.Publish(t.Context(), "orders", queue.Message{Body: `{"email":"ada@example.com"}`}); err != nil {
		t.Fatal(err)
	}
	for job, want := range map[string]string{"mail": "first second own mail", "events": "first second events", "posted": "first second posted"} {
		eventually(t, job, func() bool { return len(s.of(job)) > 0 })
		if diff := cmp.Diff([]string{want}, s.of(job)); diff != "" {
			t.Error(diff)
		}
		// Log is the worker's: it names the job, and where its message came from.
		where := map[string]string{"mail": "mail", "events": "events", "posted": "/hooks/audit"}[job]
		eventually(t, "the record of "+job, func() bool {
			return log.has(fmt.Sprintf(`"msg":"job answered","job":%q,"queue":%q`, job, where))
		})
	}
	if log.has("ada@example.com") {
		t.Errorf("the log has the body:\n%s", log)
	}
	s.replayed(t, o, op, at)
}

// replayed: a job that a replay runs in its own process has the same around it.
func (s *through) replayed(t *testing.T, o worker.Options, op *worker.Operator, at string) {
	t.Helper()
	if _, err := op.Send(t.Context(), "mail-dlq", queue.Message{Body: `{"email":"bob@example.com"}`}); err != nil {
		t.Fatal(err)
	}
	runLetterHere(t, o, "mail", at)
	if diff := cmp.Diff([]string{"first second own mail", "first second own mail"}, s.of("mail")); diff != "" {
		t.Error(diff)
	}
}

// TestThePanicOfTheOutermostLayerIsRecovered: the worker's own recover is outside of it, and the message
// has its reason.
func TestThePanicOfTheOutermostLayerIsRecovered(t *testing.T) {
	s, log := &through{seen: map[string][]string{}}, &lines{}
	file := write(t, "[admin]\naddr = \"off\"\n[queues.mail]\njob = \"mail\"\nretry = { attempts = 1 }\nwait_time = \"1s\"\n")
	panics := func(next jobs.Call) jobs.Call {
		return func(ctx context.Context, ms []*jobs.Info) []error {
			if strings.Contains(ms[0].Raw, "bad") {
				panic("no such layer")
			}
			return next(ctx, ms)
		}
	}
	o := worker.Options{ConfigFile: file, Jobs: s.registry(), LogTo: log, Middleware: []jobs.Middleware{panics, middleware.Recover()}}
	dev := startDev(t, o, false)
	w, err := dev.Worker(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	r := run(t, w, log)
	defer r.end()
	op, err := worker.OpenOperator(t.Context(), o, strings.TrimPrefix(dev.Info().Endpoint, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	for _, email := range []string{"bad", "good"} {
		if _, err := op.Send(t.Context(), "mail", queue.Message{Body: fmt.Sprintf(`{"email":%q}`, email)}); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "a dead letter", func() bool { return log.has(`"msg":"dead-lettered"`) })
	eventually(t, "the other message", func() bool { return len(s.of("mail")) == 1 })
	if !log.has(`"class":"panic"`) || !log.has("panic: no such layer in") {
		t.Errorf("it says:\n%s", log)
	}
}
