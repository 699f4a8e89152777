package localaws

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/stationmaster/worker/internal/snsdelivery"
	"github.com/stationmaster/worker/internal/snsfilter"
)

// set changes one attribute; a nil value takes it away. Nothing changes when it is refused. The
// prefix of the error's text depends on the call.
func (o *subscriptionOptions) set(name string, value *string, prefix string) *apiError {
	text := ""
	if value != nil {
		text = *value
	}
	switch name {
	case "RawMessageDelivery":
		raw, err := strconv.ParseBool(strings.ToLower(text))
		switch {
		case err != nil || len(text) < len("true"): // ParseBool takes "1" and "t" too
			return invalidParameter(prefix+"RawMessageDelivery: Invalid value [%s]. Must be true or false.", text)
		case raw && !slices.Contains(rawProtocols, o.protocol):
			return invalidParameter(prefix+"Delivery protocol [%s] does not support raw message delivery.", o.protocol)
		}
		o.raw = raw
	case "FilterPolicy":
		return o.setFilter(text, o.scope, prefix)
	case "FilterPolicyScope":
		scope := snsfilter.Scope(text)
		if scope != snsfilter.Attributes && scope != snsfilter.Body {
			return invalidParameter(prefix+"FilterPolicyScope: Invalid value [%s]. Please use either MessageBody or MessageAttributes", text)
		}
		if o.filter != nil {
			return o.setFilter(o.filterText, scope, prefix)
		}
		o.scope = scope
	case "RedrivePolicy":
		return o.setRedrive(value, prefix)
	case "DeliveryPolicy":
		return o.setDelivery(text, prefix)
	case "SubscriptionRoleArn":
		if o.protocol != "firehose" {
			return invalidParameter(prefix+"SubscriptionRoleArn: only a firehose subscription has one, not one with protocol %s", o.protocol)
		}
		if !roleARN.MatchString(text) {
			return invalidParameter(prefix + "SubscriptionRoleArn")
		}
		o.role = text
	default:
		return checkSubscriptionAttribute(name, prefix)
	}
	return nil
}

// setFilter sets a policy. One without keys, and no text at all, take the policy away.
func (o *subscriptionOptions) setFilter(text string, scope snsfilter.Scope, prefix string) *apiError {
	if plainJSON(text) == "{}" {
		o.filter, o.filterText, o.scope = nil, "", snsfilter.Attributes
		return nil
	}
	policy, err := snsfilter.Parse(text, scope)
	if err != nil {
		return invalidParameter(prefix+"%s", err)
	}
	o.filter, o.filterText, o.scope = policy, text, scope
	return nil
}

// setRedrive looks at the ARN's spelling and at nothing behind it: a dead-letter queue that is not
// there, or lets nobody in, is found out by the first message that needs it.
func (o *subscriptionOptions) setRedrive(value *string, prefix string) *apiError {
	if value == nil {
		o.redrive, o.deadLetter = "", ""
		return nil
	}
	var keys map[string]any
	if err := json.Unmarshal([]byte(*value), &keys); err != nil || keys == nil {
		return invalidParameter(prefix + "RedrivePolicy: failed to parse JSON.")
	}
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		if key != "deadLetterTargetArn" {
			return invalidParameter(prefix+"RedrivePolicy: invalid JSON. Attribute %s is unknown", key)
		}
	}
	arn, _ := keys["deadLetterTargetArn"].(string)
	switch _, name, ok := queueOf(arn); {
	case !ok:
		return invalidParameter(prefix + "RedrivePolicy: deadLetterTargetArn is an invalid arn")
	case o.fifoTarget && !isFIFO(name):
		return invalidParameter(prefix + "RedrivePolicy: must use a FIFO queue as DLQ for a FIFO Subscription to a FIFO Topic.")
	}
	o.redrive, o.deadLetter = *value, arn
	return nil
}

