package ingress

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// Attributes of a subscription, as SNS spells them.
const (
	attrRedrive  = "RedrivePolicy"
	attrDelivery = "DeliveryPolicy"
	attrFilter   = "FilterPolicy"
	attrScope    = "FilterPolicyScope"
	attrRaw      = "RawMessageDelivery"
	attrPending  = "PendingConfirmation"
	attrTopic    = "TopicArn"
)

// attach sets what a confirmed subscription lacks, reads everything back and says what is not as
// wanted. It returns the names of what it set.
func attach(ctx context.Context, sns Subscriptions, t Topic, arn string) (changed []string, err error) {
	want := maps.Clone(t.Attributes)
	if want == nil {
		want = map[string]string{}
	}
	want[attrRaw] = "false" // a raw message is not signed
	if _, said := want[attrFilter]; !said {
		want[attrFilter] = "" // one that nobody declared drops messages in silence
	}
	have, err := sns.SubscriptionAttributes(ctx, arn)
	if err != nil {
		return nil, err
	}
	wrong := differing(have, want)
	for _, name := range inOrder(wrong, want) {
		value := want[name]
		if name == attrFilter && value == "" {
			value = "{}" // SNS refuses an empty one
		}
		if err := sns.SetSubscriptionAttribute(ctx, arn, name, value); err != nil {
			return changed, err
		}
		changed = append(changed, name)
	}
	if len(changed) > 0 {
		if have, err = sns.SubscriptionAttributes(ctx, arn); err != nil {
			return changed, err
		}
	}
	return changed, proved(have, want, t.ARN)
}

// proved says what of a subscription is not as it must be.
func proved(have, want map[string]string, topicARN string) error {
	var wrong []string
	for _, name := range slices.Sorted(slices.Values(differing(have, want))) {
		wrong = append(wrong, fmt.Sprintf("%s is %q, must be %q", name, have[name], want[name]))
	}
	if have[attrPending] != "false" {
		wrong = append(wrong, "it is still pending")
	}
	if is := have[attrTopic]; is != topicARN {
		wrong = append(wrong, fmt.Sprintf("its topic is %q", is))
	}
	if len(wrong) > 0 {
		return fmt.Errorf("read back: %s", strings.Join(wrong, "; "))
	}
	return nil
}

// differing names what is not as wanted.
func differing(have, want map[string]string) (names []string) {
	for name, value := range want {
		if !same(name, have[name], value) {
			names = append(names, name)
		}
	}
	return names
}

// usual is what SNS means where it shows nothing.
var usual = map[string]string{attrRaw: "false", attrScope: "MessageAttributes", attrFilter: "{}"}

func same(name, have, want string) bool {
	if have == "" {
		have = usual[name]
	}
	if want == "" {
		want = usual[name]
	}
	if have == want {
		return true
	}
	var a, b any
	if json.Unmarshal([]byte(have), &a) != nil || json.Unmarshal([]byte(want), &b) != nil {
		return false
	}
	if name == attrDelivery {
		return contains(a, b) // SNS shows what was left out as null, or as its default
	}
	return reflect.DeepEqual(a, b)
}

// contains reports whether a JSON value has all that another one says.
func contains(have, want any) bool {
	w, ok := want.(map[string]any)
	if !ok {
		return reflect.DeepEqual(have, want)
	}
	h, _ := have.(map[string]any)
	for key, value := range w {
		if !contains(h[key], value) {
			return false
		}
	}
	return true
}

// inOrder sorts names so that SNS refuses nothing and the least is lost: the net first; the scope that
// allows nested filters before the filter, the one that forbids them after it.
func inOrder(names []string, want map[string]string) []string {
	order := []string{attrRedrive, attrDelivery, attrFilter, attrScope, attrRaw}
	if want[attrScope] == "MessageBody" {
		order = []string{attrRedrive, attrDelivery, attrScope, attrFilter, attrRaw}
	}
	rank := func(name string) int {
		if i := slices.Index(order, name); i >= 0 {
			return i
		}
		return len(order)
	}
	slices.SortFunc(names, func(a, b string) int {
		if d := rank(a) - rank(b); d != 0 {
			return d
		}
		return strings.Compare(a, b)
	})
	return names
}
