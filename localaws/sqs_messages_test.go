package localaws_test

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestAMessageKeepsWhatItWasSentWith(t *testing.T) {
	k := newSQSKit()
	queue := k.create(t, "work", nil)
	attributes := map[string]types.MessageAttributeValue{
		"kind":       {DataType: aws.String("String"), StringValue: aws.String("invited")},
		"size":       {DataType: aws.String("Number.int"), StringValue: aws.String("7")},
		"bar.binary": {DataType: aws.String("Binary.png"), BinaryValue: []byte{0, 1, 255}},
	}
	// The client itself compares the checksum of the body, and we that of the attributes.
	sent, err := k.SendMessage(t.Context(), &sqs.SendMessageInput{
		QueueUrl: queue, MessageBody: aws.String("hello & <world> \u2028 ü"), MessageAttributes: attributes,
		MessageGroupId: aws.String("tenant-1"),
		MessageSystemAttributes: map[string]types.MessageSystemAttributeValue{
			"AWSTraceHeader": {DataType: aws.String("String"), StringValue: aws.String("Root=1-5759e988-bd862e3fe1be46a994272793")},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if sent.MD5OfMessageSystemAttributes == nil {
		t.Error("no checksum of the system attributes")
	}
	got := k.one(t, queue)
	if *got.Body != "hello & <world> \u2028 ü" || *got.MessageId != *sent.MessageId || *got.MD5OfMessageAttributes != *sent.MD5OfMessageAttributes {
		t.Errorf("received %+v, sent %+v", got, sent)
	}
	if diff := cmp.Diff(attributes, got.MessageAttributes, cmpopts.IgnoreUnexported(types.MessageAttributeValue{})); diff != "" {
		t.Errorf("attributes differ: %s", diff)
	}
	for name, want := range map[string]string{
		"MessageGroupId": "tenant-1", "AWSTraceHeader": "Root=1-5759e988-bd862e3fe1be46a994272793",
		"ApproximateReceiveCount": "1", "SenderId": "000000000000",
	} {
		if got.Attributes[name] != want {
			t.Errorf("%s = %q, want %q", name, got.Attributes[name], want)
		}
	}
}

// aws-semantics §4.1.
func TestReceiveShowsOnlyWhatIsAskedFor(t *testing.T) {
	k := newSQSKit()
	queue := k.create(t, "work", map[string]string{"VisibilityTimeout": "0"})
	text := func(s string) types.MessageAttributeValue {
		return types.MessageAttributeValue{DataType: aws.String("String"), StringValue: &s}
	}
	_, err := k.SendMessage(t.Context(), &sqs.SendMessageInput{
		QueueUrl: queue, MessageBody: aws.String("x"),
		MessageAttributes: map[string]types.MessageAttributeValue{"app.a": text("1"), "app.b": text("2"), "other": text("3")},
	})
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		ask    []string
		system []types.MessageSystemAttributeName
		want   string
	}{
		{nil, nil, ""},
		{[]string{"All"}, nil, "app.a app.b other"},
		{[]string{"app.*"}, nil, "app.a app.b"},
		{[]string{"other", "none"}, []types.MessageSystemAttributeName{"SentTimestamp"}, "other +SentTimestamp"},
		{[]string{"none"}, []types.MessageSystemAttributeName{"AWSTraceHeader"}, ""},
	}
	for _, tt := range tests {
		out, err := k.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: queue, MessageAttributeNames: tt.ask, MessageSystemAttributeNames: tt.system})
		if err != nil {
			t.Fatal(err)
		}
		m := out.Messages[0]
		if got := names(m); got != tt.want {
			t.Errorf("asked for %v and %v: got %q, want %q", tt.ask, tt.system, got, tt.want)
		}
		if (m.MD5OfMessageAttributes != nil) != (len(m.MessageAttributes) > 0) {
			t.Errorf("asked for %v: checksum %v", tt.ask, m.MD5OfMessageAttributes)
		}
	}
}

func TestMD5OfAttributesIsAWSs(t *testing.T) {
	k := newSQSKit()
	queue := k.create(t, "work", nil)
	// Another implementation's value for the same attribute, checked there against AWS: moto, tests/test_sqs.
	out, err := k.SendMessage(t.Context(), &sqs.SendMessageInput{
		QueueUrl: queue, MessageBody: aws.String("derp"),
		MessageAttributes: map[string]types.MessageAttributeValue{"timestamp": {DataType: aws.String("Number"), StringValue: aws.String("1493147359900")}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := *out.MD5OfMessageAttributes; got != "235c5c510d26fb653d073faed50ae77c" {
		t.Errorf("MD5OfMessageAttributes = %s", got)
	}
}

// aws-semantics §5.5; §5.1 for the change of visibility, which counts from its call.
func TestLongPoll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newSQSKit()
		queue := k.create(t, "work", map[string]string{"VisibilityTimeout": "30", "ReceiveMessageWaitTimeSeconds": "7"})
		start := time.Now()
		took := func() time.Duration { return time.Since(start).Round(time.Millisecond) }
		if got := k.receive(t, queue, 20); len(got) != 0 || took() != 20*time.Second {
			t.Errorf("an empty queue answered %d messages after %v", len(got), took())
		}
		start = time.Now()
		if got := k.receive(t, queue, 0); len(got) != 0 || took() != 7*time.Second { // 0 is not sent: the queue decides
			t.Errorf("an empty queue answered %d messages after %v", len(got), took())
		}

		start = time.Now()
		time.AfterFunc(3*time.Second, func() { k.send(t, queue, "late") })
		first := k.receive(t, queue, 20)
		if len(first) != 1 || took() != 3*time.Second {
			t.Fatalf("a send woke the poll with %d messages after %v", len(first), took())
		}
		start = time.Now()
		if got := k.receive(t, queue, 20); len(got) != 0 || took() != 20*time.Second {
			t.Errorf("a message in flight was received: %d after %v", len(got), took())
		}
		start = time.Now()
		if got := k.receive(t, queue, 20); len(got) != 1 || took() != 10*time.Second {
			t.Errorf("a message that timed out: %d after %v, want 1 after 10s", len(got), took())
		}
		// A change of visibility during the poll moves its end.
		start = time.Now()
		time.AfterFunc(time.Second, func() {
			if err := k.hide(t, queue, first[0].ReceiptHandle, 2); err != nil {
				t.Error(err)
			}
		})
		if got := k.receive(t, queue, 20); len(got) != 1 || took() != 3*time.Second {
			t.Errorf("after a shorter visibility: %d after %v, want 1 after 3s", len(got), took())
		}
	})
}

