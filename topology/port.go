package topology

import (
	"context"

	"github.com/stationmaster/worker/queue"
)

// QueueReader is what is read about queues. The errors of all ports wrap the classes of package queue.
type QueueReader interface {
	QueueURL(ctx context.Context, name, account string) (url string, err error)
	QueueAttributes(ctx context.Context, url string) (map[string]string, error)
	QueueTags(ctx context.Context, url string) (map[string]string, error)
	DeadLetterSources(ctx context.Context, url string) (urls []string, err error)
	MoveTasks(ctx context.Context, arn string) ([]queue.MoveTask, error)
}

// TopicReader is what is read about topics and their subscriptions.
type TopicReader interface {
	TopicAttributes(ctx context.Context, arn string) (map[string]string, error)
	TopicTags(ctx context.Context, arn string) (map[string]string, error)
	TopicSubscriptions(ctx context.Context, arn string) ([]queue.Subscription, error)
	SubscriptionAttributes(ctx context.Context, arn string) (map[string]string, error)
	// Subscriptions lists those of the account and the region, whatever their topic, page by page: token is
	// empty for the first one, and next after the last.
	Subscriptions(ctx context.Context, token string) (page []queue.Subscription, next string, err error)
}

// Reader is all that Observe and Plan ask.
type Reader interface {
	QueueReader
	TopicReader
}

// Lister finds what nobody has named: only Prune asks it.
type Lister interface {
	Queues(ctx context.Context) (urls []string, err error)
	Topics(ctx context.Context) (arns []string, err error)
}

// QueueWriter changes queues. An empty value given to SetQueueAttributes removes a policy.
type QueueWriter interface {
	CreateQueue(ctx context.Context, name string, attributes, tags map[string]string) (url string, err error)
	SetQueueAttributes(ctx context.Context, url string, attributes map[string]string) error
	TagQueue(ctx context.Context, url string, tags map[string]string) error
}

// TopicWriter changes topics.
type TopicWriter interface {
	CreateTopic(ctx context.Context, name string, attributes, tags map[string]string) (arn string, err error)
	SetTopicAttribute(ctx context.Context, arn, name, to string) error
	TagTopic(ctx context.Context, arn string, tags map[string]string) error
}

// SubscriptionWriter changes subscriptions. An empty value given to SetSubscriptionAttribute removes
// the attribute.
type SubscriptionWriter interface {
	Subscribe(ctx context.Context, topicARN, protocol, endpoint string, attributes map[string]string) (arn string, err error)
	SetSubscriptionAttribute(ctx context.Context, arn, name, to string) error
}

// Deleter deletes, which Apply never does.
type Deleter interface {
	Unsubscribe(ctx context.Context, arn string) error
	DeleteQueue(ctx context.Context, url string) error
	DeleteTopic(ctx context.Context, arn string) error
}

// API is both services, in plain strings and maps, as Apply uses them.
type API interface {
	Reader
	QueueWriter
	TopicWriter
	SubscriptionWriter
}
