package localaws_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/stationmaster/worker/localaws"
)

// The benchmarks of make bench-localaws. Each compares within its own run, in turns.

const (
	speedBody  = `{"event":"user_invited","email":"somebody@example.com","invited_by":"ada"}`
	speedLoops = 8
)

// nothing answers a receive with ten messages and a delete with success, and does nothing else.
func nothing() http.HandlerFunc {
	messages, deleted := make([]string, 10), make([]string, 10)
	for i := range messages {
		messages[i] = `{"MessageId":"00000000-0000-4000-8000-000000000000","ReceiptHandle":"` + strings.Repeat("r", 40) +
			`","MD5OfBody":"b6d81b360a5672d80c27430f39153e2c","Body":` + strconv.Quote(speedBody) + `}`
		deleted[i] = `{"Id":"` + strconv.Itoa(i) + `"}`
	}
	received := `{"Messages":[` + strings.Join(messages, ",") + `]}`
	settled := `{"Successful":[` + strings.Join(deleted, ",") + `],"Failed":[]}`
	return func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body) //nolint:errcheck // of a benchmark
		w.Header().Set("Content-Type", "application/x-amz-json-1.0")
		answer := settled
		if strings.HasSuffix(r.Header.Get("X-Amz-Target"), "ReceiveMessage") {
			answer = received
		}
		io.WriteString(w, answer) //nolint:errcheck // of a benchmark
	}
}

// drainLoops receives and deletes n messages from a queue in batches, with a few loops at once.
func drainLoops(b *testing.B, endpoint, queue string, n int) time.Duration {
	b.Helper()
	client := sqs.New(sqs.Options{
		Region: "us-east-1", BaseEndpoint: &endpoint, Credentials: credentials.NewStaticCredentialsProvider("AKID", "secret", ""),
		DisableMessageChecksumValidation: true,
	})
	url := endpoint + "/000000000000/" + queue
	began := time.Now()
	var loops sync.WaitGroup
	for range speedLoops {
		loops.Go(func() {
			for range n / 10 / speedLoops {
				got, err := client.ReceiveMessage(b.Context(), &sqs.ReceiveMessageInput{QueueUrl: &url, MaxNumberOfMessages: 10})
				if err != nil {
					b.Error(err)
					return
				}
				entries := make([]types.DeleteMessageBatchRequestEntry, len(got.Messages))
				for i, m := range got.Messages {
					entries[i] = types.DeleteMessageBatchRequestEntry{Id: aws.String(strconv.Itoa(i)), ReceiptHandle: m.ReceiptHandle}
				}
				out, err := client.DeleteMessageBatch(b.Context(), &sqs.DeleteMessageBatchInput{QueueUrl: &url, Entries: entries})
				if err != nil || len(out.Successful) != 10 {
					b.Errorf("%d of 10 deleted: %v", len(out.Successful), err)
					return
				}
			}
		})
	}
	loops.Wait()
	return time.Since(began)
}

// BenchmarkReceiveAndDelete works a queue off over loopback HTTP, in turns with a stub that does nothing.
func BenchmarkReceiveAndDelete(b *testing.B) {
	const messages = 8_000
	k := newSQSKit()
	k.create(b, "work", nil)
	ours, none := httptest.NewServer(k.Server), httptest.NewServer(nothing())
	defer ours.Close()
	defer none.Close()
	var ratios []float64
	for b.Loop() {
		b.StopTimer()
		fillBodies(b, k, messages)
		b.StartTimer()
		took := drainLoops(b, ours.URL, "work", messages)
		ratios = append(ratios, float64(drainLoops(b, none.URL, "work", messages))/float64(took))
	}
	b.ReportMetric(median(ratios), "of-the-stub's-rate")
}

// BenchmarkStored compares a queue of a million messages with one of a thousand. The collector rests in a
// round: it is the process's, and would bill the one for what the other stores.
func BenchmarkStored(b *testing.B) {
	many, few := newSQSKit(), newSQSKit()
	for k, n := range map[*sqsKit]int{many: 1_000_000, few: 1_000} {
		k.create(b, "work", nil)
		fillBodies(b, k, n)
	}
	round := func(k *sqsKit) time.Duration {
		runtime.GC()
		defer debug.SetGCPercent(debug.SetGCPercent(-1))
		began := time.Now()
		for range 90 {
			cycle(b, k, `{"QueueUrl":"http://x/000000000000/work"`)
		}
		took := time.Since(began)
		fillBodies(b, k, 900)
		return took
	}
	var ratios []float64
	for b.Loop() {
		ratios = append(ratios, float64(round(few))/float64(round(many)))
	}
	b.ReportMetric(median(ratios), "of-the-rate-at-1000")
}

// BenchmarkWaitingPolls lets a thousand long polls wait for a second and reports the CPU that costs.
func BenchmarkWaitingPolls(b *testing.B) {
	k := newSQSKit()
	k.create(b, "work", nil)
	server := httptest.NewServer(k.Server)
	defer server.Close()
	var polls sync.WaitGroup
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 1000}}
	for range 1000 {
		polls.Go(func() {
			r, err := http.NewRequestWithContext(b.Context(), http.MethodPost, server.URL,
				strings.NewReader(`{"QueueUrl":"http://x/000000000000/work","WaitTimeSeconds":20}`))
			if err != nil {
				b.Error(err)
				return
			}
			r.Header.Set("X-Amz-Target", "AmazonSQS.ReceiveMessage")
			r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=AKID/20260101/us-east-1/sqs/aws4_request")
			if response, err := client.Do(r); err == nil {
				response.Body.Close()
			}
		})
	}
	second := func() time.Duration { // the CPU that a second takes
		before := processCPU(b)
		<-time.After(time.Second)
		return processCPU(b) - before
	}
	for second() > 100*time.Millisecond { // until all of them wait
	}
	var used []float64
	for b.Loop() {
		used = append(used, float64(second().Microseconds())/1000)
	}
	b.ReportMetric(median(used), "cpu-ms/s")
	b.StopTimer()
	server.CloseClientConnections()
	polls.Wait()
}

// BenchmarkStart makes a server and its first queue.
func BenchmarkStart(b *testing.B) {
	for b.Loop() {
		newSQSKit().create(b, "work", nil)
	}
}

// A message costs less than a KiB beside its body.
func TestAMessageCostsLessThanAKiBBesideItsBody(t *testing.T) {
	const messages = 50_000
	s := localaws.New(localaws.Options{})
	k := &sqsKit{Server: s, Client: sqs.NewFromConfig(sdkConfig(s, "us-east-1"))}
	k.create(t, "work", nil)
	before := heap()
	fillBodies(t, k, messages)
	cost := float64(heap()-before)/messages - float64(len(speedBody))
	t.Logf("a message costs %.0f bytes beside its body", cost)
	if cost >= 1024 {
		t.Errorf("a message costs %.0f bytes beside its body, want less than 1024", cost)
	}
	runtime.KeepAlive(k)
}

// fillBodies sends n messages to the queue "work".
func fillBodies(t testing.TB, k *sqsKit, n int) {
	t.Helper()
	entries := make([]string, 10)
	for i := range entries {
		entries[i] = `{"Id":"` + strconv.Itoa(i) + `","MessageBody":` + strconv.Quote(speedBody) + `}`
	}
	body := `{"QueueUrl":"http://x/000000000000/work","Entries":[` + strings.Join(entries, ",") + `]}`
	for range n / 10 {
		do(t, k, "SendMessageBatch", body, nil)
	}
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func processCPU(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func median(of []float64) float64 {
	slices.Sort(of)
	return of[len(of)/2]
}
