package dlqreplay_test

import (
	"context"
	"fmt"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stationmaster/worker/dlqreplay"
	"github.com/stationmaster/worker/queue"
)

// far is a queue that answers after 15 ms and does what it is asked.
type far struct {
	mu   sync.Mutex
	next int
	most int
	gone int
}

const away = 15 * time.Millisecond

func (f *far) Receive(_ context.Context, n int, _ time.Duration) ([]queue.Delivery, error) {
	<-time.After(away)
	f.mu.Lock()
	defer f.mu.Unlock()
	now := time.Now()
	var ds []queue.Delivery
	for range min(n, f.most-f.next) {
		id := fmt.Sprintf("%08x-0000-4000-8000-000000000000", f.next)
		ds = append(ds, queue.Delivery{
			MessageID: id, Handle: queue.ReceiptHandle(id), Received: now, Deadline: now.Add(time.Hour), Sent: now.Add(-time.Hour),
			Message: queue.Message{Body: `{"event":"user_invited","n":12345}`, Attributes: map[string]queue.Attribute{"kind": text("mail")}},
		})
		f.next++
	}
	return ds, nil
}

func (f *far) Delete(_ context.Context, handles []queue.ReceiptHandle) []error {
	<-time.After(away)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.gone += len(handles)
	return nil
}

func (f *far) ChangeVisibility(context.Context, []queue.ReceiptHandle, []time.Duration) []error {
	return nil
}

func (f *far) Send(_ context.Context, ms []queue.Message) ([]string, []error) {
	<-time.After(away)
	ids := make([]string, len(ms))
	for i := range ms {
		ids[i] = fmt.Sprintf("%08x-0000-4000-9000-000000000000", i)
	}
	return ids, nil
}

// BenchmarkReplay moves messages between queues that are 15 ms away, with the journal on a real disk.
func BenchmarkReplay(b *testing.B) {
	f := &far{most: b.N}
	dlq := dlqreplay.DLQ{Name: "dlq", Queue: f, Hold: time.Hour, Counts: func(context.Context) (dlqreplay.Counts, error) {
		f.mu.Lock()
		defer f.mu.Unlock()
		return dlqreplay.Counts{Visible: int64(f.most - f.next), InFlight: int64(f.next)}, nil
	}}
	held, err := dlqreplay.Scan(b.Context(), dlqreplay.ScanOptions{DLQ: dlq, SpoolDir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	to := &dlqreplay.Destination{Name: "work", Marks: true, Taker: dlqreplay.Sends(f)}
	judge := dlqreplay.Judge{To: func(*dlqreplay.Letter) (*dlqreplay.Destination, error) { return to, nil }}
	plan, err := held.Plan(b.Context(), nil, judge, time.Now())
	if err != nil {
		b.Fatal(err)
	}
	j, err := dlqreplay.Store{Dir: b.TempDir()}.Begin(dlqreplay.Header{})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = j.Close() }() // what counts is read from the disk
	used := cpu(b)
	b.ResetTimer()
	r, err := dlqreplay.Run(b.Context(), dlqreplay.Options{
		ReplayID: j.ID(), Held: held, Plan: plan, Judge: judge, Pace: dlqreplay.Pace{StopOnReturn: 1, Loops: 16}, Journal: j,
	})
	b.StopTimer()
	if err != nil || !r.Whole() || f.gone != b.N {
		b.Fatalf("%+v, %v", r, err)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msg/s")
	b.ReportMetric(float64((cpu(b)-used).Microseconds())/float64(b.N), "cpu-µs/msg")
}

// cpu is what this process has used of the processors.
func cpu(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
