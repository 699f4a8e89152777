package awsapi_test

import (
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/stationmaster/worker/internal/awsapi"
)

// request is what the fake saw: the operation, and the body as it was sent.
type request struct {
	op, body string
	header   http.Header
}

// reply is one canned HTTP response, or a transport error.
type reply struct {
	status int
	body   string
	header map[string]string
	err    error
}

// fake answers with the replies in turn, the last one for ever, and records the requests.
type fake struct {
	mu      sync.Mutex
	replies []reply
	seen    []request
}

func (f *fake) Do(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	_, op, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	f.seen = append(f.seen, request{op: op, body: string(body), header: r.Header})
	now := f.replies[0]
	if len(f.replies) > 1 {
		f.replies = f.replies[1:]
	}
	if now.err != nil {
		return nil, now.err
	}
	h := http.Header{"Content-Type": {"application/x-amz-json-1.0"}, "X-Amzn-Requestid": {"r-1"}}
	for k, v := range now.header {
		h.Set(k, v)
	}
	return &http.Response{StatusCode: now.status, Header: h, Body: io.NopCloser(strings.NewReader(now.body)), Request: r}, nil
}

func (f *fake) requests() []request {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]request(nil), f.seen...)
}

const emailURL = "https://sqs.eu-central-1.amazonaws.com/000000000000/email"

func config(h aws.HTTPClient) aws.Config {
	return aws.Config{
		Region: "eu-central-1", HTTPClient: h,
		Credentials: credentials.NewStaticCredentialsProvider("AKIDEXAMPLE", "secret", ""),
	}
}

func open(t *testing.T, o awsapi.QueueOptions, replies ...reply) (*awsapi.Queue, *fake) {
	t.Helper()
	f := &fake{replies: replies}
	return awsapi.New(config(f), awsapi.Options{}).Queue(emailURL, o), f
}
