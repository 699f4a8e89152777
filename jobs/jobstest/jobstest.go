// Package jobstest runs jobs without any server and without waiting.
//
// Run gives a job one message: it is decoded, middleware is called, and the answer is judged as a worker
// would judge it.
//
//	got := jobstest.Run(t, "email", Invitation{Email: "ada@example.com"},
//		jobstest.Settings(map[string]any{"smtp_addr": addr}), jobstest.Envelope("invitations"))
//	if got.Decision.Action != retry.Done { … }
//
// Live lets a message live its whole life in a queue in memory, with a worker's own poller and on a virtual
// clock, until it is deleted or dead-lettered; LiveAll does so with several, also in groups of a FIFO queue.
//
//	life := jobstest.Live(t, "email", Invitation{Email: "nobody@example.com"}, jobstest.Policy(hourly))
//	life.WantTries(0, time.Hour, 3*time.Hour)
//	life.WantDead("smtp_451")
//	life.WantGolden("mail_server_busy") // testdata/mail_server_busy.golden
//
// A want that does not hold shows what happened instead:
//
//	jobstest: message-1 of job email: want it done at attempt 2, it is dead:
//	  attempt  at  took  answer              next
//	  1        0s  0s    connection refused  again after 1h
//	  2        1h  0s    connection refused  dead-lettered, class error
//
// A test of a job in a package of its own imports the job's package, which registers it.
package jobstest

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stationmaster/worker/deadletter"
	"github.com/stationmaster/worker/jobs"
	"github.com/stationmaster/worker/queue"
	"github.com/stationmaster/worker/retry"
)

// queueName is what a job sees as its queue.
const queueName = "jobstest"

// Job is a job's name in jobs.Default, or a definition from a registry of the test's own.
type Job interface{ string | *jobs.Definition }

// Result is what became of one message.
type Result struct {
	// Err is what the job answered: nil when it is done.
	Err error
	// Decision is what a worker does about it. A delay drawn with jitter is the longest it can be.
	Decision retry.Decision
	// Record is the failure record, when the message is dead-lettered; V is 0 otherwise.
	Record deadletter.Record
	// Published is what the job has published, in order; of a batch, all of it in each result.
	Published []Published
}

// Published is one message that the job published.
type Published struct {
	Topic   string
	Message queue.Message
}

// Run runs a job against one message. A body that is a string, []byte or json.RawMessage is taken as
// it is; any other is encoded as JSON. That the job cannot be set up ends the test.
func Run[J Job](t testing.TB, job J, body any, o ...Option) Result {
	t.Helper()
	return RunBatch(t, job, []any{body}, o...)[0]
}

// RunBatch runs a job once against several messages and returns a result for each. Their ids are
// message-1, message-2 and so on, unless ID says otherwise; With gives one of them options of its own.
func RunBatch[J Job](t testing.TB, job J, bodies []any, o ...Option) []Result {
	t.Helper()
	s := set(o)
	d := definition(t, job)
	i, sent, err := s.open(t, d, nil)
	if err != nil {
		t.Fatalf("jobstest: %v", err)
	}
	defer func() {
		if err := i.Close(); err != nil {
			t.Errorf("jobstest: %v", err)
		}
	}()
	if most := i.Batch(); len(bodies) > most && d.TakesBatches() {
		t.Fatalf("jobstest: %d messages for job %s: a worker gives it at most %d at once", len(bodies), d.Name, most)
	}
	deliveries := make([]*queue.Delivery, len(bodies))
	infos := make([]*jobs.Info, len(bodies))
	for n, body := range bodies {
		deliveries[n] = s.delivery(t, fmt.Sprintf("message-%d", n+1), body)
		infos[n] = jobs.Read(deliveries[n])
		infos[n].Queue = queueName
	}
	ctx := t.Context()
	if limit := i.Timeout(); limit > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, limit)
		defer cancel()
	}
	errs := i.Run(ctx, infos)
	results := make([]Result, len(bodies))
	for n, delivery := range deliveries {
		results[n] = s.judge(d.Name, delivery, queue.At(errs, n))
		results[n].Published = sent.all()
	}
	return results
}

// Provision sets a job up, closes it, and returns what was wrong: with its settings, mostly.
func Provision[J Job](t testing.TB, job J, o ...Option) error {
	t.Helper()
	s := set(o)
	i, _, err := s.open(t, definition(t, job), nil)
	if err != nil {
		return err
	}
	return i.Close()
}

func definition[J Job](t testing.TB, job J) *jobs.Definition {
	t.Helper()
	switch job := any(job).(type) {
	case *jobs.Definition:
		return job
	case string:
		if d, ok := jobs.Default().Lookup(job); ok {
			return d
		}
		t.Fatalf("jobstest: job %q is not registered, only [%s]: import its package", job, strings.Join(jobs.Default().Names(), " "))
	}
	return nil // not reached
}

func (s *setup) open(t testing.TB, d *jobs.Definition, l *living) (*jobs.Instance, *publisher, error) {
	t.Helper()
	p, middleware := &publisher{fails: s.publishFails}, s.middleware
	if l != nil {
		p.told, middleware = l.published, slices.Concat([]jobs.Middleware{l.observe}, middleware)
	}
	env := &jobs.Env{
		Job: d.Name, Publisher: p,
		Log: slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	i, err := d.Open(t.Context(), s.decoder(d.Name), env, middleware...)
	return i, p, err
}

// delivery is the message as a queue would hand it out.
func (s *setup) delivery(t testing.TB, id string, body any) *queue.Delivery {
	t.Helper()
	m, body := s.about(t, body)
	text, err := encode(body)
	if err != nil {
		t.Fatalf("jobstest: encode the body: %v", err)
	}
	if m.id != "" {
		id = m.id
	}
	now := time.Now()
	sent := m.sent
	if sent.IsZero() {
		sent = now
	}
	d := &queue.Delivery{
		Message:   queue.Message{Body: text, Attributes: m.attributes, GroupID: m.group},
		MessageID: id, Receives: max(m.attempt, 1), Sent: sent, FirstReceived: now, Received: now,
	}
	if m.topic != "" {
		d.Attributes = nil
		if d.Body, err = envelope(m.topic, id, text, sent, m.attributes); err != nil {
			t.Fatalf("jobstest: encode the envelope: %v", err)
		}
	}
	return d
}

func encode(body any) (string, error) {
	switch body := body.(type) {
	case string:
		return body, nil
	case []byte:
		return string(body), nil
	case json.RawMessage:
		return string(body), nil
	}
	text, err := json.Marshal(body)
	return string(text), err
}

func (s *setup) judge(job string, d *queue.Delivery, err error) Result {
	now := time.Now()
	r := Result{Err: err}
	// 1 is just outside what a worker draws, and so gives the bound itself.
	r.Decision = s.policy.Decide(retry.Failure{Err: err, Attempt: d.Receives, Now: now}, 1)
	if r.Decision.Action == retry.DeadLetter {
		r.Record = deadletter.New(d, deadletter.Death{Job: job, Queue: queueName, Now: now}, err)
	}
	return r
}
