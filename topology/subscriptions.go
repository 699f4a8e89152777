package topology

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/stationmaster/worker/internal/awsarn"
	"github.com/stationmaster/worker/queue"
)

// scopes maps filter_on to SNS's word.
var scopes = map[string]string{"body": "MessageBody", "attributes": "MessageAttributes"}

// noFilter is the filter policy that takes one away: an empty text is refused.
const noFilter = "{}"

// gone is what SNS lists for a while in place of the ARN of a subscription that was ended.
const gone = "Deleted"

// end is what a topic has one subscription for, its endpoint as it is shown.
type end struct{ protocol, endpoint string }

func endOf(protocol, endpoint string) end { return end{protocol, Shown(endpoint)} }

// ends are the subscriptions that a topic has: their ARNs, or the word in its place.
func ends(listed []queue.Subscription) map[end]string {
	found := make(map[end]string, len(listed))
	for _, s := range listed {
		if s.ARN != gone {
			found[endOf(s.Protocol, s.Endpoint)] = s.ARN
		}
	}
	return found
}

// look finds the subscriptions that exist. A topic made in this run has none.
func (a *applier) look(ctx context.Context) error {
	for _, s := range a.layout.subscriptions {
		topicARN := a.layout.topicARN(s.Topic)
		if _, ok := a.known[s.Topic]; ok || a.created[topicARN] {
			continue
		}
		listed, err := a.aws.TopicSubscriptions(ctx, topicARN)
		if err != nil {
			return a.layout.topics[s.Topic].withOwner(err)
		}
		a.known[s.Topic] = ends(listed)
	}
	return nil
}

// there returns the ARN of a subscription that exists, or the word in its place.
func (a *applier) there(s Subscription) (arn string, ok bool) {
	arn, ok = a.known[s.Topic][endOf(a.layout.endpoint(s))]
	return arn, ok
}

// ready makes and repairs the subscriptions that need not wait for a queue, and leaves the others to
// subscriptions.
func (a *applier) ready(ctx context.Context) error {
	a.held = nil
	for _, s := range a.layout.subscriptions {
		wait, err := a.waits(ctx, s)
		if err != nil {
			return err
		}
		if wait {
			a.held = append(a.held, s)
			continue
		}
		if err := a.counted(func() error { return a.subscribe(ctx, s) }, false); err != nil {
			return err
		}
	}
	return nil
}

// waits tells whether SNS would begin to send to a queue that is not there yet, or that may not know
// yet what was set on it.
func (a *applier) waits(ctx context.Context, s Subscription) (bool, error) {
	unready := func(name string) bool { return a.late[name] != nil || a.spreads(name) }
	arn, exists := a.there(s)
	if !exists {
		return unready(s.Queue) || unready(s.DLQ), nil
	}
	if !awsarn.Is(arn) || !unready(s.DLQ) {
		return false, nil
	}
	have, err := a.aws.SubscriptionAttributes(ctx, arn)
	if err != nil {
		return false, fmt.Errorf("subscription %s: %w", s.name(), err)
	}
	now := queue.ReadRedrive(have[attrRedrive]).Target
	return now != "" && now != a.layout.queueARN(s.DLQ), nil
}

// subscriptions makes and repairs what had to wait.
func (a *applier) subscriptions(ctx context.Context) error {
	for _, s := range a.held {
		if err := a.counted(func() error { return a.subscribe(ctx, s) }, false); err != nil {
			return err
		}
	}
	return nil
}

