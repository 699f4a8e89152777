package topology

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"time"

	"github.com/stationmaster/worker/internal/snsdelivery"
)

const (
	attrPolicy     = "Policy"
	attrRedrive    = "RedrivePolicy"
	attrVisibility = "VisibilityTimeout"
	attrRetention  = "MessageRetentionPeriod"
	attrRaw        = "RawMessageDelivery"
	attrFilter     = "FilterPolicy"
	attrScope      = "FilterPolicyScope"

	attrRedriveAllow = "RedriveAllowPolicy"
	attrDelivery     = "DeliveryPolicy"
	attrModified     = "LastModifiedTimestamp"
	attrPending      = "PendingConfirmation"
	attrRole         = "SubscriptionRoleArn"
	attrKey          = "KmsMasterKeyId"
	attrSSE          = "SqsManagedSseEnabled"
)

// documents are the attributes whose value is JSON: AWS gives them back with other spaces and another
// order of keys.
var documents = map[string]bool{
	attrPolicy: true, attrRedrive: true, attrFilter: true, attrRedriveAllow: true, attrDelivery: true,
}

// same tells whether an attribute has a wanted value already.
func same(name, have, want string) bool {
	if have == want {
		return true
	}
	if !documents[name] || have == "" || want == "" {
		return false
	}
	if name == attrDelivery {
		return sameDelivery(have, want)
	}
	// In a filter 5 and "5" are two values, and they match different messages.
	loose := name != attrFilter
	a, err := canonical(have, loose)
	if err != nil {
		return false
	}
	b, err := canonical(want, loose)
	return err == nil && reflect.DeepEqual(a, b)
}

// sameDelivery compares what two delivery policies of subscriptions come to: AWS reads back more than
// was written.
func sameDelivery(have, want string) bool {
	a, errA := snsdelivery.ParseSubscription(have)
	b, errB := snsdelivery.ParseSubscription(want)
	return errA == nil && errB == nil && a.String() == b.String()
}

func canonical(document string, loose bool) (any, error) {
	var v any
	if err := json.Unmarshal([]byte(document), &v); err != nil {
		return nil, err
	}
	if loose {
		return loosen(v), nil
	}
	return v, nil
}

// loosen makes scalars strings: SQS answers a maxReceiveCount of "5" where 5 was set.
func loosen(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k, e := range v {
			v[k] = loosen(e)
		}
		return v
	case []any:
		for i, e := range v {
			v[i] = loosen(e)
		}
		return v
	case nil:
		return nil
	default:
		return fmt.Sprint(v)
	}
}

// difference returns the wanted attributes that have another value, and their names in order.
func difference(have, want map[string]string) (set map[string]string, names []string) {
	set = make(map[string]string)
	for name, value := range want {
		if !same(name, have[name], value) {
			set[name] = value
		}
	}
	return set, slices.Sorted(maps.Keys(set))
}

// describe says one attribute's change in a line.
func describe(name, have, want string) string {
	switch {
	case want == "" || name == attrFilter && want == noFilter:
		return "remove " + name
	case documents[name] && have == "":
		return "set " + name
	case documents[name]:
		return "change " + name
	case have == "":
		return fmt.Sprintf("set %s %s", name, want)
	case name == attrRetention && shorter(want, have):
		return fmt.Sprintf("set %s %s→%s, which deletes what is older", name, have, want)
	}
	return fmt.Sprintf("set %s %s→%s", name, have, want)
}

// shorter compares two numbers of seconds.
func shorter(a, b string) bool {
	x, errX := strconv.Atoi(a)
	y, errY := strconv.Atoi(b)
	return errX == nil && errY == nil && x < y
}

func seconds(d time.Duration) string { return strconv.FormatInt(int64(d/time.Second), 10) }

// redrive is the RedrivePolicy of a queue (with a count) or of a subscription (without: SNS
// refuses to know one).
func redrive(dlqARN string, maxReceiveCount int) string {
	policy := struct {
		Target string `json:"deadLetterTargetArn"`
		Count  int    `json:"maxReceiveCount,omitempty"`
	}{dlqARN, maxReceiveCount}
	text, err := json.Marshal(policy)
	if err != nil {
		return "" // a string and an int always marshal
	}
	return string(text)
}
