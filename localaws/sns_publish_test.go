package localaws_test

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	snstypes "github.com/aws/aws-sdk-go-v2/service/sns/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/stationmaster/worker/localaws"
)

func snsText(kind, value string) snstypes.MessageAttributeValue {
	return snstypes.MessageAttributeValue{DataType: &kind, StringValue: &value}
}

func TestPublishInAnEnvelope(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newSNSKit(t)
		k.topic(t, map[string]string{"SignatureVersion": "2"})
		url := k.open(t, "q")
		sub := k.subscribe(t, "q", nil)
		message := "Grüße & <b>\n\x00\u2028\""
		id := k.publish(t, &sns.PublishInput{
			Message: &message, Subject: aws.String("Hello"), MessageGroupId: aws.String("tenant-7"),
			MessageAttributes: map[string]snstypes.MessageAttributeValue{
				"event": snsText("String", "user_invited"), "n": snsText("Number.int", "7"), "tags": snsText("String.Array", `["a"]`),
				"blob": {DataType: aws.String("Binary"), BinaryValue: []byte{0, 255}},
			},
		})
		got := k.receive(t, url)
		if len(got) != 1 {
			t.Fatalf("%d messages", len(got))
		}
		if m := got[0]; len(m.MessageAttributes) != 0 || m.Attributes["MessageGroupId"] != "tenant-7" || *m.MessageId == id {
			t.Errorf("message %+v", m)
		}
		var envelope map[string]any
		if err := json.Unmarshal([]byte(*got[0].Body), &envelope); err != nil {
			t.Fatal(err)
		}
		k.verify(t, *got[0].Body)
		delete(envelope, "Signature")
		delete(envelope, "SigningCertURL")
		want := map[string]any{
			"Type": "Notification", "MessageId": id, "TopicArn": snsTopicARN, "Subject": "Hello", "Message": message,
			"Timestamp":        time.Now().UTC().Format("2006-01-02T15:04:05.000Z"),
			"SignatureVersion": "2",
			"UnsubscribeURL":   "http://localaws.test/?Action=Unsubscribe&SubscriptionArn=" + sub,
			"MessageAttributes": map[string]any{
				"event": map[string]any{"Type": "String", "Value": "user_invited"}, "n": map[string]any{"Type": "Number.int", "Value": "7"},
				"tags": map[string]any{"Type": "String.Array", "Value": `["a"]`}, "blob": map[string]any{"Type": "Binary", "Value": "AP8="},
			},
		}
		if diff := cmp.Diff(want, envelope); diff != "" {
			t.Error(diff)
		}
		if drops := k.dropped(); len(drops) > 0 {
			t.Errorf("dropped %+v", drops)
		}
	})
}

// TestEnvelopeFieldsInAWSOrder: a plain publish has neither Subject nor MessageAttributes;
// aws-semantics §4.1.
func TestEnvelopeFieldsInAWSOrder(t *testing.T) {
	k := newSNSKit(t)
	k.topic(t, nil)
	url := k.open(t, "q")
	k.subscribe(t, "q", nil)
	k.publish(t, &sns.PublishInput{Message: aws.String("m")})
	var names []string
	for line := range strings.SplitSeq(*k.receive(t, url)[0].Body, "\n") {
		if name, _, found := strings.Cut(line, `" : "`); found {
			names = append(names, strings.TrimLeft(name, ` "`))
		}
	}
	want := []string{"Type", "MessageId", "TopicArn", "Message", "Timestamp", "SignatureVersion", "Signature", "SigningCertURL", "UnsubscribeURL"}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Error(diff)
	}
}

// aws-semantics §4.1.
func TestPublishRaw(t *testing.T) {
	k := newSNSKit(t)
	k.topic(t, nil)
	url := k.open(t, "q")
	k.subscribe(t, "q", map[string]string{"RawMessageDelivery": "true"})
	k.publish(t, &sns.PublishInput{
		Message: aws.String(`{"a": 1}`), Subject: aws.String("lost"),
		MessageAttributes: map[string]snstypes.MessageAttributeValue{
			"event": snsText("String", "x"), "n": snsText("Number", "7"), "blob": {DataType: aws.String("Binary.png"), BinaryValue: []byte("b")},
		},
	})
	got := k.receive(t, url)
	if len(got) != 1 || *got[0].Body != `{"a": 1}` {
		t.Fatalf("messages %+v", got)
	}
	want := map[string]sqstypes.MessageAttributeValue{
		"event": {DataType: aws.String("String"), StringValue: aws.String("x")},
		"n":     {DataType: aws.String("Number"), StringValue: aws.String("7")},
		"blob":  {DataType: aws.String("Binary.png"), BinaryValue: []byte("b")},
	}
	if diff := cmp.Diff(want, got[0].MessageAttributes, cmpopts.IgnoreUnexported(sqstypes.MessageAttributeValue{})); diff != "" {
		t.Error(diff)
	}
}

