package queue_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stationmaster/worker/queue"
)

const enveloped = `{
  "Type" : "Notification",
  "MessageId" : "5b2d0c4c-0001",
  "TopicArn" : "arn:aws:sns:us-east-1:000000000000:invitations",
  "Subject" : "hello",
  "Message" : "{\"event\":\"user_invited\"}",
  "Timestamp" : "2026-11-23T12:00:00.123Z",
  "SignatureVersion" : "1",
  "Signature" : "x",
  "MessageAttributes" : {
    "kind" : {"Type":"String","Value":"mail"},
    "pic" : {"Type":"Binary","Value":"AQI="}
  }
}`

func TestReadNotificationOpensTheEnvelope(t *testing.T) {
	got, ok := queue.ReadNotification(enveloped)
	if !ok {
		t.Fatal("not taken for an envelope")
	}
	want := queue.Notification{
		Type: "Notification", MessageID: "5b2d0c4c-0001", TopicARN: "arn:aws:sns:us-east-1:000000000000:invitations",
		Subject: "hello", Message: `{"event":"user_invited"}`,
		Sent: time.Date(2026, 11, 23, 12, 0, 0, 123e6, time.UTC),
		Attributes: map[string]queue.Attribute{
			"kind": {Type: "String", Text: "mail"}, "pic": {Type: "Binary", Binary: []byte{1, 2}},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestReadNotificationLeavesProducersBodiesAlone(t *testing.T) {
	for _, body := range []string{
		"", "x", "[1]", `{"event":"user_invited"}`, `"TopicArn"`, "{not json \"TopicArn\"",
		strings.ReplaceAll(enveloped, `"TopicArn"`, `"topicarn"`),
		strings.ReplaceAll(enveloped, `"Type" : "Notification"`, `"Type" : "Order"`),
		strings.ReplaceAll(enveloped, `arn:aws:sns:us-east-1:000000000000:invitations`, "invitations"),
		strings.ReplaceAll(enveloped, `"Message"`, `"Messages"`),
		strings.ReplaceAll(enveloped, `"MessageAttributes" : {`, `"MessageAttributes" : {"n": 1,`),
	} {
		if _, ok := queue.ReadNotification(body); ok {
			t.Errorf("taken for an envelope: %s", body)
		}
	}
}

func TestStableID(t *testing.T) {
	written := queue.Attribute{Type: "String", Text: `{"v":1,"id":"job-1"}`}
	attributes := map[string]queue.Attribute{queue.StationmasterAttribute: written}
	inside := strings.Replace(enveloped, `"pic"`, `"stationmaster" : {"Type":"String","Value":"{\"id\":\"inner-1\"}"}, "pic"`, 1)
	for _, row := range []struct {
		name string
		m    queue.Message
		want string
	}{
		{"raw", queue.Message{Body: "x"}, "sqs-1"},
		{"enveloped", queue.Message{Body: enveloped}, "5b2d0c4c-0001"},
		{"the producer's id in the envelope", queue.Message{Body: inside}, "inner-1"},
		{"the record's id comes first", queue.Message{Body: inside, Attributes: attributes}, "job-1"},
		{"an unreadable record counts for nothing", queue.Message{Body: "x", Attributes: map[string]queue.Attribute{
			queue.StationmasterAttribute: {Type: "String", Text: "{"},
		}}, "sqs-1"},
	} {
		t.Run(row.name, func(t *testing.T) {
			if got := queue.StableID(&queue.Delivery{Message: row.m, MessageID: "sqs-1"}); got != row.want {
				t.Errorf("StableID = %q, want %q", got, row.want)
			}
		})
	}
}

func FuzzReadNotification(f *testing.F) {
	f.Add(enveloped)
	f.Add(`{"TopicArn":null,"Type":1}`)
	f.Fuzz(func(t *testing.T, body string) {
		n, ok := queue.ReadNotification(body)
		if ok && (n.MessageID == "" && !strings.Contains(body, `"MessageId"`)) {
			t.Errorf("an envelope without MessageId: %q", body)
		}
	})
}
