package jobs

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/stationmaster/worker/internal/awsarn"
	"github.com/stationmaster/worker/queue"
)

// Info is what a job may know of its message besides the decoded body. It never holds a receipt
// handle: settling is the worker's.
type Info struct {
	// ID stays the same through retries, dead-lettering and replay. The key for idempotency is job
	// and ID together: on one topic, several jobs see the same ID.
	ID string
	// Job and Queue name who handles it and where it came from.
	Job, Queue string
	// Topic is the name of the SNS topic and Subject its subject; empty when the message was sent
	// to the queue directly or with raw message delivery.
	Topic, Subject string
	// GroupID is the MessageGroupId: an order on FIFO queues, a tenant on fair queues.
	GroupID string
	// Attributes are the producer's: those of SNS when the message came in its envelope.
	Attributes map[string]queue.Attribute
	// Sent is when the producer sent it.
	Sent time.Time
	// NotBefore is when it was to start at the earliest; zero when its producer asked for no delay.
	NotBefore time.Time
	// Attempt counts the tries from 1; Receives is SQS's count, which also counts what was handed
	// back untouched.
	Attempt, Receives int
	// Raw is the body as the producer wrote it, outside any envelope.
	Raw string
}

// Message is one message as a job sees it: its decoded body, and what is known about it.
type Message[T any] struct {
	Info
	Body T
}

// Read opens a delivery: the SNS envelope if there is one, and the stable id. It always succeeds; a
// body that nobody can decode is found when it is decoded.
func Read(d *queue.Delivery) *Info {
	i := &Info{
		GroupID: d.GroupID, Attributes: d.Attributes, Sent: d.Sent,
		Attempt: max(d.Receives, 1), Receives: d.Receives, Raw: d.Body,
	}
	n, enveloped := queue.ReadNotification(d.Body)
	i.ID = queue.StableIDOf(d, n, enveloped)
	i.NotBefore = queue.NotBeforeOf(d, n, enveloped)
	if !enveloped {
		return i
	}
	i.Raw, i.Attributes, i.Subject = n.Message, n.Attributes, n.Subject
	i.Topic = awsarn.Name(n.TopicARN)
	if !n.Sent.IsZero() {
		i.Sent = n.Sent
	}
	return i
}

// Kind returns the message's kind by a rule as the configuration writes it: "body:event" is the
// string in the body's top-level key event, "attribute:job" the text of the attribute job. False
// when the message does not say, or the rule is no rule.
func (i *Info) Kind(rule string) (string, bool) {
	where, name, found := strings.Cut(rule, ":")
	switch {
	case !found:
		return "", false
	case where == "attribute":
		a, has := i.Attributes[name]
		return a.Text, has && a.Text != ""
	case where == "body":
		var top map[string]json.RawMessage
		if err := json.Unmarshal([]byte(i.Raw), &top); err != nil {
			return "", false
		}
		var kind string
		if err := json.Unmarshal(top[name], &kind); err != nil {
			return "", false
		}
		return kind, kind != ""
	}
	return "", false
}
