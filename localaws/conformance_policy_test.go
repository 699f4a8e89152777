package localaws_test

import (
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
)

// let writes a queue's policy for SNS, with a condition.
func (k *conformance) let(queue *string, condition string) {
	k.must(k.setQueue(queue, map[string]string{"Policy": `{"Version":"2012-10-17","Statement":[{"Effect":"Allow",` +
		`"Principal":{"Service":"sns.amazonaws.com"},"Action":"sqs:SendMessage","Resource":"` + k.arn(queue) + `","Condition":` + condition + `}]}`}))
}

// arrives publishes a message and wants it in the queue.
func (k *conformance) arrives(topic, queue *string) {
	k.publish(&sns.PublishInput{TopicArn: topic, Message: aws.String("hello")})
	k.same("it arrives", strings.Contains(*k.one(queue, 30).Body, "hello"), true)
}

// lost is a topic with a subscription to a queue that does not exist, and a dead-letter queue.
func (k *conformance) lost() (topic, dlq *string, subscription string) {
	topic, dlq = k.topic(nil), k.queue("-dlq", nil)
	subscription, err := k.subscribe(topic, "arn:aws:sqs:us-east-1:000000000000:"+k.prefix+"-none", map[string]string{
		"RedrivePolicy": `{"deadLetterTargetArn":"` + k.arn(dlq) + `"}`,
	})
	k.must(err)
	return topic, dlq, subscription
}

var policyFacts = []fact{
	{"§1.4", "a policy for the topic lets its messages in", func(k *conformance) {
		topic, queue, _ := k.line(nil)
		k.arrives(topic, queue)
	}},
	{"§1.4", "a policy can list several topics", func(k *conformance) {
		topic, queue, _ := k.line(nil)
		k.let(queue, `{"ArnEquals":{"aws:SourceArn":["arn:aws:sns:us-east-1:000000000000:other","`+*topic+`"]}}`)
		k.arrives(topic, queue)
	}},
	{"§1.4", "a policy can name the account of the topics", func(k *conformance) {
		topic, queue, _ := k.line(nil)
		k.let(queue, `{"StringEquals":{"aws:SourceAccount":"000000000000"}}`)
		k.arrives(topic, queue)
	}},
	{"§1.4", "a policy for another account's topics lets nothing in", func(k *conformance) {
		topic, queue, _ := k.line(nil)
		k.let(queue, `{"StringEquals":{"aws:SourceAccount":"111111111111"}}`)
		k.publish(&sns.PublishInput{TopicArn: topic, Message: aws.String("hello")})
		k.none(queue)
	}},
	{"§1.4", "a subscription's dead-letter queue that lets the topic in gets the message", func(k *conformance) {
		topic, dlq, _ := k.lost()
		k.allow(dlq, *topic)
		k.arrives(topic, dlq)
	}},
	{"§1.4", "a subscription's dead-letter queue that lets nobody in gets nothing", func(k *conformance) {
		topic, dlq, _ := k.lost()
		k.publish(&sns.PublishInput{TopicArn: topic, Message: aws.String("hello")})
		k.none(dlq)
	}},
	{"§1.4", "to a subscription's dead-letter queue the topic comes, not the subscription", func(k *conformance) {
		topic, dlq, subscription := k.lost()
		k.allow(dlq, subscription)
		k.publish(&sns.PublishInput{TopicArn: topic, Message: aws.String("hello")})
		k.none(dlq)
	}},
	{"§1.4", "AddPermission writes no condition", func(k *conformance) {
		queue := k.queue("", nil)
		_, err := k.sqs.AddPermission(k.ctx, &sqs.AddPermissionInput{
			QueueUrl: queue, Label: aws.String("one"), AWSAccountIds: []string{"111111111111"}, Actions: []string{"SendMessage"},
		})
		k.must(err)
		policy := k.attributes(queue)["Policy"]
		k.same("a statement", strings.Contains(policy, `"Sid":"one"`) || strings.Contains(policy, `"Sid": "one"`), true)
		k.same("a condition", strings.Contains(policy, "Condition"), false)
	}},
	{"§1.4", "SQS moves to a dead-letter queue whatever its policy says", func(k *conformance) {
		queue, dlq := k.queue("", nil), k.queue("-dlq", nil)
		k.must(k.setQueue(queue, redrive(k.arn(dlq), "1")))
		k.must(k.setQueue(dlq, map[string]string{"Policy": `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Principal":"*","Action":"sqs:SendMessage","Resource":"` + k.arn(dlq) + `"}]}`}))
		k.bury(queue)
		k.one(dlq, 30)
	}},
	{"§2.1", "what grows over the queue's limit in its envelope is lost", func(k *conformance) {
		topic, queue, _ := k.line(nil)
		k.must(k.setQueue(queue, map[string]string{"MaximumMessageSize": "1024"}))
		k.publish(&sns.PublishInput{TopicArn: topic, Message: aws.String(strings.Repeat("x", 1000))})
		k.none(queue)
	}},
}

// bury sends a message and receives it until it moves to the dead-letter queue: the queue's
// maxReceiveCount must be 1.
func (k *conformance) bury(queue *string) (id string) {
	id = *k.send(queue).MessageId
	m := k.one(queue, 30)
	k.must(k.change(queue, m.ReceiptHandle, 0))
	k.none(queue)
	return id
}
