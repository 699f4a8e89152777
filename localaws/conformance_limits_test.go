package localaws_test

import (
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

const xray = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1"

func traceHeader(value string) map[string]types.MessageSystemAttributeValue {
	return map[string]types.MessageSystemAttributeValue{"AWSTraceHeader": {DataType: aws.String("String"), StringValue: &value}}
}

var traceFacts = []fact{
	{"§4.2", "AWSTraceHeader counts neither as an attribute nor for the size", func(k *conformance) {
		q := k.queue("", map[string]string{"MaximumMessageSize": "1024"})
		ten, size := map[string]types.MessageAttributeValue{}, 0
		for name := range strings.SplitSeq("abcdefghij", "") {
			ten[name] = attribute("String", "x")
			size += len(name + "String" + "x")
		}
		_, err := k.sqs.SendMessage(k.ctx, &sqs.SendMessageInput{
			QueueUrl: q, MessageBody: aws.String(strings.Repeat("x", 1024-size)), MessageAttributes: ten, MessageSystemAttributes: traceHeader(xray),
		})
		k.must(err)
		m := k.one(q, 30)
		k.same("attributes", len(m.MessageAttributes), 10)
		k.same("AWSTraceHeader", m.Attributes["AWSTraceHeader"], xray)
	}},
	{"§4.2", "no other system attribute can be sent", func(k *conformance) {
		_, err := k.sqs.SendMessage(k.ctx, &sqs.SendMessageInput{QueueUrl: k.queue("", nil), MessageBody: aws.String("x"), MessageSystemAttributes: map[string]types.MessageSystemAttributeValue{
			"SentTimestamp": {DataType: aws.String("String"), StringValue: aws.String("1")},
		}})
		k.refused(err, codeValue, "SentTimestamp")
	}},
	{"§4.2", "the HTTP header X-Amzn-Trace-Id of a send is the AWSTraceHeader", func(k *conformance) {
		q := k.queue("", nil)
		_, err := k.sqs.SendMessage(k.ctx, &sqs.SendMessageInput{QueueUrl: q, MessageBody: aws.String("x")}, func(o *sqs.Options) {
			o.APIOptions = append(o.APIOptions, smithyhttp.SetHeaderValue("X-Amzn-Trace-Id", xray))
		})
		k.must(err)
		k.same("AWSTraceHeader", k.one(q, 30).Attributes["AWSTraceHeader"], xray)
	}},
	{"§4.2", "SNS hands the HTTP header X-Amzn-Trace-Id on", func(k *conformance) {
		topic, queue, _ := k.line(map[string]string{"RawMessageDelivery": "true"})
		_, err := k.sns.Publish(k.ctx, &sns.PublishInput{TopicArn: topic, Message: aws.String("x")}, func(o *sns.Options) {
			o.APIOptions = append(o.APIOptions, smithyhttp.SetHeaderValue("X-Amzn-Trace-Id", xray))
		})
		k.must(err)
		k.same("AWSTraceHeader", k.one(queue, 30).Attributes["AWSTraceHeader"], xray)
	}},
	{"§4.1", "a dead letter keeps body, attributes and AWSTraceHeader", func(k *conformance) {
		q, dlq := k.queue("", nil), k.queue("-dlq", nil)
		k.must(k.setQueue(q, redrive(k.arn(dlq), "1")))
		_, err := k.sqs.SendMessage(k.ctx, &sqs.SendMessageInput{
			QueueUrl: q, MessageBody: aws.String("hello"), MessageSystemAttributes: traceHeader(xray),
			MessageAttributes: map[string]types.MessageAttributeValue{"a": attribute("String", "x")},
		})
		k.must(err)
		first := k.one(q, 30)
		k.must(k.change(q, first.ReceiptHandle, 0))
		k.none(q)
		m := k.one(dlq, 30)
		k.same("body", *m.Body, "hello")
		k.same("attribute", aws.ToString(m.MessageAttributes["a"].StringValue), "x")
		k.same("AWSTraceHeader", m.Attributes["AWSTraceHeader"], xray)
		k.same("SentTimestamp", m.Attributes["SentTimestamp"], first.Attributes["SentTimestamp"])
	}},
}

var limitFacts = []fact{
	{"§4.1", "a receive shows no attribute that it does not ask for", func(k *conformance) {
		q := k.queue("", nil)
		_, err := k.sqs.SendMessage(k.ctx, &sqs.SendMessageInput{QueueUrl: q, MessageBody: aws.String("x"), MessageAttributes: map[string]types.MessageAttributeValue{"a": attribute("String", "x")}})
		k.must(err)
		out, err := k.sqs.ReceiveMessage(k.ctx, &sqs.ReceiveMessageInput{QueueUrl: q, WaitTimeSeconds: 5})
		k.must(err)
		k.same("messages", len(out.Messages), 1)
		k.same("attributes", len(out.Messages[0].MessageAttributes)+len(out.Messages[0].Attributes), 0)
	}},
	{"§5.1", "43,195 seconds are fine after a receive", func(k *conformance) {
		q := k.queue("", nil)
		k.send(q)
		k.must(k.change(q, k.one(q, 30).ReceiptHandle, 43_195))
	}},
	{"§5.1", "a lease that ends counts as a receive", func(k *conformance) {
		q := k.queue("", nil)
		k.send(q)
		k.one(q, 1)
		k.expire(q)
		k.same("ApproximateReceiveCount", k.one(q, 30).Attributes["ApproximateReceiveCount"], "2")
	}},
	{"§5.1", "a message moves at the receive after the last that it may have", func(k *conformance) {
		q, dlq := k.queue("", nil), k.queue("-dlq", nil)
		k.must(k.setQueue(q, redrive(k.arn(dlq), "2")))
		k.send(q)
		for range 2 {
			k.must(k.change(q, k.one(q, 30).ReceiptHandle, 0))
		}
		k.same("it is in the queue still", k.attributes(q)["ApproximateNumberOfMessages"], "1")
		k.none(q)
		k.one(dlq, 30)
	}},
	{"§5.2", "a delete by an overtaken receipt is accepted", func(k *conformance) {
		q := k.queue("", nil)
		k.send(q)
		old := k.one(q, 1)
		k.expire(q)
		k.one(q, 30)
		k.must(k.delete(q, old.ReceiptHandle))
	}},
	{"§5.3", "an id of a batch has at most 80 characters", func(k *conformance) {
		k.must(k.batch(strings.Repeat("a", 80)))
		k.refused(k.batch(strings.Repeat("a", 81)), codeBatchID, "")
	}},
	{"§5.3", "a batch has at most 1 MiB", func(k *conformance) {
		half := strings.Repeat("x", 1<<19)
		_, err := k.sqs.SendMessageBatch(k.ctx, &sqs.SendMessageBatchInput{QueueUrl: k.queue("", nil), Entries: []types.SendMessageBatchRequestEntry{
			{Id: aws.String("a"), MessageBody: &half}, {Id: aws.String("b"), MessageBody: aws.String(half + "x")},
		}})
		k.refused(err, "AWS.SimpleQueueService.BatchRequestTooLong", "1048576")
	}},
	{"§5.3", "a bad value in an entry is the sender's fault", func(k *conformance) {
		q := k.queue("", nil)
		out, err := k.sqs.SendMessageBatch(k.ctx, &sqs.SendMessageBatchInput{QueueUrl: q, Entries: []types.SendMessageBatchRequestEntry{
			{Id: aws.String("good"), MessageBody: aws.String("x")},
			{Id: aws.String("bad"), MessageBody: aws.String("x"), MessageAttributes: map[string]types.MessageAttributeValue{"a": attribute("String", "")}},
		}})
		k.must(err)
		k.same("failed", len(out.Failed), 1)
		k.same("Code", *out.Failed[0].Code, codeValue)
		k.same("SenderFault", out.Failed[0].SenderFault, true)
		k.one(q, 30)
	}},
	{"§5.5", "a receive waits at most 20 s", func(k *conformance) {
		_, err := k.sqs.ReceiveMessage(k.ctx, &sqs.ReceiveMessageInput{QueueUrl: k.queue("", nil), WaitTimeSeconds: 21})
		k.refused(err, codeValue, "WaitTimeSeconds")
	}},
	{"§5.5", "a receive may ask for more than there is", func(k *conformance) {
		q := k.queue("", nil)
		k.send(q)
		k.one(q, 30)
	}},
	{"§5.6", "a group's name has no spaces and at most 128 characters", func(k *conformance) {
		q := k.queue("", nil)
		send := func(group string) error {
			_, err := k.sqs.SendMessage(k.ctx, &sqs.SendMessageInput{QueueUrl: q, MessageBody: aws.String("x"), MessageGroupId: &group})
			return err
		}
		k.must(send("a!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~9"))
		k.must(send(strings.Repeat("x", 128)))
		k.refused(send("a b"), codeValue, "MessageGroupId")
		k.refused(send(strings.Repeat("x", 129)), codeValue, "MessageGroupId")
	}},
	{"§5.6", "messages of one group do not wait for each other on a standard queue", func(k *conformance) {
		q := k.queue("", nil)
		for range 2 {
			_, err := k.sqs.SendMessage(k.ctx, &sqs.SendMessageInput{QueueUrl: q, MessageBody: aws.String("x"), MessageGroupId: aws.String("tenant")})
			k.must(err)
		}
		ids := map[string]bool{}
		for len(ids) < 2 {
			out, err := k.sqs.ReceiveMessage(k.ctx, &sqs.ReceiveMessageInput{QueueUrl: q, MaxNumberOfMessages: 1, WaitTimeSeconds: 2})
			k.must(err)
			k.same("messages", len(out.Messages), 1)
			ids[*out.Messages[0].MessageId] = true
		}
	}},
}
