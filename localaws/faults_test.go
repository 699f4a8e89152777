package localaws_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/google/go-cmp/cmp"

	"github.com/stationmaster/worker/localaws"
)

// sender sends a message to the queue work and says what became of it: the HTTP status, 0 when the
// connection broke, the text of the answer.
type sender func(t *testing.T) (status int, text string)

// senders are both protocols over both transports to one server.
func senders(t *testing.T, s *localaws.Server) map[string]sender {
	t.Helper()
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	all := map[string]sender{}
	for name, through := range map[string]http.RoundTripper{"a socket": server.Client().Transport, "Transport": s.Transport()} {
		do := func(t *testing.T, contentType, target, body string) (int, string) {
			t.Helper()
			r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL, strings.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Content-Type", contentType)
			r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=AKID/20260131/us-east-1/sqs/aws4_request, SignedHeaders=host, Signature=0")
			if target != "" {
				r.Header.Set("X-Amz-Target", target)
			}
			response, err := through.RoundTrip(r)
			if err != nil {
				return 0, err.Error()
			}
			defer response.Body.Close()
			var b strings.Builder
			if err := response.Write(&b); err != nil {
				t.Fatal(err)
			}
			return response.StatusCode, b.String()
		}
		all["JSON over "+name] = func(t *testing.T) (int, string) {
			return do(t, "application/x-amz-json-1.0", "AmazonSQS.SendMessage", `{"QueueUrl":"http://x/000000000000/work","MessageBody":"x"}`)
		}
		all["Query over "+name] = func(t *testing.T) (int, string) {
			return do(t, "application/x-www-form-urlencoded", "", "Action=SendMessage&QueueUrl=http://x/000000000000/work&MessageBody=x")
		}
	}
	return all
}

func TestFaultsSpoilBothProtocolsOverBothTransports(t *testing.T) {
	for _, tt := range []struct {
		name   string
		fault  localaws.Fault
		status int
		says   string // in the answer, or of the broken connection
		stored int
	}{
		{"throttled", localaws.Fault{Status: 403, Code: "RequestThrottled", Message: "slower"}, 403, "RequestThrottled", 0},
		{"a code alone is a 400", localaws.Fault{Code: "RequestThrottled"}, 400, "RequestThrottled", 0},
		{"an error of the service", localaws.Fault{Status: 500, Code: "InternalFailure"}, 500, "InternalFailure", 0},
		{"without a body", localaws.Fault{Status: 503}, 503, "Content-Length: 0", 0},
		{"of a load balancer", localaws.Fault{Status: 503, Body: "<html>overloaded</html>"}, 503, "<html>overloaded</html>", 0},
		{"cut before", localaws.Fault{Cut: true}, 0, "", 0},
		{"lost after", localaws.Fault{Lose: true}, 0, "", 1},
		{"a checksum of something else", localaws.Fault{CorruptMD5: true}, 200, "00000000000000000000000000000000", 1},
		{"late", localaws.Fault{Late: time.Millisecond}, 200, "MessageId", 1},
		{"slow", localaws.Fault{Delay: time.Millisecond}, 200, "MessageId", 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			k := newSQSKit()
			queue := k.create(t, "work", nil)
			for name, send := range senders(t, k.Server) {
				before := k.counts(t, queue).visible
				stop := k.Control("SendMessage", func(*localaws.Request) *localaws.Fault { return &tt.fault })
				status, text := send(t)
				stop()
				if status != tt.status || !strings.Contains(text, tt.says) {
					t.Errorf("%s: %d %s, want %d with %q", name, status, text, tt.status, tt.says)
				}
				if got := k.counts(t, queue).visible - before; got != tt.stored {
					t.Errorf("%s: %d messages stored, want %d", name, got, tt.stored)
				}
			}
		})
	}
}

func TestAnAnswerThatIsLateHasItsEffect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newSQSKit()
		queue := k.create(t, "work", nil)
		stop := k.Control("SendMessage", func(*localaws.Request) *localaws.Fault { return &localaws.Fault{Late: time.Minute} })
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := k.SendMessage(ctx, &sqs.SendMessageInput{QueueUrl: queue, MessageBody: new("x")})
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("SendMessage: %v", err)
		}
		stop()
		if got := k.counts(t, queue); got != (counts{visible: 1}) {
			t.Errorf("counts %+v", got)
		}
	})
}