func TestRawDeliveryOfElevenAttributesIsLost(t *testing.T) {
	k := newSNSKit(t)
	k.topic(t, nil)
	raw, enveloped := k.open(t, "raw"), k.open(t, "enveloped")
	sub := k.subscribe(t, "raw", map[string]string{"RawMessageDelivery": "true"})
	k.subscribe(t, "enveloped", nil)
	attributes := map[string]snstypes.MessageAttributeValue{}
	for i := range 11 {
		attributes[fmt.Sprintf("a%d", i)] = snsText("String", "x")
	}
	id := k.publish(t, &sns.PublishInput{Message: aws.String("m"), MessageAttributes: attributes})
	want := []localaws.Drop{{
		Reason: "raw message delivery with 11 message attributes, at most 10", TopicARN: snsTopicARN,
		SubscriptionARN: sub, QueueARN: snsQueueARN("raw"), MessageID: id,
	}}
	if diff := cmp.Diff(want, k.dropped()); diff != "" {
		t.Error(diff)
	}
	if n, m := len(k.receive(t, raw)), len(k.receive(t, enveloped)); n != 0 || m != 1 {
		t.Errorf("%d raw, %d enveloped", n, m)
	}
}

func TestPublishForEachProtocol(t *testing.T) {
	k := newSNSKit(t)
	k.topic(t, nil)
	raw, enveloped := k.open(t, "raw"), k.open(t, "enveloped")
	k.subscribe(t, "raw", map[string]string{"RawMessageDelivery": "true"})
	k.subscribe(t, "enveloped", nil)
	publish := func(message string) error {
		_, err := k.sns.Publish(t.Context(), &sns.PublishInput{
			TopicArn: aws.String(snsTopicARN), Message: &message, MessageStructure: aws.String("json"),
			MessageAttributes: map[string]snstypes.MessageAttributeValue{"event": snsText("String", "x")},
		})
		return err
	}
	if err := publish(`{"default":"d","sqs":"for queues","http":7}`); err != nil {
		t.Fatal(err)
	}
	if got := k.receive(t, raw); len(got) != 1 || *got[0].Body != "for queues" || len(got[0].MessageAttributes) != 0 {
		t.Errorf("raw %+v", got)
	}
	if got := *k.receive(t, enveloped)[0].Body; !strings.Contains(got, `"for queues"`) || strings.Contains(got, "MessageAttributes") {
		t.Errorf("enveloped %s", got)
	}
	if err := publish(`{"default":"d"}`); err != nil {
		t.Fatal(err)
	}
	if got := k.receive(t, raw); len(got) != 1 || *got[0].Body != "d" {
		t.Errorf("default %+v", got)
	}
	if _, text := snsCode(publish(`{"sqs":"x"}`)); text != "Invalid parameter: Message Structure - No default entry in JSON message body" {
		t.Error(text)
	}
	if _, text := snsCode(publish(`{`)); text != "Invalid parameter: Message Structure - JSON message body failed to parse" {
		t.Error(text)
	}
}

func TestTraceHeaderPassesThrough(t *testing.T) {
	k := newSNSKit(t)
	k.topic(t, nil)
	url := k.open(t, "q")
	k.subscribe(t, "q", map[string]string{"RawMessageDelivery": "true"})
	const header = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1"
	k.sns, _ = k.clientsWith("us-east-1", "X-Amzn-Trace-Id", header)
	k.publish(t, &sns.PublishInput{Message: aws.String("m")})
	if got := k.receive(t, url); len(got) != 1 || got[0].Attributes["AWSTraceHeader"] != header {
		t.Errorf("messages %+v", got)
	}
}

