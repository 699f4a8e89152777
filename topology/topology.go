// Package topology describes topics, queues and subscriptions as values, brings an AWS account to
// match them in the one order that loses no message, and reads back what there is.
//
// The order is policies and dead-letter queues first, subscriptions last: SNS throws a message
// away for good when the queue's policy does not let it in, and the only net below that is the
// dead-letter queue of the subscription. Apply creates and changes; it never deletes.
package topology

import (
	"strings"
	"time"

	"github.com/stationmaster/worker/internal/awsarn"
)

// dlqRetention is the longest that SQS keeps a message: somebody has to come and look.
const dlqRetention = 14 * 24 * time.Hour

// Topology is what is wanted.
type Topology struct {
	Topics        []Topic
	Queues        []Queue
	Subscriptions []Subscription
	// Settle is how long changed queues are left alone, and read back, before anything is
	// subscribed to them. AWS says that attributes take up to 60 seconds to spread; a server in
	// this process needs 0.
	Settle time.Duration
	// Confirm is how long Apply waits for HTTP endpoints to confirm their subscriptions.
	Confirm time.Duration
	// Owner is the value of OwnerTag on each queue and topic that Apply makes; empty: they get no tag.
	Owner string
}

// OwnerTag is the tag by which a queue or a topic is known to have been made here; its value is
// Topology.Owner. It is given at creation only: what was there before is somebody's.
const OwnerTag = "stationmaster"

// Topic is one SNS topic. A name that ends in ".fifo" makes it a FIFO topic.
type Topic struct {
	Name string
	// ARN names a topic of another account or region; set it only with Unmanaged.
	ARN string
	// Unmanaged (manage = false): it is somebody else's, to be found and not to be changed.
	Unmanaged bool
	// Scheduled: the worker itself publishes to it, at the ticks of its schedules.
	Scheduled bool
	// Attributes are as SNS spells them; not Policy, and not FifoTopic, which the name says. With
	// ContentBasedDeduplication (FIFO only) a message that has no deduplication id gets one from its
	// body, and from nothing else: two messages that differ in their attributes are one.
	Attributes map[string]string
	Tags       map[string]string // set, and never removed
}

// Queue is one SQS queue. A name that ends in ".fifo" makes it a FIFO queue; its DLQ is one too.
type Queue struct {
	Name string
	// URL or ARN names a queue of another account or region; set one only with Unmanaged.
	URL, ARN string
	// Unmanaged (manage = false): it is somebody else's, to be found and not to be changed.
	Unmanaged bool
	// Scheduled: the worker itself sends to it, at the ticks of its schedules.
	Scheduled bool
	// DLQ is the name of the queue for what could not be processed, usually DLQName(Name); empty
	// for none: a redrive policy that is there is removed. It is created beside this queue unless
	// Topology.Queues has it.
	DLQ string
	// MaxReceiveCount is after how many receives SQS itself moves a message to the DLQ.
	MaxReceiveCount int
	// Visibility and Retention are left as they are when 0.
	Visibility, Retention time.Duration
	// Attributes are as SQS spells them; not Policy, RedrivePolicy and FifoQueue, which follow from
	// the rest. ContentBasedDeduplication is as in Topic; behind a FIFO topic a queue needs none,
	// because SNS passes its deduplication id on.
	//
	// The encryption that stands here (KmsMasterKeyId, SqsManagedSseEnabled) is also that of the
	// dead-letter queues that nobody declared: what is secret in a queue is secret in them.
	Attributes map[string]string
	Tags       map[string]string // set, and never removed
}

// Subscription is one endpoint's subscription to one topic.
type Subscription struct {
	Topic string // name of a topic in Topology.Topics
	// Queue is the name of a queue in Topology.Queues, or the ARN of somebody else's: protocol sqs.
	Queue string
	// Protocol and Endpoint are those of any other, as SNS spells them.
	Protocol, Endpoint string
	// Served: a worker of this configuration answers at Endpoint, and confirms it.
	Served bool
	// Resubscribe: that worker subscribes again when SNS says that the subscription was ended.
	Resubscribe bool
	// Delivery is the DeliveryPolicy in JSON, of http and https only; empty: SNS's own, one that is
	// there is removed.
	Delivery string
	// Role is the ARN of the role with which SNS writes to a delivery stream, of firehose only.
	Role string
	Raw  bool
	// Filter is a filter policy in JSON, matched on FilterOn: "body" or "attributes". Both or none.
	Filter, FilterOn string
	// DLQ is the name of the queue for what could not be delivered, usually
	// DeliveryDLQName(Topic, Queue); empty for none: one that is there is removed. It is not the DLQ
	// of the queue.
	DLQ string
}

// Account is where: ARNs follow from it without a request.
type Account struct{ Partition, Region, ID string }

// QueueARN returns the ARN of a queue of this account.
func (a Account) QueueARN(name string) string { return a.arn("sqs", name) }

// TopicARN returns the ARN of a topic of this account.
func (a Account) TopicARN(name string) string { return a.arn("sns", name) }

func (a Account) arn(service, name string) string {
	partition := a.Partition
	if partition == "" {
		partition = "aws"
	}
	return strings.Join([]string{"arn", partition, service, a.Region, a.ID, name}, ":")
}

// DLQName is the usual name of the queue for what a queue's job could not process.
func DLQName(queue string) string { return suffixed(queue, "-dlq") }

// DeliveryDLQName is the usual name of the queue for what SNS could not deliver to queue.
func DeliveryDLQName(topic, queue string) string {
	if awsarn.Is(queue) {
		queue = awsarn.Name(queue)
	}
	return suffixed(strings.TrimSuffix(topic, fifo)+"-"+queue, "-delivery-dlq")
}

// suffixed keeps ".fifo" at the end: the DLQ of a FIFO queue is a FIFO queue.
func suffixed(name, suffix string) string {
	if base, ok := strings.CutSuffix(name, fifo); ok {
		return base + suffix + fifo
	}
	return name + suffix
}
