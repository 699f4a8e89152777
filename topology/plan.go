package topology

import (
	"context"
	"errors"
	"fmt"
	"maps"

	"github.com/stationmaster/worker/internal/awsarn"
	"github.com/stationmaster/worker/queue"
)

// Plan is what Apply would do.
type Plan struct {
	Changes []Change
	// Unchanged counts the queues, topics and subscriptions that are right.
	Unchanged int
	// Pending are the subscriptions that somebody has to confirm.
	Pending []Pending
	// Errands are what others have to do, as far as this side can know.
	Errands []Errand
}

// Plan tells what Apply would do, and why, and changes nothing: it is Apply itself, run on what was
// read back instead of on AWS. All is read once, in parallel.
func (t Topology) Plan(ctx context.Context, aws Reader, account Account) (*Plan, error) {
	if err := t.check(account); err != nil {
		return nil, fmt.Errorf("plan topology: %w", err)
	}
	l := t.layout(account)
	state, err := l.observe(ctx, aws, ObserveOptions{Brief: true, tags: true})
	if err == nil {
		err = l.unknown(state)
	}
	if err != nil {
		return nil, fmt.Errorf("plan topology: %w", err)
	}
	errands := l.errands(state)
	t.Settle, t.Confirm = 0, 0 // nothing is set that could spread
	a := newApplier(t, &overlay{layout: &l, state: state}, account, nil)
	if err := a.run(ctx); err != nil && !errors.Is(err, ErrPending) {
		return nil, fmt.Errorf("plan topology: %w", err)
	}
	return &Plan{Changes: a.result.Changed, Unchanged: a.result.Unchanged, Pending: a.result.Pending, Errands: errands}, nil
}

// unknown is all that could not be read and that Apply would read: what it would do depends on it. Of
// what is somebody else's it wants no more than to find it.
func (l *layout) unknown(s *State) error {
	var all []error
	note := func(errs ...error) {
		for _, err := range errs {
			if err != nil && !errors.Is(err, queue.ErrNotFound) {
				all = append(all, err)
			}
		}
	}
	for _, q := range l.queues {
		if have := s.Queues[q.Name]; !q.Unmanaged || have.URL == "" {
			note(have.Err, have.TagsErr)
		}
	}
	for _, t := range l.ordered {
		have := s.Topics[t.Name]
		if !t.Unmanaged {
			note(have.Err, have.TagsErr)
		}
		note(have.ListErr)
		for _, sub := range have.Subscriptions {
			note(sub.Err)
		}
	}
	return errors.Join(all...)
}

// overlay is an account as it was read, on which Apply can write: nothing of it reaches AWS.
type overlay struct {
	layout *layout
	state  *State
	made   int // subscriptions, whose ARNs are made up
}

func (o *overlay) QueueURL(_ context.Context, name, account string) (string, error) {
	if account == "" {
		account = o.layout.account.ID
	}
	for _, q := range o.state.Queues {
		if awsarn.Name(q.ARN) == name && awsarn.Parse(q.ARN).Account == account {
			if q.URL == "" {
				return "", q.Err
			}
			return q.URL, nil
		}
	}
	return "", fmt.Errorf("find queue %s: %w", name, queue.ErrNotFound)
}

func (o *overlay) queue(url string) *QueueState {
	for _, q := range o.state.Queues {
		if q.URL == url {
			return q
		}
	}
	return &QueueState{Err: fmt.Errorf("queue %s: %w", url, queue.ErrNotFound)}
}

func (o *overlay) QueueAttributes(_ context.Context, url string) (map[string]string, error) {
	q := o.queue(url)
	return maps.Clone(q.Attributes), q.Err
}

func (o *overlay) QueueTags(_ context.Context, url string) (map[string]string, error) {
	q := o.queue(url)
	return q.Tags, q.TagsErr
}

func (o *overlay) DeadLetterSources(context.Context, string) ([]string, error) { return nil, nil }

func (o *overlay) MoveTasks(context.Context, string) ([]queue.MoveTask, error) { return nil, nil }

func (o *overlay) CreateQueue(_ context.Context, name string, attributes, tags map[string]string) (string, error) {
	q := o.state.Queues[name]
	q.URL, q.Err, q.Tags, q.Attributes = "planned:"+name, nil, tags, map[string]string{}
	maps.Copy(q.Attributes, attributes)
	return q.URL, nil
}

func (o *overlay) SetQueueAttributes(_ context.Context, url string, attributes map[string]string) error {
	maps.Copy(o.queue(url).Attributes, attributes)
	return nil
}

func (o *overlay) TagQueue(context.Context, string, map[string]string) error { return nil }

func (o *overlay) topic(arn string) *TopicState {
	for _, t := range o.state.Topics {
		if t.ARN == arn {
			return t
		}
	}
	return &TopicState{Err: fmt.Errorf("topic %s: %w", arn, queue.ErrNotFound)}
}

func (o *overlay) TopicAttributes(_ context.Context, arn string) (map[string]string, error) {
	t := o.topic(arn)
	return maps.Clone(t.Attributes), t.Err
}

func (o *overlay) TopicTags(_ context.Context, arn string) (map[string]string, error) {
	t := o.topic(arn)
	return t.Tags, t.TagsErr
}

func (o *overlay) TopicSubscriptions(_ context.Context, arn string) ([]queue.Subscription, error) {
	t := o.topic(arn)
	if t.Missing() {
		return nil, t.Err
	}
	listed := make([]queue.Subscription, len(t.Subscriptions))
	for i, s := range t.Subscriptions {
		listed[i] = s.Subscription
	}
	return listed, t.ListErr
}

func (o *overlay) CreateTopic(_ context.Context, name string, attributes, tags map[string]string) (string, error) {
	t := o.state.Topics[name]
	t.Err, t.Tags, t.Attributes = nil, tags, map[string]string{}
	maps.Copy(t.Attributes, attributes)
	return t.ARN, nil
}

func (o *overlay) SetTopicAttribute(_ context.Context, arn, name, to string) error {
	o.topic(arn).Attributes[name] = to
	return nil
}

func (o *overlay) TagTopic(context.Context, string, map[string]string) error { return nil }

func (o *overlay) subscription(arn string) *SubscriptionState {
	for _, t := range o.state.Topics {
		for _, s := range t.Subscriptions {
			if s.ARN == arn {
				return s
			}
		}
	}
	return &SubscriptionState{Err: fmt.Errorf("subscription %s: %w", arn, queue.ErrNotFound)}
}

func (o *overlay) Subscribe(_ context.Context, topicARN, protocol, endpoint string, attributes map[string]string) (string, error) {
	o.made++
	t, arn := o.topic(topicARN), fmt.Sprintf("%s:planned-%d", topicARN, o.made)
	t.Subscriptions = append(t.Subscriptions, &SubscriptionState{
		Subscription: queue.Subscription{ARN: arn, TopicARN: topicARN, Protocol: protocol, Endpoint: endpoint},
		Attributes:   maps.Clone(attributes),
	})
	return arn, nil
}

func (o *overlay) SubscriptionAttributes(_ context.Context, arn string) (map[string]string, error) {
	s := o.subscription(arn)
	return maps.Clone(s.Attributes), s.Err
}

func (o *overlay) Subscriptions(context.Context, string) ([]queue.Subscription, string, error) {
	return nil, "", nil
}

func (o *overlay) SetSubscriptionAttribute(_ context.Context, arn, name, to string) error {
	o.subscription(arn).Attributes[name] = to
	return nil
}
