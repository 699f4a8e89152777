package main

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/google/go-cmp/cmp"
)

// serving is a stub in this process.
func serving(t *testing.T) *child {
	t.Helper()
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- newStub().serve(l) }()
	t.Cleanup(func() {
		if err := errors.Join(l.Close(), <-ended); err != nil {
			t.Error(err)
		}
	})
	return &child{endpoint: "http://" + l.Addr().String()}
}

// The SDK checks the MD5 of each body that it receives.
func TestStubSatisfiesTheSDK(t *testing.T) {
	stub := serving(t)
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
	if want := (counts{Requests: 5, Receives: 3, Given: 14, Deleted: 2}); got != want {
		t.Errorf("counts = %+v, want %+v", got, want)
	}
	if got.inFlight() != 12 {
		t.Errorf("%d in flight, want 12", got.inFlight())
	}
}

func TestStubIsAsFarAwayAndAsBusyAsItIsTold(t *testing.T) {
	stub := serving(t)
	client := sqs.NewFromConfig(config(stub.endpoint))
	url := stub.queueURL()
	receive := func() (int, time.Duration) {
		began := time.Now()
		got, err := client.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: &url, MaxNumberOfMessages: 10})
		if err != nil {
			t.Fatal(err)
		}
		return len(got.Messages), time.Since(began)
	}
	if err := stub.set(t.Context(), 50*time.Millisecond, full); err != nil {
		t.Fatal(err)
	}
	if n, took := receive(); n != 10 || took < 50*time.Millisecond {
		t.Errorf("%d messages after %v, want 10 after 50 ms at least", n, took)
	}
	if err := stub.set(t.Context(), 0, "100"); err != nil {
		t.Fatal(err)
	}
	if n, took := receive(); n < 1 || n > 9 || took > 10*time.Second {
		t.Errorf("%d messages after %v, want few and soon", n, took)
	}
	if err := stub.set(t.Context(), 0, "often"); err == nil {
		t.Error("a rate that is none was taken")
	}
}

func TestTableMarksWhatMissesItsGoal(t *testing.T) {
	var b strings.Builder
	(&table{rows: []row{{"a", "≥ 1", "2", true}, {"b", "≤ 1", "2", false}}}).write(&b)
	lines := strings.Split(strings.TrimSpace(b.String()), "\n")
	if len(lines) != 3 || !strings.Contains(lines[1], "✓ 2") || !strings.Contains(lines[2], "✗ 2") {
		t.Errorf("table:\n%s", b.String())
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
	stub := serving(t)
	sides := map[string]side{
		"bare":   bare,
		"engine": engineSide(plan{slots: 40, receivers: 2}),
	}
	for name, run := range sides {
		t.Run(name, func(t *testing.T) {
			f, err := measure(t.Context(), stub, run, 200*time.Millisecond)
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
