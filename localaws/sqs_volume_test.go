package localaws_test

import (
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// do performs an action without an SDK, whose work would be most of the time.
func do(t testing.TB, k *sqsKit, action, body string, into any) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://localaws.test/", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-Amz-Target", "AmazonSQS."+action)
	r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=AKID/20260101/us-east-1/sqs/aws4_request")
	response, err := k.Transport().RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("%s: %d %s %v", action, response.StatusCode, text, err)
	}
	if into != nil {
		if err := json.Unmarshal(text, into); err != nil {
			t.Fatal(err)
		}
	}
}

// fill sends n messages and returns what a request needs to name their queue.
func fill(t testing.TB, k *sqsKit, queue string, n int) string {
	t.Helper()
	prefix := `{"QueueUrl":"` + queue + `"`
	for sent := 0; sent < n; sent += 10 {
		entries := make([]string, min(10, n-sent))
		for i := range entries {
			entries[i] = `{"Id":"` + strconv.Itoa(i) + `","MessageBody":"x"}`
		}
		do(t, k, "SendMessageBatch", prefix+`,"Entries":[`+strings.Join(entries, ",")+`]}`, nil)
	}
	return prefix
}

// aws-semantics §5.5: 120,000 in flight; a short poll is told, a long poll is not.
func TestInFlightLimit(t *testing.T) {
	const limit = 120_000
	synctest.Test(t, func(t *testing.T) {
		k := newSQSKit()
		queue := k.create(t, "work", nil)
		prefix := fill(t, k, *queue, limit+1)
		var last struct {
			Messages []struct{ ReceiptHandle string }
		}
		for range limit / 10 {
			do(t, k, "ReceiveMessage", prefix+`,"MaxNumberOfMessages":10}`, &last)
		}
		if got := k.counts(t, queue); got != (counts{visible: 1, inFlight: limit}) {
			t.Fatalf("counts %+v", got)
		}
		// A short poll is told; a long poll only finds nothing.
		_, err := k.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: queue})
		if !is[*types.OverLimit](err) {
			t.Errorf("a short poll at the limit: %v", err)
		}
		start := time.Now()
		if got := k.receive(t, queue, 5); len(got) != 0 || time.Since(start) != 5*time.Second {
			t.Errorf("a long poll at the limit: %d messages after %v", len(got), time.Since(start))
		}
		time.AfterFunc(time.Second, func() { k.remove(t, queue, &last.Messages[0].ReceiptHandle) })
		start = time.Now()
		if got := k.receive(t, queue, 5); len(got) != 1 || time.Since(start) != time.Second {
			t.Errorf("a long poll after a delete: %d messages after %v", len(got), time.Since(start))
		}
		synctest.Wait() // for the answer to the delete
	})
}

// BenchmarkMessage is one message sent, received and deleted, in batches of ten, with 50,000 others
// lying in the queue: their number must not matter.
func BenchmarkMessage(b *testing.B) {
	for _, backlog := range []int{0, 50_000} {
		b.Run(strconv.Itoa(backlog), func(b *testing.B) {
			k := newSQSKit()
			prefix := fill(b, k, *k.create(b, "work", nil), backlog)
			b.ResetTimer()
			for range b.N / 10 {
				fill(b, k, "http://x/000000000000/work", 10)
				var got struct {
					Messages []struct{ ReceiptHandle string }
				}
				do(b, k, "ReceiveMessage", prefix+`,"MaxNumberOfMessages":10}`, &got)
				entries := make([]string, len(got.Messages))
				for i, m := range got.Messages {
					entries[i] = `{"Id":"` + strconv.Itoa(i) + `","ReceiptHandle":"` + m.ReceiptHandle + `"}`
				}
				do(b, k, "DeleteMessageBatch", prefix+`,"Entries":[`+strings.Join(entries, ",")+`]}`, nil)
			}
		})
	}
}

// cycle receives ten messages and deletes them.
func cycle(t testing.TB, k *sqsKit, prefix string) {
	t.Helper()
	var got struct {
		Messages []struct{ ReceiptHandle string }
	}
	do(t, k, "ReceiveMessage", prefix+`,"MaxNumberOfMessages":10}`, &got)
	entries := make([]string, len(got.Messages))
	for i, m := range got.Messages {
		entries[i] = `{"Id":"` + strconv.Itoa(i) + `","ReceiptHandle":"` + m.ReceiptHandle + `"}`
	}
	do(t, k, "DeleteMessageBatch", prefix+`,"Entries":[`+strings.Join(entries, ",")+`]}`, nil)
}

// BenchmarkFIFO is ten messages received and deleted from a FIFO queue with so many messages, half as
// many groups as messages: their number must not matter.
func BenchmarkFIFO(b *testing.B) {
	for _, backlog := range []int{1_000, 1_000_000} {
		b.Run(strconv.Itoa(backlog), func(b *testing.B) {
			k := newSQSKit()
			prefix, left := "", 0
			for n := 0; b.Loop(); n++ {
				if left == 0 { // the small queue runs dry
					b.StopTimer()
					prefix, left = fillGroups(b, k, *k.fifo(b, "work-"+strconv.Itoa(n)), backlog, backlog/2), backlog
					b.StartTimer()
				}
				cycle(b, k, prefix)
				left -= 10
			}
		})
	}
}
