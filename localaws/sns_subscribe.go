package localaws

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/stationmaster/worker/internal/snsfilter"
)

// protocols of SNS that this server does not deliver to. Any other word is none of SNS's either.
var otherProtocols = []string{"http", "https", "email", "email-json", "sms", "application", "lambda", "firehose"}

// subscribe does not look whether the queue is there, nor whether its policy lets SNS in: AWS does
// not either, and a message finds out.
func (c *call) subscribe() (any, error) {
	f := queryForm(c.form)
	endpoint := f.get("Endpoint")
	if e := c.checkEndpoint(f.get("Protocol"), endpoint); e != nil {
		return nil, e
	}
	given := f.entries("Attributes")
	options, e := newSubscriptionOptions(given)
	if e != nil {
		return nil, e
	}

	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	t, e := c.topic(f.get("TopicArn"))
	if e != nil {
		return nil, e
	}
	var answer struct {
		ARN string `xml:"SubscriptionArn"`
	}
	at := slices.IndexFunc(t.subscriptions, func(s *subscription) bool { return s.endpoint == endpoint })
	if at < 0 {
		sub := &subscription{
			serial: c.s.sns.next(), arn: t.arn + ":" + newID(), topic: t.arn, region: t.region, account: c.account,
			endpoint: endpoint, options: options,
		}
		t.subscriptions = append(t.subscriptions, sub)
		c.s.sns.subscriptions[sub.arn] = sub
		answer.ARN = sub.arn
		return answer, nil
	}
	sub := t.subscriptions[at]
	if !sub.options.agree(options, given) {
		return nil, invalidParameter("Attributes Reason: Subscription already exists with different attributes")
	}
	answer.ARN = sub.arn
	return answer, nil
}

// checkEndpoint takes a queue of this account, by its ARN.
func (c *call) checkEndpoint(protocol, endpoint string) *apiError {
	switch {
	case slices.Contains(otherProtocols, protocol):
		return unsupported("a subscription with protocol " + protocol + " (sqs is)")
	case protocol != "sqs":
		return invalidParameter("Amazon SNS does not support this protocol string: %s", protocol)
	}
	account, name, ok := queueOf(endpoint)
	switch {
	case !ok:
		return invalidParameter("SQS endpoint ARN")
	case account != c.account:
		return unsupported("a subscription of another account's queue (" + endpoint + "), which has to be confirmed,")
	case strings.HasSuffix(name, ".fifo"):
		return invalidParameter("Invalid parameter: Endpoint Reason: FIFO SQS Queues can not be subscribed to standard SNS topics")
	}
	return nil
}

// queueOf takes a queue's ARN apart.
func queueOf(arn string) (account, name string, ok bool) {
	parts := strings.Split(arn, ":")
	if len(parts) != 6 || parts[0] != "arn" || parts[2] != "sqs" || parts[3] == "" || parts[5] == "" {
		return "", "", false
	}
	return parts[4], parts[5], true
}

// newSubscriptionOptions reads the attributes of a Subscribe. A scope without a policy is checked and
// then forgotten, as on AWS.
func newSubscriptionOptions(given map[string]string) (o subscriptionOptions, e *apiError) {
	const prefix = "Attributes Reason: "
	o.scope = snsfilter.Attributes
	// The scope before the policy, which is read in its light.
	for _, name := range []string{"FilterPolicyScope", "FilterPolicy", "RawMessageDelivery", "RedrivePolicy"} {
		if value, has := given[name]; has {
			if e := o.set(name, &value, prefix); e != nil {
				return o, e
			}
		}
	}
	for name := range given {
		if e := checkSubscriptionAttribute(name, prefix); e != nil {
			return o, e
		}
	}
	if o.filter == nil {
		o.scope = snsfilter.Attributes
	}
	return o, nil
}

// agree tells whether a repeated Subscribe asks for what is there: only what it names is compared,
// by meaning and not by spelling.
func (o subscriptionOptions) agree(asked subscriptionOptions, given map[string]string) bool {
	for name := range given {
		switch name {
		case "RawMessageDelivery":
			if o.raw != asked.raw {
				return false
			}
		case "FilterPolicy":
			if plainJSON(o.filterText) != plainJSON(asked.filterText) {
				return false
			}
		case "FilterPolicyScope":
			// Without any policy a scope was never kept, nor is it now.
			if o.filter != nil && string(o.scope) != given[name] {
				return false
			}
		case "RedrivePolicy":
			if plainJSON(o.redrive) != plainJSON(asked.redrive) {
				return false
			}
		}
	}
	return true
}

// unsubscribe is idempotent.
func (c *call) unsubscribe() (any, error) {
	arn := c.form.Get("SubscriptionArn")
	if e := checkSubscriptionARN(arn); e != nil {
		return nil, e
	}
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	sub := c.s.sns.subscriptions[arn]
	if sub == nil {
		return nil, nil
	}
	delete(c.s.sns.subscriptions, arn)
	if t := c.s.sns.topics[sub.topic]; t != nil && sub.orphaned.IsZero() {
		t.subscriptions = slices.DeleteFunc(t.subscriptions, func(other *subscription) bool { return other == sub })
		t.deleted++
	}
	return nil, nil
}

func (c *call) listSubscriptions() (any, error) {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	var all []*subscription
	for arn, sub := range c.s.sns.subscriptions {
		switch {
		case !sub.orphaned.IsZero() && time.Since(sub.orphaned) >= orphansLast:
			delete(c.s.sns.subscriptions, arn)
		case sub.account == c.account && sub.region == c.region:
			all = append(all, sub)
		}
	}
	return c.subscriptionPage(all)
}

func (c *call) listSubscriptionsByTopic() (any, error) {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	t, e := c.topic(c.form.Get("TopicArn"))
	if e != nil {
		return nil, e
	}
	return c.subscriptionPage(slices.Clone(t.subscriptions))
}

func (c *call) subscriptionPage(all []*subscription) (any, error) {
	slices.SortFunc(all, func(a, b *subscription) int { return cmp.Compare(a.serial, b.serial) })
	shown, next, e := page(c.form.Get("NextToken"), all, func(s *subscription) int { return s.serial })
	if e != nil {
		return nil, e
	}
	type member struct {
		ARN                       string `xml:"SubscriptionArn"`
		Owner, Protocol, Endpoint string
		TopicARN                  string `xml:"TopicArn"`
	}
	var answer struct {
		Subscriptions struct {
			Member []member `xml:"member"`
		}
		NextToken string `xml:",omitempty"`
	}
	for _, sub := range shown {
		answer.Subscriptions.Member = append(answer.Subscriptions.Member,
			member{ARN: sub.arn, Owner: sub.account, Protocol: "sqs", Endpoint: sub.endpoint, TopicARN: sub.topic})
	}
	answer.NextToken = next
	return answer, nil
}
