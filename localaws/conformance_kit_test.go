package localaws_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/smithy-go"
)

// conformance is a client of one server for one fact. Its methods end the check with an error at the
// first surprise, so that a check reads as a story.
type conformance struct {
	ctx     context.Context
	cleanup func(func())
	prefix  string // of names that only this check uses
	sqs     *sqs.Client
	sns     *sns.Client
}

func newConformance(t *testing.T, endpoint string) *conformance {
	t.Helper()
	cfg := aws.Config{
		Region: "us-east-1", BaseEndpoint: &endpoint, RetryMaxAttempts: 1, HTTPClient: http.DefaultClient,
		Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""),
	}
	return &conformance{
		ctx: t.Context(), cleanup: t.Cleanup, prefix: "fact-" + strings.ToLower(rand.Text()[:10]),
		sqs: sqs.NewFromConfig(cfg), sns: sns.NewFromConfig(cfg),
	}
}

// surprise is why a check ended early.
type surprise struct{ error }

func (k *conformance) try(f fact) (err error) {
	defer func() {
		if v := recover(); v != nil {
			s, ours := v.(surprise)
			if !ours {
				panic(v)
			}
			err = s.error
		}
	}()
	f.check(k)
	return nil
}

func (k *conformance) fail(format string, a ...any) { panic(surprise{fmt.Errorf(format, a...)}) }

func (k *conformance) must(err error) {
	if err != nil {
		panic(surprise{err})
	}
}

func (k *conformance) same(what string, got, want any) {
	if got != want {
		k.fail("%s is %v, want %v", what, got, want)
	}
}

// refused wants an error of a code whose message contains a text.
func (k *conformance) refused(err error, code, text string) {
	api, ok := errors.AsType[smithy.APIError](err)
	switch {
	case err == nil:
		k.fail("accepted, want %s", code)
	case !ok:
		k.fail("%v, want %s", err, code)
	case api.ErrorCode() != code:
		k.fail("refused with %s: %s, want %s", api.ErrorCode(), api.ErrorMessage(), code)
	case !strings.Contains(api.ErrorMessage(), text):
		k.fail("%s says %q, want it to contain %q", code, api.ErrorMessage(), text)
	}
}

func (k *conformance) createQueue(suffix string, attributes map[string]string) (*string, error) {
	out, err := k.sqs.CreateQueue(k.ctx, &sqs.CreateQueueInput{QueueName: aws.String(k.prefix + suffix), Attributes: attributes})
	if err != nil {
		return nil, err
	}
	return out.QueueUrl, nil
}

// queue makes a queue and returns its URL.
func (k *conformance) queue(suffix string, attributes map[string]string) *string {
	u, err := k.createQueue(suffix, attributes)
	k.must(err)
	return u
}

func (k *conformance) attributes(queue *string) map[string]string {
	out, err := k.sqs.GetQueueAttributes(k.ctx, &sqs.GetQueueAttributesInput{QueueUrl: queue, AttributeNames: []types.QueueAttributeName{"All"}})
	k.must(err)
	return out.Attributes
}

func (k *conformance) arn(queue *string) string { return k.attributes(queue)["QueueArn"] }

func (k *conformance) setQueue(queue *string, attributes map[string]string) error {
	_, err := k.sqs.SetQueueAttributes(k.ctx, &sqs.SetQueueAttributesInput{QueueUrl: queue, Attributes: attributes})
	return err
}

// send sends "x".
func (k *conformance) send(queue *string) *sqs.SendMessageOutput {
	out, err := k.sqs.SendMessage(k.ctx, &sqs.SendMessageInput{QueueUrl: queue, MessageBody: aws.String("x")})
	k.must(err)
	return out
}

// receive takes up to ten messages with all that they have; wait is how long for the first.
func (k *conformance) receive(queue *string, wait, visibility int32) []types.Message {
	out, err := k.sqs.ReceiveMessage(k.ctx, &sqs.ReceiveMessageInput{
		QueueUrl: queue, MaxNumberOfMessages: 10, WaitTimeSeconds: wait, VisibilityTimeout: visibility,
		MessageAttributeNames: []string{"All"}, MessageSystemAttributeNames: []types.MessageSystemAttributeName{"All"},
	})
	k.must(err)
	return out.Messages
}

