// Package deadletter is the wire format of a failure record: why a message died, in one message
// attribute named "stationmaster". The poller writes it when it dead-letters a message, replay-dlq
// reads it. A record holds only what a worker can know from its own delivery, and no value of the
// message's body: a reason is normalised to a template, so that it can be grouped, logged and shown.
package deadletter

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/stationmaster/worker/queue"
)

const (
	// Version is the version of the format that this package writes.
	Version = 1
	// Attribute is the message attribute that holds the record.
	Attribute = queue.StationmasterAttribute
	// MaxBytes bounds the record as it is written.
	MaxBytes = 2 << 10
	// maxDeaths bounds what is believed of a record that somebody else wrote.
	maxDeaths = 1_000_000
	// Unexplained stands for the fingerprint of what died without a record.
	Unexplained = "------"
)

// ErrNoRoom says that a message has no room for a record: ten attributes already, or 1 MiB. Such
// a message is left to the queue's redrive policy, which needs no room.
var ErrNoRoom = errors.New("no room for the failure record")

// Record says why and when a message died.
type Record struct {
	V int `json:"v"`
	// ID is the message's stable id, unchanged by death and replay.
	ID string `json:"id"`
	// Job names the job that failed; empty when no job took the message.
	Job string `json:"job,omitempty"`
	// Class is the kind of failure: what the error declares, else its type.
	Class string `json:"class,omitempty"`
	// Fingerprint is the same for failures that look the same: of the job, class and reason.
	Fingerprint string `json:"fingerprint,omitempty"`
	// Reason is the error's text as a template.
	Reason string `json:"reason,omitempty"`
	// Origin is the queue it died in, OriginID the MessageId that it had there.
	Origin   string `json:"origin,omitempty"`
	OriginID string `json:"origin_id,omitempty"`
	// Receives is how often SQS had handed it out, Deaths how often it has been dead-lettered.
	Receives int `json:"receives,omitempty"`
	Deaths   int `json:"deaths"`
	// Sent is of the message that died; FirstReceived of its first life.
	Sent          time.Time `json:"sent,omitzero"`
	FirstReceived time.Time `json:"first_received,omitzero"`
	Died          time.Time `json:"died,omitzero"`
	// Build and Host are the worker's.
	Build string `json:"build,omitempty"`
	Host  string `json:"host,omitempty"`
	// Trace is the W3C traceparent of the message.
	Trace string `json:"trace,omitempty"`
	// Replay is what the last replay wrote; nil when there was none.
	Replay *Replay `json:"replay,omitempty"`
}

// Replay says who sent a dead letter back.
type Replay struct {
	ID     string    `json:"id"`
	By     string    `json:"by,omitempty"`
	FromID string    `json:"from_id,omitempty"`
	At     time.Time `json:"at,omitzero"`
}

// Death is what the worker that gives a message up knows besides its delivery.
type Death struct {
	Job, Queue, Build, Host string
	Now                     time.Time
}

// New makes the record of a delivery that died of err.
func New(d *queue.Delivery, death Death, err error) Record {
	n, enveloped := queue.ReadNotification(d.Body)
	body := d.Body
	if enveloped {
		body = n.Message
	}
	class, reason := Class(err), Reason(err, body)
	r := Record{
		V: Version, ID: queue.StableIDOf(d, n, enveloped), Job: death.Job,
		Class: class, Reason: reason, Fingerprint: Fingerprint(death.Job, class, reason),
		Origin: death.Queue, OriginID: d.MessageID, Receives: d.Receives, Deaths: 1,
		Sent: stamp(d.Sent), FirstReceived: stamp(d.FirstReceived), Died: stamp(death.Now),
		Build: death.Build, Host: death.Host, Trace: trace(d.Attributes, n.Attributes),
	}
	if before, ok := Read(&d.Message); ok {
		r.Deaths = before.Deaths + 1
		r.Replay = before.Replay
		if !before.FirstReceived.IsZero() {
			r.FirstReceived = before.FirstReceived
		}
	}
	return r
}

// stamp is a time as AWS gives it: UTC, in milliseconds.
func stamp(t time.Time) time.Time {
	if t.IsZero() {
		return t
	}
	return t.UTC().Truncate(time.Millisecond)
}