func TestAStatusWithoutABodyIsAnErrorOfTheSDK(t *testing.T) {
	k := newSQSKit()
	k.Control("", func(*localaws.Request) *localaws.Fault { return &localaws.Fault{Status: 503, Body: "<html>"} })
	_, err := k.ListQueues(t.Context(), &sqs.ListQueuesInput{})
	if failed := (*awshttp.ResponseError)(nil); !errors.As(err, &failed) || failed.HTTPStatusCode() != 503 {
		t.Errorf("ListQueues: %v", err)
	}
}

func TestControlSeesTheSameInBothProtocols(t *testing.T) {
	s := localaws.New(localaws.Options{})
	k := newQueryKit(s)
	queue := k.create(t, "work")
	var seen []localaws.Request
	s.Control("", func(r *localaws.Request) *localaws.Fault {
		seen = append(seen, localaws.Request{Service: r.Service, Action: r.Action, Region: r.Region, Account: r.Account, Target: r.Target, Entries: slices.Clone(r.Entries)})
		return &localaws.Fault{Code: "InternalError"}
	})
	w := enter(s, "111111111111", "eu-west-1")
	j := &sqsKit{Server: s, Client: w.sqs}
	j.raw(t, "DeleteMessageBatch", `{"QueueUrl":"`+queue+`","Entries":[{"Id":"b"},{"Id":"a"}]}`)
	const entry = "DeleteMessageBatchRequestEntry."
	k.post(t, queue, "DeleteMessageBatch", entry+"2.Id", "a", entry+"10.Id", "c", entry+"1.Id", "b")
	k.post(t, root, "DeleteMessageBatch", "QueueUrl", queue, entry+"1.Id", "b", entry+"2.Id", "a")
	w.sns.Publish(t.Context(), &sns.PublishInput{TopicArn: new("arn:a"), Message: new("x")})                                       //nolint:errcheck // it fails
	k.as("AKID", "sns").get(t, root, "Action", "PublishBatch", "TopicArn", "arn:b", "PublishBatchRequestEntries.member.1.Id", "x") // by GET
	want := []localaws.Request{
		{Service: "sqs", Action: "DeleteMessageBatch", Region: "us-east-1", Account: "000000000000", Target: queue, Entries: []string{"b", "a"}},
		{Service: "sqs", Action: "DeleteMessageBatch", Region: "us-east-1", Account: "000000000000", Target: queue, Entries: []string{"b", "a", "c"}},
		{Service: "sqs", Action: "DeleteMessageBatch", Region: "us-east-1", Account: "000000000000", Target: queue, Entries: []string{"b", "a"}},
		{Service: "sns", Action: "Publish", Region: "eu-west-1", Account: "111111111111", Target: "arn:a"},
		{Service: "sns", Action: "PublishBatch", Region: "us-east-1", Account: "000000000000", Target: "arn:b", Entries: []string{"x"}},
	}
	if diff := cmp.Diff(want, seen); diff != "" {
		t.Error(diff)
	}
}

func TestEntriesFailOverTheQueryProtocol(t *testing.T) {
	k := newQueryKit(localaws.New(localaws.Options{}))
	queue := k.create(t, "work")
	k.Control("SendMessageBatch", func(*localaws.Request) *localaws.Fault {
		return &localaws.Fault{Entries: map[string]string{"b": "InternalError"}}
	})
	const entry = "SendMessageBatchRequestEntry."
	a := k.post(t, queue, "SendMessageBatch", entry+"1.Id", "a", entry+"1.MessageBody", "x", entry+"2.Id", "b", entry+"2.MessageBody", "x")
	if !a.says("<SendMessageBatchResultEntry><Id>a</Id>", "<BatchResultErrorEntry><Id>b</Id><SenderFault>false</SenderFault><Code>InternalError</Code>") {
		t.Errorf("%d %s", a.status, a.text)
	}
}
