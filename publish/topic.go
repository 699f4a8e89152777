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
	return func(m *queue.Message) error { m.GroupID = id; return nil }
}

// DeduplicationID sets the deduplication id (FIFO only).
func DeduplicationID(id string) Option {
	return func(m *queue.Message) error { m.DeduplicationID = id; return nil }
}

// ID gives the message the stable ID that its jobs see, instead of SNS's MessageId, which a second
// publish of the same work would change. It takes one of the ten attributes.
func ID(id string) Option {
	return func(m *queue.Message) error {
		text, err := json.Marshal(map[string]string{"id": id})
		if err != nil {
			return err
		}
		return set(m, queue.StationmasterAttribute, string(text))
	}
}

// Publish publishes v and returns SNS's MessageId.
func (t Topic[T]) Publish(ctx context.Context, v T, options ...Option) (string, error) {
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
	if text == "" {
		return fmt.Errorf("attribute %s: %w: must not be empty", name, queue.ErrRejected)
	}
	if _, has := m.Attributes[name]; !has && len(m.Attributes) == queue.MaxAttributes {
		return fmt.Errorf("attribute %s: %w: a message has at most %d", name, queue.ErrRejected, queue.MaxAttributes)
	}
	if m.Attributes == nil {
		m.Attributes = make(map[string]queue.Attribute)
	}
	m.Attributes = maps.Clone(m.Attributes)
	m.Attributes[name] = queue.Attribute{Type: "String", Text: text}
	return nil
}
