package localaws_test

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

func attribute(kind, value string) types.MessageAttributeValue {
	return types.MessageAttributeValue{DataType: &kind, StringValue: &value}
}

func attributes(n int) map[string]types.MessageAttributeValue {
	m := map[string]types.MessageAttributeValue{}
	for i := range n {
		m["a"+strings.Repeat("x", i)] = attribute("String", "v")
	}
	return m
}

// aws-semantics §0.1 (sizes), §4.1 (ten attributes), §5.6 (group ids).
func TestSendRefuses(t *testing.T) {
	k := newSQSKit()
	queue := k.create(t, "work", nil)
	small := k.create(t, "small", map[string]string{"MaximumMessageSize": "1024"})
	with := func(name string, a types.MessageAttributeValue) *sqs.SendMessageInput {
		return &sqs.SendMessageInput{QueueUrl: queue, MessageBody: new("x"), MessageAttributes: map[string]types.MessageAttributeValue{name: a}}
	}
	tests := []struct {
		name string
		in   *sqs.SendMessageInput
		code string
		says string
	}{
		{"no such queue", &sqs.SendMessageInput{QueueUrl: new("http://x/000000000000/none"), MessageBody: new("x")}, "AWS.SimpleQueueService.NonExistentQueue", "does not exist"},
		{"no queue URL", &sqs.SendMessageInput{QueueUrl: new("http://x/work"), MessageBody: new("x")}, "AWS.SimpleQueueService.NonExistentQueue", ""},
		{"empty body", &sqs.SendMessageInput{QueueUrl: queue, MessageBody: new("")}, "MissingParameter", "MessageBody"},
		{"NUL", &sqs.SendMessageInput{QueueUrl: queue, MessageBody: new("a\x00b")}, "InvalidMessageContents", "Invalid characters"},
		{"U+FFFF", &sqs.SendMessageInput{QueueUrl: queue, MessageBody: new("a\uffff")}, "InvalidMessageContents", ""},
		{"1 MiB and a byte", &sqs.SendMessageInput{QueueUrl: queue, MessageBody: new(strings.Repeat("x", 1<<20+1))}, "InvalidParameterValue", "Message must be shorter than 1048576 bytes"},
		{"attributes count", &sqs.SendMessageInput{QueueUrl: queue, MessageBody: new(strings.Repeat("x", 1<<20)), MessageAttributes: attributes(1)}, "InvalidParameterValue", "shorter than"},
		{"the queue's own limit", &sqs.SendMessageInput{QueueUrl: small, MessageBody: new(strings.Repeat("x", 1025))}, "InvalidParameterValue", "shorter than 1024 bytes"},
		{"11 attributes", &sqs.SendMessageInput{QueueUrl: queue, MessageBody: new("x"), MessageAttributes: attributes(11)}, "InvalidParameterValue", "[11] exceeds the allowed maximum [10]"},
		{"empty attribute", with("a", attribute("String", "")), "InvalidParameterValue", "must contain a non-empty value of type 'String'"},
		{"empty binary", with("a", types.MessageAttributeValue{DataType: new("Binary"), BinaryValue: []byte{}}), "InvalidParameterValue", "'Binary'"},
		{"unknown type", with("a", attribute("Text", "x")), "InvalidParameterValue", "type"},
		{"no type", with("a", attribute("", "x")), "InvalidParameterValue", "type"},
		{"no number", with("a", attribute("Number", "seven")), "InvalidParameterValue", "to a number"},
		{"NUL in an attribute", with("a", attribute("String", "\x00")), "InvalidMessageContents", ""},
		{"reserved name", with("AWS.a", attribute("String", "x")), "InvalidParameterValue", "reserved"},
		{"name with a space", with("a b", attribute("String", "x")), "InvalidParameterValue", "only contain"},
		{"delay", &sqs.SendMessageInput{QueueUrl: queue, MessageBody: new("x"), DelaySeconds: 901}, "InvalidParameterValue", "DelaySeconds"},
		{"group with a space", &sqs.SendMessageInput{QueueUrl: queue, MessageBody: new("x"), MessageGroupId: new("a b")}, "InvalidParameterValue", "MessageGroupId"},
		{"deduplication id", &sqs.SendMessageInput{QueueUrl: queue, MessageBody: new("x"), MessageDeduplicationId: new("a")}, "InvalidParameterValue", "not valid for this queue type"},
		{"system attribute", &sqs.SendMessageInput{QueueUrl: queue, MessageBody: new("x"), MessageSystemAttributes: map[string]types.MessageSystemAttributeValue{"AWSTraceHeader": {DataType: new("Number"), StringValue: new("1")}}}, "InvalidParameterValue", "AWSTraceHeader"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := k.SendMessage(t.Context(), tt.in)
			if code(err) != tt.code || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("got %v, want %s with %q", err, tt.code, tt.says)
			}
		})
	}
	if got := k.counts(t, queue); got != (counts{}) {
		t.Errorf("something was stored: %+v", got)
	}
	k.send(t, queue, strings.Repeat("x", 1<<20)) // exactly the limit
	if got := k.one(t, queue); len(*got.Body) != 1<<20 {
		t.Errorf("received %d bytes", len(*got.Body))
	}
}

