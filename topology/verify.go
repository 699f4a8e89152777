package topology

import (
	"context"
	"errors"
	"fmt"

	"github.com/stationmaster/worker/queue"
)

// Finding is one thing that Verify did not find as declared.
type Finding struct {
	Kind string // "queue", "topic" or "subscription"
	Name string
	// Queue is the declared queue that suffers, empty for a topic. When it is Name, that queue
	// cannot be polled.
	Queue string
	// Missing: it does not exist. Otherwise it could not be looked at, and Err says why.
	Missing bool
	Err     error
	// Fix is the command or the permission that mends it.
	Fix string
}

// Error says the finding and the way out in a line.
func (f Finding) Error() string {
	what := "does not exist"
	if !f.Missing {
		what = "cannot be verified: " + f.Err.Error()
	}
	return fmt.Sprintf("%s %s: %s; %s", f.Kind, f.Name, what, f.Fix)
}

// Unwrap offers the cause to errors.Is.
func (f Finding) Unwrap() error { return f.Err }

const applyFix = "create it with: worker topology apply"

// Verify looks, without changing anything, whether the queues, topics and subscriptions exist. What
// is missing or may not be looked at is a finding, so that the rest can work; an error is what
// concerns all of it: credentials, the network, an invalid topology.
func (t Topology) Verify(ctx context.Context, aws API, account Account) ([]Finding, error) {
	if err := t.Validate(); err != nil {
		return nil, fmt.Errorf("verify topology: %w", err)
	}
	v := &verifier{aws: aws, layout: t.layout(account), missing: make(map[string]bool)}
	for _, part := range []func(context.Context, Topology) error{v.queues, v.topics, v.subscriptions} {
		if err := part(ctx, t); err != nil {
			return v.findings, fmt.Errorf("verify topology: %w", err)
		}
	}
	return v.findings, nil
}

type verifier struct {
	aws      API
	layout   layout
	findings []Finding
	missing  map[string]bool // topics
}

// judge turns an answer into a finding, or into an error that concerns everything.
func (v *verifier) judge(err error, f Finding, permission string) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, queue.ErrNotFound):
		f.Missing, f.Err = true, err
		if f.Fix == "" {
			f.Fix = applyFix
		}
	case errors.Is(err, queue.ErrDenied):
		f.Err, f.Fix = err, "allow "+permission+" to this worker's role"
	default:
		return err
	}
	v.findings = append(v.findings, f)
	return nil
}

func (v *verifier) queues(ctx context.Context, _ Topology) error {
	for _, q := range v.layout.queues {
		f := Finding{Kind: "queue", Name: q.Name, Queue: q.Name}
		if victim, ok := v.layout.victims[q.Name]; ok {
			f.Queue = victim
		}
		if q.Unmanaged {
			f.Fix = "it is not managed here (manage = false): ask its owner, or correct its name, url or arn"
		}
		url, err := findQueue(ctx, v.aws, q)
		permission := "sqs:GetQueueUrl"
		if err == nil && q.URL != "" {
			_, err = v.aws.QueueAttributes(ctx, url)
			permission = "sqs:GetQueueAttributes"
		}
		if err := v.judge(err, f, permission); err != nil {
			return err
		}
	}
	return nil
}

func (v *verifier) topics(ctx context.Context, t Topology) error {
	for _, topic := range t.Topics {
		f := Finding{Kind: "topic", Name: topic.Name}
		if topic.Unmanaged {
			f.Fix = "it is not managed here (manage = false): ask its owner, or correct its name or arn"
		}
		_, err := v.aws.TopicAttributes(ctx, v.layout.topicARN(topic.Name))
		v.missing[topic.Name] = errors.Is(err, queue.ErrNotFound)
		if err := v.judge(err, f, "sns:GetTopicAttributes"); err != nil {
			return err
		}
	}
	return nil
}

func (v *verifier) subscriptions(ctx context.Context, t Topology) error {
	known := make(map[string]map[string]string)
	for _, s := range t.Subscriptions {
		if v.missing[s.Topic] {
			continue // the topic's finding says it
		}
		f := Finding{Kind: "subscription", Name: s.name(), Queue: s.Queue}
		found, ok := known[s.Topic]
		if !ok {
			var err error
			if found, err = v.aws.Subscriptions(ctx, v.layout.topicARN(s.Topic), "sqs"); err != nil {
				if err := v.judge(err, f, "sns:ListSubscriptionsByTopic"); err != nil {
					return err
				}
			}
			known[s.Topic] = found
		}
		if _, ok := found[v.layout.queueARN(s.Queue)]; !ok && found != nil {
			err := fmt.Errorf("subscription %s: %w", s.name(), queue.ErrNotFound)
			if err := v.judge(err, f, ""); err != nil {
				return err
			}
		}
	}
	return nil
}
