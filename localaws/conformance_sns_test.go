package localaws_test

import (
	"encoding/json"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sns/types"
)

var topicFacts = []fact{
	{"§1.3", "CreateTopic returns the topic that is there", func(k *conformance) {
		first := k.topic(map[string]string{"DisplayName": "mail"})
		k.same("ARN", *k.topic(nil), *first)
		k.same("ARN", *k.topic(map[string]string{"DisplayName": "mail"}), *first)
	}},
	{"§1.3", "CreateTopic with another attribute is refused", func(k *conformance) {
		k.topic(map[string]string{"DisplayName": "mail"})
		_, err := k.sns.CreateTopic(k.ctx, &sns.CreateTopicInput{Name: &k.prefix, Attributes: map[string]string{"DisplayName": "post"}})
		k.refused(err, codeParameter, "Topic already exists with different attributes")
	}},
	{"§1.3", "CreateTopic with an attribute that was never set is refused", func(k *conformance) {
		k.topic(nil)
		_, err := k.sns.CreateTopic(k.ctx, &sns.CreateTopicInput{Name: &k.prefix, Attributes: map[string]string{"SignatureVersion": "2"}})
		k.refused(err, codeParameter, "Topic already exists with different attributes")
	}},
	{"§1.3", "CreateTopic with more tags is refused", func(k *conformance) {
		tag := func(key string) types.Tag { return types.Tag{Key: &key, Value: aws.String("v")} }
		_, err := k.sns.CreateTopic(k.ctx, &sns.CreateTopicInput{Name: &k.prefix, Tags: []types.Tag{tag("a")}})
		k.must(err)
		_, err = k.sns.CreateTopic(k.ctx, &sns.CreateTopicInput{Name: &k.prefix, Tags: []types.Tag{tag("a"), tag("b")}})
		k.refused(err, codeParameter, "Topic already exists with different tags")
	}},
	{"§1.3", "DeleteTopic can be repeated", func(k *conformance) {
		topic := k.topic(nil)
		for range 2 {
			_, err := k.sns.DeleteTopic(k.ctx, &sns.DeleteTopicInput{TopicArn: topic})
			k.must(err)
		}
	}},
	{"§1.2", "a topic of another region is no topic here", func(k *conformance) {
		_, err := k.sns.GetTopicAttributes(k.ctx, &sns.GetTopicAttributesInput{TopicArn: aws.String("arn:aws:sns:eu-west-1:000000000000:" + k.prefix)})
		k.refused(err, codeParameter, "TopicArn")
	}},
	{"§4.1", "an empty message is refused", func(k *conformance) {
		_, err := k.sns.Publish(k.ctx, &sns.PublishInput{TopicArn: k.topic(nil), Message: aws.String("")})
		k.refused(err, codeParameter, "Empty message")
	}},
	{"§4.1", "an empty subject is refused", func(k *conformance) {
		_, err := k.sns.Publish(k.ctx, &sns.PublishInput{TopicArn: k.topic(nil), Message: aws.String("x"), Subject: aws.String("")})
		k.refused(err, codeParameter, "Subject")
	}},
}

