package jobstest

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stationmaster/worker/internal/config"
	"github.com/stationmaster/worker/jobs"
	"github.com/stationmaster/worker/queue"
	"github.com/stationmaster/worker/retry"
)

// Option changes the message, or how the job is set up.
type Option func(*setup)

type setup struct {
	of
	values       map[string]any
	decode       func(into any) error
	policy       retry.Policy
	middleware   []jobs.Middleware
	publishFails error
	fifo         bool
	slots        int
	back         []string // the topics whose messages come back
	patience     *patience
}

// of is what is set of a message.
type of struct {
	attributes   map[string]queue.Attribute
	topic, group string
	id           string
	sent         time.Time
	attempt      int
}

func set(options []Option) *setup {
	s := &setup{}
	for _, o := range options {
		o(s)
	}
	if s.policy == (retry.Policy{}) {
		s.policy = retry.Default
	}
	return s
}

// message is a body with options of its own.
type message struct {
	body    any
	options []Option
}

// With gives one of several messages options of its own, on top of those that all have:
//
//	jobstest.LiveAll(t, "charge", []any{first, jobstest.With(second, jobstest.Group("b"))}, jobstest.FIFO())
//
// Only options of a message go here (Attribute, Attributes, Envelope, ID, Group, Sent, Attempt); that
// another one does ends the test.
func With(body any, o ...Option) any { return message{body: body, options: o} }

// about is what is set of one message, and its body.
func (s *setup) about(t testing.TB, body any) (of, any) {
	t.Helper()
	m, own := body.(message)
	if !own {
		return s.of, body
	}
	if _, twice := m.body.(message); twice {
		t.Fatalf("jobstest: With is given a message that has options already: give them all to one With")
	}
	mine := &setup{of: s.of}
	mine.attributes = maps.Clone(s.attributes)
	for _, o := range m.options {
		o(mine)
	}
	if mine.ofTheJob() {
		t.Fatalf("jobstest: With is given an option that is not of one message: give it to the call for all of them")
	}
	return mine.of, m.body
}

// ofTheJob reports whether anything is set that all messages share.
func (s *setup) ofTheJob() bool {
	return s.values != nil || s.decode != nil || s.policy != (retry.Policy{}) || s.middleware != nil ||
		s.publishFails != nil || s.fifo || s.slots != 0 || s.back != nil
}

// Settings gives the job its settings: a map as config.toml would hold it in the job's table,
// decoded as strictly as a worker does, or a function that is given the job to set its fields.
func Settings[S map[string]any | func(into any)](settings S) Option {
	return func(s *setup) {
		switch settings := any(settings).(type) {
		case map[string]any:
			s.values = settings
		case func(into any):
			s.decode = func(into any) error { settings(into); return nil }
		}
	}
}

// Attribute gives the message an attribute of type String.
func Attribute(name, text string) Option {
	return Attributes(map[string]queue.Attribute{name: {Type: "String", Text: text}})
}

// Attributes gives the message attributes, besides those it has already.
func Attributes(attributes map[string]queue.Attribute) Option {
	return func(s *setup) {
		if s.attributes == nil {
			s.attributes = map[string]queue.Attribute{}
		}
		maps.Copy(s.attributes, attributes)
	}
}

// Envelope lets the message come from a topic, in SNS's envelope, attributes and all.
func Envelope(topic string) Option { return func(s *setup) { s.topic = topic } }

// ID is the message's id, as its producer gives it with publish.ID.
func ID(id string) Option { return func(s *setup) { s.id = id } }

// Group is the message's group id: an order in a Live with FIFO, a tenant otherwise.
func Group(id string) Option { return func(s *setup) { s.group = id } }

// Sent is when the message was sent; now, unless it is given.
func Sent(at time.Time) Option { return func(s *setup) { s.sent = at } }

// Attempt is the number of this try, from 1.
func Attempt(n int) Option { return func(s *setup) { s.attempt = n } }

