package localaws

import (
	"encoding/base64"
	"fmt"

	"github.com/stationmaster/worker/internal/iampolicy"
	"github.com/stationmaster/worker/internal/snsfilter"
)

// maxRawAttributes is how many attributes SQS takes. With raw delivery a message with more is a
// client-side error to SNS, and gone.
const maxRawAttributes = 10

// fanOut delivers a message to each subscription that lets it pass, and returns what was lost: a
// refusal by the queue is no error to the publisher, and SNS does not try again. c.s.mu is held.
func (c *call) fanOut(t *topic, p *published) (lost []Drop) {
	attributes := filterable(p)
	for _, sub := range t.subscriptions {
		if !sub.options.filter.Match(p.forSQS(), attributes) {
			continue
		}
		m, why := p.forSubscription(t, sub, c.host)
		if why == "" {
			why = c.send(t, sub.endpoint, m)
		}
		if why == "" {
			continue
		}
		d := Drop{Reason: why, TopicARN: t.arn, SubscriptionARN: sub.arn, QueueARN: sub.endpoint, MessageID: p.id}
		if sub.options.deadLetter != "" {
			// The message goes on as it is: SNS adds nothing that would tell why.
			if why = c.send(t, sub.options.deadLetter, m); why == "" {
				continue
			}
			d.Reason += "; dead-letter queue " + sub.options.deadLetter + ": " + why
		}
		lost = append(lost, d)
	}
	return lost
}

// send delivers to a queue as SNS does, or says why it cannot. c.s.mu is held.
func (c *call) send(t *topic, queueARN string, m sqsMessage) (why string) {
	q := c.s.queueByARN(queueARN)
	if q == nil {
		return "the queue does not exist"
	}
	policy, err := iampolicy.Parse(q.policy)
	if err != nil {
		return err.Error()
	}
	d := policy.Evaluate(iampolicy.Request{
		Principal: iampolicy.Principal{Service: "sns.amazonaws.com"},
		Action:    "sqs:SendMessage",
		Resource:  queueARN,
		Context: map[string][]string{
			"aws:SourceArn":             {t.arn},
			"aws:SourceAccount":         {t.account},
			"aws:SecureTransport":       {"true"},
			"aws:PrincipalIsAWSService": {"true"},
			"aws:PrincipalServiceName":  {"sns.amazonaws.com"},
		},
	})
	if !d.Allowed {
		why = "the queue's policy refuses: " + d.Why
		for _, u := range d.Unknown {
			why += "; not understood: " + u
		}
		return why
	}
	if err := c.s.deliver(queueARN, m); err != nil {
		return "the queue refuses: " + err.Error()
	}
	return ""
}

// forSubscription is the message as a subscription gets it: raw, or in SNS's envelope. A reason says
// that SQS cannot take it; the message is then what a dead-letter queue would get.
func (p *published) forSubscription(t *topic, sub *subscription, host string) (m sqsMessage, why string) {
	m = sqsMessage{groupID: p.groupID, traceHeader: p.trace}
	if !sub.options.raw {
		m.body = p.envelope(t, sub, host)
		return m, ""
	}
	m.body = p.forSQS()
	if p.protocols == nil { // with MessageStructure=json attributes are not sent
		m.attributes = p.attributes
	}
	if len(m.attributes) > maxRawAttributes {
		return m, fmt.Sprintf("raw message delivery with %d message attributes, at most %d", len(m.attributes), maxRawAttributes)
	}
	return m, ""
}

// filterable is what a filter policy sees of the attributes.
func filterable(p *published) map[string]snsfilter.Attribute {
	if p.protocols != nil {
		return nil
	}
	m := make(map[string]snsfilter.Attribute, len(p.attributes))
	for name, a := range p.attributes {
		m[name] = snsfilter.Attribute{Type: a.Type, Value: a.String}
	}
	return m
}

// text is an attribute's value inside an envelope, where binary ones are base64.
func (a sqsAttribute) text() string {
	if baseType(a.Type) == "Binary" {
		return base64.StdEncoding.EncodeToString(a.Binary)
	}
	return a.String
}
