package localaws_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	snstypes "github.com/aws/aws-sdk-go-v2/service/sns/types"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/stationmaster/worker/localaws"
)

func TestPublishBatch(t *testing.T) {
	k := newSNSKit(t)
	k.topic(t, nil)
	url := k.open(t, "q")
	k.subscribe(t, "q", map[string]string{"RawMessageDelivery": "true"})
	stop := k.Control("PublishBatch", func(*localaws.Request) *localaws.Fault {
		return &localaws.Fault{Entries: map[string]string{"b": "InternalError"}}
	})
	entry := func(id, message string) snstypes.PublishBatchRequestEntry {
		return snstypes.PublishBatchRequestEntry{Id: &id, Message: &message}
	}
	batch := func(entries ...snstypes.PublishBatchRequestEntry) (*sns.PublishBatchOutput, error) {
		return k.sns.PublishBatch(t.Context(), &sns.PublishBatchInput{TopicArn: aws.String(snsTopicARN), PublishBatchRequestEntries: entries})
	}
	out, err := batch(entry("a", "1"), entry("b", "2"), entry("c", "3"))
	if err != nil {
		t.Fatal(err)
	}
	stop()
	if len(out.Successful) != 2 || *out.Successful[1].Id != "c" || *out.Successful[0].MessageId == *out.Successful[1].MessageId {
		t.Errorf("successful %+v", out.Successful)
	}
	if len(out.Failed) != 1 || *out.Failed[0].Id != "b" || *out.Failed[0].Code != "InternalError" || out.Failed[0].SenderFault {
		t.Errorf("failed %+v", out.Failed)
	}
	var bodies []string
	for _, m := range k.receive(t, url) {
		bodies = append(bodies, *m.Body)
	}
	if diff := cmp.Diff([]string{"1", "3"}, bodies, cmpopts.SortSlices(strings.Compare)); diff != "" {
		t.Error(diff)
	}

	many := make([]snstypes.PublishBatchRequestEntry, 11)
	for i := range many {
		many[i] = entry(fmt.Sprint(i), "m")
	}
	large := strings.Repeat("m", 200_000)
	for want, entries := range map[string][]snstypes.PublishBatchRequestEntry{
		"EmptyBatchRequest":            {},
		"TooManyEntriesInBatchRequest": many,
		"BatchEntryIdsNotDistinct":     {entry("a", "1"), entry("a", "2")},
		"InvalidBatchEntryId":          {entry("a b", "1")},
		"BatchRequestTooLong":          {entry("a", large), entry("b", large)},
		"InvalidParameter":             {entry("a", "1"), entry("b", "")},
	} {
		_, err := batch(entries...)
		if got, _ := snsCode(err); got != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
	if got := k.receive(t, url); len(got) != 0 {
		t.Errorf("a refused batch sent %d messages", len(got))
	}
}

func TestBinaryAttributeThatIsNoBase64(t *testing.T) {
	k := newSNSKit(t)
	k.topic(t, nil)
	body := "Action=Publish&Version=2010-03-31&TopicArn=" + snsTopicARN + "&Message=m&MessageAttributes.entry.1.Name=a" +
		"&MessageAttributes.entry.1.Value.DataType=Binary&MessageAttributes.entry.1.Value.BinaryValue=%21"
	status, answer := k.post(t, body)
	if status != 400 || !bytes.Contains(answer, []byte("<Code>ParameterValueInvalid</Code>")) || !bytes.Contains(answer, []byte("<Type>Sender</Type>")) {
		t.Errorf("%d %s", status, answer)
	}
}

// FuzzSNSForm: whatever a form says, the answer is one of SNS's, and never a fault of the server.
func FuzzSNSForm(f *testing.F) {
	topic := "&TopicArn=" + snsTopicARN
	for _, form := range []string{
		"Action=Publish&Message=m" + topic,
		"Action=Publish&Message=%7B%22default%22%3A1%7D&MessageStructure=json&Subject=%00" + topic,
		"Action=PublishBatch&PublishBatchRequestEntries.member.1.Id=a&PublishBatchRequestEntries.member.1.Message=m" + topic,
		"Action=Subscribe&Protocol=sqs&Endpoint=" + snsQueueARN("q") + "&Attributes.entry.1.key=FilterPolicy&Attributes.entry.1.value=%7B%7D" + topic,
		"Action=CreateTopic&Name=x&Tags.member.1.Key=k&Tags.member.1.Value=v",
		"Action=ListTopics&NextToken=-1",
		"Action=ListSubscriptions&NextToken=9999999999999999999",
		"Action=Unsubscribe&SubscriptionArn=a:b:c:d:e:f:g",
	} {
		f.Add(form)
	}
	f.Fuzz(func(t *testing.T, form string) {
		k := newSNSKit(t)
		k.topic(t, nil)
		k.subscribe(t, "q", nil)
		status, answer := k.post(t, "Version=2010-03-31&"+form)
		if status >= 500 || !bytes.HasSuffix(answer, []byte("Response>")) {
			t.Errorf("%q: %d %s", form, status, answer)
		}
	})
}
