package publish

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"

	"github.com/stationmaster/worker/queue"
)

// KindAttribute carries Topic.Kind; a queue routes by it with kind = "attribute:job".
const KindAttribute = "job"

// Topic publishes values of one type, as JSON, to one topic.
type Topic[T any] struct {
	Client *Client
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
		text, err := json.Marshal(map[string]string{"id": id})
		if err != nil {
			return err
		}
		return set(m, queue.StationmasterAttribute, string(text))
	}
}

// Publish publishes v and returns SNS's MessageId.
func (t Topic[T]) Publish(ctx context.Context, v T, options ...Option) (string, error) {
	if t.Client == nil {
		return "", fmt.Errorf("publish to %s: the topic has no client; set Topic.Client", t.Name)
	}
	body, err := json.Marshal(v)
	if err != nil {
		return "", fmt.Errorf("publish to %s: encode %T: %w", t.Name, v, err)
	}
	m := queue.Message{Body: string(body)}
	if t.Kind != "" {
		options = append([]Option{Attribute(KindAttribute, t.Kind)}, options...)
	}
	for _, option := range options {
		if err := option(&m); err != nil {
			return "", fmt.Errorf("publish to %s: %w", t.Name, err)
		}
	}
	return t.Client.Publish(ctx, t.Name, m)
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
