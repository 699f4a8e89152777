package topology

import (
	"fmt"
	"time"

	"github.com/stationmaster/worker/internal/awsarn"
	"github.com/stationmaster/worker/internal/iampolicy"
)

// admission lets topics send to one queue.
func (l *layout) admission(queueName string, topics ...string) []iampolicy.Statement {
	arns := make([]string, len(topics))
	for i, topic := range topics {
		arns[i] = l.topicARN(topic)
	}
	return iampolicy.Admission(l.queueARN(queueName), arns...)
}

// policy merges our statements into the policy that a queue has and keeps what others wrote. It
// returns the topics that it did not name before; none: the policy is right as it is. A policy that
// keeps one of them out all the same is an error: what SNS cannot deliver is lost.
func (l *layout) policy(queueName, have string) (policy string, granted []string, err error) {
	topics := l.senders[queueName]
	if len(topics) == 0 {
		return have, nil, nil
	}
	policy, _, err = iampolicy.Merge(have, l.admission(queueName, topics...)...)
	if err != nil {
		return "", nil, err
	}
	for _, topic := range topics {
		if _, changed, err := iampolicy.Merge(have, l.admission(queueName, topic)...); err != nil || changed {
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
	topicARN, queueARN := l.topicARN(topic), l.queueARN(queueName)
	return p.Authorize(iampolicy.Delivery(snsFor(topicARN, queueARN), topicARN, awsarn.Parse(topicARN).Account, queueARN, time.Now()))
}

// snsFor is who SNS is when a topic delivers to a queue or a function.
func snsFor(topicARN, endpointARN string) string {
	return iampolicy.SNSFrom(awsarn.Parse(topicARN).Region, awsarn.Parse(endpointARN).Region)
}