// aws-semantics §5.3, with the 1 MiB of §0.1.
func TestBatchesRefuse(t *testing.T) {
	k := newSQSKit()
	queue := k.create(t, "work", nil)
	entries := func(bodies ...string) []types.SendMessageBatchRequestEntry {
		all := make([]types.SendMessageBatchRequestEntry, len(bodies))
		for i, body := range bodies {
			all[i] = types.SendMessageBatchRequestEntry{Id: new(string(rune('a' + i))), MessageBody: &body}
		}
		return all
	}
	send := func(e []types.SendMessageBatchRequestEntry) (*sqs.SendMessageBatchOutput, error) {
		return k.SendMessageBatch(t.Context(), &sqs.SendMessageBatchInput{QueueUrl: queue, Entries: e})
	}
	if _, err := send(entries()); !is[*types.EmptyBatchRequest](err) {
		t.Errorf("no entries: %v", err)
	}
	if _, err := send(entries(strings.Split(strings.Repeat("x", 11), "")...)); !is[*types.TooManyEntriesInBatchRequest](err) {
		t.Errorf("11 entries: %v", err)
	}
	twice := entries("x", "y")
	twice[1].Id = twice[0].Id
	if _, err := send(twice); !is[*types.BatchEntryIdsNotDistinct](err) {
		t.Errorf("an id twice: %v", err)
	}
	spaced := entries("x")
	spaced[0].Id = new("a b")
	if _, err := send(spaced); !is[*types.InvalidBatchEntryId](err) {
		t.Errorf("an id with a space: %v", err)
	}
	half := strings.Repeat("x", 1<<19)
	if _, err := send(entries(half, half, "x")); !is[*types.BatchRequestTooLong](err) {
		t.Errorf("1 MiB and a byte: %v", err)
	}
	if out, err := send(entries(half, half)); err != nil || len(out.Successful) != 2 {
		t.Errorf("1 MiB: %v, %v", out, err)
	}
	out, err := send(entries("good", "bad\x00", "good"))
	if err != nil || len(out.Successful) != 2 || len(out.Failed) != 1 {
		t.Fatalf("one bad entry: %v, %v", out, err)
	}
	if f := out.Failed[0]; *f.Id != "b" || *f.Code != "InvalidMessageContents" || !f.SenderFault {
		t.Errorf("the failed entry: id %s, code %s, sender's fault %v", *f.Id, *f.Code, f.SenderFault)
	}
}