func TestManyPollsShareManyMessages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newSQSKit()
		queue := k.create(t, "work", nil)
		var wg sync.WaitGroup
		var mu sync.Mutex
		got, start := map[string]int{}, time.Now()
		for range 8 {
			wg.Go(func() {
				for _, m := range k.receive(t, queue, 20) {
					mu.Lock()
					got[*m.Body]++
					mu.Unlock()
				}
			})
		}
		synctest.Wait()
		for i := range 8 {
			k.send(t, queue, strconv.Itoa(i))
			synctest.Wait()
		}
		wg.Wait()
		if len(got) != 8 || time.Since(start) != 0 {
			t.Errorf("received %v after %v, want each of 8 once and at once", got, time.Since(start))
		}
	})
}

func TestAReceiveWhoseClientHasGoneTakesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newSQSKit()
		queue := k.create(t, "work", nil)
		ctx, cancel := context.WithCancel(t.Context())
		gone, stays := make(chan error), make(chan []types.Message)
		go func() {
			_, err := k.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: queue, WaitTimeSeconds: 20})
			gone <- err
		}()
		synctest.Wait()
		go func() { stays <- k.receive(t, queue, 20) }()
		synctest.Wait()
		cancel()
		if err := <-gone; !errors.Is(err, context.Canceled) {
			t.Errorf("the canceled receive returned %v", err)
		}
		k.send(t, queue, "for the other")
		if got := <-stays; len(got) != 1 {
			t.Errorf("the other receive got %d messages", len(got))
		}
		if _, err := k.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: queue}); err == nil {
			t.Error("a canceled receive succeeded")
		}
	})
}

// aws-semantics §2.2.
func TestDelayAndRetention(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newSQSKit()
		queue := k.create(t, "work", map[string]string{"DelaySeconds": "5", "MessageRetentionPeriod": "60"})
		k.send(t, queue, "delayed by the queue")
		if _, err := k.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: queue, MessageBody: aws.String("by itself"), DelaySeconds: 10}); err != nil {
			t.Fatal(err)
		}
		if got := k.counts(t, queue); got != (counts{0, 0, 2}) {
			t.Errorf("counts %+v, want two delayed", got)
		}
		start := time.Now()
		for _, want := range []struct {
			body string
			at   time.Duration
		}{{"delayed by the queue", 5 * time.Second}, {"by itself", 10 * time.Second}} {
			got := k.receive(t, queue, 20)
			if len(got) != 1 || *got[0].Body != want.body || time.Since(start) != want.at {
				t.Fatalf("received %d messages after %v, want %q after %v", len(got), time.Since(start), want.body, want.at)
			}
		}
		if got := k.counts(t, queue); got != (counts{0, 2, 0}) {
			t.Errorf("counts %+v, want two in flight", got)
		}
		wait(t, 50*time.Second) // a minute after the sends: gone, although in flight
		if got := k.counts(t, queue); got != (counts{}) {
			t.Errorf("counts %+v, want none", got)
		}
	})
}

// aws-semantics §1.8.
func TestPurge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newSQSKit()
		queue := k.create(t, "work", nil)
		k.send(t, queue, "flies")
		flying := k.one(t, queue)
		k.send(t, queue, "lies")
		purge := func() error {
			_, err := k.PurgeQueue(t.Context(), &sqs.PurgeQueueInput{QueueUrl: queue})
			return err
		}
		if err := purge(); err != nil {
			t.Fatal(err)
		}
		if got := k.counts(t, queue); got != (counts{}) {
			t.Errorf("counts %+v after a purge", got)
		}
		k.remove(t, queue, flying.ReceiptHandle)
		if err := purge(); !is[*types.PurgeQueueInProgress](err) {
			t.Errorf("the second purge: %v", err)
		}
		wait(t, time.Minute)
		if err := purge(); err != nil {
			t.Error(err)
		}
	})
}

// is tells whether an error is one of the SDK's types.
func is[E error](err error) bool {
	_, ok := errors.AsType[E](err)
	return ok
}

// wait lets the bubble's time pass.
func wait(t *testing.T, d time.Duration) {
	t.Helper()
	select {
	case <-time.After(d):
	case <-t.Context().Done():
	}
}

func names(m types.Message) string {
	var all []string
	for _, name := range []string{"app.a", "app.b", "other"} {
		if _, ok := m.MessageAttributes[name]; ok {
			all = append(all, name)
		}
	}
	for name := range m.Attributes {
		all = append(all, "+"+name)
	}
	return strings.Join(all, " ")
}
