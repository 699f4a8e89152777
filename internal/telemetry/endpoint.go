package telemetry

import (
	"context"
	"log/slog"
	"maps"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"golang.org/x/time/rate"

	"github.com/stationmaster/worker/ingress"
	"github.com/stationmaster/worker/jobs"
	"github.com/stationmaster/worker/poller"
	"github.com/stationmaster/worker/queue"
)

// Endpoint observes one path that SNS posts to. Its jobs are counted, traced and logged as a queue's.
type Endpoint struct {
	q          *Queue // no other list has it
	duplicates atomic.Int64
	refused    reasons       // by status
	refusals   *rate.Limiter // of log records: anybody can have a request refused

	mu            sync.Mutex
	state         func() ingress.State
	subscriptions map[string]string // by topic
}

// EndpointStatus says what happens on one path.
type EndpointStatus struct {
	Job   string `json:"job"`
	State string `json:"state"`
	Slots int    `json:"slots"`
	Busy  int    `json:"busy"`
	// PausedUntil is when a pause that the job asked for ends.
	PausedUntil *time.Time `json:"paused_until,omitempty"`
	// Received counts the deliveries that SNS had signed, Done the jobs that succeeded, Retried those
	// that SNS was asked to deliver again.
	Received     int64 `json:"received"`
	Done         int64 `json:"done"`
	Retried      int64 `json:"retried"`
	DeadLettered int64 `json:"dead_lettered"`
	Duplicates   int64 `json:"duplicates"`
	// Refused counts, by status, the requests that were not taken.
	Refused map[string]int64 `json:"refused,omitempty"`
	// Subscriptions are, by topic, what was last heard of each since the start.
	Subscriptions map[string]string `json:"subscriptions,omitempty"`
}

// Endpoint adds a path, in the order in which /status names them.
func (t *Telemetry) Endpoint(o QueueOptions) *Endpoint {
	e := &Endpoint{
		q:        &Queue{o: o, t: t, attributes: newAttributes(o, semconv.MessagingSystemAWSSNS), log: t.log.With("path", o.Name, "job", o.Job)},
		refusals: rate.NewLimiter(1, 10), subscriptions: map[string]string{},
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.endpoints = append(t.endpoints, e)
	return e
}

// Attach says where to ask what the path is doing.
func (e *Endpoint) Attach(state func() ingress.State) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.state = state
}

// Hooks are what the path's handler calls.
func (e *Endpoint) Hooks() ingress.Hooks {
	return ingress.Hooks{
		Started: func(ctx context.Context, d *queue.Delivery, info *jobs.Info) context.Context {
			e.received(ctx)
			return e.q.started(ctx, d, info)
		},
		Finished:     e.finished,
		DeadLettered: e.deadLettered,
		Duplicate: func(ctx context.Context, d *queue.Delivery) {
			e.received(ctx)
			e.duplicates.Add(1)
			e.q.log.LogAttrs(ctx, slog.LevelDebug, "delivered again: not run again", slog.String("message_id", d.MessageID))
		},
		Refused:    e.refuse,
		Subscribed: e.subscribed,
	}
}

func (e *Endpoint) received(ctx context.Context) {
	e.q.count.received.Add(1)
	e.q.t.instruments.received.Add(ctx, 1, e.q.attributes.queue)
}

func (e *Endpoint) finished(ctx context.Context, d *queue.Delivery, info *jobs.Info, o ingress.Outcome) {
	as := poller.Outcome{Decision: o.Decision, Err: o.Err, Took: o.Took, Attempt: o.Attempt}
	if o.Interrupted {
		as.Returned = poller.WhyDrain
	}
	e.q.finished(ctx, d, info, as)
}

func (e *Endpoint) deadLettered(ctx context.Context, d *queue.Delivery, err error) {
	if err != nil {
		e.q.note(ctx, d, poller.NotDeadLettered, err)
		return
	}
	e.q.settled(ctx, d, poller.DeadLettered, nil)
}

func (e *Endpoint) refuse(ctx context.Context, status int, err error) {
	e.refused.add(strconv.Itoa(status))
	if !e.refusals.Allow() {
		return
	}
	text := "request refused: SNS does not try again"
	if status >= http.StatusInternalServerError {
		text = "request refused: SNS tries again"
	}
	e.q.log.LogAttrs(ctx, slog.LevelWarn, text, slog.Int("status", status), slog.Any("err", err)) //nolint:sloglint // one of two
}

// eventLevels are how loud the news of a subscription are.
var eventLevels = map[ingress.What]slog.Level{
	ingress.Confirmed: slog.LevelInfo, ingress.Attached: slog.LevelInfo, ingress.Resubscribed: slog.LevelWarn,
	ingress.NotAttached: slog.LevelError, ingress.Foreign: slog.LevelError, ingress.Unsubscribed: slog.LevelError,
}

func (e *Endpoint) subscribed(ctx context.Context, n ingress.Event) {
	e.mu.Lock()
	e.subscriptions[n.Topic] = string(n.What)
	e.mu.Unlock()
	attrs := []slog.Attr{slog.String("topic", n.Topic), slog.String("subscription", n.SubscriptionARN)}
	if len(n.Changed) > 0 {
		attrs = append(attrs, slog.Any("changed", n.Changed))
	}
	level := eventLevels[n.What]
	if n.Err != nil {
		level = slog.LevelError
		attrs = append(attrs, slog.Any("err", n.Err))
	}
	e.q.log.LogAttrs(ctx, level, string(n.What), attrs...) //nolint:sloglint // the news are constants of package ingress
}

func (e *Endpoint) status() EndpointStatus {
	c := e.q.Counters()
	e.mu.Lock()
	defer e.mu.Unlock()
	s := EndpointStatus{
		Job: e.q.o.Job, State: "starting", Slots: e.q.o.Slots, Received: c.Received, Done: c.Done, Retried: c.Retried,
		DeadLettered: c.DeadLettered, Duplicates: e.duplicates.Load(), Refused: e.refused.all(), Subscriptions: maps.Clone(e.subscriptions),
	}
	if e.state != nil {
		now := e.state()
		s.State, s.Busy = now.State, now.Busy
		if !now.PausedUntil.IsZero() {
			until := now.PausedUntil.UTC()
			s.PausedUntil = &until
		}
	}
	return s
}

func (t *Telemetry) endpointStatus() map[string]EndpointStatus {
	t.mu.Lock()
	defer t.mu.Unlock()
	all := make(map[string]EndpointStatus, len(t.endpoints))
	for _, e := range t.endpoints {
		all[e.q.o.Name] = e.status()
	}
	return all
}
