package localaws_test

import (
	"encoding/json"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sns/types"
)

// only publishes messages past a filter on attributes and wants the last alone to arrive.
func (k *conformance) only(policy string, messages ...*sns.PublishInput) {
	topic, queue, _ := k.line(map[string]string{"RawMessageDelivery": "true", "FilterPolicy": policy})
	for _, m := range messages {
		m.TopicArn = topic
		k.publish(m)
	}
	k.same("body", *k.one(queue, 30).Body, *messages[len(messages)-1].Message)
}

// tagged is a message with one attribute.
func tagged(body, name string, value types.MessageAttributeValue) *sns.PublishInput {
	return &sns.PublishInput{Message: &body, MessageAttributes: map[string]types.MessageAttributeValue{name: value}}
}

// envelope receives a single message that is an envelope.
func (k *conformance) envelope(queue *string) (fields map[string]any) {
	k.must(json.Unmarshal([]byte(*k.one(queue, 30).Body), &fields))
	return fields
}

func snsEleven() map[string]types.MessageAttributeValue {
	eleven := map[string]types.MessageAttributeValue{}
	for name := range strings.SplitSeq("abcdefghijk", "") {
		eleven[name] = snsText("String", "x")
	}
	return eleven
}

var filterFacts = []fact{
	{"§2.1", "the names of a filter have their case", func(k *conformance) {
		k.only(`{"kind":["a"]}`, tagged("no", "Kind", snsText("String", "a")), tagged("yes", "kind", snsText("String", "a")))
	}},
	{"§2.1", "the values of a filter have their case", func(k *conformance) {
		k.only(`{"kind":["a"]}`, tagged("no", "kind", snsText("String", "A")), tagged("yes", "kind", snsText("String", "a")))
	}},
	{"§2.1", "a message without attributes passes no filter on them", func(k *conformance) {
		k.only(`{"kind":["a"]}`, &sns.PublishInput{Message: aws.String("no")}, tagged("yes", "kind", snsText("String", "a")))
	}},
	{"§2.1", "a Binary attribute passes no filter", func(k *conformance) {
		k.only(`{"kind":["a"]}`, tagged("no", "kind", types.MessageAttributeValue{DataType: aws.String("Binary"), BinaryValue: []byte("a")}), tagged("yes", "kind", snsText("String", "a")))
	}},
	{"§2.1", "a Number is compared as a number", func(k *conformance) {
		k.only(`{"n":[{"numeric":[">=",10]}]}`, tagged("no", "n", snsText("Number", "9")), tagged("yes", "n", snsText("Number", "10.0")))
	}},
	{"§4.1", "an array passes by one of its values", func(k *conformance) {
		k.only(`{"kinds":["a"]}`, tagged("no", "kinds", snsText("String.Array", `["b"]`)), tagged("yes", "kinds", snsText("String.Array", `["b","a"]`)))
	}},
	{"§4.2", "a filter on attributes ignores those that it does not name", func(k *conformance) {
		m := tagged("yes", "kind", snsText("String", "a"))
		m.MessageAttributes["traceparent"] = snsText("String", "00-1-2-01")
		k.only(`{"kind":["a"]}`, m)
	}},
	{"§4.2", "a filter on the body ignores attributes", func(k *conformance) {
		topic, queue, _ := k.line(map[string]string{"RawMessageDelivery": "true", "FilterPolicyScope": "MessageBody", "FilterPolicy": `{"kind":["a"]}`})
		for _, m := range []*sns.PublishInput{tagged(`{"x":1}`, "kind", snsText("String", "a")), tagged(`{"kind":"a"}`, "traceparent", snsText("String", "x"))} {
			m.TopicArn = topic
			k.publish(m)
		}
		k.same("body", *k.one(queue, 30).Body, `{"kind":"a"}`)
	}},
}

var envelopeFacts = []fact{
	{"§2.1", "an envelope is signed by version 1 when the topic says nothing", func(k *conformance) {
		topic, queue, _ := k.line(nil)
		k.publish(&sns.PublishInput{TopicArn: topic, Message: aws.String("hello")})
		k.same("SignatureVersion", k.envelope(queue)["SignatureVersion"], any("1"))
	}},
	{"§3", "an envelope is signed by version 2 when the topic says so", func(k *conformance) {
		topic, queue, _ := k.line(nil)
		_, err := k.sns.SetTopicAttributes(k.ctx, &sns.SetTopicAttributesInput{TopicArn: topic, AttributeName: aws.String("SignatureVersion"), AttributeValue: aws.String("2")})
		k.must(err)
		k.publish(&sns.PublishInput{TopicArn: topic, Message: aws.String("hello")})
		k.same("SignatureVersion", k.envelope(queue)["SignatureVersion"], any("2"))
	}},
	{"§4.1", "an envelope holds more than ten attributes", func(k *conformance) {
		topic, queue, _ := k.line(nil)
		k.publish(&sns.PublishInput{TopicArn: topic, Message: aws.String("hello"), MessageAttributes: snsEleven()})
		attributes, _ := k.envelope(queue)["MessageAttributes"].(map[string]any)
		k.same("attributes in the envelope", len(attributes), 11)
	}},
	{"§4.1", "raw delivery leaves the subject out", func(k *conformance) {
		topic, queue, _ := k.line(map[string]string{"RawMessageDelivery": "true"})
		k.publish(&sns.PublishInput{TopicArn: topic, Message: aws.String("hello"), Subject: aws.String("lost")})
		m := k.one(queue, 30)
		k.same("body", *m.Body, "hello")
		k.same("attributes", len(m.MessageAttributes), 0)
	}},
	{"§4.1", "MessageStructure json leaves attributes out", func(k *conformance) {
		topic, queue, _ := k.line(map[string]string{"RawMessageDelivery": "true"})
		m := tagged(`{"default":"d"}`, "kind", snsText("String", "a"))
		m.TopicArn, m.MessageStructure = topic, aws.String("json")
		k.publish(m)
		k.same("attributes", len(k.one(queue, 30).MessageAttributes), 0)
	}},
	{"§4.1", "an attribute of a publish has a type and a value", func(k *conformance) {
		topic := k.topic(nil)
		for _, bad := range []types.MessageAttributeValue{snsText("", "x"), snsText("String", ""), snsText("Text", "x")} {
			m := tagged("hello", "a", bad)
			m.TopicArn = topic
			if _, err := k.sns.Publish(k.ctx, m); err == nil {
				k.fail("accepted: type %q, value %q", *bad.DataType, *bad.StringValue)
			}
		}
	}},
	{"§4.1", "a subscription's dead letter says nothing of the reason", func(k *conformance) {
		topic, dlq, _ := k.lost()
		k.allow(dlq, *topic)
		m := tagged("hello", "kind", snsText("String", "a"))
		m.TopicArn = topic
		id := *k.publish(m).MessageId
		letter := k.one(dlq, 30)
		k.same("attributes", len(letter.MessageAttributes), 0)
		k.same("the envelope is there", strings.Contains(*letter.Body, id) && strings.Contains(*letter.Body, `"kind"`), true)
	}},
}
