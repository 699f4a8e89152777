package topology

import (
	"errors"
	"slices"

	"github.com/stationmaster/worker/internal/awsarn"
	"github.com/stationmaster/worker/queue"
)

// State is what AWS answered about a topology and all that hangs on it. Each part has the error of
// reading it beside it: a part that could not be read is unknown, which is neither right nor wrong.
// An error here is of one of the classes queue.ErrNotFound, ErrDenied and ErrThrottled; others end
// Observe.
type State struct {
	Account Account
	// Queues are those of the topology, by name: what is declared, and the dead-letter queues that
	// follow from it.
	Queues map[string]*QueueState
	// Topics are those of the topology, by name.
	Topics map[string]*TopicState
	// Others are the queues that the topology does not have and something that was read points at, by
	// ARN: the endpoint or the dead-letter queue of a subscription, the dead-letter queue of a queue.
	Others map[string]*QueueState
	// Strays lead to queues of the topology, and no topic of the topology has them. They are not looked
	// for by a Brief observation. StraysErr is that of listing the account's subscriptions; with MoreStrays
	// there are more than were read, see MostListed.
	Strays     []*Stray
	StraysErr  error
	MoreStrays bool
}

// QueueState is one queue as it is.
type QueueState struct {
	Name, ARN string
	URL       string // empty when it was not found
	// Attributes are all of them, as SQS spells them. Err is that of finding the queue or of reading
	// them, see Missing.
	Attributes map[string]string
	Err        error

	// Tags, Sources (the URLs of the queues whose redrive policy names this one) and MoveTasks (the
	// last ten out of this one, the newest first) are nil after a Brief observation. Sources and
	// MoveTasks are asked of dead-letter queues only.
	Tags      map[string]string
	TagsErr   error
	Sources   []string
	SourceErr error
	MoveTasks []queue.MoveTask
	TasksErr  error
}

// Missing tells whether the queue is known not to exist.
func (q *QueueState) Missing() bool { return errors.Is(q.Err, queue.ErrNotFound) }

// Known tells whether the attributes have been read.
func (q *QueueState) Known() bool { return q.Err == nil && q.Attributes != nil }

// TopicState is one topic as it is.
type TopicState struct {
	Name, ARN  string
	Attributes map[string]string
	Err        error // of reading them, see Missing
	Tags       map[string]string
	TagsErr    error
	// Subscriptions are all that the topic has, declared or not, as SNS lists them. ListErr is that of
	// listing them.
	Subscriptions []*SubscriptionState
	ListErr       error
}

// Missing tells whether the topic is known not to exist.
func (t *TopicState) Missing() bool { return errors.Is(t.Err, queue.ErrNotFound) }

// Find returns the subscription with an endpoint, nil when there is none. One that was ended is none.
func (t *TopicState) Find(protocol, endpoint string) *SubscriptionState {
	i := slices.IndexFunc(t.Subscriptions, func(s *SubscriptionState) bool {
		return endOf(s.Protocol, s.Endpoint) == endOf(protocol, endpoint) && !s.Ended()
	})
	if i < 0 {
		return nil
	}
	return t.Subscriptions[i]
}

// SubscriptionState is one subscription as it is.
type SubscriptionState struct {
	queue.Subscription
	// Declared: the topology has it.
	Declared bool
	// Attributes are all of them, as SNS spells them; nil while it waits to be confirmed, as SNS does
	// not list the ARN then. After a Brief observation only declared ones have them. Err is that of
	// reading them.
	Attributes map[string]string
	Err        error
}

// Pending tells whether the subscription waits to be confirmed: nothing is delivered until then.
func (s *SubscriptionState) Pending() bool {
	return !awsarn.Is(s.ARN) && !s.Ended() || s.Attributes[attrPending] == "true"
}

// Ended tells whether the subscription was ended, and is still listed for a while.
func (s *SubscriptionState) Ended() bool { return s.ARN == gone }
