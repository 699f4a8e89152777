package localaws_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
)

const (
	topicOwner = "111111111111"
	queueOwner = "222222222222"
)

// twoAccounts has a topic in one account that lets the other subscribe, and a queue in the other.
type twoAccounts struct {
	*snsKit
	topics, queues world
	topic, url     string
	queue          string // ARN
}

func newTwoAccounts(t *testing.T, letsSNSIn bool) *twoAccounts {
	t.Helper()
	k := newSNSKit(t)
	a := &twoAccounts{snsKit: k, topics: enter(k.Server, topicOwner, "us-east-1"), queues: enter(k.Server, queueOwner, "us-east-1")}
	topic, err := a.topics.sns.CreateTopic(t.Context(), &sns.CreateTopicInput{Name: aws.String("news")})
	if err != nil {
		t.Fatal(err)
	}
	a.topic, a.queue = *topic.TopicArn, "arn:aws:sqs:us-east-1:"+queueOwner+":work"
	if _, err := a.topics.sns.AddPermission(t.Context(), &sns.AddPermissionInput{
		TopicArn: &a.topic, Label: aws.String("subscribe"), AWSAccountId: []string{queueOwner}, ActionName: []string{"Subscribe"},
	}); err != nil {
		t.Fatal(err)
	}
	attributes := map[string]string{}
	if letsSNSIn {
		attributes["Policy"] = strings.Replace(letIn("work", a.topic), snsQueueARN("work"), a.queue, 1)
	}
	made, err := a.queues.sqs.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: aws.String("work"), Attributes: attributes})
	if err != nil {
		t.Fatal(err)
	}
	a.url = *made.QueueUrl
	return a
}

func (a *twoAccounts) subscribe(t *testing.T, as world) string {
	t.Helper()
	out, err := as.sns.Subscribe(t.Context(), &sns.SubscribeInput{TopicArn: &a.topic, Protocol: aws.String("sqs"), Endpoint: &a.queue, ReturnSubscriptionArn: true})
	if err != nil {
		t.Fatal(err)
	}
	return *out.SubscriptionArn
}

func (a *twoAccounts) state(t *testing.T, as world, arn string) map[string]string {
	t.Helper()
	out, err := as.sns.GetSubscriptionAttributes(t.Context(), &sns.GetSubscriptionAttributesInput{SubscriptionArn: &arn})
	if err != nil {
		t.Fatal(err)
	}
	return out.Attributes
}

// next is the message that waits in the queue, taken out of it.
func (a *twoAccounts) next(t *testing.T) (body string, fields map[string]any) {
	t.Helper()
	out, err := a.queues.sqs.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: &a.url})
	if err != nil || len(out.Messages) != 1 {
		t.Fatalf("%+v, %v", out, err)
	}
	if _, err := a.queues.sqs.DeleteMessage(t.Context(), &sqs.DeleteMessageInput{QueueUrl: &a.url, ReceiptHandle: out.Messages[0].ReceiptHandle}); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(*out.Messages[0].Body), &fields); err != nil {
		t.Fatal(err)
	}
	return *out.Messages[0].Body, fields
}

// TestTheQueuesOwnerNeedsNoConfirmation, not even for another account's topic: aws-semantics §1.7.
func TestTheQueuesOwnerNeedsNoConfirmation(t *testing.T) {
	a := newTwoAccounts(t, true)
	arn := a.subscribe(t, a.queues)
	if s := a.state(t, a.queues, arn); s["PendingConfirmation"] != "false" || s["ConfirmationWasAuthenticated"] != "true" || s["Owner"] != queueOwner {
		t.Errorf("attributes %v", s)
	}
	if _, err := a.topics.sns.Publish(t.Context(), &sns.PublishInput{TopicArn: &a.topic, Message: aws.String("m")}); err != nil {
		t.Fatal(err)
	}
	if body, m := a.next(t); m["Type"] != "Notification" || m["Message"] != "m" {
		t.Errorf("message %s", body)
	}
}

// TestSomebodyElsesQueueIsAskedToConfirm by a message in the queue: aws-semantics §1.7 and §4.1.
func TestSomebodyElsesQueueIsAskedToConfirm(t *testing.T) {
	a := newTwoAccounts(t, true)
	arn := a.subscribe(t, a.topics)
	if s := a.state(t, a.topics, arn); s["PendingConfirmation"] != "true" || s["Owner"] != topicOwner {
		t.Errorf("attributes %v", s)
	}
	body, m := a.next(t)
	a.verify(t, body)
	token, _ := m["Token"].(string)
	if m["Type"] != "SubscriptionConfirmation" || m["TopicArn"] != a.topic || len(token) != 288 {
		t.Fatalf("message %s", body)
	}
	if _, err := a.queues.sns.ConfirmSubscription(t.Context(), &sns.ConfirmSubscriptionInput{TopicArn: &a.topic, Token: &token}); err != nil {
		t.Fatal(err)
	}
	if s := a.state(t, a.topics, arn); s["PendingConfirmation"] != "false" || s["ConfirmationWasAuthenticated"] != "true" {
		t.Errorf("attributes %v", s)
	}
	if _, err := a.topics.sns.Publish(t.Context(), &sns.PublishInput{TopicArn: &a.topic, Message: aws.String("m")}); err != nil {
		t.Fatal(err)
	}
	body, m = a.next(t)
	if m["Type"] != "Notification" {
		t.Errorf("message %s", body)
	}
	// Whoever has the UnsubscribeURL can end it; the queue is told how to undo that.
	if status, text := a.get(t, m["UnsubscribeURL"].(string)); status != 200 {
		t.Errorf("%d %s", status, text)
	}
	body, m = a.next(t)
	a.verify(t, body)
	if m["Type"] != "UnsubscribeConfirmation" || !strings.Contains(body, arn) {
		t.Errorf("message %s", body)
	}
}

// TestAQueueThatKeepsSNSOutIsNeverAsked: its subscription stays pending; aws-semantics §1.7 and D-01.
func TestAQueueThatKeepsSNSOutIsNeverAsked(t *testing.T) {
	a := newTwoAccounts(t, false)
	arn := a.subscribe(t, a.topics)
	lost := a.dropped()
	if len(lost) != 1 || lost[0].SubscriptionARN != arn || lost[0].QueueARN != a.queue || lost[0].Reason != "SubscriptionConfirmation: the queue's policy refuses: there is no policy" {
		t.Errorf("lost %+v", lost)
	}
}
