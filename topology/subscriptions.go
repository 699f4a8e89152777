package topology

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strconv"

	"github.com/stationmaster/worker/queue"
)

// scopes maps filter_on to SNS's word.
var scopes = map[string]string{"body": "MessageBody", "attributes": "MessageAttributes"}

// noFilter is the filter policy that takes one away: an empty text is refused.
const noFilter = "{}"

// look finds the subscriptions that exist. A topic made in this run has none.
func (a *applier) look(ctx context.Context) error {
	for _, s := range a.layout.subscriptions {
		topicARN := a.layout.topicARN(s.Topic)
		if _, ok := a.known[s.Topic]; ok || a.created[topicARN] {
			continue
		}
		found, err := a.aws.Subscriptions(ctx, topicARN, "sqs")
		if err != nil {
			return a.layout.topics[s.Topic].withOwner(err)
		}
		maps.DeleteFunc(found, func(_, arn string) bool { return arn == gone })
		a.known[s.Topic] = found
	}
	return nil
}

// gone is what SNS lists for a while in place of the ARN of a subscription that was deleted.
const gone = "Deleted"

// subscribing tells whether a subscription is to be made.
func (a *applier) subscribing() bool {
	for _, s := range a.layout.subscriptions {
		if _, ok := a.known[s.Topic][a.layout.queueARN(s.Queue)]; !ok {
			return true
		}
	}
	return false
}

// subscriptions subscribes what is missing, with all attributes in the one call: a subscription
// made bare delivers everything, in the other format and without a net, until it is configured.
func (a *applier) subscriptions(ctx context.Context) error {
	for _, s := range a.layout.subscriptions {
		if err := a.counted(func() error { return a.subscribe(ctx, s) }, false); err != nil {
			return err
		}
	}
	return errors.Join(a.pending...)
}

func (a *applier) subscribe(ctx context.Context, s Subscription) error {
	topicARN, endpoint, want := a.layout.topicARN(s.Topic), a.layout.queueARN(s.Queue), a.layout.subscription(s)
	if arn, ok := a.known[s.Topic][endpoint]; ok {
		return a.setSubscription(ctx, s, arn, want)
	}
	made := maps.Clone(want)
	maps.DeleteFunc(made, func(_, v string) bool { return v == "" })
	arn, err := a.aws.Subscribe(ctx, topicARN, "sqs", endpoint, made)
	if err == nil {
		a.changed("subscription", s.name(), "create")
		return a.confirmed(ctx, s, arn)
	}
	if !errors.Is(err, queue.ErrRejected) {
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

// confirmed looks whether a new subscription is in force: SNS wants the word of the owner of the
// queue when that is another account, and delivers nothing until then.
func (a *applier) confirmed(ctx context.Context, s Subscription, arn string) error {
	if accountOf(a.layout.queueARN(s.Queue)) == a.account.ID {
		return nil
	}
	have, err := a.aws.SubscriptionAttributes(ctx, arn)
	if err == nil && have[attrPending] == "true" {
		a.wait(s)
	}
	return err
}

func (a *applier) wait(s Subscription) {
	a.pending = append(a.pending, fmt.Errorf("subscription %s: is pending: SNS has sent a SubscriptionConfirmation into the queue, and its owner has to confirm it; "+
		"nothing is delivered until then; apply again after that", s.name()))
}

// subscription returns the attributes of one. FilterPolicyScope without a policy says nothing, so
// the two go together. An empty value is to be removed.
func (l *layout) subscription(s Subscription) map[string]string {
	want := map[string]string{attrRaw: strconv.FormatBool(s.Raw), attrRedrive: ""}
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
	if !isARN(arn) { // a word says that it waits to be confirmed
		a.wait(s)
		return nil
	}
	have, err := a.aws.SubscriptionAttributes(ctx, arn)
	if err != nil {
		return fmt.Errorf("subscription %s: %w", s.name(), err)
	}
	set, _ := subscriptionDifference(have, want)
	for _, name := range setOrder(have[attrFilter], want[attrScope]) {
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

// subscriptionDifference is difference for a subscription, whose reads leave out what it does not
// have. It completes have.
func subscriptionDifference(have, want map[string]string) (set map[string]string, names []string) {
	if have[attrFilter] == noFilter {
		have[attrFilter] = ""
	}
	if have[attrFilter] != "" && want[attrFilter] == "" {
		want = maps.Clone(want)
		want[attrFilter] = noFilter
	}
	if have[attrRaw] == "" {
		have[attrRaw] = "false"
	}
	switch {
	case have[attrFilter] == "":
		have[attrScope] = "" // whatever it is, it does not show; it is set with the filter
	case have[attrScope] == "":
		have[attrScope] = scopes["attributes"]
	}
	return difference(have, want)
}

// setOrder is the order in which nothing is refused and the least is lost: the net first. Before the
// first filter, its scope, which filters nothing by itself and is remembered by SNS; between two
// filters, the scope that allows nested ones before the filter, and the one that forbids them after.
func setOrder(haveFilter, scope string) []string {
	if haveFilter == "" || scope == scopes["body"] {
		return []string{attrRedrive, attrScope, attrFilter, attrRaw}
	}
	return []string{attrRedrive, attrFilter, attrScope, attrRaw}
}
