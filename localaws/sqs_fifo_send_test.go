package localaws_test

import (
	"crypto/sha256"
	"fmt"
	"maps"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/google/go-cmp/cmp"
)

// aws-semantics §1.6: what a queue is, is said when it is made, twice: by its name and by FifoQueue.
func TestFIFO_1_6_TypeIsFixedAtCreation(t *testing.T) {
	k := newSQSKit()
	create := func(name string, attributes map[string]string) error {
		_, err := k.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: &name, Attributes: attributes})
		return err
	}
	long := strings.Repeat("x", 76)
	for _, tt := range []struct {
		name       string
		attributes map[string]string
		code, says string
	}{
		{"a", map[string]string{"FifoQueue": "true"}, "InvalidParameterValue", "must end with .fifo suffix"},
		{long + ".fifo", map[string]string{"FifoQueue": "true"}, "InvalidParameterValue", "1 to 80 in length"},
		{"a.fifo", nil, "InvalidParameterValue", "Can only include alphanumeric characters"},
		{"a.fifo", map[string]string{"FifoQueue": "false"}, "InvalidParameterValue", ""},
		{"a", map[string]string{"FifoQueue": "false"}, "InvalidAttributeName", "Unknown Attribute FifoQueue."},
		{"a", map[string]string{"ContentBasedDeduplication": "true"}, "InvalidAttributeName", "Unknown Attribute ContentBasedDeduplication."},
		{"a.fifo", map[string]string{"FifoQueue": "true", "ContentBasedDeduplication": "maybe"}, "InvalidAttributeValue", "ContentBasedDeduplication"},
	} {
		if err := create(tt.name, tt.attributes); code(err) != tt.code || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s %v: %v, want %s with %q", tt.name, tt.attributes, err, tt.code, tt.says)
		}
	}
	if err := create(long[1:]+".fifo", map[string]string{"FifoQueue": "true"}); err != nil {
		t.Errorf("a name of 80: %v", err)
	}
	queue := k.fifo(t, "work")
	err := k.set(t, queue, map[string]string{"FifoQueue": "false"})
	if !is[*types.InvalidAttributeValue](err) || !strings.Contains(err.Error(), "Invalid value for the parameter FifoQueue. Reason: Modifying queue type is not supported.") {
		t.Errorf("change of the type: %v", err)
	}
	if err := k.set(t, queue, map[string]string{"FifoQueue": "true"}); err != nil {
		t.Errorf("no change of the type: %v", err)
	}
	if err := create("work.fifo", map[string]string{"FifoQueue": "true", "ContentBasedDeduplication": "false"}); code(err) != "QueueAlreadyExists" {
		t.Errorf("made again with another ContentBasedDeduplication: %v", err)
	}
	if err := create("work.fifo", map[string]string{"FifoQueue": "true"}); err != nil {
		t.Errorf("made again: %v", err)
	}
}

func TestFIFO_1_6_Attributes(t *testing.T) {
	k := newSQSKit()
	queue := k.create(t, "work.fifo", map[string]string{"FifoQueue": "true"})
	of := func(all map[string]string) map[string]string {
		maps.DeleteFunc(all, func(name, _ string) bool {
			return name != "FifoQueue" && name != "ContentBasedDeduplication" && name != "DeduplicationScope" && name != "FifoThroughputLimit"
		})
		return all
	}
	want := map[string]string{"FifoQueue": "true", "ContentBasedDeduplication": "false", "DeduplicationScope": "queue", "FifoThroughputLimit": "perQueue"}
	if diff := cmp.Diff(want, of(k.get(t, queue))); diff != "" {
		t.Error(diff)
	}
	for _, tt := range []struct{ name, value, code string }{
		{"FifoThroughputLimit", "perMessageGroupId", "InvalidAttributeValue"}, // not without the scope
		{"FifoThroughputLimit", "none", "InvalidAttributeValue"},
		{"DeduplicationScope", "", "InvalidAttributeValue"},
		{"DeduplicationScope", "messageGroup", ""},
		{"FifoThroughputLimit", "perMessageGroupId", ""},
		{"DeduplicationScope", "queue", "InvalidAttributeValue"}, // not with the limit
		{"FifoThroughputLimit", "perQueue", ""},
		{"DeduplicationScope", "queue", ""},
	} {
		if err := k.set(t, queue, map[string]string{tt.name: tt.value}); code(err) != tt.code {
			t.Errorf("%s = %s: %v, want %q", tt.name, tt.value, err, tt.code)
		}
	}
	if diff := cmp.Diff(map[string]string{}, of(k.get(t, k.create(t, "standard", nil)))); diff != "" {
		t.Errorf("a standard queue: %s", diff)
	}
}