var subscriptionFacts = []fact{
	{"§1.3", "Subscribe returns the subscription that is there", func(k *conformance) {
		topic, queue, arn := k.line(map[string]string{"RawMessageDelivery": "true"})
		again, err := k.subscribe(topic, k.arn(queue), nil)
		k.must(err)
		k.same("ARN", again, arn)
		again, err = k.subscribe(topic, k.arn(queue), map[string]string{"RawMessageDelivery": "True"})
		k.must(err)
		k.same("ARN", again, arn)
	}},
	{"§1.3", "Subscribe with another attribute is refused", func(k *conformance) {
		topic, queue, _ := k.line(map[string]string{"RawMessageDelivery": "true"})
		_, err := k.subscribe(topic, k.arn(queue), map[string]string{"RawMessageDelivery": "false"})
		k.refused(err, codeParameter, "Subscription already exists with different attributes")
	}},
	{"§1.3", "Subscribe does not look whether the queue exists", func(k *conformance) {
		_, err := k.subscribe(k.topic(nil), "arn:aws:sqs:us-east-1:000000000000:"+k.prefix+"-none", nil)
		k.must(err)
	}},
	{"§1.3", "Subscribe takes no queue URL", func(k *conformance) {
		_, err := k.subscribe(k.topic(nil), *k.queue("", nil), nil)
		k.refused(err, codeParameter, "SQS endpoint ARN")
	}},
	{"§1.3", "a filter policy is removed by an empty object", func(k *conformance) {
		_, _, arn := k.line(map[string]string{"FilterPolicy": `{"a":["b"]}`})
		k.must(k.setSubscription(arn, "FilterPolicy", aws.String("{}")))
		policy := k.subscription(arn)["FilterPolicy"]
		if policy != "" && policy != "{}" {
			k.fail("FilterPolicy is %s", policy)
		}
	}},
	{"§1.3", "a scope without a policy is dropped in silence", func(k *conformance) {
		_, _, arn := k.line(map[string]string{"FilterPolicyScope": "MessageBody"})
		_, has := k.subscription(arn)["FilterPolicyScope"]
		k.same("FilterPolicyScope is there", has, false)
	}},
	{"§1.3", "a nested policy needs the scope MessageBody", func(k *conformance) {
		_, _, arn := k.line(nil)
		k.refused(k.setSubscription(arn, "FilterPolicy", aws.String(`{"a":{"b":["c"]}}`)), codeParameter,
			"Filter policy scope MessageAttributes does not support nested filter policy")
	}},
	{"§1.3", "a subscription's RedrivePolicy has no maxReceiveCount", func(k *conformance) {
		_, queue, arn := k.line(nil)
		err := k.setSubscription(arn, "RedrivePolicy", aws.String(`{"deadLetterTargetArn":"`+k.arn(queue)+`","maxReceiveCount":"3"}`))
		k.refused(err, codeParameter, "maxReceiveCount")
	}},
	{"§1.3", "a RedrivePolicy is accepted whether its queue exists or not", func(k *conformance) {
		_, _, arn := k.line(nil)
		k.must(k.setSubscription(arn, "RedrivePolicy", aws.String(`{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:000000000000:`+k.prefix+`-none"}`)))
	}},
	{"§1.3", "Unsubscribe can be repeated", func(k *conformance) {
		_, _, arn := k.line(nil)
		for range 2 {
			_, err := k.sns.Unsubscribe(k.ctx, &sns.UnsubscribeInput{SubscriptionArn: &arn})
			k.must(err)
		}
	}},
	{"§1.7", "a queue of one's own is confirmed at once", func(k *conformance) {
		_, _, arn := k.line(nil)
		all := k.subscription(arn)
		k.same("PendingConfirmation", all["PendingConfirmation"], "false")
		k.same("ConfirmationWasAuthenticated", all["ConfirmationWasAuthenticated"], "true")
	}},
	{"§1.2", "deleting a queue leaves its subscription", func(k *conformance) {
		_, queue, arn := k.line(nil)
		endpoint := k.arn(queue)
		_, err := k.sqs.DeleteQueue(k.ctx, deleteQueue(queue))
		k.must(err)
		k.same("Endpoint", k.subscription(arn)["Endpoint"], endpoint)
	}},
}

