package localaws_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	snstypes "github.com/aws/aws-sdk-go-v2/service/sns/types"
	"github.com/google/go-cmp/cmp"
)

const fifoTopicARN = snsTopicARN + ".fifo"

func (k *snsKit) fifoTopic(t *testing.T, attributes map[string]string) {
	t.Helper()
	with := map[string]string{"FifoTopic": "true"}
	maps.Copy(with, attributes)
	out, err := k.sns.CreateTopic(t.Context(), &sns.CreateTopicInput{Name: aws.String("invitations.fifo"), Attributes: with})
	if err != nil || *out.TopicArn != fifoTopicARN {
		t.Fatalf("%v, %v", out, err)
	}
}

// fifoQueue makes a FIFO queue that dedups nothing by itself and lets the FIFO topic in.
func (k *snsKit) fifoQueue(t *testing.T, name string) (url string) {
	t.Helper()
	return k.queue(t, name, map[string]string{"FifoQueue": "true", "Policy": letIn(name, fifoTopicARN)})
}

func (k *snsKit) subscribeFIFO(t *testing.T, protocol, endpoint string, attributes map[string]string) (string, error) {
	t.Helper()
	out, err := k.sns.Subscribe(t.Context(), &sns.SubscribeInput{TopicArn: aws.String(fifoTopicARN), Protocol: &protocol, Endpoint: &endpoint, Attributes: attributes, ReturnSubscriptionArn: true})
	if err != nil {
		return "", err
	}
	return *out.SubscriptionArn, nil
}

