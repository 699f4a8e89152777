package publish

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"

	"github.com/stationmaster/worker/queue"
)

// KindAttribute carries Topic.Kind; a queue routes by it with kind = "attribute:job".
const KindAttribute = "job"

// Publisher publishes one message to a topic: a *Client does, and so does the Publisher of a job's
// Env, by which jobs publish onwards.
type Publisher interface {
	Publish(ctx context.Context, topic string, m queue.Message) (id string, err error)
}

// BatchPublisher is a Publisher that publishes many messages in few requests, with index-aligned
// answers; see Client.PublishBatch.
type BatchPublisher interface {
	PublishBatch(ctx context.Context, topic string, messages []queue.Message) (ids []string, errs []error)
}

// Topic publishes values of one type, as JSON, to one topic.
type Topic[T any] struct {
	Client Publisher
	// Name is the topic's name or ARN.
	Name string
	// Kind, when set, is written to the attribute "job", for queues that several kinds share.
	Kind string
}

// Option adds to one message.
type Option func(*queue.Message) error

// Attribute adds a String attribute.
func Attribute(name, text string) Option {
	return func(m *queue.Message) error { return set(m, name, text) }
}

// GroupID sets the message group: order on FIFO topics, tenant for fair queues.
func GroupID(id string) Option {
	return func(m *queue.Message) error {
		m.GroupID = id
		return given("group id", id)
	}
}

// DeduplicationID sets the deduplication id (FIFO only).
func DeduplicationID(id string) Option {
	return func(m *queue.Message) error {
		m.DeduplicationID = id
		return given("deduplication id", id)
	}
}

// ID gives the message the stable ID that its jobs see, instead of SNS's MessageId, which a second
// publish of the same work would change. It takes one of the ten attributes.
func ID(id string) Option {
	return func(m *queue.Message) error {
		if err := given("id", id); err != nil {
			return err
		}
		return mark(m, "id", id)
	}
}

// Publish publishes v and returns SNS's MessageId.
func (t Topic[T]) Publish(ctx context.Context, v T, options ...Option) (string, error) {
	m, err := t.message(v, options)
	if err != nil {
		return "", err
	}
	return t.Client.Publish(ctx, t.Name, m)
}

// PublishBatch publishes values, each with the options that options answers for its index; nil means
// none. The answer is that of Client.PublishBatch: index-aligned, and a nil errs when all were accepted.
// A Publisher that is no BatchPublisher is given the messages one by one.
//
// A value that cannot be made a message costs no other; where Name ends in .fifo, whose order it would
// break, nothing from it on is sent.
func (t Topic[T]) PublishBatch(ctx context.Context, values []T, options func(i int) []Option) (ids []string, errs []error) {
	ids, errs = make([]string, len(values)), make([]error, len(values))
	var messages []queue.Message
	var at []int // the values that messages are of
	for i, v := range values {
		var own []Option
		if options != nil {
			own = options(i)
		}
		m, err := t.message(v, own)
		if err == nil {
			messages, at = append(messages, m), append(at, i)
			continue
		}
		errs[i] = err
		if isFIFO(t.Name) {
			for j := i + 1; j < len(values); j++ {
				errs[j] = fmt.Errorf("publish to %s: %w: value %d of the batch, before it, is none to publish; mend it, and send all from it on", t.Name, ErrHeldBack, i)
			}
			break
		}
	}
	for j, answer := range t.publish(ctx, messages) {
		ids[at[j]], errs[at[j]] = answer.id, answer.err
	}
	if errors.Join(errs...) == nil {
		return ids, nil
	}
	return ids, errs
}

type answer struct {
	id  string
	err error
}

func (t Topic[T]) publish(ctx context.Context, messages []queue.Message) []answer {
	if len(messages) == 0 {
		return nil
	}
	var ids []string
	var errs []error
	if many, ok := t.Client.(BatchPublisher); ok {
		ids, errs = many.PublishBatch(ctx, t.Name, messages)
	} else {
		ids, errs = oneByOne(messages, true, func(m queue.Message) (string, error) { return t.Client.Publish(ctx, t.Name, m) })
	}
	all := make([]answer, len(messages))
	for i := range all {
		all[i].err = queue.At(errs, i)
		if i < len(ids) {
			all[i].id = ids[i]
		}
		if all[i] == (answer{}) {
			all[i].err = fmt.Errorf("publish to %s: %w: %w", t.Name, queue.ErrUnanswered, errNothingSaid)
		}
	}
	return all
}

// message is v as it is published.
func (t Topic[T]) message(v T, options []Option) (m queue.Message, err error) {
	if t.Client == nil {
		return m, fmt.Errorf("publish to %s: the topic has no client; set Topic.Client", t.Name)
	}
	body, err := json.Marshal(v)
	if err != nil {
		return m, fmt.Errorf("publish to %s: encode %T: %w", t.Name, v, err)
	}
	m.Body = string(body)
	if t.Kind != "" {
		options = append([]Option{Attribute(KindAttribute, t.Kind)}, options...)
	}
	for _, option := range options {
		if err := option(&m); err != nil {
			return m, fmt.Errorf("publish to %s: %w", t.Name, err)
		}
	}
	return m, nil
}

func set(m *queue.Message, name, text string) error {
	if err := given("attribute "+name, text); err != nil {
		return err
	}
	if _, has := m.Attributes[name]; !has && len(m.Attributes) == queue.MaxAttributes {
		return fmt.Errorf("attribute %s: %w: a message has at most %d", name, queue.ErrRejected, queue.MaxAttributes)
	}
	m.Attributes = maps.Clone(m.Attributes) // an option of somebody else may have set a map that is shared
	if m.Attributes == nil {
		m.Attributes = make(map[string]queue.Attribute)
	}
	m.Attributes[name] = queue.Attribute{Type: "String", Text: text}
	return nil
}

// given refuses an empty text: AWS would refuse it, or take it for none.
func given(what, text string) error {
	if text == "" {
		return fmt.Errorf("%s: %w: must not be empty", what, queue.ErrRejected)
	}
	return nil
}
