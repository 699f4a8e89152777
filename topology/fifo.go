package topology

import "strings"

// fifo ends the name of each FIFO queue and topic, and of nothing else. What a queue or a topic is
// cannot be changed after its creation.
const fifo = ".fifo"

func isFIFO(name string) bool { return strings.HasSuffix(name, fifo) }

// fifo tells what the queue is, also when somebody else named it.
func (q Queue) fifo() bool { return isFIFO(q.Name) || isFIFO(q.ARN) || isFIFO(q.URL) }

func (t Topic) fifo() bool { return isFIFO(t.Name) || isFIFO(t.ARN) }

// Attributes that only FIFO queues and topics have, and the one that makes them so. AWS knows the
// latter on nothing else, not even as "false".
const (
	attrFIFOQueue = "FifoQueue"
	attrFIFOTopic = "FifoTopic"
)

var (
	fifoQueueAttributes = []string{"ContentBasedDeduplication", "DeduplicationScope", "FifoThroughputLimit"}
	fifoTopicAttributes = []string{"ContentBasedDeduplication", "FifoThroughputScope", "ArchivePolicy"}
)

// immutable is what can only be said at creation.
func immutable(name, attribute string) map[string]string {
	if !isFIFO(name) {
		return nil
	}
	return map[string]string{attribute: "true"}
}

// kind says what a queue or a topic is, for people.
func kind(isFIFO bool) string {
	if isFIFO {
		return "FIFO"
	}
	return "standard"
}

// fifoFaults tells which attributes of a queue or a topic do not go with what it is: own says that
// it is FIFO, and only FIFO ones have those in only.
func fifoFaults(fault func(string, ...any), what string, isFIFO bool, attributes map[string]string, own string, only []string) {
	if _, ok := attributes[own]; ok {
		fault("%s: attribute %s follows from the name (%s at its end); leave it out", what, own, fifo)
	}
	for _, name := range only {
		if _, ok := attributes[name]; ok && !isFIFO {
			fault("%s: attribute %s is for FIFO only; leave it out, or end the name in %s", what, name, fifo)
		}
	}
}

// fifoFaults tells which of the three ends of a subscription do not go together. Source: "Amazon SNS
// FIFO topics", Developer Guide; the refusals are SNS's own.
func (s Subscription) fifoFaults(fault func(string, ...any), topic, queue bool) {
	if topic && s.Protocol != sqs {
		fault("subscription %s: a FIFO topic delivers to queues only, and SNS refuses %s; make the topic standard", s.name(), s.Protocol)
	}
	if queue && !topic {
		fault("subscription %s: a standard topic cannot deliver to a FIFO queue, since it has no order to keep and SNS refuses it; make both FIFO, or the queue standard", s.name())
	}
	if s.DLQ != "" && isFIFO(s.DLQ) != queue {
		fault("subscription %s: delivery DLQ %s is a %s queue, and what it catches is for a %s one; name one of the same kind",
			s.name(), s.DLQ, kind(isFIFO(s.DLQ)), kind(queue))
	}
}