func (k *snsKit) publishFIFO(t *testing.T, message, group, dedup string) *sns.PublishOutput {
	t.Helper()
	in := &sns.PublishInput{TopicArn: aws.String(fifoTopicARN), Message: &message, MessageGroupId: &group}
	if dedup != "" {
		in.MessageDeduplicationId = &dedup
	}
	out, err := k.sns.Publish(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestAFIFOTopicReadsBackWhatItIs: aws-semantics §1.6, attributes as recorded.
func TestAFIFOTopicReadsBackWhatItIs(t *testing.T) {
	k := newSNSKit(t)
	k.fifoTopic(t, nil)
	k.fifoTopic(t, nil) // idempotent
	read := func() map[string]string {
		out, err := k.sns.GetTopicAttributes(t.Context(), &sns.GetTopicAttributesInput{TopicArn: aws.String(fifoTopicARN)})
		if err != nil {
			t.Fatal(err)
		}
		return out.Attributes
	}
	if a := read(); a["FifoTopic"] != "true" || a["ContentBasedDeduplication"] != "false" {
		t.Errorf("attributes %v", a)
	}
	for name, value := range map[string]string{"ContentBasedDeduplication": "true", "FifoThroughputScope": "MessageGroup"} {
		if _, err := k.sns.SetTopicAttributes(t.Context(), &sns.SetTopicAttributesInput{TopicArn: aws.String(fifoTopicARN), AttributeName: &name, AttributeValue: &value}); err != nil {
			t.Fatal(err)
		}
		if a := read(); a[name] != value {
			t.Errorf("%s is %q", name, a[name])
		}
	}
	_, err := k.sns.CreateTopic(t.Context(), &sns.CreateTopicInput{Name: aws.String("plain"), Attributes: map[string]string{"FifoTopic": "false"}})
	if err != nil {
		t.Errorf("FifoTopic=false: %v", err)
	}
}

// TestAFIFOTopicWantsAGroupAndADeduplicationID: aws-semantics §1.6, one by one and in a batch.
func TestAFIFOTopicWantsAGroupAndADeduplicationID(t *testing.T) {
	k := newSNSKit(t)
	k.fifoTopic(t, nil)
	for want, entry := range map[string]snstypes.PublishBatchRequestEntry{
		"Invalid parameter: The MessageGroupId parameter is required for FIFO topics":                                                     {MessageDeduplicationId: aws.String("d")},
		"Invalid parameter: The topic should either have ContentBasedDeduplication enabled or MessageDeduplicationId provided explicitly": {MessageGroupId: aws.String("g")},
	} {
		_, err := k.sns.Publish(t.Context(), &sns.PublishInput{TopicArn: aws.String(fifoTopicARN), Message: aws.String("m"), MessageGroupId: entry.MessageGroupId, MessageDeduplicationId: entry.MessageDeduplicationId})
		if code, text := snsCode(err); code != "InvalidParameter" || text != want {
			t.Errorf("%v, want %s", err, want)
		}
		entry.Id, entry.Message = aws.String("a"), aws.String("m")
		_, err = k.sns.PublishBatch(t.Context(), &sns.PublishBatchInput{TopicArn: aws.String(fifoTopicARN), PublishBatchRequestEntries: []snstypes.PublishBatchRequestEntry{entry}})
		if code, text := snsCode(err); code != "InvalidParameter" || text != want {
			t.Errorf("batch: %v, want %s", err, want)
		}
	}
}

// TestAFIFOTopicDelivers: to FIFO queues with group and deduplication id, made of the content where
// there is none; to standard queues without; aws-semantics §0.1, §1.6, §3.
func TestAFIFOTopicDelivers(t *testing.T) {
	k := newSNSKit(t)
	k.fifoTopic(t, map[string]string{"ContentBasedDeduplication": "true"})
	queues := map[string]string{"raw.fifo": k.fifoQueue(t, "raw.fifo"), "enveloped.fifo": k.fifoQueue(t, "enveloped.fifo")}
	for _, name := range []string{"raw", "enveloped"} {
		queues[name] = k.queue(t, name, map[string]string{"Policy": letIn(name, fifoTopicARN)})
	}
	for name := range queues {
		if _, err := k.subscribeFIFO(t, "sqs", snsQueueARN(name), map[string]string{"RawMessageDelivery": fmt.Sprint(strings.HasPrefix(name, "raw"))}); err != nil {
			t.Fatal(err)
		}
	}
	out := k.publishFIFO(t, "Test", "message-group-id-1", "")
	if len(*out.SequenceNumber) != 20 {
		t.Errorf("sequence number %s", *out.SequenceNumber)
	}
	for name, url := range queues {
		got := k.receive(t, url)
		if len(got) != 1 {
			t.Fatalf("%s: %d messages", name, len(got))
		}
		group, dedup := "", ""
		if strings.HasSuffix(name, ".fifo") {
			group, dedup = "message-group-id-1", "532eaabd9574880dbf76b9b8cc00832c20a6ec113d682299550d7a6e0f345e25"
		}
		if a := got[0].Attributes; a["MessageGroupId"] != group || a["MessageDeduplicationId"] != dedup || (len(a["SequenceNumber"]) == 20) != (group != "") {
			t.Errorf("%s: attributes %v", name, a)
		}
		if strings.HasPrefix(name, "raw") {
			if *got[0].Body != "Test" {
				t.Errorf("%s: %s", name, *got[0].Body)
			}
			continue
		}
		var m map[string]any
		if err := json.Unmarshal([]byte(*got[0].Body), &m); err != nil {
			t.Fatal(err)
		}
		delete(m, "Timestamp")
		delete(m, "UnsubscribeURL")
		// Envelopes of FIFO topics are not signed.
		want := map[string]any{"Type": "Notification", "MessageId": *out.MessageId, "SequenceNumber": *out.SequenceNumber, "TopicArn": fifoTopicARN, "Message": "Test"}
		if diff := cmp.Diff(want, m); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	if lost := k.dropped(); len(lost) > 0 {
		t.Errorf("lost %+v", lost)
	}
}

// TestAFIFOTopicDropsWhatItHadInTheLastFiveMinutes: by id or by content, within the topic or the
// group; the publisher sees the first; aws-semantics §1.6 and §1.8.
func TestAFIFOTopicDropsWhatItHadInTheLastFiveMinutes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newSNSKit(t)
		k.fifoTopic(t, map[string]string{"ContentBasedDeduplication": "true"})
		url := k.fifoQueue(t, "q.fifo")
		if _, err := k.subscribeFIFO(t, "sqs", snsQueueARN("q.fifo"), map[string]string{"RawMessageDelivery": "true"}); err != nil {
			t.Fatal(err)
		}
		first := k.publishFIFO(t, "a", "g", "1")
		again := k.publishFIFO(t, "b", "h", "1") // the scope is the topic
		if *again.MessageId != *first.MessageId || *again.SequenceNumber != *first.SequenceNumber {
			t.Errorf("%v after %v", again, first)
		}
		k.publishFIFO(t, "c", "g", "")
		k.publishFIFO(t, "c", "g", "")
		if diff := cmp.Diff("a c", bodies(k.receive(t, url))); diff != "" {
			t.Error(diff)
		}
		<-time.After(5 * time.Minute)
		later := k.publishFIFO(t, "d", "i", "1")
		if *later.MessageId == *first.MessageId || *later.SequenceNumber <= *first.SequenceNumber {
			t.Errorf("%v after %v", later, first)
		}
		name := "FifoThroughputScope"
		if _, err := k.sns.SetTopicAttributes(t.Context(), &sns.SetTopicAttributesInput{TopicArn: aws.String(fifoTopicARN), AttributeName: &name, AttributeValue: aws.String("MessageGroup")}); err != nil {
			t.Fatal(err)
		}
		one, two := k.publishFIFO(t, "e", "j", "9"), k.publishFIFO(t, "e", "k", "9")
		if *one.MessageId == *two.MessageId {
			t.Errorf("%v and %v are one, in different groups", one, two)
		}
	})
}