func trace(outer, inner map[string]queue.Attribute) string {
	for _, attributes := range []map[string]queue.Attribute{outer, inner} {
		// A traceparent of version 00 has 55 characters; anything much longer is something else.
		if t := attributes["traceparent"].Text; t != "" && len(t) <= 64 {
			return t
		}
	}
	return ""
}

// Read returns the record of a message; false when there is none, or none that can be read.
func Read(m *queue.Message) (Record, bool) {
	a, has := m.Attributes[Attribute]
	if !has {
		return Record{}, false
	}
	var r Record
	if err := json.Unmarshal([]byte(a.Text), &r); err != nil || r.V < 1 {
		return Record{}, false
	}
	r.Deaths = min(max(r.Deaths, 0), maxDeaths)
	return r, true
}

// Failed reports whether the record tells a failure. Otherwise it is what a producer wrote to name his
// message, or the mark of a replay.
func (r Record) Failed() bool {
	return r.Fingerprint != "" || r.Class != "" || r.Reason != "" || !r.Died.IsZero()
}

// Replayed is the record of a dead letter that is sent back: what stays true of the message, and who
// sent it. A record that was never written becomes one.
func (r Record) Replayed(by Replay) Record {
	v := r.V
	if v < 1 {
		v = Version
	}
	by.At = stamp(by.At)
	return Record{V: v, ID: r.ID, Deaths: r.Deaths, FirstReceived: r.FirstReceived, Replay: &by}
}

// Refresh recomputes the fingerprint of a record that another version of this package wrote, so that
// its group is the same as that of records written now. A reason that was cut away leaves it as it is.
func Refresh(r Record) Record {
	if r.V != Version && r.Failed() && r.Reason != "" {
		r.Fingerprint = Fingerprint(r.Job, r.Class, r.Reason)
	}
	return r
}

// Write puts the record into m, in place of an older one; the map of attributes is replaced, never
// changed. A record that is too large is shrunk, to its class and fingerprint at the least. The
// error is ErrNoRoom; m is unchanged then.
func (r Record) Write(m *queue.Message) error {
	_, replaces := m.Attributes[Attribute]
	if !replaces && len(m.Attributes) >= queue.MaxAttributes {
		return fmt.Errorf("%d attributes: %w", len(m.Attributes), ErrNoRoom)
	}
	for _, smaller := range shrinking(r) {
		text, err := encode(smaller)
		if err != nil {
			return err
		}
		if len(text) > MaxBytes {
			continue
		}
		with := queue.Message{Body: m.Body, Attributes: maps.Clone(m.Attributes)}
		if with.Attributes == nil {
			with.Attributes = map[string]queue.Attribute{}
		}
		with.Attributes[Attribute] = queue.Attribute{Type: "String", Text: text}
		if with.Size() <= queue.MaxBytes {
			m.Attributes = with.Attributes
			return nil
		}
	}
	return fmt.Errorf("%d bytes: %w", m.Size(), ErrNoRoom)
}

// encode writes templates as they are read: "<ip>", not "\u003cip\u003e".
func encode(r Record) (string, error) {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(r); err != nil {
		return "", fmt.Errorf("encode failure record: %w", err)
	}
	return strings.TrimSuffix(b.String(), "\n"), nil
}

// shrinking are ever smaller forms of a record, the whole one first.
func shrinking(r Record) []Record {
	bounded := r
	bounded.ID, bounded.Reason = cut(r.ID, 256), cut(r.Reason, 160)
	bounded.Job, bounded.Class = cut(r.Job, 80), cut(r.Class, 80)
	bounded.Origin, bounded.OriginID = cut(r.Origin, 80), cut(r.OriginID, 100)
	bounded.Build, bounded.Host = cut(r.Build, 64), cut(r.Host, 64)
	if r.Replay != nil {
		bounded.Replay = &Replay{
			ID: cut(r.Replay.ID, 64), By: cut(r.Replay.By, 128), FromID: cut(r.Replay.FromID, 100), At: r.Replay.At,
		}
	}
	least := Record{
		V: r.V, ID: bounded.ID, Job: bounded.Job, Class: bounded.Class, Fingerprint: r.Fingerprint, Deaths: r.Deaths,
	}
	if r.Replay != nil {
		least.Replay = &Replay{ID: bounded.Replay.ID}
	}
	return []Record{r, bounded, least}
}
