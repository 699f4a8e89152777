package topology

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/stationmaster/worker/internal/awsarn"
	"github.com/stationmaster/worker/internal/snsfilter"
	"github.com/stationmaster/worker/queue"
)

// Names that AWS takes. Source: CreateQueue and CreateTopic, API references.
var (
	queueName = regexp.MustCompile(`^([A-Za-z0-9_-]{1,80}|[A-Za-z0-9_-]{1,75}\.fifo)$`)
	topicName = regexp.MustCompile(`^([A-Za-z0-9_-]{1,256}|[A-Za-z0-9_-]{1,251}\.fifo)$`)
)

const maxRetention, minRetention = 14 * 24 * time.Hour, time.Minute

// faults are collected, so that all are told at once.
type faults []error

func (f *faults) add(format string, a ...any) { *f = append(*f, fmt.Errorf(format, a...)) }

// Validate tells everything that can be known to be wrong without asking AWS, all at once.
func (t Topology) Validate() error {
	var found faults
	topics, queues := map[string]Topic{}, map[string]Queue{}
	for _, topic := range t.Topics {
		if _, twice := topics[topic.Name]; twice {
			found.add("topic %s: declared twice", topic.Name)
		}
		topics[topic.Name] = topic
		topic.validate(found.add)
	}
	for _, q := range t.Queues {
		if _, twice := queues[q.Name]; twice {
			found.add("queue %s: declared twice", q.Name)
		}
		queues[q.Name] = q
		q.validate(found.add)
	}
	for _, q := range t.Queues {
		q.validateDLQ(found.add, queues)
	}
	seen := map[string]bool{}
	for _, s := range t.Subscriptions {
		s.Protocol = s.protocol()
		if id := s.Protocol + " " + s.name(); seen[id] {
			found.add("subscription %s: declared twice; SNS keeps one per topic and endpoint", s.name())
		} else {
			seen[id] = true
		}
		s.validate(found.add)
		s.validateEnds(found.add, topics, queues)
	}
	return errors.Join(found...)
}

func (t Topic) validate(fault func(string, ...any)) {
	switch {
	case t.ARN == "" && !topicName.MatchString(t.Name):
		fault("topic %q: must be 1 to 256 letters, digits, - and _ (FIFO: ending in .fifo)", t.Name)
	case t.ARN != "" && !arnOfService(t.ARN, "sns"):
		fault("topic %s: ARN %q must have six parts, like arn:aws:sns:eu-central-1:123456789012:name", t.Name, t.ARN)
	}
	if t.ARN != "" && !t.Unmanaged {
		fault("topic %s: has an ARN, so it is somebody else's; set manage = false", t.Name)
	}
	if _, ok := t.Attributes[attrPolicy]; ok {
		fault("topic %s: attribute Policy would overwrite the statements of others; leave it out", t.Name)
	}
	fifoFaults(fault, "topic "+t.Name, t.fifo(), t.Attributes, attrFIFOTopic, fifoTopicAttributes)
}

func arnOfService(arn, service string) bool {
	a := awsarn.Parse(arn)
	whole := a.Partition != "" && a.Region != "" && a.Account != "" && a.Resource != ""
	return a.Service == service && whole && !strings.Contains(a.Resource, ":")
}

