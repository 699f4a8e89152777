package topology

import (
	"fmt"
	"time"

	"github.com/stationmaster/worker/internal/iampolicy"
)

// sid names the one statement of ours in a queue's policy. It is one for all topics, because a
// policy may have ten conditions only ("Amazon SQS policy quotas", Developer Guide), and a list of
// topics counts as one.
const sid = "stationmaster-sns"

const (
	service    = iampolicy.SNS
	sendAction = "sqs:SendMessage"
	sourceARN  = "aws:SourceArn"
)

// statement lets topics send to one queue. The condition names the topics and not their
// subscriptions, also on a dead-letter queue of a delivery.
func (l *layout) statement(queueName string, topics ...string) iampolicy.Statement {
	arns := make([]string, len(topics))
	for i, topic := range topics {
		arns[i] = l.topicARN(topic)
	}
	return iampolicy.Statement{
		Sid: sid, Effect: "Allow", Principal: map[string]string{"Service": service},
		Action: sendAction, Resource: l.queueARN(queueName),
		Condition: map[string]map[string][]string{"ArnEquals": {sourceARN: arns}},
	}
}

// policy merges our statement into the policy that a queue has and keeps what others wrote. It
// returns the topics that it did not name before; none: the policy is right as it is. A policy that
// keeps one of them out all the same is an error: what SNS cannot deliver is lost.
func (l *layout) policy(queueName, have string) (policy string, granted []string, err error) {
	topics := l.senders[queueName]
	if len(topics) == 0 {
		return have, nil, nil
	}
	policy, _, err = iampolicy.Merge(have, l.statement(queueName, topics...))
	if err != nil {
		return "", nil, err
	}
	for _, topic := range topics {
		if _, changed, err := iampolicy.Merge(have, l.statement(queueName, topic)); err != nil || changed {
			granted = append(granted, topic)
		}
		if d := l.evaluate(policy, queueName, topic); d.ExplicitDeny && len(d.Unknown) == 0 {
			return "", nil, fmt.Errorf("policy keeps topic %s out: %s; change that statement, or SNS throws away what it cannot deliver", topic, d.Why)
		}
	}
	return policy, granted, nil
}

// evaluate asks a policy whether a topic may send to its queue. One that cannot be read here, because
// AWS knows more of the language, says nothing against it.
func (l *layout) evaluate(policy, queueName, topic string) iampolicy.Decision {
	p, err := iampolicy.Parse(policy)
	if err != nil {
		return iampolicy.Decision{Why: "it cannot be read here", Unknown: []string{err.Error()}}
	}
	topicARN := l.topicARN(topic)
	return p.Authorize(iampolicy.Delivery(service, topicARN, accountOf(topicARN), l.queueARN(queueName), time.Now()))
}
