package telemetry

import (
	"context"
	"sync"
	"time"

	"github.com/stationmaster/worker/poller"
)

// Status is the answer of GET /status.
type Status struct {
	Worker WorkerStatus           `json:"worker"`
	Queues map[string]QueueStatus `json:"queues"`
	// Endpoints are the paths that SNS posts to.
	Endpoints map[string]EndpointStatus `json:"endpoints,omitempty"`
	// Schedules are what this worker publishes by itself.
	Schedules map[string]ScheduleStatus `json:"schedules,omitempty"`
}

// WorkerStatus says what the process is doing.
type WorkerStatus struct {
	State   string    `json:"state"`
	Version string    `json:"version"`
	Started time.Time `json:"started"`
}

// QueueStatus says what the worker does with one queue, and the queue's own numbers.
type QueueStatus struct {
	Job   string `json:"job"`
	State string `json:"state"`
	// Error is why it is not polling.
	Error     string `json:"error,omitempty"`
	Slots     int    `json:"slots"`
	Busy      int    `json:"busy"`
	Receivers int    `json:"receivers"`
	Prefetch  int    `json:"prefetch"`
	// Delayed counts the messages that this process has hidden until the time they ask for, and that are
	// not due yet: 10,000 at most. They count as in flight.
	Delayed int `json:"delayed"`
	// PausedBy is who lets the queue rest: operator, configuration, job or breaker; PausedUntil is
	// when that ends, missing when only a resume ends it.
	PausedBy    string     `json:"paused_by,omitempty"`
	PausedUntil *time.Time `json:"paused_until,omitempty"`
	// Breaker is "closed", "open" or "half open"; missing when there is none.
	Breaker string `json:"breaker,omitempty"`
	Counters
	// Requests counts what was sent to SQS for this queue, retries included.
	Requests int64 `json:"requests"`
	// Visible and InFlight are SQS's approximate numbers, at most 15 s old; null when SQS does not
	// tell.
	Visible  *int64 `json:"visible"`
	InFlight *int64 `json:"in_flight"`
}

// Status reads everything that GET /status shows, of all queues at once: SQS may be slow to count.
func (t *Telemetry) Status(ctx context.Context) Status {
	all := t.all()
	s := Status{
		Worker: WorkerStatus{State: t.state.Load().(string), Version: t.version, Started: t.started.UTC()},
		Queues: make(map[string]QueueStatus, len(all)),
	}
	found := make([]QueueStatus, len(all))
	var asked sync.WaitGroup
	for i, q := range all {
		asked.Go(func() { found[i] = q.status(ctx) })
	}
	asked.Wait()
	for i, q := range all {
		s.Queues[q.o.Name] = found[i]
	}
	s.Endpoints = t.endpointStatus()
	s.Schedules = t.scheduleStatus()
	return s
}

func (q *Queue) status(ctx context.Context) QueueStatus {
	s := QueueStatus{Job: q.o.Job, State: "starting", Slots: q.o.Slots, Counters: q.Counters()}
	source, fault := q.attached()
	if fault != nil {
		s.State, s.Error = "unavailable", fault.Error()
	}
	if source == nil {
		return s
	}
	state := source.State()
	s.State, s.Busy, s.Receivers, s.Requests = state.State, state.Busy, state.Receivers, source.Requests()
	s.Delayed = state.Delayed
	s.Prefetch, s.PausedBy, s.Breaker = state.Prefetch, state.PausedBy, state.Breaker
	if !state.PausedUntil.IsZero() {
		until := state.PausedUntil.UTC()
		s.PausedUntil = &until
	}
	if state.Err != nil {
		s.Error = state.Err.Error()
	}
	if visible, inFlight, ok := q.counts(ctx, source); ok {
		s.Visible, s.InFlight = &visible, &inFlight
	}
	return s
}

// stuckAfter is how long no poll of a queue may complete: a long poll takes 20 s, a failed one at
// most 30 s, and the pause after it as long again.
const stuckAfter = 90 * time.Second

// Stuck is a queue whose receive loops stand still although they should run.
type Stuck struct {
	Queue string
	Since time.Duration
}

// Live returns the queues that completed no poll for too long. A failed poll is a completed one:
// a restart mends no outage of AWS, and costs every message in flight a receive.
func (t *Telemetry) Live() []Stuck {
	var found []Stuck
	for _, q := range t.all() {
		source, _ := q.attached()
		if source == nil {
			continue // it is still being opened, which is retried with bounds of its own
		}
		if since := q.silent(source.State()); since > stuckAfter {
			found = append(found, Stuck{Queue: q.o.Name, Since: since})
		}
	}
	return found
}

// silent is for how long a poll has been due; 0 when none is. An open poll is due when it ends: the
// one before may be long ago, after a pause or while every slot was taken. In the moment between the
// two, it is due from when it was last seen to rest.
func (q *Queue) silent(s poller.State) time.Duration {
	last := s.LastPoll
	if last.IsZero() {
		last = q.t.started
	}
	rests := s.State != "polling" && s.State != "backing off"
	switch {
	case rests, s.Full && s.PollEnds.IsZero(): // nothing more can start: there is nothing to poll for
		q.rested.Store(time.Now().UnixNano())
		return 0
	case s.PollEnds.After(last):
		last = s.PollEnds
	}
	if rested := time.Unix(0, q.rested.Load()); rested.After(last) {
		last = rested
	}
	return max(0, time.Since(last))
}

// Unready says why one queue is not being worked on.
type Unready struct {
	Queue, Why string
}

// Ready returns the queues that are not being polled, or whose last receive failed.
func (t *Telemetry) Ready() []Unready {
	var found []Unready
	for _, q := range t.all() {
		source, fault := q.attached()
		why := ""
		switch {
		case fault != nil:
			why = fault.Error()
		case source == nil:
			why = "not opened yet"
		default:
			state := source.State()
			if state.Err != nil {
				why = state.Err.Error()
			} else if state.State != "polling" && state.State != "paused" {
				why = state.State
			}
		}
		if why != "" {
			found = append(found, Unready{Queue: q.o.Name, Why: why})
		}
	}
	return found
}