// aws-semantics §1.6, with the messages recorded on AWS.
func TestFIFO_1_6_SendRefuses(t *testing.T) {
	k := newSQSKit()
	queue := k.create(t, "work.fifo", map[string]string{"FifoQueue": "true"})
	in := func(change func(*sqs.SendMessageInput)) *sqs.SendMessageInput {
		m := &sqs.SendMessageInput{QueueUrl: queue, MessageBody: new("x"), MessageGroupId: new("g"), MessageDeduplicationId: new("d")}
		change(m)
		return m
	}
	for _, tt := range []struct {
		in         *sqs.SendMessageInput
		code, says string
	}{
		{in(func(m *sqs.SendMessageInput) { m.MessageGroupId = nil }), "MissingParameter", "The request must contain the parameter MessageGroupId."},
		{in(func(m *sqs.SendMessageInput) { m.MessageDeduplicationId = nil }), "InvalidParameterValue", "The queue should either have ContentBasedDeduplication enabled or MessageDeduplicationId provided explicitly"},
		{in(func(m *sqs.SendMessageInput) { m.DelaySeconds = 2 }), "InvalidParameterValue", "Value 2 for parameter DelaySeconds is invalid. Reason: The request include parameter that is not valid for this queue type."},
		{in(func(m *sqs.SendMessageInput) { m.MessageGroupId = new("a b") }), "InvalidParameterValue", "MessageGroupId"},
		{in(func(m *sqs.SendMessageInput) { m.MessageDeduplicationId = new(strings.Repeat("x", 129)) }), "InvalidParameterValue", "MessageDeduplicationId"},
	} {
		if _, err := k.SendMessage(t.Context(), tt.in); code(err) != tt.code || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("got %v, want %s with %q", err, tt.code, tt.says)
		}
	}
	good := types.SendMessageBatchRequestEntry{Id: new("good"), MessageBody: new("x"), MessageGroupId: new("g"), MessageDeduplicationId: new("d")}
	noGroup, noDedup, bad := good, good, good
	noGroup.Id, noGroup.MessageGroupId = new("bad"), nil
	noDedup.Id, noDedup.MessageDeduplicationId = new("bad"), nil
	bad.Id, bad.MessageGroupId = new("bad"), new("a b")
	for says, entry := range map[string]types.SendMessageBatchRequestEntry{
		"The request must contain the parameter MessageGroupId.":                          noGroup,
		"ContentBasedDeduplication enabled or MessageDeduplicationId provided explicitly": noDedup,
	} {
		_, err := k.SendMessageBatch(t.Context(), &sqs.SendMessageBatchInput{QueueUrl: queue, Entries: []types.SendMessageBatchRequestEntry{good, entry}})
		if code(err) != "InvalidParameterValue" || !strings.Contains(err.Error(), says) {
			t.Errorf("a batch: %v, want %q", err, says)
		}
	}
	if got := k.counts(t, queue); got != (counts{}) {
		t.Errorf("something was stored: %+v", got)
	}
	out, err := k.SendMessageBatch(t.Context(), &sqs.SendMessageBatchInput{QueueUrl: queue, Entries: []types.SendMessageBatchRequestEntry{good, bad}})
	if err != nil || len(out.Successful) != 1 || len(out.Failed) != 1 || *out.Failed[0].Code != "InvalidParameterValue" {
		t.Errorf("a batch with one bad entry: %v, %v", out, err)
	}
}

