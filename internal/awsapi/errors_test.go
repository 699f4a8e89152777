package awsapi_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/stationmaster/worker/internal/awsapi"
	"github.com/stationmaster/worker/queue"
)

var classes = []error{queue.ErrLeaseLost, queue.ErrThrottled, queue.ErrNotFound, queue.ErrDenied, queue.ErrCredentials, queue.ErrRejected}

func wantClass(t *testing.T, err, want error) {
	t.Helper()
	if err == nil {
		t.Fatal("no error")
	}
	for _, class := range classes {
		if is := errors.Is(err, class); is != errors.Is(class, want) {
			t.Errorf("errors.Is(%q, %q) = %t", err, class, is)
		}
	}
}

func TestErrorsAreClassed(t *testing.T) {
	shape := func(name string) string {
		return `{"__type":"com.amazonaws.sqs#` + name + `","message":"words of the service"}`
	}
	for _, row := range []struct {
		name  string
		reply reply
		want  error
	}{
		{"no queue, as AWS says it", reply{
			status: 400, body: shape("QueueDoesNotExist"),
			header: map[string]string{"X-Amzn-Query-Error": "AWS.SimpleQueueService.NonExistentQueue;Sender"},
		}, queue.ErrNotFound},
		{"no queue, as emulators say it", reply{status: 400, body: shape("QueueDoesNotExist")}, queue.ErrNotFound},
		{"throttled", reply{status: 403, body: shape("RequestThrottled")}, queue.ErrThrottled},
		{"over the limit", reply{status: 403, body: shape("OverLimit")}, queue.ErrThrottled},
		{"key service throttled", reply{
			status: 400, body: shape("KmsThrottled"), header: map[string]string{"X-Amzn-Query-Error": "KMS.ThrottlingException;Sender"},
		}, queue.ErrThrottled},
		{"too many requests without a body", reply{status: 429}, queue.ErrThrottled},
		{"denied", reply{status: 403, body: shape("AccessDenied")}, queue.ErrDenied},
		{"denied, other spelling", reply{status: 400, body: shape("AccessDeniedException")}, queue.ErrDenied},
		{"denied by a proxy", reply{status: 403, body: "<html>no</html>"}, queue.ErrDenied},
		{"expired token", reply{status: 403, body: shape("ExpiredToken")}, queue.ErrCredentials},
		{"expired token, other spelling", reply{status: 400, body: shape("ExpiredTokenException")}, queue.ErrCredentials},
		{"unknown key", reply{status: 403, body: shape("InvalidClientTokenId")}, queue.ErrCredentials},
		{"unknown key, other spelling", reply{status: 400, body: shape("UnrecognizedClientException")}, queue.ErrCredentials},
		{"wrong secret", reply{status: 403, body: shape("SignatureDoesNotMatch")}, queue.ErrCredentials},
		{"bad parameter", reply{status: 400, body: shape("InvalidParameterValue")}, queue.ErrRejected},
		{"a code nobody knows", reply{status: 400, body: shape("Novelty")}, queue.ErrRejected},
		{"deleted a moment ago", reply{status: 400, body: shape("QueueDeletedRecently")}, nil},
		{"broken inside", reply{status: 500, body: shape("InternalFailure")}, nil},
		{"a gateway's page", reply{status: 503, body: "<html>busy</html>"}, nil},
		{"connection refused", reply{err: &net.OpError{Op: "dial", Err: errors.New("connection refused")}}, nil},
	} {
		t.Run(row.name, func(t *testing.T) {
			q, _ := open(t, awsapi.QueueOptions{Visibility: time.Minute}, row.reply)
			_, err := q.Receive(t.Context(), 1, time.Second)
			wantClass(t, err, row.want)
			if !strings.HasPrefix(err.Error(), "receive from email: ") {
				t.Errorf("%q does not begin with what was done to which queue", err)
			}
		})
	}
}

func TestErrorSaysTheWayOut(t *testing.T) {
	q, _ := open(t, awsapi.QueueOptions{Visibility: time.Minute}, reply{
		status: 403, body: `{"__type":"ExpiredToken","message":"The security token included in the request is expired"}`,
	})
	_, err := q.Receive(t.Context(), 1, time.Second)
	want := "receive from email: credentials refused: ExpiredToken: The security token included in the request is expired (request r-1); " +
		"set AWS_PROFILE or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or renew them with: aws sso login"
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
	q, _ = open(t, awsapi.QueueOptions{Visibility: time.Minute}, reply{err: &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("connection refused")}})
	_, err = q.Receive(t.Context(), 1, time.Second)
	if err == nil || !strings.HasSuffix(err.Error(), "connection refused; check the network, AWS_REGION and AWS_ENDPOINT_URL") {
		t.Errorf("got %v, want the way out of an unreachable endpoint", err)
	}
}

// TestNoErrorQuotesASignedRequest: the session token is one of its headers.
func TestNoErrorQuotesASignedRequest(t *testing.T) {
	q, _ := open(t, awsapi.QueueOptions{Visibility: time.Minute}, reply{status: 403, body: `{"__type":"SignatureDoesNotMatch","message":` +
		`"The request signature we calculated does not match the signature you provided.\n\nThe Canonical String for this request should have been\n'POST\n/\n\nx-amz-security-token:IQoJb3JpZ2luX2Vj'"}`})
	_, err := q.Receive(t.Context(), 1, time.Second)
	wantClass(t, err, queue.ErrCredentials)
	if text := err.Error(); strings.Contains(text, "IQoJ") || strings.Contains(text, "\n") || !strings.Contains(text, "does not match the signature you provided. (request r-1); ") {
		t.Errorf("error %q", text)
	}
}

func TestNoCredentialsIsAClassOfItsOwn(t *testing.T) {
	cfg := config(&fake{replies: []reply{{status: 200, body: "{}"}}})
	cfg.Credentials = aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		return aws.Credentials{}, errors.New("no EC2 IMDS role found")
	})
	c := awsapi.New(cfg, awsapi.Options{})
	_, err := c.Queue(emailURL, awsapi.QueueOptions{Visibility: time.Minute}).Receive(t.Context(), 1, time.Second)
	wantClass(t, err, queue.ErrCredentials)
	_, err = c.Identity(t.Context())
	wantClass(t, err, queue.ErrCredentials)
}

func TestCanceledIsNoClass(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	q, _ := open(t, awsapi.QueueOptions{Visibility: time.Minute}, reply{status: 200, body: "{}"})
	_, err := q.Receive(ctx, 1, time.Second)
	if err != nil {
		wantClass(t, err, nil)
	}
}
