package topology

import (
	"fmt"
	"maps"
	"slices"
)

// The reasons that stand beside the changes: what an attribute does, for somebody who reads a plan.

var queueReasons = map[string]string{
	attrVisibility:                  "for so long a received message stays hidden, unless it is extended",
	attrRetention:                   "what nobody takes is deleted after it",
	attrRedrive:                     "it says after how many receives SQS itself moves a message, and where",
	attrKey:                         "it is what the messages are encrypted with",
	attrSSE:                         "SQS encrypts the messages with a key of its own",
	"DelaySeconds":                  "for so long a new message stays hidden",
	"MaximumMessageSize":            "longer messages are refused",
	"ContentBasedDeduplication":     "the same body within five minutes is the same message",
	"DeduplicationScope":            "with it the limits count for each message group",
	"FifoThroughputLimit":           "with it the limits count for each message group",
	"ReceiveMessageWaitTimeSeconds": "for so long a receive waits for a message",
}

var topicReasons = map[string]string{
	"SignatureVersion":          "with it SNS signs what it delivers: 2 is SHA-256, 1 is SHA-1",
	attrKey:                     "it is what the messages are encrypted with",
	"ContentBasedDeduplication": "the same body within five minutes is the same message",
	"FifoThroughputScope":       "it says what the limits of the topic count for",
}

func whyQueue(name, want string) string {
	if name == attrRedrive && want == "" {
		return "no dead-letter queue is declared"
	}
	return or(queueReasons[name], "it is declared")
}

func whyTopic(name string) string {
	return or(topicReasons[name], "it is declared; without it no failed delivery has a cause that anybody can read")
}

func whySubscription(name, want string) string {
	switch name {
	case attrRedrive:
		if want == "" {
			return "no delivery DLQ is declared"
		}
		return "what SNS cannot deliver goes there; without it that is lost in silence"
	case attrFilter:
		if want == noFilter {
			return "no filter is declared"
		}
		return "only what matches is delivered; a change takes up to 15 minutes"
	case attrScope:
		return "it says whether the filter looks at the body or at the attributes"
	case attrRaw:
		return "it says whether messages come in SNS's envelope; both kinds stay in the queue for a while"
	case attrDelivery:
		return "it says how a delivery that fails is tried again"
	}
	return "it is declared"
}

func (l *layout) whySubscribe(s Subscription) string {
	if s.DLQ == "" {
		return "the topic has none with this endpoint"
	}
	return "the topic has none with this endpoint; what cannot be delivered goes to " + s.DLQ
}

// whyCreate says what a queue is for.
func (l *layout) whyCreate(q Queue) string {
	for _, other := range l.queues {
		if other.DLQ == q.Name && !other.Unmanaged {
			return "there is none; it catches what " + other.Name + " cannot process"
		}
	}
	for _, s := range l.subscriptions {
		if s.DLQ == q.Name {
			return "there is none; it catches what SNS cannot deliver: " + s.name()
		}
	}
	return "there is none"
}

// details are attributes in lines, for what is created with them.
func details(attributes map[string]string) []string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(attributes)) {
		if value := attributes[name]; value != "" {
			all = append(all, fmt.Sprintf("%s %s", name, value))
		}
	}
	return all
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}
