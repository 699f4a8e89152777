package localaws_test

import (
	"maps"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sns"
)

// fifoTopic makes a FIFO topic.
func (k *conformance) fifoTopic(attributes map[string]string) *string {
	with := map[string]string{"FifoTopic": "true"}
	maps.Copy(with, attributes)
	out, err := k.sns.CreateTopic(k.ctx, &sns.CreateTopicInput{Name: aws.String(k.prefix + ".fifo"), Attributes: with})
	k.must(err)
	return out.TopicArn
}

// fifoLine is a FIFO topic with a queue: FIFO, when its suffix says so.
func (k *conformance) fifoLine(suffix string, topicAttributes, attributes map[string]string) (topic, queue *string) {
	topic = k.fifoTopic(topicAttributes)
	with := map[string]string{}
	if strings.HasSuffix(suffix, ".fifo") {
		with["FifoQueue"] = "true"
	}
	queue = k.queue(suffix, with)
	k.allow(queue, *topic)
	_, err := k.subscribe(topic, k.arn(queue), attributes)
	k.must(err)
	return topic, queue
}

func grouped(topic *string, message, group, dedup string) *sns.PublishInput {
	in := &sns.PublishInput{TopicArn: topic, Message: &message}
	if group != "" {
		in.MessageGroupId = &group
	}
	if dedup != "" {
		in.MessageDeduplicationId = &dedup
	}
	return in
}