// one receives what must be a single message, within seconds.
func (k *conformance) one(queue *string, visibility int32) types.Message {
	got := k.receive(queue, 5, visibility)
	if len(got) != 1 {
		k.fail("received %d messages, want 1", len(got))
	}
	return got[0]
}

func (k *conformance) none(queue *string) {
	if got := k.receive(queue, 1, 30); len(got) > 0 {
		k.fail("received %q, want nothing", aws.ToString(got[0].Body))
	}
}

func (k *conformance) delete(queue, handle *string) error {
	_, err := k.sqs.DeleteMessage(k.ctx, &sqs.DeleteMessageInput{QueueUrl: queue, ReceiptHandle: handle})
	return err
}

func (k *conformance) change(queue, handle *string, seconds int32) error {
	_, err := k.sqs.ChangeMessageVisibility(k.ctx, &sqs.ChangeMessageVisibilityInput{QueueUrl: queue, ReceiptHandle: handle, VisibilityTimeout: seconds})
	return err
}

// eventually repeats until ok, for ten seconds.
func (k *conformance) eventually(what string, ok func() bool) {
	deadline := time.After(10 * time.Second)
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-deadline:
			k.fail("not within 10 s: %s", what)
		case <-tick.C:
		}
	}
}

// expire waits until the only message of a queue is visible again.
func (k *conformance) expire(queue *string) {
	k.eventually("the message is visible again", func() bool { return k.attributes(queue)["ApproximateNumberOfMessages"] == "1" })
}

func (k *conformance) topic(attributes map[string]string) *string {
	out, err := k.sns.CreateTopic(k.ctx, &sns.CreateTopicInput{Name: &k.prefix, Attributes: attributes})
	k.must(err)
	return out.TopicArn
}

func (k *conformance) subscribe(topic *string, endpoint string, attributes map[string]string) (string, error) {
	out, err := k.sns.Subscribe(k.ctx, &sns.SubscribeInput{
		TopicArn: topic, Protocol: aws.String("sqs"), Endpoint: &endpoint, ReturnSubscriptionArn: true, Attributes: attributes,
	})
	if err != nil {
		return "", err
	}
	return *out.SubscriptionArn, nil
}

func (k *conformance) subscription(arn string) map[string]string {
	out, err := k.sns.GetSubscriptionAttributes(k.ctx, &sns.GetSubscriptionAttributesInput{SubscriptionArn: &arn})
	k.must(err)
	return out.Attributes
}

func (k *conformance) setSubscription(arn, name string, value *string) error {
	_, err := k.sns.SetSubscriptionAttributes(k.ctx, &sns.SetSubscriptionAttributesInput{SubscriptionArn: &arn, AttributeName: &name, AttributeValue: value})
	return err
}

// allow lets a topic send to a queue.
func (k *conformance) allow(queue *string, topic string) {
	k.must(k.setQueue(queue, map[string]string{"Policy": `{"Version":"2012-10-17","Statement":[{"Effect":"Allow",` +
		`"Principal":{"Service":"sns.amazonaws.com"},"Action":"sqs:SendMessage","Resource":"` + k.arn(queue) + `",` +
		`"Condition":{"ArnEquals":{"aws:SourceArn":"` + topic + `"}}}]}`}))
}

func (k *conformance) publish(in *sns.PublishInput) *sns.PublishOutput {
	out, err := k.sns.Publish(k.ctx, in)
	k.must(err)
	return out
}

// line is a topic with a subscribed queue that lets it in.
func (k *conformance) line(attributes map[string]string) (topic, queue *string, subscription string) {
	topic, queue = k.topic(nil), k.queue("", nil)
	k.allow(queue, *topic)
	subscription, err := k.subscribe(topic, k.arn(queue), attributes)
	k.must(err)
	return topic, queue, subscription
}

func deleteQueue(queue *string) *sqs.DeleteQueueInput { return &sqs.DeleteQueueInput{QueueUrl: queue} }
