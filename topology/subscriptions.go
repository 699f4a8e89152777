package topology

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/stationmaster/worker/queue"
)

// scopes maps filter_on to SNS's word.
var scopes = map[string]string{"body": "MessageBody", "attributes": "MessageAttributes"}

// subscriptions subscribes what is missing, with all attributes in the one call: a subscription
// made bare delivers everything, in the other format and without a net, until it is configured.
func (a *applier) subscriptions(ctx context.Context) error {
	known := make(map[string]map[string]string) // topic → subscription ARN by endpoint
	for _, s := range a.want.Subscriptions {
		topicARN := a.layout.topicARN(s.Topic)
		if _, ok := known[s.Topic]; !ok && !a.created[topicARN] {
			found, err := a.aws.Subscriptions(ctx, topicARN, "sqs")
			if err != nil {
				return err
			}
			known[s.Topic] = found
		}
		err := a.counted(func() error { return a.subscribe(ctx, s, topicARN, known[s.Topic]) })
		if err != nil {
			return err
		}
	}
	return nil
}

func (a *applier) subscribe(ctx context.Context, s Subscription, topicARN string, known map[string]string) error {
	endpoint, want := a.layout.queueARN(s.Queue), a.layout.subscription(s)
	if arn, ok := known[endpoint]; ok {
		return a.setSubscription(ctx, s, arn, want)
	}
	_, err := a.aws.Subscribe(ctx, topicARN, "sqs", endpoint, want)
	if !errors.Is(err, queue.ErrRejected) {
		if err == nil {
			a.changed("subscription", s.name(), "create")
		}
		return err
	}
	// "Already exists with different attributes" and a bad filter answer alike. Only the list can
	// tell them apart without a bare Subscribe, which in the second case would make an unfiltered
	// subscription.
	found, listErr := a.aws.Subscriptions(ctx, topicARN, "sqs")
	if arn, ok := found[endpoint]; ok && listErr == nil {
		return a.setSubscription(ctx, s, arn, want)
	}
	return err
}

// subscription returns the attributes of one, as given to Subscribe. FilterPolicyScope without a
// policy is dropped by SNS, so the two go together.
func (l *layout) subscription(s Subscription) map[string]string {
	want := map[string]string{attrRaw: strconv.FormatBool(s.Raw)}
	if s.DLQ != "" {
		want[attrRedrive] = redrive(l.queueARN(s.DLQ), 0)
	}
	if s.Filter != "" {
		want[attrScope] = scopes[s.FilterOn]
		want[attrFilter] = s.Filter
	}
	return want
}

// setSubscription repairs one that exists.
func (a *applier) setSubscription(ctx context.Context, s Subscription, arn string, want map[string]string) error {
	if !isARN(arn) {
		return fmt.Errorf("subscription %s: is pending: the owner of the queue has to confirm it; then apply again", s.name())
	}
	have, err := a.aws.SubscriptionAttributes(ctx, arn)
	if err != nil {
		return err
	}
	if have[attrFilter] != "" && have[attrFilter] != "{}" && want[attrFilter] == "" {
		want[attrFilter] = "{}" // an empty text is refused
	}
	if have[attrRaw] == "" {
		have[attrRaw] = "false"
	}
	if have[attrScope] == "" {
		have[attrScope] = scopes["attributes"]
	}
	set, _ := difference(have, want)
	for _, name := range setOrder(want[attrScope]) {
		value, ok := set[name]
		if !ok {
			continue
		}
		if err := a.aws.SetSubscriptionAttribute(ctx, arn, name, value); err != nil {
			return fmt.Errorf("subscription %s: %w", s.name(), err)
		}
		a.changed("subscription", s.name(), describe(name, have[name], value))
	}
	return nil
}

// setOrder is the order in which no message is lost and nothing is refused: the net first; the
// scope that allows nested filters before the filter, the one that forbids them after it.
func setOrder(scope string) []string {
	if scope == scopes["body"] {
		return []string{attrRedrive, attrScope, attrFilter, attrRaw}
	}
	return []string{attrRedrive, attrFilter, attrScope, attrRaw}
}
