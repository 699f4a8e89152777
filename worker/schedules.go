package worker

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/stationmaster/worker/internal/config"
	"github.com/stationmaster/worker/internal/telemetry"
	"github.com/stationmaster/worker/queue"
	"github.com/stationmaster/worker/schedule"
)

// scheduled is one schedule of a running worker.
type scheduled struct {
	schedule.Schedule
	seen   *telemetry.Schedule
	paused bool
}

// openSchedules makes what is published at ticks. A worker that ends when its queues are empty has none:
// it would add to what it is to empty.
func (w *Worker) openSchedules(context.Context) error {
	if w.o.UntilEmpty {
		return nil
	}
	c := w.loaded.Config
	for _, name := range slices.Sorted(maps.Keys(c.Schedules)) {
		s := c.Schedules[name]
		times, err := schedule.Parse(s.Cron, s.Zone)
		if err != nil {
			return fmt.Errorf("schedule %s: %w", name, err) // the configuration was checked for it
		}
		at, publish := w.targetOf(s)
		at.Name, at.Next, at.Paused = name, times.Next, s.Paused
		w.schedules = append(w.schedules, &scheduled{
			Schedule: schedule.Schedule{Name: name, Times: times, Message: tickOf(s), Publish: publish},
			seen:     w.watch.Schedule(at), paused: s.Paused,
		})
	}
	return nil
}

// targetOf is where a schedule publishes.
func (w *Worker) targetOf(s config.Schedule) (at telemetry.ScheduleOptions, publish func(context.Context, queue.Message) (string, error)) {
	if s.Topic != "" {
		at.Topic = w.loaded.Config.Topics[s.Topic].Name
		return at, func(ctx context.Context, m queue.Message) (string, error) {
			return w.publisher.Publish(ctx, s.Topic, m)
		}
	}
	at.Queue = w.loaded.Config.Queues[s.Queue].Name
	return at, func(ctx context.Context, m queue.Message) (string, error) { return w.publisher.Send(ctx, at.Queue, m) }
}

// tickOf is the message of every tick, without what tells one from the other.
func tickOf(s config.Schedule) queue.Message {
	m := queue.Message{Body: s.Body, GroupID: s.GroupID, Attributes: make(map[string]queue.Attribute, len(s.Attributes))}
	for name, text := range s.Attributes {
		m.Attributes[name] = queue.Attribute{Type: "String", Text: text}
	}
	return m
}

// run publishes until the drain begins. What fails is tried again and told; it ends nothing else.
func (s *scheduled) run(ctx context.Context) {
	if s.paused {
		return
	}
	publish := s.Publish
	s.Publish = func(within context.Context, m queue.Message) (string, error) {
		id, err := publish(within, m)
		if err != nil && ctx.Err() == nil {
			s.seen.Failed(ctx, err)
		}
		return id, err
	}
	s.Done = func(tick time.Time, err error) { s.seen.Done(ctx, tick, err) }
	if err := s.Run(ctx); err != nil {
		s.seen.Ended(ctx, err)
	}
}

// Schedule describes one schedule of the configuration, for people.
type Schedule struct {
	Name string `json:"name"`
	Cron string `json:"cron"`
	Zone string `json:"zone"`
	// Queue or Topic is the name of where it publishes, as AWS knows it.
	Queue  string `json:"queue,omitempty"`
	Topic  string `json:"topic,omitempty"`
	Paused bool   `json:"paused"`
	// Next are the ticks to come, in the zone of the schedule; also of one that is paused.
	Next []time.Time `json:"next"`
}

// ListSchedules describes the schedules of the configuration, by name, with their next ticks. Nobody is asked,
// and nothing is started.
func ListSchedules(o Options, ticks int) ([]Schedule, error) {
	o.fill()
	loaded, err := load(&o)
	if err != nil {
		return nil, err
	}
	all := []Schedule{}
	for _, name := range slices.Sorted(maps.Keys(loaded.Config.Schedules)) {
		s := loaded.Config.Schedules[name]
		times, err := schedule.Parse(s.Cron, s.Zone)
		if err != nil {
			return nil, fmt.Errorf("schedule %s: %w", name, err)
		}
		t := Schedule{
			Name: name, Cron: s.Cron, Zone: s.Zone, Paused: s.Paused, Next: []time.Time{},
			Queue: loaded.Config.Queues[s.Queue].Name, Topic: loaded.Config.Topics[s.Topic].Name,
		}
		for at := times.Next(time.Now()); len(t.Next) < ticks && !at.IsZero(); at = times.Next(at) {
			t.Next = append(t.Next, at)
		}
		all = append(all, t)
	}
	return all, nil
}
