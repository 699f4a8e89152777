package localaws_test

import (
	"encoding/json"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// The codes by which SQS's errors go in Go: the Query protocol's.
const (
	codeExists       = "QueueAlreadyExists"
	codeNoQueue      = "AWS.SimpleQueueService.NonExistentQueue"
	codeNoReceipt    = "ReceiptHandleIsInvalid"
	codeValue        = "InvalidParameterValue"
	codeNotDistinct  = "AWS.SimpleQueueService.BatchEntryIdsNotDistinct"
	codeEmptyBatch   = "AWS.SimpleQueueService.EmptyBatchRequest"
	codeTooMany      = "AWS.SimpleQueueService.TooManyEntriesInBatchRequest"
	codeBatchID      = "AWS.SimpleQueueService.InvalidBatchEntryId"
	codeAttribute    = "InvalidAttributeValue"
	codeAttributeKey = "InvalidAttributeName"
	codeParameter    = "InvalidParameter"
)

var queueFacts = []fact{
	{"§1.3", "CreateQueue with the same attributes returns the queue", func(k *conformance) {
		first := k.queue("", map[string]string{"VisibilityTimeout": "40"})
		k.same("URL", *k.queue("", map[string]string{"VisibilityTimeout": "40"}), *first)
	}},
	{"§1.3", "CreateQueue compares only the attributes that it is given", func(k *conformance) {
		first := k.queue("", map[string]string{"VisibilityTimeout": "40"})
		k.same("URL", *k.queue("", nil), *first)
	}},
	{"§1.3", "CreateQueue with another value is refused", func(k *conformance) {
		k.queue("", map[string]string{"VisibilityTimeout": "40"})
		_, err := k.createQueue("", map[string]string{"VisibilityTimeout": "41"})
		k.refused(err, codeExists, "VisibilityTimeout")
	}},
	{"§1.3", "CreateQueue compares with what SetQueueAttributes made of it", func(k *conformance) {
		q := k.queue("", map[string]string{"VisibilityTimeout": "40"})
		k.must(k.setQueue(q, map[string]string{"VisibilityTimeout": "41"}))
		_, err := k.createQueue("", map[string]string{"VisibilityTimeout": "40"})
		k.refused(err, codeExists, "VisibilityTimeout")
		k.queue("", map[string]string{"VisibilityTimeout": "41"})
	}},
	{"§1.3", "an empty policy removes the policy", func(k *conformance) {
		q := k.queue("", nil)
		k.allow(q, "arn:aws:sns:us-east-1:000000000000:x")
		k.must(k.setQueue(q, map[string]string{"Policy": ""}))
		k.same("Policy", k.attributes(q)["Policy"], "")
	}},
	{"§1.3", "a RedrivePolicy needs both of its keys", func(k *conformance) {
		q, dlq := k.queue("", nil), k.queue("-dlq", nil)
		err := k.setQueue(q, map[string]string{"RedrivePolicy": `{"deadLetterTargetArn":"` + k.arn(dlq) + `"}`})
		k.refused(err, codeValue, "maxReceiveCount")
		err = k.setQueue(q, map[string]string{"RedrivePolicy": `{"maxReceiveCount":3}`})
		k.refused(err, codeValue, "deadLetterTargetArn")
	}},
	{"§1.3", "an empty RedrivePolicy removes it", func(k *conformance) {
		q, dlq := k.queue("", nil), k.queue("-dlq", nil)
		k.must(k.setQueue(q, map[string]string{"RedrivePolicy": `{"deadLetterTargetArn":"` + k.arn(dlq) + `","maxReceiveCount":"3"}`}))
		k.must(k.setQueue(q, map[string]string{"RedrivePolicy": ""}))
		_, has := k.attributes(q)["RedrivePolicy"]
		k.same("RedrivePolicy is there", has, false)
	}},
	{"§0.1", "a new queue takes messages of 1 MiB", func(k *conformance) {
		k.same("MaximumMessageSize", k.attributes(k.queue("", nil))["MaximumMessageSize"], "1048576")
	}},
	{"§1.5", "a new queue is encrypted by SQS's own keys", func(k *conformance) {
		k.same("SqsManagedSseEnabled", k.attributes(k.queue("", nil))["SqsManagedSseEnabled"], "true")
	}},
	{"§1.5", "SQS takes any KmsMasterKeyId without looking", func(k *conformance) {
		q := k.queue("", map[string]string{"KmsMasterKeyId": "no-such-key"})
		k.same("KmsMasterKeyId", k.attributes(q)["KmsMasterKeyId"], "no-such-key")
	}},
	{"§1.5", "clearing KmsMasterKeyId leaves a queue without encryption", func(k *conformance) {
		q := k.queue("", map[string]string{"KmsMasterKeyId": "no-such-key"})
		k.must(k.setQueue(q, map[string]string{"KmsMasterKeyId": ""}))
		k.same("SqsManagedSseEnabled", k.attributes(q)["SqsManagedSseEnabled"], "false")
	}},
	{"§1.6", "FifoQueue is no attribute of a standard queue", func(k *conformance) {
		_, err := k.createQueue("", map[string]string{"FifoQueue": "false"})
		k.refused(err, codeAttributeKey, "Unknown Attribute FifoQueue")
	}},
	{"§1.2", "a queue's name has at most 80 characters", func(k *conformance) {
		_, err := k.createQueue(strings.Repeat("x", 81), nil)
		k.refused(err, codeValue, "1 to 80 in length")
	}},
	{"§1.8", "a second purge within a minute is refused", func(k *conformance) {
		q := k.queue("", nil)
		_, err := k.sqs.PurgeQueue(k.ctx, &sqs.PurgeQueueInput{QueueUrl: q})
		k.must(err)
		_, err = k.sqs.PurgeQueue(k.ctx, &sqs.PurgeQueueInput{QueueUrl: q})
		k.refused(err, "AWS.SimpleQueueService.PurgeQueueInProgress", "")
	}},
	{"§6.2", "a queue that does not exist has its name from the Query protocol", func(k *conformance) {
		_, err := k.sqs.GetQueueUrl(k.ctx, &sqs.GetQueueUrlInput{QueueName: aws.String(k.prefix + "-none")})
		k.refused(err, codeNoQueue, "The specified queue does not exist")
	}},
}

var messageFacts = []fact{
	{"§4.1", "a body and its attributes arrive as they were sent", func(k *conformance) {
		q := k.queue("", nil)
		_, err := k.sqs.SendMessage(k.ctx, &sqs.SendMessageInput{QueueUrl: q, MessageBody: aws.String("grüße <&>"), MessageAttributes: map[string]types.MessageAttributeValue{
			"n": {DataType: aws.String("Number.int"), StringValue: aws.String("7")},
			"b": {DataType: aws.String("Binary"), BinaryValue: []byte{0, 255}},
		}})
		k.must(err)
		m := k.one(q, 30)
		k.same("body", *m.Body, "grüße <&>")
		k.same("type", *m.MessageAttributes["n"].DataType, "Number.int")
		k.same("bytes", string(m.MessageAttributes["b"].BinaryValue), "\x00\xff")
	}},
	{"§4.1", "eleven attributes are one too many", func(k *conformance) {
		q := k.queue("", nil)
		eleven := map[string]types.MessageAttributeValue{}
		for name := range strings.SplitSeq("abcdefghijk", "") {
			eleven[name] = types.MessageAttributeValue{DataType: aws.String("String"), StringValue: aws.String("x")}
		}
		_, err := k.sqs.SendMessage(k.ctx, &sqs.SendMessageInput{QueueUrl: q, MessageBody: aws.String("x"), MessageAttributes: eleven})
		k.refused(err, codeValue, "Number of message attributes [11] exceeds the allowed maximum [10]")
	}},
	{"§4.1", "an attribute without a value is refused", func(k *conformance) {
		q := k.queue("", nil)
		_, err := k.sqs.SendMessage(k.ctx, &sqs.SendMessageInput{QueueUrl: q, MessageBody: aws.String("x"), MessageAttributes: map[string]types.MessageAttributeValue{
			"empty": {DataType: aws.String("String"), StringValue: aws.String("")},
		}})
		k.refused(err, codeValue, "empty")
	}},
	{"§0.1", "a message longer than the queue's limit is refused with the limit", func(k *conformance) {
		q := k.queue("", map[string]string{"MaximumMessageSize": "1024"})
		_, err := k.sqs.SendMessage(k.ctx, &sqs.SendMessageInput{QueueUrl: q, MessageBody: aws.String(strings.Repeat("x", 1025))})
		k.refused(err, codeValue, "Message must be shorter than 1024 bytes")
	}},
	{"§4.1", "characters that XML cannot say are refused", func(k *conformance) {
		q := k.queue("", nil)
		_, err := k.sqs.SendMessage(k.ctx, &sqs.SendMessageInput{QueueUrl: q, MessageBody: aws.String("a\x00b")})
		k.refused(err, "InvalidMessageContents", "")
	}},
	{"§5.5", "a receive asks for at most ten", func(k *conformance) {
		q := k.queue("", nil)
		_, err := k.sqs.ReceiveMessage(k.ctx, &sqs.ReceiveMessageInput{QueueUrl: q, MaxNumberOfMessages: 11})
		k.refused(err, codeValue, "Must be between 1 and 10")
	}},
	{"§5.5", "a long poll returns when a message is sent", func(k *conformance) {
		q := k.queue("", nil)
		sent := make(chan error, 1)
		go func() {
			_, err := k.sqs.SendMessage(k.ctx, &sqs.SendMessageInput{QueueUrl: q, MessageBody: aws.String("late"), DelaySeconds: 1})
			sent <- err
		}()
		m := k.one(q, 30)
		k.must(<-sent)
		k.same("body", *m.Body, "late")
	}},
	{"§4.2", "AWSTraceHeader is the system attribute that can be sent", func(k *conformance) {
		q := k.queue("", nil)
		const header = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1"
		_, err := k.sqs.SendMessage(k.ctx, &sqs.SendMessageInput{QueueUrl: q, MessageBody: aws.String("x"), MessageSystemAttributes: map[string]types.MessageSystemAttributeValue{
			"AWSTraceHeader": {DataType: aws.String("String"), StringValue: aws.String(header)},
		}})
		k.must(err)
		k.same("AWSTraceHeader", k.one(q, 30).Attributes["AWSTraceHeader"], header)
	}},
	{"§5.6", "a standard queue keeps the MessageGroupId of a fair queue", func(k *conformance) {
		q := k.queue("", nil)
		_, err := k.sqs.SendMessage(k.ctx, &sqs.SendMessageInput{QueueUrl: q, MessageBody: aws.String("x"), MessageGroupId: aws.String("tenant-1")})
		k.must(err)
		k.same("MessageGroupId", k.one(q, 30).Attributes["MessageGroupId"], "tenant-1")
	}},
	{"§4.1", "a message that was received too often moves with its id, its count and its source", func(k *conformance) {
		q, dlq := k.queue("", nil), k.queue("-dlq", nil)
		k.must(k.setQueue(q, map[string]string{"RedrivePolicy": `{"deadLetterTargetArn":"` + k.arn(dlq) + `","maxReceiveCount":"1"}`}))
		id := *k.send(q).MessageId
		m := k.one(q, 30)
		k.must(k.change(q, m.ReceiptHandle, 0))
		k.none(q)
		dead := k.one(dlq, 30)
		k.same("MessageId", *dead.MessageId, id)
		k.same("DeadLetterQueueSourceArn", dead.Attributes["DeadLetterQueueSourceArn"], k.arn(q))
		k.same("ApproximateReceiveCount", dead.Attributes["ApproximateReceiveCount"], "2")
	}},
	{"§5.7", "a queue lists the queues that it is the dead-letter queue of", func(k *conformance) {
		q, dlq := k.queue("", nil), k.queue("-dlq", nil)
		k.must(k.setQueue(q, map[string]string{"RedrivePolicy": `{"deadLetterTargetArn":"` + k.arn(dlq) + `","maxReceiveCount":"1"}`}))
		out, err := k.sqs.ListDeadLetterSourceQueues(k.ctx, &sqs.ListDeadLetterSourceQueuesInput{QueueUrl: dlq})
		k.must(err)
		text, err := json.Marshal(out.QueueUrls)
		k.must(err)
		k.same("sources", string(text), `["`+*q+`"]`)
	}},
}

var receiptFacts = []fact{
	{"§5.2", "a delete after the lease deletes on a standard queue", func(k *conformance) {
		q := k.queue("", nil)
		k.send(q)
		m := k.one(q, 1)
		k.expire(q)
		k.must(k.delete(q, m.ReceiptHandle))
		k.none(q)
	}},
	{"§5.2", "deleting twice is no error", func(k *conformance) {
		q := k.queue("", nil)
		k.send(q)
		m := k.one(q, 30)
		k.must(k.delete(q, m.ReceiptHandle))
		k.must(k.delete(q, m.ReceiptHandle))
	}},
	{"§5.2", "a delete with garbage is refused", func(k *conformance) {
		k.refused(k.delete(k.queue("", nil), aws.String("garbage")), codeNoReceipt, "garbage")
	}},
	{"§5.2", "a visibility change with garbage is refused", func(k *conformance) {
		k.refused(k.change(k.queue("", nil), aws.String("garbage"), 5), codeNoReceipt, "garbage")
	}},
	{"§5.2", "a visibility change after the lease hides the message again", func(k *conformance) {
		q := k.queue("", nil)
		k.send(q)
		m := k.one(q, 1)
		k.expire(q)
		k.must(k.change(q, m.ReceiptHandle, 30))
		k.none(q)
	}},
	{"§5.2", "an old receipt breaks the lease of the next receiver", func(k *conformance) {
		q := k.queue("", nil)
		k.send(q)
		old := k.one(q, 1)
		k.expire(q)
		k.one(q, 30)
		k.must(k.change(q, old.ReceiptHandle, 0))
		k.one(q, 30)
	}},
	{"§5.2", "a visibility change of a deleted message is refused", func(k *conformance) {
		q := k.queue("", nil)
		k.send(q)
		m := k.one(q, 30)
		k.must(k.delete(q, m.ReceiptHandle))
		k.refused(k.change(q, m.ReceiptHandle, 5), codeValue, "Message does not exist or is not available for visibility timeout change.")
	}},
	{"§5.1", "a lease has at most 43,200 seconds", func(k *conformance) {
		q := k.queue("", nil)
		k.send(q)
		m := k.one(q, 30)
		k.refused(k.change(q, m.ReceiptHandle, 43_201), codeValue, "")
	}},
	{"§5.1", "43,200 seconds are too many once the receive is over", func(k *conformance) {
		q := k.queue("", nil)
		k.send(q)
		m := k.one(q, 1)
		k.expire(q)
		k.refused(k.change(q, m.ReceiptHandle, 43_200), codeValue, "")
	}},
	{"§5.1", "a visibility of 0 shows the message at once and does not lower its count", func(k *conformance) {
		q := k.queue("", nil)
		k.send(q)
		m := k.one(q, 30)
		k.must(k.change(q, m.ReceiptHandle, 0))
		k.same("count", k.one(q, 30).Attributes["ApproximateReceiveCount"], "2")
	}},
}

var batchFacts = []fact{
	{"§5.3", "a batch has at most ten entries", func(k *conformance) {
		k.refused(k.batch("0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10"), codeTooMany, "")
	}},
	{"§5.3", "a batch has at least one entry", func(k *conformance) { k.refused(k.batch(), codeEmptyBatch, "") }},
	{"§5.3", "the ids of a batch are distinct", func(k *conformance) { k.refused(k.batch("a", "a"), codeNotDistinct, "") }},
	{"§5.3", "an id of a batch has letters, digits, - and _", func(k *conformance) { k.refused(k.batch("a b"), codeBatchID, "") }},
	{"§5.3", "one bad entry fails alone", func(k *conformance) {
		q := k.queue("", nil)
		k.send(q)
		m := k.one(q, 30)
		out, err := k.sqs.DeleteMessageBatch(k.ctx, &sqs.DeleteMessageBatchInput{QueueUrl: q, Entries: []types.DeleteMessageBatchRequestEntry{
			{Id: aws.String("good"), ReceiptHandle: m.ReceiptHandle}, {Id: aws.String("bad"), ReceiptHandle: aws.String("garbage")},
		}})
		k.must(err)
		if len(out.Successful) != 1 || len(out.Failed) != 1 {
			k.fail("%d done, %d failed, want 1 and 1", len(out.Successful), len(out.Failed))
		}
		k.same("the failed entry", *out.Failed[0].Id, "bad")
	}},
}

// batch sends a batch of these ids.
func (k *conformance) batch(ids ...string) error {
	entries := []types.SendMessageBatchRequestEntry{}
	for _, id := range ids {
		entries = append(entries, types.SendMessageBatchRequestEntry{Id: &id, MessageBody: aws.String("x")})
	}
	_, err := k.sqs.SendMessageBatch(k.ctx, &sqs.SendMessageBatchInput{QueueUrl: k.queue("", nil), Entries: entries})
	return err
}
