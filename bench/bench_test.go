package main

import (
	"context"
	"errors"
	"io"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/google/go-cmp/cmp"
)

// The SDK checks the MD5 of each body that it receives.
func TestStubSatisfiesTheSDK(t *testing.T) {
	server := httptest.NewServer(newStub())
	defer server.Close()
	stub := &child{endpoint: server.URL}
	client := sqs.NewFromConfig(config(stub.endpoint))
	url := stub.queueURL()

	seen := map[string]bool{}
	for _, n := range []int32{1, 3, 10} {
		received, err := client.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: &url, MaxNumberOfMessages: n})
		if err != nil {
			t.Fatal(err)
		}
		if len(received.Messages) != int(n) {
			t.Errorf("asked for %d messages, got %d", n, len(received.Messages))
		}
		for _, m := range received.Messages {
			if *m.Body != body || seen[*m.MessageId] || m.Attributes["ApproximateReceiveCount"] != "1" {
				t.Errorf("message %s: body %q, seen before: %v, attributes %v", *m.MessageId, *m.Body, seen[*m.MessageId], m.Attributes)
			}
			seen[*m.MessageId] = true
		}
	}
	deleted, err := client.DeleteMessageBatch(t.Context(), &sqs.DeleteMessageBatchInput{QueueUrl: &url, Entries: []types.DeleteMessageBatchRequestEntry{
		{Id: aws.String("0"), ReceiptHandle: aws.String("a")}, {Id: aws.String("b"), ReceiptHandle: aws.String("b")},
	}})
	if err != nil {
		t.Fatal(err)
	}
	if len(deleted.Successful) != 2 || *deleted.Successful[1].Id != "b" {
		t.Errorf("delete answered %+v, want both entries by their ids", deleted.Successful)
	}
	sent, err := client.SendMessageBatch(t.Context(), &sqs.SendMessageBatchInput{QueueUrl: &url, Entries: []types.SendMessageBatchRequestEntry{
		{Id: aws.String("0"), MessageBody: aws.String("x")},
	}}, func(o *sqs.Options) { o.DisableMessageChecksumValidation = true })
	if err != nil || len(sent.Successful) != 1 {
		t.Errorf("send answered %+v, %v; want one accepted", sent, err)
	}
	got, err := stub.counts(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if want := (counts{Requests: 5, Receives: 3, Deleted: 2}); got != want {
		t.Errorf("counts = %+v, want %+v", got, want)
	}
}

func TestSerial(t *testing.T) {
	if got := string(serial([]byte("x"), 12034)); got != "x00000012034" {
		t.Errorf("serial = %q", got)
	}
}

// A stub whose parent is gone must not stay.
func TestStubEndsWithItsParent(t *testing.T) {
	in, parent := io.Pipe()
	out, said := io.Pipe()
	ended := make(chan error, 1)
	go func() { ended <- serveStub(t.Context(), in, said) }()
	line := make([]byte, 64)
	n, err := out.Read(line)
	if err != nil || !strings.HasPrefix(string(line[:n]), "http://127.0.0.1:") {
		t.Fatalf("the stub said %q, %v; want its address", line[:n], err)
	}
	if err := parent.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil {
		t.Errorf("serveStub = %v, want nil", err)
	}
}

func TestMeasureCountsBothSides(t *testing.T) {
	server := httptest.NewServer(newStub())
	defer server.Close()
	sides := map[string]side{
		"bare":   bare,
		"engine": engineSide(plan{slots: 40, receivers: 2}),
	}
	for name, run := range sides {
		t.Run(name, func(t *testing.T) {
			f, err := measure(t.Context(), &child{endpoint: server.URL}, run, 200*time.Millisecond)
			if err != nil {
				t.Fatal(err)
			}
			// Deletes trail receives by what is in flight, so a short round may show a little less
			// than the two requests for ten messages that both sides need.
			if f.throughput <= 0 || f.cpu <= 0 || f.requests < 0.1 || f.requests > 1 {
				t.Errorf("figures = %+v", f)
			}
		})
	}
}

func TestMeasureFailsWhenASideEnds(t *testing.T) {
	broken := errors.New("broken")
	_, err := measure(t.Context(), &child{}, func(context.Context, *child) error { return broken }, time.Second)
	if !errors.Is(err, broken) {
		t.Errorf("measure = %v, want %v", err, broken)
	}
}

func TestMedianIsOfEachFigure(t *testing.T) {
	got := median([]figures{{1, 30, 0.3}, {3, 10, 0.1}, {2, 20, 0.2}})
	if diff := cmp.Diff(figures{2, 20, 0.2}, got, cmp.AllowUnexported(figures{})); diff != "" {
		t.Error(diff)
	}
	if got := median([]figures{{throughput: 1}, {throughput: 4}}); got.throughput != 2.5 {
		t.Errorf("median of 1 and 4 = %v", got.throughput)
	}
}

func TestVerdictIsOneLineOfAKnownShape(t *testing.T) {
	const want = "throughput 0.97 of bare · cpu 1.10 of bare · 0.204 requests per message"
	if got := verdict(0.971, 1.099, 0.2044); got != want {
		t.Errorf("verdict = %q, want %q", got, want)
	}
}

func TestLeastRequests(t *testing.T) {
	for slots, want := range map[int]float64{1: 1.1, 5: 0.3, 10: 0.2, 640: 0.2} {
		if got := leastRequests(slots); got < want-1e-9 || got > want+1e-9 {
			t.Errorf("leastRequests(%d) = %v, want %v", slots, got, want)
		}
	}
}

func TestRunRefusesWhatItDoesNotKnow(t *testing.T) {
	for _, args := range [][]string{{"-rounds", "0"}, {"-nonsense"}, {"what"}} {
		var errs strings.Builder
		if err := run(t.Context(), args, strings.NewReader(""), io.Discard, &errs); !errors.Is(err, errUsage) || errs.Len() == 0 {
			t.Errorf("run %q = %v and said %q, want a usage error that says why", args, err, errs.String())
		}
	}
}