// aws-semantics §5.3.
func TestSettleBatchesFailEntryByEntry(t *testing.T) {
	k := newSQSKit()
	queue := k.create(t, "work", nil)
	k.send(t, queue, "x")
	m := k.one(t, queue)
	changed, err := k.ChangeMessageVisibilityBatch(t.Context(), &sqs.ChangeMessageVisibilityBatchInput{
		QueueUrl: queue, Entries: []types.ChangeMessageVisibilityBatchRequestEntry{
			{Id: new("good"), ReceiptHandle: m.ReceiptHandle, VisibilityTimeout: 60},
			{Id: new("garbage"), ReceiptHandle: new("x"), VisibilityTimeout: 60},
			{Id: new("long"), ReceiptHandle: m.ReceiptHandle, VisibilityTimeout: 50_000},
		},
	})
	if err != nil || len(changed.Successful) != 1 || *changed.Successful[0].Id != "good" || len(changed.Failed) != 2 {
		t.Fatalf("change: %v, %v", changed, err)
	}
	for i, want := range []string{"garbage ReceiptHandleIsInvalid", "long InvalidParameterValue"} {
		if got := *changed.Failed[i].Id + " " + *changed.Failed[i].Code; got != want {
			t.Errorf("failed entry %d is %q, want %q", i, got, want)
		}
	}
	deleted, err := k.DeleteMessageBatch(t.Context(), &sqs.DeleteMessageBatchInput{
		QueueUrl: queue, Entries: []types.DeleteMessageBatchRequestEntry{
			{Id: new("garbage"), ReceiptHandle: new("x")}, {Id: new("good"), ReceiptHandle: m.ReceiptHandle},
		},
	})
	if err != nil || len(deleted.Successful) != 1 || len(deleted.Failed) != 1 || *deleted.Failed[0].Code != "ReceiptHandleIsInvalid" {
		t.Errorf("delete: %v, %v", deleted, err)
	}
	if got := k.counts(t, queue); got != (counts{}) {
		t.Errorf("counts %+v", got)
	}
}

func TestReceiveRefuses(t *testing.T) {
	k := newSQSKit()
	queue := k.create(t, "work", nil)
	for _, in := range []sqs.ReceiveMessageInput{
		{MaxNumberOfMessages: 11}, {MaxNumberOfMessages: -1}, {WaitTimeSeconds: 21}, {WaitTimeSeconds: -1}, {VisibilityTimeout: 43_201},
	} {
		in.QueueUrl = queue
		if _, err := k.ReceiveMessage(t.Context(), &in); code(err) != "InvalidParameterValue" {
			t.Errorf("%d messages, %d s, visibility %d: %v", in.MaxNumberOfMessages, in.WaitTimeSeconds, in.VisibilityTimeout, err)
		}
	}
	_, err := k.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: queue, MessageSystemAttributeNames: []types.MessageSystemAttributeName{"Age"}})
	if !is[*types.InvalidAttributeName](err) {
		t.Errorf("an unknown system attribute: %v", err)
	}
}

func TestRawRequests(t *testing.T) {
	k := newSQSKit()
	queue := k.create(t, "work", nil)
	tests := []struct {
		name, action, body string
		status             int
		code, query        string
	}{
		{"invalid UTF-8", "SendMessage", `{"QueueUrl":"` + *queue + `","MessageBody":"` + "\xff" + `"}`, 400, "com.amazon.coral.service#SerializationException", "SerializationException;Sender"},
		{"no JSON", "SendMessage", `{`, 400, "com.amazon.coral.service#SerializationException", "SerializationException;Sender"},
		{"0 messages", "ReceiveMessage", `{"QueueUrl":"` + *queue + `","MaxNumberOfMessages":0}`, 400, "com.amazon.coral.service#InvalidParameterValueException", "InvalidParameterValue;Sender"},
		{"no such queue", "DeleteQueue", `{"QueueUrl":"http://x/000000000000/none"}`, 400, "com.amazonaws.sqs#QueueDoesNotExist", "AWS.SimpleQueueService.NonExistentQueue;Sender"},
		{"no queue URL", "DeleteQueue", `{}`, 400, "com.amazon.coral.service#MissingRequiredParameterException", "MissingParameter;Sender"},
		{"never", "EatMessage", `{}`, 400, "com.amazon.coral.service#UnknownOperationException", "UnknownOperationException;Sender"},
		{"garbage receipt", "DeleteMessage", `{"QueueUrl":"` + *queue + `","ReceiptHandle":"x"}`, 404, "com.amazonaws.sqs#ReceiptHandleIsInvalid", "ReceiptHandleIsInvalid;Sender"},
		{"fine", "ListQueues", ``, 200, "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			status, code, header := k.raw(t, tt.action, tt.body)
			if status != tt.status || code != tt.code || header.Get("X-Amzn-Query-Error") != tt.query {
				t.Errorf("%d %s %q, want %d %s %q", status, code, header.Get("X-Amzn-Query-Error"), tt.status, tt.code, tt.query)
			}
		})
	}
}
