package localaws

import (
	"encoding/base64"
	"fmt"
	"time"

	"github.com/stationmaster/worker/internal/iampolicy"
	"github.com/stationmaster/worker/internal/snsfilter"
)

// maxRawAttributes is how many attributes SQS takes. With raw delivery a message with more is a
// client-side error to SNS, and gone.
const maxRawAttributes = 10

// fanOut delivers a message to each subscription that lets it pass, and returns what was lost: a
// refusal by the queue is no error to the publisher, and SNS does not try again. c.s.mu is held.
func (c *call) fanOut(t *topic, p *published) (lost []Drop) {
	if t.enter(p) {
		return nil
	}
	seen, now := p.seen(), time.Now()
	for _, sub := range t.subscriptions {
		protocol := sub.options.protocol
		if !sub.confirmed || !sub.filter(now).Match(seen(protocol)) {
			continue
		}
		m := p.letter(t, sub)
		switch {
		case protocol == "sqs":
			why := tooManyAttributes(m)
			if why == "" {
				why = c.s.send(t, sub.endpoint, m)
			}
			if why != "" {
				lost = append(lost, c.s.bounce(t, sub, m, p.id, why)...)
			}
		case isHTTP(protocol):
			c.post(t, sub, &parcel{kind: "Notification", id: p.id, raw: sub.options.raw, letter: m})
		default:
			lost = append(lost, sub.drop(unspoken(protocol), p.id))
		}
	}
	return lost
}

// unspoken is why a message for a protocol is lost that this server does not speak.
func unspoken(protocol string) string {
	return "this server delivers to no subscription with protocol " + protocol
}

func tooManyAttributes(m sqsMessage) string {
	if n := len(m.attributes); n > maxRawAttributes {
		return fmt.Sprintf("raw message delivery with %d message attributes, at most %d", n, maxRawAttributes)
	}
	return ""
}

// bounce sends what could not be delivered to the subscription's dead-letter queue, as it is: SNS adds
// nothing that would tell why. s.mu is held.
func (s *Server) bounce(t *topic, sub *subscription, m sqsMessage, id, why string) []Drop {
	if dlq := sub.options.deadLetter; dlq != "" {
		further := s.send(t, dlq, m)
		if further == "" {
			return nil
		}
		why += "; dead-letter queue " + dlq + ": " + further
	}
	return []Drop{sub.drop(why, id)}
}

func (sub *subscription) drop(why, id string) Drop {
	d := Drop{Reason: why, TopicARN: sub.topic, SubscriptionARN: sub.arn, MessageID: id}
	if sub.options.protocol == "sqs" {
		d.QueueARN = sub.endpoint
	} else {
		d.Endpoint = sub.endpoint
	}
	return d
}

// send delivers to a queue as SNS does, or says why it cannot. s.mu is held.
func (s *Server) send(t *topic, queueARN string, m sqsMessage) (why string) {
	q := s.queueByARN(queueARN)
	if q == nil {
		return "the queue does not exist"
	}
	d := t.mayReach(q, time.Now())
	if !d.Allowed {
		return "the queue's policy refuses: " + d.Why
	}
	if err := s.deliver(queueARN, m); err != nil {
		return "the queue refuses: " + err.Error()
	}
	return ""
}

// verdict is what a queue's policy said to a topic, and when: a policy can look at the clock, but not
// closer than to a second.
type verdict struct {
	policy *iampolicy.Policy
	second int64
	iampolicy.Decision
}

// mayReach asks a queue's policy whether SNS may send there for a topic.
func (t *topic) mayReach(q *sqsQueue, now time.Time) iampolicy.Decision {
	if v := t.verdicts[q.arn]; v.policy == q.access && v.second == now.Unix() {
		return v.Decision
	}
	d := q.access.Authorize(iampolicy.Delivery(iampolicy.SNSFrom(t.region, q.region), t.arn, t.account, q.arn, now))
	if t.verdicts == nil {
		t.verdicts = map[string]verdict{}
	}
	t.verdicts[q.arn] = verdict{q.access, now.Unix(), d}
	return d
}

// letter is the message as a subscription gets it: raw, or in SNS's envelope. To an HTTP endpoint only
// its body goes; a dead-letter queue gets all of it.
func (p *published) letter(t *topic, sub *subscription) sqsMessage {
	m := sqsMessage{traceHeader: p.trace}
	switch {
	case sub.options.protocol != "sqs": // a group id goes to queues only
	case !t.fifo:
		m.groupID = p.groupID
	case sub.options.fifoTarget:
		m.groupID, m.dedupID = p.groupID, p.dedupID
	}
	if !sub.options.raw {
		m.envelope, m.to = p.envelope(t, sub.options.protocol), sub.arn
		return m
	}
	m.body = p.text(sub.options.protocol)
	if p.protocols == nil { // with MessageStructure=json attributes are not sent
		m.attributes = p.attributes
	}
	return m
}

// seen returns what filter policies see: of one text, and of the attributes, all subscriptions see the
// same message, which is read once.
func (p *published) seen() func(protocol string) *snsfilter.Message {
	attributes := filterable(p)
	messages := map[string]*snsfilter.Message{}
	return func(protocol string) *snsfilter.Message {
		key := protocol
		if p.protocols == nil {
			key = "" // one text for all protocols
		}
		if messages[key] == nil {
			messages[key] = snsfilter.NewMessage(p.text(protocol), attributes)
		}
		return messages[key]
	}
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