// TestAFIFOTopicKeepsTheOrderOfEachGroup, of single messages and of a batch.
func TestAFIFOTopicKeepsTheOrderOfEachGroup(t *testing.T) {
	k := newSNSKit(t)
	k.fifoTopic(t, map[string]string{"ContentBasedDeduplication": "true"})
	url := k.fifoQueue(t, "q.fifo")
	if _, err := k.subscribeFIFO(t, "sqs", snsQueueARN("q.fifo"), map[string]string{"RawMessageDelivery": "true"}); err != nil {
		t.Fatal(err)
	}
	k.publishFIFO(t, "0", "g", "")
	var entries []snstypes.PublishBatchRequestEntry
	for i := range 4 {
		text := fmt.Sprint(i + 1)
		entries = append(entries, snstypes.PublishBatchRequestEntry{Id: &text, Message: &text, MessageGroupId: aws.String("g")})
	}
	out, err := k.sns.PublishBatch(t.Context(), &sns.PublishBatchInput{TopicArn: aws.String(fifoTopicARN), PublishBatchRequestEntries: entries})
	if err != nil || len(out.Successful) != 4 {
		t.Fatalf("%v, %v", out, err)
	}
	for i, done := range out.Successful {
		if i > 0 && *done.SequenceNumber <= *out.Successful[i-1].SequenceNumber {
			t.Errorf("%+v", out.Successful)
		}
	}
	if diff := cmp.Diff("0 1 2 3 4", bodies(k.receive(t, url))); diff != "" {
		t.Error(diff)
	}
}

// TestDeadLettersOfAFIFOSubscription need a FIFO queue, and keep group and deduplication id; those of a
// standard queue may go to a standard one; aws-semantics §1.6.
func TestDeadLettersOfAFIFOSubscription(t *testing.T) {
	k := newSNSKit(t)
	k.fifoTopic(t, nil)
	dlq := k.fifoQueue(t, "dlq.fifo")
	plain := k.queue(t, "dlq", map[string]string{"Policy": letIn("dlq", fifoTopicARN)})
	to := func(name string) map[string]string {
		return map[string]string{"RedrivePolicy": `{"deadLetterTargetArn":"` + snsQueueARN(name) + `"}`, "RawMessageDelivery": "true"}
	}
	arn, err := k.subscribeFIFO(t, "sqs", snsQueueARN("gone.fifo"), to("dlq.fifo"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := k.subscribeFIFO(t, "sqs", snsQueueARN("gone"), to("dlq")); err != nil {
		t.Fatal(err)
	}
	_, err = k.sns.SetSubscriptionAttributes(t.Context(), &sns.SetSubscriptionAttributesInput{SubscriptionArn: &arn, AttributeName: aws.String("RedrivePolicy"), AttributeValue: aws.String(to("dlq")["RedrivePolicy"])})
	if code, text := snsCode(err); code != "InvalidParameter" || text != "Invalid parameter: RedrivePolicy: must use a FIFO queue as DLQ for a FIFO Subscription to a FIFO Topic." {
		t.Errorf("a standard DLQ: %v", err)
	}
	k.publishFIFO(t, "m", "g", "d")
	for name, url := range map[string]string{"dlq.fifo": dlq, "dlq": plain} {
		got := k.receive(t, url)
		if len(got) != 1 || *got[0].Body != "m" || name == "dlq.fifo" != (got[0].Attributes["MessageGroupId"] == "g" && got[0].Attributes["MessageDeduplicationId"] == "d") {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// TestAFIFOTopicTakesQueuesOnly: aws-semantics §1.6.
func TestAFIFOTopicTakesQueuesOnly(t *testing.T) {
	k := newSNSKit(t)
	k.fifoTopic(t, nil)
	for protocol, endpoint := range map[string]string{"https": "https://example.com/", "email": "a@example.com", "sms": "+15551234567", "lambda": "arn:aws:lambda:us-east-1:000000000000:function:f"} {
		_, err := k.subscribeFIFO(t, protocol, endpoint, nil)
		if code, text := snsCode(err); code != "InvalidParameter" || !strings.Contains(text, "a FIFO topic delivers to SQS queues only") {
			t.Errorf("%s: %v", protocol, err)
		}
	}
}