var deliveryFacts = []fact{
	{"§4.1", "the envelope carries the message, its attributes and its id", func(k *conformance) {
		topic, queue, _ := k.line(nil)
		out := k.publish(&sns.PublishInput{TopicArn: topic, Message: aws.String("hello"), Subject: aws.String("greeting"), MessageAttributes: map[string]types.MessageAttributeValue{
			"kind": {DataType: aws.String("String"), StringValue: aws.String("a")},
			"blob": {DataType: aws.String("Binary"), BinaryValue: []byte{0, 255}},
		}})
		m := k.one(queue, 30)
		k.same("attributes of SQS", len(m.MessageAttributes), 0)
		var e struct {
			Type, MessageID, TopicArn, Subject, Message, Timestamp, UnsubscribeURL string
			MessageAttributes                                                      map[string]struct{ Type, Value string }
		}
		k.must(json.Unmarshal([]byte(*m.Body), &e))
		k.same("Type", e.Type, "Notification")
		k.same("MessageId", e.MessageID, *out.MessageId)
		k.same("TopicArn", e.TopicArn, *topic)
		k.same("Subject", e.Subject, "greeting")
		k.same("Message", e.Message, "hello")
		k.same("kind", e.MessageAttributes["kind"].Value, "a")
		k.same("blob", e.MessageAttributes["blob"].Value, "AP8=")
		k.same("UnsubscribeURL names the subscription", strings.Contains(e.UnsubscribeURL, "Action=Unsubscribe"), true)
	}},
	{"§4.1", "raw delivery is the message and its attributes", func(k *conformance) {
		topic, queue, _ := k.line(map[string]string{"RawMessageDelivery": "true"})
		k.publish(&sns.PublishInput{TopicArn: topic, Message: aws.String("hello"), MessageAttributes: map[string]types.MessageAttributeValue{
			"n": {DataType: aws.String("Number"), StringValue: aws.String("7")},
		}})
		m := k.one(queue, 30)
		k.same("body", *m.Body, "hello")
		k.same("type", *m.MessageAttributes["n"].DataType, "Number")
	}},
	{"§1.1", "without a queue policy a message is lost", func(k *conformance) {
		topic, queue := k.topic(nil), k.queue("", nil)
		_, err := k.subscribe(topic, k.arn(queue), nil)
		k.must(err)
		k.publish(&sns.PublishInput{TopicArn: topic, Message: aws.String("hello")})
		k.none(queue)
	}},
	{"§1.4", "a policy for another topic lets nothing in", func(k *conformance) {
		topic, queue, _ := k.line(nil)
		k.allow(queue, *topic+"-other")
		k.publish(&sns.PublishInput{TopicArn: topic, Message: aws.String("hello")})
		k.none(queue)
	}},
	{"§2.1", "an explicit deny keeps SNS out", func(k *conformance) {
		topic, queue, _ := k.line(nil)
		k.must(k.setQueue(queue, map[string]string{"Policy": `{"Version":"2012-10-17","Statement":[` +
			`{"Effect":"Allow","Principal":{"Service":"sns.amazonaws.com"},"Action":"sqs:*","Resource":"` + k.arn(queue) + `"},` +
			`{"Effect":"Deny","Principal":"*","Action":"sqs:SendMessage","Resource":"` + k.arn(queue) + `"}]}`}))
		k.publish(&sns.PublishInput{TopicArn: topic, Message: aws.String("hello")})
		k.none(queue)
	}},
	{"§2.1", "raw delivery of more than ten attributes is lost", func(k *conformance) {
		topic, queue, _ := k.line(map[string]string{"RawMessageDelivery": "true"})
		eleven := map[string]types.MessageAttributeValue{}
		for name := range strings.SplitSeq("abcdefghijk", "") {
			eleven[name] = types.MessageAttributeValue{DataType: aws.String("String"), StringValue: aws.String("x")}
		}
		k.publish(&sns.PublishInput{TopicArn: topic, Message: aws.String("hello"), MessageAttributes: eleven})
		k.none(queue)
	}},
	{"§4.1", "what the queue refuses goes to the subscription's dead-letter queue unchanged", func(k *conformance) {
		topic, dlq := k.topic(nil), k.queue("-dlq", nil)
		k.allow(dlq, *topic)
		_, err := k.subscribe(topic, "arn:aws:sqs:us-east-1:000000000000:"+k.prefix+"-none", map[string]string{
			"RawMessageDelivery": "true", "RedrivePolicy": `{"deadLetterTargetArn":"` + k.arn(dlq) + `"}`,
		})
		k.must(err)
		k.publish(&sns.PublishInput{TopicArn: topic, Message: aws.String("hello")})
		k.same("body", *k.one(dlq, 30).Body, "hello")
	}},
	{"§1.3", "a filter on attributes lets through what matches", func(k *conformance) {
		topic, queue, _ := k.line(map[string]string{"RawMessageDelivery": "true", "FilterPolicy": `{"kind":["a"]}`})
		for _, kind := range []string{"b", "a"} {
			k.publish(&sns.PublishInput{TopicArn: topic, Message: aws.String(kind), MessageAttributes: map[string]types.MessageAttributeValue{
				"kind": {DataType: aws.String("String"), StringValue: &kind},
			}})
		}
		k.publish(&sns.PublishInput{TopicArn: topic, Message: aws.String("none")})
		k.same("body", *k.one(queue, 30).Body, "a")
	}},
	{"§1.3", "a filter on the body lets through what matches", func(k *conformance) {
		topic, queue, _ := k.line(map[string]string{
			"RawMessageDelivery": "true", "FilterPolicyScope": "MessageBody", "FilterPolicy": `{"order":{"kind":["a"]}}`,
		})
		for _, body := range []string{`{"order":{"kind":"b"}}`, `no json`, `{"order":{"kind":"a"}}`} {
			k.publish(&sns.PublishInput{TopicArn: topic, Message: &body})
		}
		k.same("body", *k.one(queue, 30).Body, `{"order":{"kind":"a"}}`)
	}},
	{"§4.1", "MessageStructure json has a message for each protocol", func(k *conformance) {
		topic, queue, _ := k.line(map[string]string{"RawMessageDelivery": "true"})
		k.publish(&sns.PublishInput{TopicArn: topic, MessageStructure: aws.String("json"), Message: aws.String(`{"default":"d","sqs":"s"}`)})
		k.same("body", *k.one(queue, 30).Body, "s")
	}},
	{"§5.6", "a standard topic hands the MessageGroupId on", func(k *conformance) {
		topic, queue, _ := k.line(nil)
		k.publish(&sns.PublishInput{TopicArn: topic, Message: aws.String("hello"), MessageGroupId: aws.String("tenant-1")})
		k.same("MessageGroupId", k.one(queue, 30).Attributes["MessageGroupId"], "tenant-1")
	}},
}