// subscribe subscribes what is missing, with all attributes in the one call: a subscription made bare
// delivers everything, in the other format and without a net, until it is configured.
func (a *applier) subscribe(ctx context.Context, s Subscription) error {
	want := a.layout.subscription(s)
	arn, exists := a.there(s)
	switch {
	case exists && awsarn.Is(arn):
		pending, err := a.setSubscription(ctx, s, arn, want)
		if err != nil || !pending || !s.web() {
			return err
		}
		// AWS lists no ARN of what is pending, others do; it is asked again all the same.
	case exists && !s.web():
		a.wait(s, "") // a word says that it waits to be confirmed, and asking again would send another mail
		return nil
	}
	made := maps.Clone(want)
	maps.DeleteFunc(made, func(_, v string) bool { return v == "" })
	topicARN := a.layout.topicARN(s.Topic)
	protocol, endpoint := a.layout.endpoint(s)
	arn, err := a.aws.Subscribe(ctx, topicARN, protocol, endpoint, made)
	switch {
	case err == nil && exists:
		a.changed("subscription", s.name(), "ask again for its confirmation", "it is pending, and the last token may have got lost or be too old")
		return a.confirmed(ctx, s, arn)
	case err == nil:
		a.changed("subscription", s.name(), "create", a.layout.whySubscribe(s), details(made)...)
		return a.confirmed(ctx, s, arn)
	case !errors.Is(err, queue.ErrRejected):
		return err
	case exists:
		return a.setPending(ctx, s, want)
	}
	// "Already exists with different attributes" and a bad filter answer alike. Only the list can
	// tell them apart without a bare Subscribe, which in the second case would make an unfiltered
	// subscription.
	listed, listErr := a.aws.TopicSubscriptions(ctx, topicARN)
	if arn, ok := ends(listed)[endOf(protocol, endpoint)]; ok && listErr == nil && awsarn.Is(arn) {
		_, err = a.setSubscription(ctx, s, arn, want)
	}
	return err
}

// setPending sets the attributes of a subscription that waits to be confirmed with others. SNS does not
// list its ARN, and tells it to whoever subscribes once more without attributes; it delivers nothing
// meanwhile.
func (a *applier) setPending(ctx context.Context, s Subscription, want map[string]string) error {
	protocol, endpoint := a.layout.endpoint(s)
	arn, err := a.aws.Subscribe(ctx, a.layout.topicARN(s.Topic), protocol, endpoint, nil)
	if err != nil {
		return err
	}
	if _, err := a.setSubscription(ctx, s, arn, want); err != nil {
		return err
	}
	return a.confirmed(ctx, s, arn)
}

// subscription returns the attributes of one. FilterPolicyScope without a policy says nothing, so
// the two go together. An empty value is to be removed.
func (l *layout) subscription(s Subscription) map[string]string {
	want := map[string]string{attrRedrive: ""}
	if slices.Contains(rawProtocols, s.Protocol) {
		want[attrRaw] = strconv.FormatBool(s.Raw)
	}
	if s.web() {
		want[attrDelivery] = s.Delivery
	}
	if s.Role != "" {
		want[attrRole] = s.Role
	}
	if s.DLQ != "" {
		want[attrRedrive] = redrive(l.queueARN(s.DLQ), 0)
	}
	if s.Filter != "" {
		want[attrScope] = scopes[s.FilterOn]
		want[attrFilter] = s.Filter
	}
	return want
}

// setSubscription repairs one that exists, and tells whether it waits to be confirmed.
func (a *applier) setSubscription(ctx context.Context, s Subscription, arn string, want map[string]string) (pending bool, err error) {
	have, err := a.aws.SubscriptionAttributes(ctx, arn)
	if err != nil {
		return false, fmt.Errorf("subscription %s: %w", s.name(), err)
	}
	pending = have[attrPending] == "true"
	set, _ := subscriptionDifference(have, want)
	for _, name := range setOrder(have[attrFilter], want) {
		value, ok := set[name]
		if !ok {
			continue
		}
		if err := a.aws.SetSubscriptionAttribute(ctx, arn, name, value); err != nil {
			return pending, fmt.Errorf("subscription %s: %w", s.name(), err)
		}
		a.changed("subscription", s.name(), describe(name, have[name], value), whySubscription(name, value))
	}
	if pending && !s.web() {
		a.wait(s, arn)
	}
	return pending, nil
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
// Some content types go with raw delivery only.
func setOrder(haveFilter string, want map[string]string) []string {
	order := []string{attrRedrive, attrFilter, attrScope}
	if haveFilter == "" || want[attrScope] == scopes["body"] {
		order = []string{attrRedrive, attrScope, attrFilter}
	}
	if want[attrRaw] == "true" {
		return append(order, attrRaw, attrDelivery, attrRole)
	}
	return append(order, attrDelivery, attrRaw, attrRole)
}