// fifoTopicFacts are about FIFO topics.
var fifoTopicFacts = []fact{
	{"§1.6", "a FIFO topic has a name that ends in .fifo", func(k *conformance) {
		_, err := k.sns.CreateTopic(k.ctx, &sns.CreateTopicInput{Name: &k.prefix, Attributes: map[string]string{"FifoTopic": "true"}})
		k.refused(err, codeParameter, "Topic Name")
		_, err = k.sns.CreateTopic(k.ctx, &sns.CreateTopicInput{Name: aws.String(k.prefix + ".fifo")})
		k.refused(err, codeParameter, "Topic Name")
	}},
	{"§1.6", "a FIFO topic wants a MessageGroupId", func(k *conformance) {
		_, err := k.sns.Publish(k.ctx, grouped(k.fifoTopic(nil), "m", "", "d"))
		k.refused(err, codeParameter, "The MessageGroupId parameter is required for FIFO topics")
	}},
	{"§1.6", "a FIFO topic wants a deduplication id, or makes one", func(k *conformance) {
		_, err := k.sns.Publish(k.ctx, grouped(k.fifoTopic(nil), "m", "g", ""))
		k.refused(err, codeParameter, "The topic should either have ContentBasedDeduplication enabled or MessageDeduplicationId provided explicitly")
	}},
	{"§1.6", "a standard topic takes no deduplication id", func(k *conformance) {
		_, err := k.sns.Publish(k.ctx, grouped(k.topic(nil), "m", "", "d"))
		k.refused(err, codeParameter, "MessageDeduplicationId")
	}},
	{"§1.6", "a FIFO queue behind a FIFO topic needs no deduplication of its own", func(k *conformance) {
		topic, queue := k.fifoLine("-q.fifo", map[string]string{"ContentBasedDeduplication": "true"}, map[string]string{"RawMessageDelivery": "true"})
		k.publish(grouped(topic, "Test", "g", ""))
		got := k.one(queue, 30).Attributes
		k.same("MessageGroupId", got["MessageGroupId"], "g")
		k.same("MessageDeduplicationId", got["MessageDeduplicationId"], "532eaabd9574880dbf76b9b8cc00832c20a6ec113d682299550d7a6e0f345e25")
	}},
	{"§1.6", "a FIFO topic delivers a repeated message once", func(k *conformance) {
		topic, queue := k.fifoLine("-q.fifo", nil, map[string]string{"RawMessageDelivery": "true"})
		k.publish(grouped(topic, "one", "g", "d"))
		k.publish(grouped(topic, "two", "g", "d"))
		got := k.one(queue, 30)
		k.same("body", *got.Body, "one")
		k.must(k.delete(queue, got.ReceiptHandle))
		k.none(queue)
	}},
	{"§1.6", "a FIFO topic's number grows with each message", func(k *conformance) {
		topic := k.fifoTopic(nil)
		first, second := k.publish(grouped(topic, "one", "g", "1")), k.publish(grouped(topic, "two", "g", "2"))
		k.same("length", len(*first.SequenceNumber), 20)
		k.same("growth", *first.SequenceNumber < *second.SequenceNumber, true)
	}},
	{"§0.1", "a FIFO topic delivers to a standard queue without the MessageGroupId", func(k *conformance) {
		topic, queue := k.fifoLine("-q", nil, map[string]string{"RawMessageDelivery": "true"})
		k.publish(grouped(topic, "m", "g", "d"))
		k.same("MessageGroupId", k.one(queue, 30).Attributes["MessageGroupId"], "")
	}},
	{"§0.1", "a standard topic takes no FIFO queue", func(k *conformance) {
		queue := k.queue("-q.fifo", map[string]string{"FifoQueue": "true"})
		_, err := k.subscribe(k.topic(nil), k.arn(queue), nil)
		k.refused(err, codeParameter, "FIFO SQS Queues can not be subscribed to standard SNS topics")
	}},
	{"§1.6", "a FIFO subscription's dead-letter queue is FIFO", func(k *conformance) {
		queue, dlq := k.queue("-q.fifo", map[string]string{"FifoQueue": "true"}), k.queue("-dlq", nil)
		arn, err := k.subscribe(k.fifoTopic(nil), k.arn(queue), nil)
		k.must(err)
		k.refused(k.setSubscription(arn, "RedrivePolicy", aws.String(`{"deadLetterTargetArn":"`+k.arn(dlq)+`"}`)), codeParameter, "must use a FIFO queue as DLQ for a FIFO Subscription to a FIFO Topic.")
	}},
	{"§3", "envelopes of FIFO topics have a number and no signature", func(k *conformance) {
		topic, queue := k.fifoLine("-q.fifo", nil, nil)
		k.publish(grouped(topic, "m", "g", "d"))
		body := *k.one(queue, 30).Body
		k.same("SequenceNumber", strings.Contains(body, "SequenceNumber"), true)
		k.same("Signature", strings.Contains(body, "Signature"), false)
	}},
	{"§1.6", "a FIFO topic takes no URL", func(k *conformance) {
		_, err := k.sns.Subscribe(k.ctx, &sns.SubscribeInput{TopicArn: k.fifoTopic(nil), Protocol: aws.String("http"), Endpoint: aws.String("http://127.0.0.1:9/")})
		k.refused(err, codeParameter, "")
	}},
	{"§1.6", "a FIFO topic hands group and deduplication id on", func(k *conformance) {
		topic, queue := k.fifoLine("-q.fifo", nil, map[string]string{"RawMessageDelivery": "true"})
		k.publish(grouped(topic, "m", "g", "d"))
		got := k.one(queue, 30).Attributes
		k.same("MessageGroupId", got["MessageGroupId"], "g")
		k.same("MessageDeduplicationId", got["MessageDeduplicationId"], "d")
	}},
	{"§1.6", "a standard queue behind a FIFO topic may have a standard dead-letter queue", func(k *conformance) {
		_, err := k.subscribe(k.fifoTopic(nil), k.arn(k.queue("", nil)), map[string]string{"RedrivePolicy": `{"deadLetterTargetArn":"` + k.arn(k.queue("-dlq", nil)) + `"}`})
		k.must(err)
	}},
	{"§1.6", "FifoThroughputScope can be set on a FIFO topic", func(k *conformance) {
		topic := k.fifoTopic(map[string]string{"FifoThroughputScope": "MessageGroup"})
		out, err := k.sns.GetTopicAttributes(k.ctx, &sns.GetTopicAttributesInput{TopicArn: topic})
		k.must(err)
		k.same("FifoThroughputScope", out.Attributes["FifoThroughputScope"], "MessageGroup")
	}},
	{"§5.4", "a FIFO topic keeps the order of a group", func(k *conformance) {
		topic, queue := k.fifoLine("-q.fifo", nil, map[string]string{"RawMessageDelivery": "true"})
		for _, body := range []string{"1", "2", "3"} {
			k.publish(grouped(topic, body, "g", body))
		}
		var got []string
		k.eventually("all arrive", func() bool {
			for _, m := range k.receive(queue, 1, 30) {
				got = append(got, *m.Body)
				k.must(k.delete(queue, m.ReceiptHandle))
			}
			return len(got) == 3
		})
		k.same("order", strings.Join(got, " "), "1 2 3")
	}},
}
