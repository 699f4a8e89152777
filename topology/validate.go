package topology

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"time"
)

// Names that AWS takes. Source: CreateQueue and CreateTopic, API references.
var (
	queueName = regexp.MustCompile(`^([A-Za-z0-9_-]{1,80}|[A-Za-z0-9_-]{1,75}\.fifo)$`)
	topicName = regexp.MustCompile(`^([A-Za-z0-9_-]{1,256}|[A-Za-z0-9_-]{1,251}\.fifo)$`)
)

const maxRetention, minRetention = 14 * 24 * time.Hour, time.Minute

// Validate tells everything that can be known to be wrong without asking AWS, all at once.
func (t Topology) Validate() error {
	var faults []error
	fault := func(format string, a ...any) { faults = append(faults, fmt.Errorf(format, a...)) }
	topics, queues := map[string]bool{}, map[string]bool{}
	for _, topic := range t.Topics {
		if topics[topic.Name] {
			fault("topic %s: declared twice", topic.Name)
		}
		topics[topic.Name] = true
		topic.validate(fault)
	}
	for _, q := range t.Queues {
		if queues[q.Name] {
			fault("queue %s: declared twice", q.Name)
		}
		queues[q.Name] = true
		q.validate(fault)
	}
	seen := map[string]bool{}
	for _, s := range t.Subscriptions {
		if !topics[s.Topic] {
			fault("subscription %s: topic %s is not declared; add [topics.%s]", s.name(), s.Topic, s.Topic)
		}
		if !isARN(s.Queue) && !queues[s.Queue] {
			fault("subscription %s: queue %s is not declared; add [queues.%s] or give an ARN", s.name(), s.Queue, s.Queue)
		}
		if seen[s.name()] {
			fault("subscription %s: declared twice; SNS keeps one per topic and queue", s.name())
		}
		seen[s.name()] = true
		s.validate(fault)
	}
	return errors.Join(faults...)
}

func (t Topic) validate(fault func(string, ...any)) {
	if t.ARN == "" && !topicName.MatchString(t.Name) {
		fault("topic %q: must be 1 to 256 letters, digits, - and _ (FIFO: ending in .fifo)", t.Name)
	}
	if t.ARN != "" && !t.Unmanaged {
		fault("topic %s: has an ARN, so it is somebody else's; set manage = false", t.Name)
	}
	if _, ok := t.Attributes["Policy"]; ok {
		fault("topic %s: attribute Policy would overwrite the statements of others; leave it out", t.Name)
	}
}

func (q Queue) validate(fault func(string, ...any)) {
	if q.URL == "" && q.ARN == "" && !queueName.MatchString(q.Name) {
		fault("queue %q: must be 1 to 80 letters, digits, - and _ (FIFO: ending in .fifo)", q.Name)
	}
	if (q.URL != "" || q.ARN != "") && !q.Unmanaged {
		fault("queue %s: has a URL or an ARN, so it is somebody else's; set manage = false", q.Name)
	}
	if q.DLQ != "" && !queueName.MatchString(q.DLQ) {
		fault("queue %s: DLQ %q must be 1 to 80 letters, digits, - and _", q.Name, q.DLQ)
	}
	if q.DLQ == q.Name && q.DLQ != "" {
		fault("queue %s: is its own DLQ; name another", q.Name)
	}
	if q.DLQ != "" && !q.Unmanaged && (q.MaxReceiveCount < 1 || q.MaxReceiveCount > 1000) {
		fault("queue %s: max_receive_count %d must be 1 to 1000", q.Name, q.MaxReceiveCount)
	}
	if q.Visibility < 0 || q.Visibility > 12*time.Hour {
		fault("queue %s: visibility_timeout %s must be at most 12h", q.Name, q.Visibility)
	}
	if q.Retention != 0 && (q.Retention < minRetention || q.Retention > maxRetention) {
		fault("queue %s: retention %s must be 1m to 336h", q.Name, q.Retention)
	}
	for _, name := range []string{attrPolicy, attrRedrive} {
		if _, ok := q.Attributes[name]; ok {
			fault("queue %s: attribute %s is worked out from the subscriptions and the DLQ; leave it out", q.Name, name)
		}
	}
}

func (s Subscription) validate(fault func(string, ...any)) {
	if (s.Filter == "") != (s.FilterOn == "") {
		fault("subscription %s: filter and filter_on belong together; without filter_on AWS matches attributes and loses the rest", s.name())
	}
	if s.FilterOn != "" && scopes[s.FilterOn] == "" {
		fault("subscription %s: filter_on %q must be body or attributes", s.name(), s.FilterOn)
	}
	if s.Filter != "" {
		var object map[string]any
		if err := json.Unmarshal([]byte(s.Filter), &object); err != nil {
			fault("subscription %s: filter: %w", s.name(), err)
		}
	}
	if s.DLQ != "" && !queueName.MatchString(s.DLQ) {
		fault("subscription %s: delivery DLQ %q must be 1 to 80 letters, digits, - and _; name it with dlq = …", s.name(), s.DLQ)
	}
	if s.DLQ != "" && s.DLQ == s.Queue {
		fault("subscription %s: delivery DLQ %s is the queue that it delivers to; name another", s.name(), s.DLQ)
	}
}

// name is how a subscription is spoken of.
func (s Subscription) name() string {
	queue := s.Queue
	if isARN(queue) {
		queue = lastPart(queue)
	}
	return s.Topic + " → " + queue
}
