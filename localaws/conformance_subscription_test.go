package localaws_test

import (
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sns"
)

// changeFacts are about the attributes of subscriptions, in which order they can be changed, and what
// a change is for.
var changeFacts = []fact{
	{"§1.2", "Subscribe takes scope, filter, raw delivery and dead-letter queue at once", func(k *conformance) {
		want := map[string]string{
			"FilterPolicyScope": "MessageBody", "FilterPolicy": `{"a":{"b":["c"]}}`, "RawMessageDelivery": "true",
			"RedrivePolicy": `{"deadLetterTargetArn":"` + k.arn(k.queue("-dlq", nil)) + `"}`,
		}
		_, _, arn := k.line(want)
		got := k.subscription(arn)
		for name, value := range want {
			k.same(name, got[name], value)
		}
	}},
	{"§1.2", "a bare subscription gets everything, in envelopes, until it is changed", func(k *conformance) {
		topic, queue, arn := k.line(nil)
		k.publish(&sns.PublishInput{TopicArn: topic, Message: aws.String("early")})
		k.same("Message", k.envelope(queue)["Message"], any("early"))
		k.must(k.setSubscription(arn, "FilterPolicy", aws.String(`{"kind":["a"]}`)))
		k.publish(&sns.PublishInput{TopicArn: topic, Message: aws.String("late")})
		k.none(queue)
	}},
	{"§4.1", "raw delivery is for messages that are published after it is set", func(k *conformance) {
		topic, queue, arn := k.line(nil)
		k.publish(&sns.PublishInput{TopicArn: topic, Message: aws.String("early")})
		k.must(k.setSubscription(arn, "RawMessageDelivery", aws.String("true")))
		k.publish(&sns.PublishInput{TopicArn: topic, Message: aws.String("late")})
		raw := map[bool]int{}
		k.eventually("both arrive", func() bool {
			for _, m := range k.receive(queue, 1, 30) {
				raw[*m.Body == "late"]++
				k.must(k.delete(queue, m.ReceiptHandle))
			}
			return raw[true]+raw[false] == 2
		})
		k.same("raw messages", raw[true], 1)
	}},
	{"§1.3", "Subscribe with the default scope is no change", func(k *conformance) {
		topic, queue, arn := k.line(map[string]string{"FilterPolicy": `{"a":["b"]}`})
		again, err := k.subscribe(topic, k.arn(queue), map[string]string{"FilterPolicyScope": "MessageAttributes"})
		k.must(err)
		k.same("ARN", again, arn)
	}},
	{"§1.3", "Subscribe takes nothing that is no ARN", func(k *conformance) {
		_, err := k.subscribe(k.topic(nil), "queue", nil)
		k.refused(err, codeParameter, "SQS endpoint ARN")
	}},
	{"§1.3", "a nested policy can follow its scope", func(k *conformance) {
		_, _, arn := k.line(map[string]string{"FilterPolicyScope": "MessageBody", "FilterPolicy": `{"a":["b"]}`})
		k.must(k.setSubscription(arn, "FilterPolicy", aws.String(`{"a":{"b":["c"]}}`)))
	}},
	{"§1.3", "the scope cannot go back to attributes under a nested policy", func(k *conformance) {
		_, _, arn := k.line(map[string]string{"FilterPolicyScope": "MessageBody", "FilterPolicy": `{"a":{"b":["c"]}}`})
		k.refused(k.setSubscription(arn, "FilterPolicyScope", aws.String("MessageAttributes")), codeParameter,
			"Filter policy scope MessageAttributes does not support nested filter policy")
	}},
	{"§1.3", "a new policy is of the scope that was set before", func(k *conformance) {
		_, _, arn := k.line(map[string]string{"FilterPolicyScope": "MessageBody", "FilterPolicy": `{"a":["b"]}`})
		k.must(k.setSubscription(arn, "FilterPolicy", aws.String(`{"a":["c"]}`)))
		k.same("FilterPolicyScope", k.subscription(arn)["FilterPolicyScope"], "MessageBody")
	}},
	{"§1.3", "a subscription's RedrivePolicy is removed by no value, not by an empty one", func(k *conformance) {
		_, queue, arn := k.line(map[string]string{"RedrivePolicy": `{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:000000000000:x"}`})
		k.refused(k.setSubscription(arn, "RedrivePolicy", aws.String("")), codeParameter, "RedrivePolicy")
		k.must(k.setSubscription(arn, "RedrivePolicy", nil))
		k.same("RedrivePolicy", k.subscription(arn)["RedrivePolicy"], "")
		k.send(queue)
	}},
	{"§1.3", "a subscription's deadLetterTargetArn is an ARN", func(k *conformance) {
		_, _, arn := k.line(nil)
		k.refused(k.setSubscription(arn, "RedrivePolicy", aws.String(`{"deadLetterTargetArn":"dlq"}`)), codeParameter, "deadLetterTargetArn is an invalid arn")
	}},
	{"§1.7", "what Subscribe says of a pending subscription is no ARN", func(k *conformance) {
		if err := k.setSubscription("pending confirmation", "RawMessageDelivery", aws.String("true")); err == nil {
			k.fail("attributes of it were set")
		}
		_, err := k.sns.Unsubscribe(k.ctx, &sns.UnsubscribeInput{SubscriptionArn: aws.String("pending confirmation")})
		k.refused(err, codeParameter, "An ARN must have at least 6 elements")
	}},
	{"§2.1", "failed deliveries leave the subscription as it is", func(k *conformance) {
		topic := k.topic(nil)
		arn, err := k.subscribe(topic, "arn:aws:sqs:us-east-1:000000000000:"+k.prefix, nil)
		k.must(err)
		k.publish(&sns.PublishInput{TopicArn: topic, Message: aws.String("lost")})
		k.same("PendingConfirmation", k.subscription(arn)["PendingConfirmation"], "false")
		queue := k.queue("", nil)
		k.allow(queue, *topic)
		k.publish(&sns.PublishInput{TopicArn: topic, Message: aws.String("found")})
		k.same("the next arrives", strings.Contains(*k.one(queue, 30).Body, "found"), true)
	}},
	{"§2.1", "a publish that nobody subscribed to is accepted", func(k *conformance) {
		k.publish(&sns.PublishInput{TopicArn: k.topic(nil), Message: aws.String("lost")})
	}},
	{"§2.1", "each subscription delivers, under one id of SNS", func(k *conformance) {
		topic := k.topic(nil)
		queues := []*string{k.queue("-a", nil), k.queue("-b", nil)}
		for _, queue := range queues {
			k.allow(queue, *topic)
			_, err := k.subscribe(topic, k.arn(queue), nil)
			k.must(err)
		}
		id := *k.publish(&sns.PublishInput{TopicArn: topic, Message: aws.String("hello")}).MessageId
		for _, queue := range queues {
			m := k.one(queue, 30)
			k.same("the SNS id is in the envelope", strings.Contains(*m.Body, id), true)
			k.same("the SQS id is another", *m.MessageId != id, true)
		}
	}},
}
