package localaws_test

import (
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// fifo makes a FIFO queue that tells messages apart by their content.
func (k *conformance) fifo(suffix string, attributes ...string) *string {
	all := map[string]string{"FifoQueue": "true", "ContentBasedDeduplication": "true"}
	for i := 0; i < len(attributes); i += 2 {
		all[attributes[i]] = attributes[i+1]
	}
	return k.queue(suffix+".fifo", all)
}

// post sends messages, each to the group that its body begins with: "g1-a" to g1.
func (k *conformance) post(queue *string, bodies ...string) (last *sqs.SendMessageOutput) {
	for _, body := range bodies {
		group, _, _ := strings.Cut(body, "-")
		out, err := k.sqs.SendMessage(k.ctx, &sqs.SendMessageInput{QueueUrl: queue, MessageBody: &body, MessageGroupId: &group})
		k.must(err)
		last = out
	}
	return last
}

// expect receives at most so many at once and wants these.
func (k *conformance) expect(queue *string, most, wait, visibility int32, want string) []types.Message {
	out, err := k.sqs.ReceiveMessage(k.ctx, &sqs.ReceiveMessageInput{
		QueueUrl: queue, MaxNumberOfMessages: most, WaitTimeSeconds: wait, VisibilityTimeout: visibility,
		MessageSystemAttributeNames: []types.MessageSystemAttributeName{"All"},
	})
	k.must(err)
	k.same("received", bodies(out.Messages), want)
	return out.Messages
}

var fifoFacts = []fact{
	{"§1.6", "the name of a FIFO queue ends in .fifo", func(k *conformance) {
		_, err := k.createQueue("", map[string]string{"FifoQueue": "true"})
		k.refused(err, codeValue, ".fifo")
		_, err = k.createQueue(".fifo", nil)
		k.refused(err, codeValue, "")
	}},
	{"§1.6", "a queue stays of its type", func(k *conformance) {
		k.refused(k.setQueue(k.fifo(""), map[string]string{"FifoQueue": "false"}), codeAttribute, "Modifying queue type is not supported")
	}},
	{"§1.6", "a FIFO queue's dead-letter queue is FIFO", func(k *conformance) {
		k.refused(k.setQueue(k.fifo(""), redrive(k.arn(k.queue("-dlq", nil)), "1")), codeValue, "")
	}},
	{"§1.6", "a standard queue's dead-letter queue is standard", func(k *conformance) {
		k.refused(k.setQueue(k.queue("", nil), redrive(k.arn(k.fifo("-dlq")), "1")), codeValue, "")
	}},
	{"§1.6", "a FIFO queue wants a group", func(k *conformance) {
		_, err := k.sqs.SendMessage(k.ctx, &sqs.SendMessageInput{QueueUrl: k.fifo(""), MessageBody: aws.String("x")})
		k.refused(err, "MissingParameter", "The request must contain the parameter MessageGroupId")
	}},
	{"§2.2", "a FIFO queue wants an id or contents to tell messages apart", func(k *conformance) {
		q := k.fifo("", "ContentBasedDeduplication", "false")
		_, err := k.sqs.SendMessage(k.ctx, &sqs.SendMessageInput{QueueUrl: q, MessageBody: aws.String("x"), MessageGroupId: aws.String("g")})
		k.refused(err, codeValue, "The queue should either have ContentBasedDeduplication enabled or MessageDeduplicationId provided explicitly")
	}},
	{"§1.6", "the same body with other attributes is a duplicate", func(k *conformance) {
		q := k.fifo("")
		var ids []string
		for _, value := range []string{"1", "2"} {
			out, err := k.sqs.SendMessage(k.ctx, &sqs.SendMessageInput{
				QueueUrl: q, MessageBody: aws.String("x"), MessageGroupId: aws.String("g"),
				MessageAttributes: map[string]types.MessageAttributeValue{"a": attribute("String", value)},
			})
			k.must(err)
			ids = append(ids, *out.MessageId)
		}
		k.same("the second id", ids[1], ids[0])
		k.expect(q, 10, 5, 30, "x")
	}},
	{"§1.8", "a message that was deleted is a duplicate all the same", func(k *conformance) {
		q := k.fifo("")
		first := k.post(q, "g-a")
		k.must(k.delete(q, k.expect(q, 1, 5, 30, "g-a")[0].ReceiptHandle))
		k.same("the second id", *k.post(q, "g-a").MessageId, *first.MessageId)
		k.none(q)
	}},
	{"§1.6", "with DeduplicationScope messageGroup other groups are no duplicates", func(k *conformance) {
		q := k.fifo("", "DeduplicationScope", "messageGroup", "FifoThroughputLimit", "perMessageGroupId")
		send := func(group string) string {
			out, err := k.sqs.SendMessage(k.ctx, &sqs.SendMessageInput{QueueUrl: q, MessageBody: aws.String("x"), MessageGroupId: &group})
			k.must(err)
			return *out.MessageId
		}
		first := send("g1")
		k.same("in the same group it is one", send("g1"), first)
		k.same("in another group it is one", send("g2") == first, false)
	}},
	{"§1.6", "the limit per group needs the scope of a group", func(k *conformance) {
		_, err := k.createQueue(".fifo", map[string]string{"FifoQueue": "true", "FifoThroughputLimit": "perMessageGroupId", "DeduplicationScope": "queue"})
		k.refused(err, codeAttribute, "")
	}},
	{"§1.6", "a message of a FIFO queue has no delay of its own", func(k *conformance) {
		_, err := k.sqs.SendMessage(k.ctx, &sqs.SendMessageInput{QueueUrl: k.fifo(""), MessageBody: aws.String("x"), MessageGroupId: aws.String("g"), DelaySeconds: 2})
		k.refused(err, codeValue, "Value 2 for parameter DelaySeconds is invalid. Reason: The request include parameter that is not valid for this queue type")
	}},
	{"§1.6", "a move to a FIFO dead-letter queue makes the message's id its deduplication id", func(k *conformance) {
		q, dlq := k.fifo(""), k.fifo("-dlq")
		k.must(k.setQueue(q, redrive(k.arn(dlq), "1")))
		k.post(q, "g-a")
		m := k.expect(q, 1, 5, 30, "g-a")[0]
		k.must(k.change(q, m.ReceiptHandle, 0))
		k.expect(q, 1, 1, 30, "")
		dead := k.expect(dlq, 1, 5, 30, "g-a")[0]
		k.same("MessageId", *dead.MessageId, *m.MessageId)
		k.same("MessageDeduplicationId", dead.Attributes["MessageDeduplicationId"], *m.MessageId)
	}},
	{"§5.2", "on a FIFO queue a delete after the lease is refused", func(k *conformance) {
		q := k.fifo("")
		k.post(q, "g-a")
		m := k.expect(q, 1, 5, 1, "g-a")[0]
		k.expire(q)
		k.refused(k.delete(q, m.ReceiptHandle), codeValue, "The receipt handle has expired")
	}},
	{"§5.4", "a group with a message in flight gives no other", func(k *conformance) {
		q := k.fifo("")
		k.post(q, "g1-a", "g1-b", "g2-a")
		k.expect(q, 1, 5, 30, "g1-a")
		k.expect(q, 10, 1, 30, "g2-a")
	}},
	{"§5.4", "a delete frees the group at once", func(k *conformance) {
		q := k.fifo("")
		k.post(q, "g1-a", "g1-b")
		k.must(k.delete(q, k.expect(q, 1, 5, 30, "g1-a")[0].ReceiptHandle))
		k.expect(q, 10, 0, 30, "g1-b")
	}},
	{"§5.4", "a receive takes of one group in order before it takes of the next", func(k *conformance) {
		q := k.fifo("")
		k.post(q, "g1-a", "g2-a", "g1-b", "g2-b", "g1-c")
		k.expect(q, 10, 5, 30, "g1-a g1-b g1-c g2-a g2-b")
	}},
	{"§5.4", "a first message that is released comes again while the second is in flight", func(k *conformance) {
		q := k.fifo("")
		k.post(q, "g1-a", "g1-b")
		got := k.expect(q, 2, 5, 30, "g1-a g1-b")
		k.must(k.change(q, got[0].ReceiptHandle, 0))
		k.expect(q, 10, 0, 30, "g1-a")
	}},
	{"§5.4", "an extended message blocks what is behind it, not what is before it", func(k *conformance) {
		q := k.fifo("")
		k.post(q, "g1-a", "g1-b", "g1-c")
		got := k.expect(q, 3, 5, 2, "g1-a g1-b g1-c")
		k.must(k.change(q, got[1].ReceiptHandle, 30))
		k.expect(q, 10, 5, 30, "g1-a")
	}},
	{"§5.4", "a receive that is repeated by its id returns the same messages and receipts", func(k *conformance) {
		q := k.fifo("")
		k.post(q, "g1-a", "g2-a")
		receive := func() types.Message {
			out, err := k.sqs.ReceiveMessage(k.ctx, &sqs.ReceiveMessageInput{QueueUrl: q, ReceiveRequestAttemptId: aws.String("attempt"), WaitTimeSeconds: 5})
			k.must(err)
			k.same("messages", len(out.Messages), 1)
			return out.Messages[0]
		}
		first, second := receive(), receive()
		k.same("body", *second.Body, *first.Body)
		k.same("receipt", *second.ReceiptHandle, *first.ReceiptHandle)
	}},
	{"§5.4", "a group's only message is received once until it is settled", func(k *conformance) {
		q := k.fifo("")
		k.post(q, "g1-a")
		k.expect(q, 10, 5, 30, "g1-a")
		k.none(q)
	}},
}