func TestPublishErrors(t *testing.T) {
	k := newSNSKit(t)
	k.topic(t, nil)
	attribute := func(name string, a snstypes.MessageAttributeValue) *sns.PublishInput {
		return &sns.PublishInput{Message: aws.String("m"), MessageAttributes: map[string]snstypes.MessageAttributeValue{name: a}}
	}
	for _, tt := range []struct {
		in         *sns.PublishInput
		code, text string
	}{
		{&sns.PublishInput{Message: aws.String("")}, "InvalidParameter", "Invalid parameter: Empty message"},
		{&sns.PublishInput{Message: aws.String("m"), Subject: aws.String("")}, "InvalidParameter", "Invalid parameter: Subject"},
		{&sns.PublishInput{Message: aws.String("m"), Subject: aws.String("two\nlines")}, "InvalidParameter", "Invalid parameter: Subject"},
		{&sns.PublishInput{Message: aws.String("m"), Subject: aws.String(strings.Repeat("s", 101))}, "InvalidParameter", "Invalid parameter: Subject"},
		{&sns.PublishInput{Message: aws.String("\xff")}, "InvalidParameter", "Invalid parameter: Message Reason: it is not UTF-8"},
		{&sns.PublishInput{Message: aws.String(strings.Repeat("m", 262145))}, "InvalidParameter", "Invalid parameter: Message too long"},
		{&sns.PublishInput{Message: aws.String("m"), MessageDeduplicationId: aws.String("d")}, "InvalidParameter", "Invalid parameter: MessageDeduplicationId Reason: The request includes MessageDeduplicationId parameter that is not valid for this topic type"},
		{&sns.PublishInput{Message: aws.String("m"), MessageGroupId: aws.String("a b")}, "InvalidParameter", ""},
		{&sns.PublishInput{Message: aws.String("m"), TopicArn: aws.String(snsTopicARN + "x")}, "NotFound", "Topic does not exist"},
		{&sns.PublishInput{Message: aws.String("m"), MessageDeduplicationId: aws.String("a b")}, "InvalidParameter", ""},
		{&sns.PublishInput{Message: aws.String("m"), TopicArn: aws.String("arn:aws:sns:eu-west-1:000000000000:invitations")}, "InvalidParameter", "Invalid parameter: TopicArn"},
		{attribute(".a", snsText("String", "x")), "ParameterValueInvalid", "Invalid message attribute name starting with character '.' was found."},
		{attribute("a..b", snsText("String", "x")), "ParameterValueInvalid", "Message attribute name can not have successive '.' character."},
		{attribute("a b", snsText("String", "x")), "ParameterValueInvalid", "Invalid non-alphanumeric character '#x20' was found in the message attribute name. Can only include alphanumeric characters, hyphens, underscores, or dots."},
		{attribute("a", snsText("Text", "x")), "ParameterValueInvalid", "The message attribute 'a' has an invalid message attribute type, the set of supported type prefixes is Binary, Number, and String."},
		{attribute("a", snsText("String", "")), "ParameterValueInvalid", "The message attribute 'a' must contain non-empty message attribute value for message attribute type 'String'."},
		{attribute("a", snsText("Binary", "x")), "ParameterValueInvalid", "The message attribute 'a' with type 'Binary' must use field 'Binary'."},
	} {
		if tt.in.TopicArn == nil {
			tt.in.TopicArn = aws.String(snsTopicARN)
		}
		_, err := k.sns.Publish(t.Context(), tt.in)
		if got, text := snsCode(err); got != tt.code || tt.text != "" && text != tt.text {
			t.Errorf("%+v: %v, want %s: %s", tt.in, err, tt.code, tt.text)
		}
	}
	for _, tt := range []struct {
		in   *sns.PublishInput
		text string
	}{
		{&sns.PublishInput{PhoneNumber: aws.String("+1a234")}, "Invalid parameter: PhoneNumber Reason: +1a234 is not valid to publish to"},
		{&sns.PublishInput{PhoneNumber: aws.String("+15551234567")}, "a publish to a phone number is not supported by this server yet"},
		{&sns.PublishInput{TargetArn: aws.String("arn:aws:sns:us-east-1:000000000000:endpoint/APNS/app/id")}, "Invalid parameter: TargetArn Reason: No endpoint found for the target arn specified"},
	} {
		tt.in.Message = aws.String("m")
		_, err := k.sns.Publish(t.Context(), tt.in)
		if _, text := snsCode(err); text != tt.text {
			t.Errorf("%v, want %s", err, tt.text)
		}
	}
}

func TestMaximumMessageSizeOfATopic(t *testing.T) {
	k := newSNSKit(t)
	k.topic(t, map[string]string{"MaximumMessageSize": "1048576"})
	url := k.open(t, "q")
	k.subscribe(t, "q", map[string]string{"RawMessageDelivery": "true"})
	k.publish(t, &sns.PublishInput{Message: aws.String(strings.Repeat("m", 1<<20))})
	if got := k.receive(t, url); len(got) != 1 || len(*got[0].Body) != 1<<20 {
		t.Errorf("%d messages", len(got))
	}
}

// TestPublishWakesALongPoll: what waits for a queue gets what SNS brings, at once.
func TestPublishWakesALongPoll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newSNSKit(t)
		k.topic(t, nil)
		url := k.open(t, "q")
		k.subscribe(t, "q", map[string]string{"RawMessageDelivery": "true"})
		start := time.Now()
		time.AfterFunc(3*time.Second, func() { k.publish(t, &sns.PublishInput{Message: aws.String("m")}) })
		out, err := k.sqs.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: &url, WaitTimeSeconds: 20})
		if err != nil || len(out.Messages) != 1 || time.Since(start) != 3*time.Second {
			t.Errorf("%v after %v, %v", out, time.Since(start), err)
		}
		synctest.Wait()
	})
}

// TestTheCertificateOfEnvelopesHasAWSsName: aws-semantics §3; receivers look at it.
func TestTheCertificateOfEnvelopesHasAWSsName(t *testing.T) {
	k := newSNSKit(t)
	k.topic(t, nil)
	url := k.open(t, "q")
	k.subscribe(t, "q", nil)
	k.publish(t, &sns.PublishInput{Message: aws.String("m")})
	var envelope struct{ SigningCertURL string }
	if err := json.Unmarshal([]byte(*k.receive(t, url)[0].Body), &envelope); err != nil {
		t.Fatal(err)
	}
	if !regexp.MustCompile(`^http://localaws\.test/SimpleNotificationService-[0-9a-f]{32}\.pem$`).MatchString(envelope.SigningCertURL) {
		t.Errorf("SigningCertURL %s", envelope.SigningCertURL)
	}
}
