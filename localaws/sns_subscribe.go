package localaws

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/stationmaster/worker/internal/snsfilter"
)

// subscribe does not look whether a queue is there, nor whether its policy lets SNS in: AWS does not
// either, and a message finds out. Subscribed again, what still waits for its confirmation is asked
// again.
func (c *call) subscribe() (any, error) {
	f := queryForm(c.form)
	arn, confirmed, drops, e := c.subscribed(f)
	if e != nil {
		return nil, e
	}
	c.tell(drops)
	answer := struct {
		ARN string `xml:"SubscriptionArn"`
	}{arn}
	if !confirmed && !strings.EqualFold(f.get("ReturnSubscriptionArn"), "true") {
		answer.ARN = "pending confirmation"
	}
	return answer, nil
}

// subscribed finds or makes the subscription that a form asks for.
func (c *call) subscribed(f queryForm) (arn string, confirmed bool, drops []Drop, e *apiError) {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	protocol, endpoint := f.get("Protocol"), f.get("Endpoint")
	t, e := c.topic(f.get("TopicArn"))
	if e == nil {
		e = checkEndpoint(protocol, endpoint, t)
	}
	if e != nil {
		return "", false, nil, e
	}
	given := f.entries("Attributes")
	options, e := newSubscriptionOptions(kind{protocol, t.fifo, protocol == "sqs" && isFIFO(endpoint)}, given)
	if e != nil {
		return "", false, nil, e
	}
	c.s.sns.sweep(time.Now())
	at := slices.IndexFunc(t.subscriptions, func(s *subscription) bool { return s.options.protocol == protocol && s.endpoint == endpoint })
	if at >= 0 && !t.subscriptions[at].options.agree(options, given) {
		return "", false, nil, invalidParameter("Attributes Reason: Subscription already exists with different attributes")
	}
	if at < 0 {
		if e := t.takesAnother(protocol); e != nil {
			return "", false, nil, e
		}
		if options.filter != nil && t.filters() >= mostFilters {
			return "", false, nil, tooManyFilters()
		}
		at = len(t.subscriptions)
		c.add(t, endpoint, options)
	}
	sub := t.subscriptions[at]
	if sub.confirmed {
		return sub.arn, true, nil, nil
	}
	return sub.arn, false, c.ask(t, sub, "SubscriptionConfirmation"), nil
}

// add makes a subscription. c.s.mu is held.
func (c *call) add(t *topic, endpoint string, options subscriptionOptions) {
	sub := &subscription{
		serial: c.s.sns.next(), arn: t.arn + ":" + newID(), topic: t.arn, region: t.region, account: c.account,
		endpoint: endpoint, options: subscriptionOptions{scope: snsfilter.Attributes}, created: time.Now(),
	}
	c.s.change(sub, options)
	if !sub.asks() {
		sub.confirmed, sub.authenticated = true, true
	}
	t.subscriptions = append(t.subscriptions, sub)
	c.s.sns.subscriptions[sub.arn] = sub
}

// newSubscriptionOptions reads the attributes of a Subscribe. A scope without a policy is checked and
// then forgotten, as on AWS.
func newSubscriptionOptions(of kind, given map[string]string) (o subscriptionOptions, e *apiError) {
	const prefix = "Attributes Reason: "
	o.kind, o.scope = of, snsfilter.Attributes
	// The scope before the policy, which is read in its light, as is a content type in that of raw.
	for _, name := range []string{"FilterPolicyScope", "FilterPolicy", "RawMessageDelivery", "RedrivePolicy", "DeliveryPolicy", "SubscriptionRoleArn"} {
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
	if o.protocol == "firehose" && o.role == "" {
		return o, invalidParameter(prefix + "SubscriptionRoleArn: a firehose subscription needs one")
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
		case "DeliveryPolicy":
			if o.delivery == nil || o.delivery.String() != asked.delivery.String() {
				return false
			}
		case "SubscriptionRoleArn":
			if o.role != asked.role {
				return false
			}
		}
	}
	return true
}

func (c *call) listSubscriptions() (any, error) {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	c.s.sns.sweep(time.Now())
	var all []*subscription
	for _, sub := range c.s.sns.subscriptions {
		if sub.account == c.account && sub.region == c.region {
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
	c.s.sns.sweep(time.Now())
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
		arn := sub.arn
		if !sub.confirmed {
			arn = "PendingConfirmation"
		}
		answer.Subscriptions.Member = append(answer.Subscriptions.Member,
			member{ARN: arn, Owner: sub.account, Protocol: sub.options.protocol, Endpoint: sub.endpoint, TopicARN: sub.topic})
	}
	answer.NextToken = next
	return answer, nil
}
