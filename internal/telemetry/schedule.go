package telemetry

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
)

// Outcomes of a tick. Accepted is also what another worker had published before: FIFO does not tell.
const (
	accepted = "accepted"
	missed   = "missed"
)

// ScheduleOptions describe one schedule. Either Queue or Topic is the name of where it publishes.
type ScheduleOptions struct {
	Name, Queue, Topic string
	// Next is the first tick after a time.
	Next   func(after time.Time) time.Time
	Paused bool
}

// Schedule observes what a worker publishes at the ticks of one schedule.
type Schedule struct {
	o        ScheduleOptions
	t        *Telemetry
	log      *slog.Logger
	outcomes map[string]metric.MeasurementOption
	tries    metric.MeasurementOption

	mu                       sync.Mutex
	accepted, missed, failed int64
	failing                  int    // tries since the last outcome
	why                      string // of the last of them
	last                     *TickStatus
}

// TickStatus is how one tick went.
type TickStatus struct {
	Tick time.Time `json:"tick"`
	// Outcome is "accepted", also when another worker had published it before, or "missed".
	Outcome string    `json:"outcome"`
	At      time.Time `json:"at"`
	Error   string    `json:"error,omitempty"`
}

// ScheduleStatus says what a schedule has done since the start of the process, and what it does next.
type ScheduleStatus struct {
	Queue string `json:"queue,omitempty"`
	Topic string `json:"topic,omitempty"`
	// State is "ticking" or "paused".
	State string `json:"state"`
	// Next is missing when it is paused.
	Next *time.Time  `json:"next,omitempty"`
	Last *TickStatus `json:"last,omitempty"`
	// Accepted and Missed count ticks, Failed the tries that failed.
	Accepted int64 `json:"accepted"`
	Missed   int64 `json:"missed"`
	Failed   int64 `json:"failed"`
	// Error is why the last try failed, while the tick is tried again.
	Error string `json:"error,omitempty"`
}

// Schedule adds a schedule.
func (t *Telemetry) Schedule(o ScheduleOptions) *Schedule {
	to, system, kind := o.Queue, semconv.MessagingSystemAWSSQS, "queue"
	if o.Topic != "" {
		to, system, kind = o.Topic, semconv.MessagingSystemAWSSNS, "topic"
	}
	base := []attribute.KeyValue{system, semconv.MessagingDestinationName(to), attribute.String("worker.schedule", o.Name)}
	with := func(outcome string) metric.MeasurementOption {
		return metric.WithAttributeSet(attribute.NewSet(append(base[:3:3], attribute.String("worker.outcome", outcome))...))
	}
	s := &Schedule{
		o: o, t: t, log: t.log.With(kind, to, "schedule", o.Name),
		outcomes: map[string]metric.MeasurementOption{accepted: with(accepted), missed: with(missed)},
		tries:    metric.WithAttributeSet(attribute.NewSet(base...)),
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.schedules = append(t.schedules, s)
	return s
}

// Failed tells of a try that failed; the tick is tried again while its time lasts.
func (s *Schedule) Failed(ctx context.Context, err error) {
	s.mu.Lock()
	s.failed++
	s.failing++
	s.why = err.Error()
	first := s.failing == 1
	s.mu.Unlock()
	s.t.instruments.tickErrors.Add(ctx, 1, s.tries)
	if first {
		s.log.LogAttrs(ctx, slog.LevelWarn, "tick could not be published: it is tried again within its 4 minutes", slog.Any("err", err))
	}
}

// Done tells how a tick went.
func (s *Schedule) Done(ctx context.Context, tick time.Time, err error) {
	now := time.Now().UTC()
	status := TickStatus{Tick: tick.UTC(), Outcome: accepted, At: now}
	if err != nil {
		status.Outcome, status.Error = missed, err.Error()
	}
	s.mu.Lock()
	tries := s.failing
	s.failing, s.why, s.last = 0, "", &status
	if err == nil {
		s.accepted++
	} else {
		s.missed++
	}
	s.mu.Unlock()
	s.t.instruments.ticks.Add(ctx, 1, s.outcomes[status.Outcome])
	attrs := []slog.Attr{slog.Time("tick", tick)}
	switch {
	case err != nil:
		s.log.LogAttrs(ctx, slog.LevelError, "tick missed: this worker could not publish it in time", append(attrs, slog.Any("err", err))...)
	case tries > 0:
		s.log.LogAttrs(ctx, slog.LevelInfo, "tick published after all", append(attrs, slog.Int("failed", tries))...)
	default:
		s.log.LogAttrs(ctx, slog.LevelDebug, "tick published", attrs...)
	}
}

// Ended tells that no tick will come any more.
func (s *Schedule) Ended(ctx context.Context, err error) {
	s.log.LogAttrs(ctx, slog.LevelError, "schedule ended: it does not tick any more", slog.Any("err", err))
}

func (s *Schedule) status() ScheduleStatus {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := ScheduleStatus{
		Queue: s.o.Queue, Topic: s.o.Topic, State: "ticking", Last: s.last,
		Accepted: s.accepted, Missed: s.missed, Failed: s.failed, Error: s.why,
	}
	if s.o.Paused {
		out.State = "paused"
		return out
	}
	if next := s.o.Next(time.Now()); !next.IsZero() {
		next = next.UTC()
		out.Next = &next
	}
	return out
}

func (t *Telemetry) scheduleStatus() map[string]ScheduleStatus {
	t.mu.Lock()
	all := slices.Clip(t.schedules)
	t.mu.Unlock()
	out := make(map[string]ScheduleStatus, len(all))
	for _, s := range all {
		out[s.o.Name] = s.status()
	}
	return out
}