func (q Queue) validate(fault func(string, ...any)) {
	switch {
	case q.URL == "" && q.ARN == "" && !queueName.MatchString(q.Name):
		fault("queue %q: must be 1 to 80 letters, digits, - and _ (FIFO: ending in .fifo)", q.Name)
	case q.ARN != "" && !arnOfService(q.ARN, "sqs"):
		fault("queue %s: ARN %q must have six parts, like arn:aws:sqs:eu-central-1:123456789012:name", q.Name, q.ARN)
	}
	if (q.URL != "" || q.ARN != "") && !q.Unmanaged {
		fault("queue %s: has a URL or an ARN, so it is somebody else's; set manage = false", q.Name)
	}
	if q.Visibility < 0 || q.Visibility > queue.MaxHeld {
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
	fifoFaults(fault, "queue "+q.Name, q.fifo(), q.Attributes, attrFIFOQueue, fifoQueueAttributes)
}

// validateDLQ checks the queue for what could not be processed.
func (q Queue) validateDLQ(fault func(string, ...any), queues map[string]Queue) {
	if q.DLQ == "" {
		return
	}
	if !queueName.MatchString(q.DLQ) {
		fault("queue %s: DLQ %q must be 1 to 80 letters, digits, - and _ (FIFO: ending in .fifo)", q.Name, q.DLQ)
	}
	if q.Unmanaged {
		return // the rest is its owner's
	}
	if q.MaxReceiveCount < 1 || q.MaxReceiveCount > 1000 {
		fault("queue %s: max_receive_count %d must be 1 to 1000", q.Name, q.MaxReceiveCount)
	}
	if isFIFO(q.DLQ) != q.fifo() {
		fault("queue %s: is a %s queue and its DLQ %s a %s one, which SQS refuses; name one of the same kind", q.Name, kind(q.fifo()), q.DLQ, kind(isFIFO(q.DLQ)))
	}
	if q.DLQ == q.Name {
		fault("queue %s: is its own DLQ; name another", q.Name)
		return
	}
	for next, steps := queues[q.DLQ], 0; next.DLQ != "" && steps <= len(queues); steps++ {
		if next = queues[next.DLQ]; next.Name == q.Name {
			fault("queue %s: its DLQ %s leads back to it; a message would go round until its retention ends; give one of them no DLQ", q.Name, q.DLQ)
			return
		}
	}
}

func (s Subscription) validate(fault func(string, ...any)) {
	if awsarn.Is(s.Queue) && !arnOfService(s.Queue, "sqs") {
		fault("subscription %s: %q must have six parts, like arn:aws:sqs:eu-central-1:123456789012:name", s.name(), s.Queue)
	}
	if (s.Filter == "") != (s.FilterOn == "") {
		fault("subscription %s: filter and filter_on belong together; without filter_on AWS matches attributes and loses the rest", s.name())
	}
	if s.FilterOn != "" && scopes[s.FilterOn] == "" {
		fault("subscription %s: filter_on %q must be body or attributes", s.name(), s.FilterOn)
	} else if s.Filter != "" {
		s.validateFilter(fault)
	}
	if s.DLQ != "" && !queueName.MatchString(s.DLQ) {
		fault("subscription %s: delivery DLQ %q must be 1 to 80 letters, digits, - and _ (FIFO: ending in .fifo); name it with dlq = …", s.name(), s.DLQ)
	}
	s.validateProtocol(fault)
	if s.DLQ != "" && s.DLQ == s.Queue {
		fault("subscription %s: delivery DLQ %s is the queue that it delivers to; name another", s.name(), s.DLQ)
	}
}

// validateFilter refuses what SNS would refuse after everything else had been made.
func (s Subscription) validateFilter(fault func(string, ...any)) {
	if _, err := snsfilter.Parse(s.Filter, snsfilter.Scope(scopes[s.FilterOn])); err != nil {
		fault("subscription %s: filter: %w", s.name(), err)
	}
	if same(attrPolicy, s.Filter, noFilter) {
		fault("subscription %s: filter {} lets everything through; leave it and filter_on out", s.name())
	}
}

// validateEnds checks that both ends are declared and fit together.
func (s Subscription) validateEnds(fault func(string, ...any), topics map[string]Topic, queues map[string]Queue) {
	topic, declared := topics[s.Topic]
	if !declared {
		fault("subscription %s: topic %s is not declared; add [topics.%s]", s.name(), s.Topic, s.Topic)
	}
	q, ours := queues[s.Queue]
	switch {
	case s.Protocol != sqs && declared:
		s.fifoFaults(fault, topic.fifo(), false)
	case s.Protocol != sqs:
	case !awsarn.Is(s.Queue) && !ours:
		fault("subscription %s: queue %s is not declared; add [queues.%s] or give an ARN", s.name(), s.Queue, s.Queue)
	case declared:
		s.fifoFaults(fault, topic.fifo(), q.fifo() || isFIFO(s.Queue))
	}
	for _, name := range slices.Sorted(maps.Keys(queues)) {
		if s.DLQ != "" && s.DLQ == queues[name].DLQ && !queues[name].Unmanaged {
			fault("subscription %s: delivery DLQ %s is the DLQ of queue %s too; what could not be delivered and what could not be processed are replayed in different ways: name another",
				s.name(), s.DLQ, name)
		}
	}
}

// check is Validate, and tells which topics cannot be spoken of from where the account is.
func (t Topology) check(account Account) error {
	found := faults{t.Validate()}
	for _, topic := range t.Topics {
		if at := awsarn.Parse(topic.ARN).Region; at != "" && at != account.Region {
			found.add("topic %s: is in %s, and SNS takes calls about it there only; this is %s: set AWS_REGION, or leave it out here", topic.Name, at, account.Region)
		}
	}
	return errors.Join(found...)
}