// aws-semantics §1.6, §1.8: within five minutes the first message is the answer, also when it is
// deleted by then.
func TestFIFO_1_8_DeduplicationForFiveMinutes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newSQSKit()
		queue := k.fifo(t, "work")
		first := k.post(t, queue, "g1-m1")
		again := k.post(t, queue, "g1-m1")
		if *again.MessageId != *first.MessageId || *again.SequenceNumber != *first.SequenceNumber || *again.MD5OfMessageBody != *first.MD5OfMessageBody {
			t.Errorf("the second is answered %s %s, the first %s %s", *again.MessageId, *again.SequenceNumber, *first.MessageId, *first.SequenceNumber)
		}
		got := k.expect(t, queue, 10, "g1-m1")
		if id, want := got[0].Attributes["MessageDeduplicationId"], fmt.Sprintf("%x", sha256.Sum256([]byte("g1-m1"))); id != want {
			t.Errorf("the deduplication id is %s, want %s", id, want)
		}
		k.remove(t, queue, got[0].ReceiptHandle)
		wait(t, 299*time.Second)
		if last := k.post(t, queue, "g1-m1"); *last.MessageId != *first.MessageId {
			t.Errorf("sent again after 299s: stored as %s", *last.MessageId)
		}
		k.expect(t, queue, 10, "")
		wait(t, time.Second)
		if next := k.post(t, queue, "g1-m1"); *next.MessageId == *first.MessageId {
			t.Error("sent again after 300s: not stored")
		}
		k.expect(t, queue, 10, "g1-m1")
	})
}

func TestFIFO_1_6_DeduplicationScopes(t *testing.T) {
	send := func(t *testing.T, k *sqsKit, queue *string, group, dedup, body, attr string) string {
		t.Helper()
		in := &sqs.SendMessageInput{QueueUrl: queue, MessageBody: &body, MessageGroupId: &group}
		if dedup != "" {
			in.MessageDeduplicationId = &dedup
		}
		if attr != "" {
			in.MessageAttributes = map[string]types.MessageAttributeValue{"a": attribute("String", attr)}
		}
		out, err := k.SendMessage(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		return *out.MessageId
	}
	k := newSQSKit()
	whole, perGroup := k.fifo(t, "whole"), k.fifo(t, "groups", "DeduplicationScope", "messageGroup")
	for _, tt := range []struct {
		name       string
		a, b       [4]string // group, deduplication id, body, attribute
		whole, per bool      // whether the second is a duplicate
	}{
		{"same id, other body", [4]string{"g1", "d1", "x"}, [4]string{"g1", "d1", "y"}, true, true},
		{"same id, other group", [4]string{"g1", "d2", "x"}, [4]string{"g2", "d2", "x"}, true, false},
		{"same body, other ids", [4]string{"g1", "d3", "x"}, [4]string{"g1", "d4", "x"}, false, false},
		{"same body, other attributes", [4]string{"g1", "", "z", "1"}, [4]string{"g1", "", "z", "2"}, true, true},
		{"same body, other group", [4]string{"g1", "", "q"}, [4]string{"g2", "", "q"}, true, false},
	} {
		for queue, same := range map[*string]bool{whole: tt.whole, perGroup: tt.per} {
			a := send(t, k, queue, tt.a[0], tt.a[1], tt.a[2], tt.a[3])
			b := send(t, k, queue, tt.b[0], tt.b[1], tt.b[2], tt.b[3])
			if (a == b) != same {
				t.Errorf("%s on %s: a duplicate: %v, want %v", tt.name, *queue, a == b, same)
			}
		}
	}
}

// Source: SendMessage, SQS API reference: 128 bits, growing. AWS's are 20 digits.
func TestFIFO_SequenceNumbersGrow(t *testing.T) {
	k := newSQSKit()
	queue := k.fifo(t, "work")
	last := ""
	for _, body := range []string{"g1-m1", "g2-m1", "g1-m2"} {
		n := *k.post(t, queue, body).SequenceNumber
		if len(n) != 20 || n <= last {
			t.Errorf("sequence number %s after %s", n, last)
		}
		last = n
	}
	got := k.expect(t, queue, 10, "g1-m1 g1-m2 g2-m1")
	if got[1].Attributes["SequenceNumber"] != last || got[1].Attributes["MessageGroupId"] != "g1" {
		t.Errorf("received with %v", got[1].Attributes)
	}
	standard := k.create(t, "standard", nil)
	if out := k.send(t, standard, "x"); out.SequenceNumber != nil {
		t.Errorf("a standard queue answers sequence number %s", *out.SequenceNumber)
	}
}
