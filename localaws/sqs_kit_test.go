package localaws_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/stationmaster/worker/localaws"
)

// sqsKit is a server with the real client of SQS in front of it.
type sqsKit struct {
	*localaws.Server
	*sqs.Client
}

func newSQSKit() *sqsKit {
	s := localaws.New(localaws.Options{})
	return &sqsKit{Server: s, Client: sqs.NewFromConfig(sdkConfig(s, "us-east-1"))}
}

func sdkConfig(s *localaws.Server, region string) aws.Config {
	return aws.Config{
		Region: region, BaseEndpoint: aws.String("http://localaws.test"), RetryMaxAttempts: 1,
		HTTPClient: &http.Client{Transport: s.Transport()},
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "AKID", SecretAccessKey: "secret"}, nil
		}),
	}
}

// create makes a queue and returns its URL.
func (k *sqsKit) create(t testing.TB, name string, attributes map[string]string) *string {
	t.Helper()
	out, err := k.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: &name, Attributes: attributes})
	if err != nil {
		t.Fatal(err)
	}
	return out.QueueUrl
}

func (k *sqsKit) send(t testing.TB, queue *string, body string) *sqs.SendMessageOutput {
	t.Helper()
	out, err := k.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: queue, MessageBody: &body})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// receive asks for up to ten messages with everything about them, and waits for the first.
func (k *sqsKit) receive(t testing.TB, queue *string, wait int32) []types.Message {
	t.Helper()
	out, err := k.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{
		QueueUrl: queue, MaxNumberOfMessages: 10, WaitTimeSeconds: wait,
		MessageAttributeNames: []string{"All"}, MessageSystemAttributeNames: []types.MessageSystemAttributeName{"All"},
	})
	if err != nil {
		t.Fatal(err)
	}
	return out.Messages
}

// one receives what must be a single message.
func (k *sqsKit) one(t testing.TB, queue *string) types.Message {
	t.Helper()
	got := k.receive(t, queue, 0)
	if len(got) != 1 {
		t.Fatalf("received %d messages, want 1", len(got))
	}
	return got[0]
}

func (k *sqsKit) remove(t testing.TB, queue, handle *string) {
	t.Helper()
	if _, err := k.DeleteMessage(t.Context(), &sqs.DeleteMessageInput{QueueUrl: queue, ReceiptHandle: handle}); err != nil {
		t.Fatal(err)
	}
}

func (k *sqsKit) hide(t testing.TB, queue, handle *string, seconds int32) error {
	t.Helper()
	_, err := k.ChangeMessageVisibility(t.Context(), &sqs.ChangeMessageVisibilityInput{QueueUrl: queue, ReceiptHandle: handle, VisibilityTimeout: seconds})
	return err
}

func (k *sqsKit) set(t testing.TB, queue *string, attributes map[string]string) error {
	t.Helper()
	_, err := k.SetQueueAttributes(t.Context(), &sqs.SetQueueAttributesInput{QueueUrl: queue, Attributes: attributes})
	return err
}

func (k *sqsKit) get(t testing.TB, queue *string) map[string]string {
	t.Helper()
	out, err := k.GetQueueAttributes(t.Context(), &sqs.GetQueueAttributesInput{QueueUrl: queue, AttributeNames: []types.QueueAttributeName{"All"}})
	if err != nil {
		t.Fatal(err)
	}
	return out.Attributes
}

// counts are how many messages of a queue are visible, in flight and delayed.
type counts struct{ visible, inFlight, delayed int }

func (k *sqsKit) counts(t testing.TB, queue *string) counts {
	t.Helper()
	all := k.get(t, queue)
	number := func(name string) int {
		n, err := strconv.Atoi(all[name])
		if err != nil {
			t.Fatalf("attribute %s: %v", name, err)
		}
		return n
	}
	return counts{number("ApproximateNumberOfMessages"), number("ApproximateNumberOfMessagesNotVisible"), number("ApproximateNumberOfMessagesDelayed")}
}

// raw sends a request as no SDK would, and returns status, error type and header.
func (k *sqsKit) raw(t testing.TB, action, body string) (status int, code string, header http.Header) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://localaws.test/", bytes.NewReader([]byte(body)))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-Amz-Target", "AmazonSQS."+action)
	r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=AKID/20260101/us-east-1/sqs/aws4_request, SignedHeaders=host, Signature=00")
	return roundTrip(t, k.Server, r)
}

func roundTrip(t testing.TB, s *localaws.Server, r *http.Request) (status int, code string, header http.Header) {
	t.Helper()
	response, err := s.Transport().RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	var answer struct {
		Type string `json:"__type"`
	}
	if json.Unmarshal(text, &answer) != nil {
		return response.StatusCode, string(text), response.Header
	}
	return response.StatusCode, answer.Type, response.Header
}

func sqsARN(name string) string { return "arn:aws:sqs:us-east-1:000000000000:" + name }