// setDelivery replaces the whole policy; an empty text takes it away.
func (o *subscriptionOptions) setDelivery(text, prefix string) *apiError {
	if !isHTTP(o.protocol) {
		return invalidParameter(prefix+"DeliveryPolicy: only http and https subscriptions have one, not one with protocol %s", o.protocol)
	}
	if text == "" {
		o.delivery = nil
		return nil
	}
	policy, err := snsdelivery.ParseSubscription(text)
	switch {
	case err != nil:
		return invalidParameter(prefix+"DeliveryPolicy: %s", err)
	case policy.RawOnly() && !o.raw:
		return invalidParameter(prefix + "DeliveryPolicy: requestPolicy.headerContentType must be application/json or text/plain without raw message delivery")
	}
	o.delivery = policy
	return nil
}

func checkSubscriptionAttribute(name, prefix string) *apiError {
	switch name {
	case "FilterPolicy", "FilterPolicyScope", "RawMessageDelivery", "RedrivePolicy", "DeliveryPolicy", "SubscriptionRoleArn":
		return nil
	case "ReplayPolicy":
		return unsupported("the subscription attribute ReplayPolicy, as topics keep no archive here,")
	}
	return invalidParameter(prefix + "AttributeName")
}

// plainJSON is a policy in one spelling, to compare what it says.
func plainJSON(text string) string {
	if text == "" {
		return "{}"
	}
	var v any
	if json.Unmarshal([]byte(text), &v) != nil {
		return text
	}
	plain, err := json.Marshal(v)
	if err != nil {
		return text
	}
	return string(plain)
}

func (c *call) setSubscriptionAttributes() (any, error) {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	sub, e := c.subscription()
	if e != nil {
		return nil, e
	}
	var value *string
	if c.form.Has("AttributeValue") {
		given := c.form.Get("AttributeValue")
		value = &given
	}
	// A scope without a policy is kept for the policy to come, but not told of till then.
	changed := sub.options
	if e := changed.set(c.form.Get("AttributeName"), value, ""); e != nil {
		return nil, e
	}
	if t := c.s.sns.topics[sub.topic]; t != nil && sub.options.filter == nil && changed.filter != nil && t.filters() >= mostFilters {
		return nil, tooManyFilters()
	}
	c.s.change(sub, changed)
	return nil, nil
}

// asError keeps a nil *apiError from becoming an error that is not nil.
func asError(e *apiError) error {
	if e == nil {
		return nil
	}
	return e
}

func (c *call) getSubscriptionAttributes() (any, error) {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	sub, e := c.subscription()
	if e != nil {
		return nil, e
	}
	all := map[string]string{
		"SubscriptionArn":              sub.arn,
		"TopicArn":                     sub.topic,
		"Protocol":                     sub.options.protocol,
		"Endpoint":                     sub.endpoint,
		"Owner":                        sub.account,
		"SubscriptionPrincipal":        "arn:" + partition(sub.region) + ":iam::" + sub.account + ":root",
		"ConfirmationWasAuthenticated": strconv.FormatBool(sub.authenticated),
		"PendingConfirmation":          strconv.FormatBool(!sub.confirmed),
		"RawMessageDelivery":           strconv.FormatBool(sub.options.raw),
	}
	if sub.options.filter != nil {
		all["FilterPolicy"], all["FilterPolicyScope"] = sub.options.filterText, string(sub.options.scope)
	}
	if sub.options.redrive != "" {
		all["RedrivePolicy"] = sub.options.redrive
	}
	if sub.options.role != "" {
		all["SubscriptionRoleArn"] = sub.options.role
	}
	if isHTTP(sub.options.protocol) {
		var policy *snsdelivery.Topic
		if t := c.s.sns.topics[sub.topic]; t != nil {
			policy = t.delivery
		}
		all["EffectiveDeliveryPolicy"] = snsdelivery.Resolve(policy, sub.options.delivery).String()
	}
	if sub.options.delivery != nil {
		all["DeliveryPolicy"] = sub.options.delivery.String()
	}
	return attributesAnswer{newXMLMap(all)}, nil
}
