// Package schedule publishes a message at each tick of a cron expression, from every worker of a
// fleet at once and without a leader: all of them give the tick the same MessageDeduplicationId, so
// that a FIFO queue or topic accepts one.
//
// A tick is missed only when no worker could publish within Window of it. SQS and SNS forget a
// deduplication id after five minutes, so the clocks of the fleet may differ by up to a minute.
package schedule

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"regexp"
	"time"

	"github.com/stationmaster/worker/internal/pause"
	"github.com/stationmaster/worker/queue"
)

// Window is how long after its tick a message is still published. It is one minute shorter than the
// deduplication interval of FIFO queues and topics: what is left is for clocks that differ and for a
// request on its way. Source: MessageDeduplicationId, SQS and SNS API references.
const Window = 4 * time.Minute

// The attributes that a tick carries beside those of its schedule: the name of the schedule, and the
// tick in UTC as RFC 3339 has it.
const (
	NameAttribute = "schedule"
	TickAttribute = "tick"
)

// MaxName leaves room for the tick in a MessageDeduplicationId, which has at most 128 characters.
const MaxName = 80

const (
	jitter    = 2 * time.Second // the workers of a fleet do not all call in the same instant
	firstWait = time.Second
	longest   = 15 * time.Second // between two tries
	oneTry    = 30 * time.Second // a connection that hangs must not take the whole window
)

// ErrLate says that the time of a tick was over before it could be published, as after a machine slept.
var ErrLate = errors.New("more than 4 minutes late")

var name = regexp.MustCompile(`^[a-z][a-z0-9_-]*$`)

// Schedule is a message for each tick. Message is its body, its attributes and its group, which is
// Name when it is empty.
type Schedule struct {
	// Name tells the ticks of one schedule from those of another: two schedules of one FIFO queue or
	// topic must not share it.
	Name    string
	Times   Times
	Message queue.Message
	// Publish publishes to a FIFO topic or sends to a FIFO queue. It is called again after an error.
	Publish func(ctx context.Context, m queue.Message) (id string, err error)
	// Done, if set, hears of each tick once: nil when it was accepted, from this worker or an earlier
	// one of the fleet, which SQS and SNS do not tell apart; otherwise why this worker missed it.
	// What a worker slept through is told as one.
	Done func(tick time.Time, err error)
}

// Run publishes the ticks until ctx ends, beginning with those of the last Window. It returns an error
// only for a schedule that can never be published.
func (s Schedule) Run(ctx context.Context) error {
	if _, err := s.at(time.Now()); err != nil {
		return err
	}
	for last := time.Now().Add(-Window); ctx.Err() == nil; {
		tick := s.Times.Next(last)
		if tick.IsZero() {
			return fmt.Errorf("schedule %s: has no further tick", s.Name)
		}
		ended := pause.For(ctx, time.Until(tick)+rand.N(jitter))
		var err error
		if ended == nil {
			err = s.publish(ctx, tick)
		}
		// A tick that the end of ctx cut short is not missed: the fleet has it, or the next start does.
		if s.Done != nil && ctx.Err() == nil {
			s.Done(tick, err)
		}
		last = tick
		if errors.Is(err, ErrLate) {
			last = later(last, time.Now().Add(-Window))
		}
	}
	return nil
}

// publish tries until the tick is accepted or its time is over.
func (s Schedule) publish(ctx context.Context, tick time.Time) error {
	m, err := s.at(tick)
	if err != nil {
		return err
	}
	// The wall clock decides, not the time that this process was awake: a tick after its time would
	// be accepted a second time.
	end := tick.Add(Window)
	failed := ErrLate
	for wait := firstWait; time.Until(end) > 0; wait = min(2*wait, longest) {
		within, cancel := context.WithTimeout(ctx, min(oneTry, time.Until(end)))
		_, err := s.Publish(within, m)
		cancel()
		if err == nil {
			return nil
		}
		failed = err
		if pause.For(ctx, min(wait/2+rand.N(wait/2), time.Until(end))) != nil {
			break
		}
	}
	return failed
}

// at is the message of a tick. Its stable id lets jobs see one and the same work also beyond the
// deduplication interval.
func (s Schedule) at(tick time.Time) (queue.Message, error) {
	if !name.MatchString(s.Name) || len(s.Name) > MaxName {
		return queue.Message{}, fmt.Errorf("schedule %q: the name must be at most %d of a-z, 0-9, - and _, and begin with a letter", s.Name, MaxName)
	}
	if s.Message.Body == "" {
		return queue.Message{}, fmt.Errorf("schedule %s: the body is empty, which SQS and SNS refuse; give it one, as in {}", s.Name)
	}
	m := s.Message
	m.Attributes = maps.Clone(m.Attributes)
	if m.Attributes == nil {
		m.Attributes = map[string]queue.Attribute{}
	}
	for _, ours := range []string{NameAttribute, TickAttribute, queue.StationmasterAttribute} {
		if _, taken := m.Attributes[ours]; taken {
			return queue.Message{}, fmt.Errorf("schedule %s: attribute %q is written by the schedule itself; use another name", s.Name, ours)
		}
	}
	if n := len(m.Attributes) + 3; n > queue.MaxAttributes {
		return queue.Message{}, fmt.Errorf("schedule %s: %d attributes with the three of each tick, at most %d; put some into the body",
			s.Name, n, queue.MaxAttributes)
	}
	if m.GroupID == "" {
		m.GroupID = s.Name
	}
	m.DeduplicationID = s.Name + "-" + tick.UTC().Format("20060102T150405Z")
	m.Attributes[NameAttribute] = text(s.Name)
	m.Attributes[TickAttribute] = text(tick.UTC().Format(time.RFC3339))
	m.Attributes[queue.StationmasterAttribute] = queue.Identified(m.DeduplicationID)
	return m, nil
}

func text(s string) queue.Attribute { return queue.Attribute{Type: "String", Text: s} }

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