// Policy judges the job's errors instead of retry.Default.
func Policy(p retry.Policy) Option { return func(s *setup) { s.policy = p } }

// Use wraps the job in middleware; the first is the outermost.
func Use(m ...jobs.Middleware) Option {
	return func(s *setup) { s.middleware = append(s.middleware, m...) }
}

// PublishFails lets whatever the job publishes fail.
func PublishFails(err error) Option { return func(s *setup) { s.publishFails = err } }

// FIFO lets a Live or LiveAll use a FIFO queue: the messages of a Group run one after the other, and one
// that failed holds up those behind it. A message without a Group is in a group "jobstest".
func FIFO() Option { return func(s *setup) { s.fifo = true } }

// Slots is how many messages a LiveAll runs side by side. Unless it is given a single job has one, so that
// messages are tried first in the order of their sends, and a batch job as many as it takes at once.
func Slots(n int) Option { return func(s *setup) { s.slots = n } }

// Subscribed lets the queue of a Live or LiveAll be subscribed to a topic: what the job publishes to it
// comes back in SNS's envelope, and has a life of its own behind those of the messages that were sent.
func Subscribed(topic string) Option { return func(s *setup) { s.back = append(s.back, topic) } }

// decoder returns what decodes the settings; nil leaves the job's defaults.
func (s *setup) decoder(job string) func(into any) error {
	if s.values == nil {
		return s.decode
	}
	file := &config.Loaded{}
	file.Config.Jobs = map[string]map[string]any{job: asFile(s.values).(map[string]any)}
	return func(into any) error {
		if err := file.DecodeJob(job, into); err != nil {
			return err
		}
		if s.decode != nil {
			return s.decode(into)
		}
		return nil
	}
}

// asFile turns Go's values into those that a file would have given.
func asFile(v any) any {
	switch v := v.(type) {
	case int:
		return int64(v)
	case time.Duration:
		return v.String()
	case jobs.Secret:
		return string(v)
	case []string:
		list := make([]any, len(v))
		for i, s := range v {
			list[i] = s
		}
		return list
	case map[string]any:
		table := make(map[string]any, len(v))
		for name, value := range v {
			table[name] = asFile(value)
		}
		return table
	}
	return v
}

// envelope is a notification as SNS writes it into a queue.
func envelope(topic, id, body string, sent time.Time, attributes map[string]queue.Attribute) (string, error) {
	type attribute struct{ Type, Value string }
	inside := make(map[string]attribute, len(attributes))
	for name, a := range attributes {
		value := a.Text
		if a.Binary != nil {
			value = base64.StdEncoding.EncodeToString(a.Binary)
		}
		inside[name] = attribute{a.Type, value}
	}
	text, err := json.Marshal(map[string]any{
		"Type": "Notification", "MessageId": id, "Message": body, "MessageAttributes": inside,
		"TopicArn":  "arn:aws:sns:us-east-1:000000000000:" + topic,
		"Timestamp": sent.UTC().Format("2006-01-02T15:04:05.000Z"),
	})
	return string(text), err
}

// publisher remembers what a job publishes.
type publisher struct {
	fails error
	// told, if there is one, hears of each message and the id that it was given.
	told func(ctx context.Context, p Published, id string) error

	mu   sync.Mutex
	sent []Published
}

// Publish implements jobs.Publisher.
func (p *publisher) Publish(ctx context.Context, topic string, m queue.Message) (string, error) {
	if p.fails != nil {
		return "", p.fails
	}
	p.mu.Lock()
	published := Published{Topic: topic, Message: m}
	p.sent = append(p.sent, published)
	id := fmt.Sprintf("published-%d", len(p.sent))
	p.mu.Unlock()
	if p.told != nil {
		return id, p.told(ctx, published, id)
	}
	return id, nil
}

func (p *publisher) all() []Published {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.sent)
}
