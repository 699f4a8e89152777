package localaws_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	snstypes "github.com/aws/aws-sdk-go-v2/service/sns/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/smithy-go"

	"github.com/stationmaster/worker/localaws"
)

const (
	snsAccount  = "000000000000"
	snsTopicARN = "arn:aws:sns:us-east-1:000000000000:invitations"
)

// snsKit is a server with the real clients of both services in front of it.
type snsKit struct {
	*localaws.Server
	sns *sns.Client
	sqs *sqs.Client

	mu    sync.Mutex
	drops []localaws.Drop
}

func newSNSKit(t testing.TB) *snsKit {
	t.Helper()
	return newSNSKitWith(t, localaws.Options{})
}

func newSNSKitWith(t testing.TB, o localaws.Options) *snsKit {
	t.Helper()
	k := &snsKit{Server: localaws.New(o)}
	t.Cleanup(func() {
		if err := k.Close(); err != nil {
			t.Error(err)
		}
	})
	k.sns, k.sqs = k.clients("us-east-1")
	k.Dropped(func(d localaws.Drop) {
		k.mu.Lock()
		defer k.mu.Unlock()
		k.drops = append(k.drops, d)
	})
	return k
}

func (k *snsKit) clients(region string) (*sns.Client, *sqs.Client) {
	return k.clientsWith(region, "X-Test", "1")
}

// clientsWith are clients that send a header along.
func (k *snsKit) clientsWith(region, header, value string) (*sns.Client, *sqs.Client) {
	cfg := aws.Config{
		Region: region, BaseEndpoint: aws.String("http://localaws.test"), RetryMaxAttempts: 1,
		HTTPClient: &http.Client{Transport: withHeader{k.Transport(), header, value}},
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "AKID", SecretAccessKey: "secret"}, nil
		}),
	}
	return sns.NewFromConfig(cfg), sqs.NewFromConfig(cfg)
}

type withHeader struct {
	http.RoundTripper
	header, value string
}

func (w withHeader) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set(w.header, w.value)
	return w.RoundTripper.RoundTrip(r)
}

// post sends a form by hand, and returns the answer.
func (k *snsKit) post(t *testing.T, form string) (status int, body []byte) {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "http://localaws.test/", strings.NewReader(form))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=AKID/20260131/us-east-1/sns/aws4_request, SignedHeaders=host, Signature=0")
	w := httptest.NewRecorder()
	k.ServeHTTP(w, r)
	return w.Code, w.Body.Bytes()
}

// dropped takes what was lost since the last call.
func (k *snsKit) dropped() []localaws.Drop {
	k.mu.Lock()
	defer k.mu.Unlock()
	drops := k.drops
	k.drops = nil
	return drops
}

func snsQueueARN(name string) string { return "arn:aws:sqs:us-east-1:" + snsAccount + ":" + name }

// letIn is the policy that lets a topic send to a queue.
func letIn(queue, topic string) string {
	return `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"sns.amazonaws.com"},"Action":"sqs:SendMessage",` +
		`"Resource":"` + snsQueueARN(queue) + `","Condition":{"ArnEquals":{"aws:SourceArn":"` + topic + `"}}}]}`
}

// queue makes a queue with attributes, and returns its URL.
func (k *snsKit) queue(t testing.TB, name string, attributes map[string]string) string {
	t.Helper()
	out, err := k.sqs.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: &name, Attributes: attributes})
	if err != nil {
		t.Fatal(err)
	}
	return *out.QueueUrl
}

// open makes a queue that the topic may send to.
func (k *snsKit) open(t testing.TB, name string) string {
	t.Helper()
	return k.queue(t, name, map[string]string{"Policy": letIn(name, snsTopicARN)})
}

func (k *snsKit) topic(t testing.TB, attributes map[string]string) {
	t.Helper()
	out, err := k.sns.CreateTopic(t.Context(), &sns.CreateTopicInput{Name: aws.String("invitations"), Attributes: attributes})
	if err != nil {
		t.Fatal(err)
	}
	if *out.TopicArn != snsTopicARN {
		t.Fatalf("topic %s, want %s", *out.TopicArn, snsTopicARN)
	}
}

// subscribe subscribes a queue to the topic, and returns the subscription's ARN.
func (k *snsKit) subscribe(t testing.TB, queue string, attributes map[string]string) string {
	t.Helper()
	arn, err := k.trySubscribe(t, "sqs", snsQueueARN(queue), attributes)
	if err != nil {
		t.Fatal(err)
	}
	return arn
}

func (k *snsKit) trySubscribe(t testing.TB, protocol, endpoint string, attributes map[string]string) (string, error) {
	t.Helper()
	out, err := k.sns.Subscribe(t.Context(), &sns.SubscribeInput{
		TopicArn: aws.String(snsTopicARN), Protocol: &protocol, Endpoint: &endpoint, Attributes: attributes, ReturnSubscriptionArn: true,
	})
	if err != nil {
		return "", err
	}
	return *out.SubscriptionArn, nil
}

// publish publishes a message to the topic, and returns its id.
func (k *snsKit) publish(t testing.TB, in *sns.PublishInput) string {
	t.Helper()
	in.TopicArn = aws.String(snsTopicARN)
	out, err := k.sns.Publish(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	return *out.MessageId
}

// receive takes what waits in a queue now.
func (k *snsKit) receive(t testing.TB, url string) []sqstypes.Message {
	t.Helper()
	out, err := k.sqs.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{
		QueueUrl: &url, MaxNumberOfMessages: 10, MessageAttributeNames: []string{"All"},
		MessageSystemAttributeNames: []sqstypes.MessageSystemAttributeName{"All"},
	})
	if err != nil {
		t.Fatal(err)
	}
	return out.Messages
}

// snsCode is the code of an API error, with its text.
func snsCode(err error) (code, text string) {
	var e smithy.APIError
	if !errors.As(err, &e) {
		return "", ""
	}
	return e.ErrorCode(), e.ErrorMessage()
}

// delete takes a received message out of a queue.
func (k *snsKit) delete(t testing.TB, url string, m sqstypes.Message) {
	t.Helper()
	if _, err := k.sqs.DeleteMessage(t.Context(), &sqs.DeleteMessageInput{QueueUrl: &url, ReceiptHandle: m.ReceiptHandle}); err != nil {
		t.Fatal(err)
	}
}

func attributesOf(name, value string) map[string]snstypes.MessageAttributeValue {
	return map[string]snstypes.MessageAttributeValue{name: snsText("String", value)}
}
