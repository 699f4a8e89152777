package dlqreplay_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/stationmaster/worker/deadletter"
	"github.com/stationmaster/worker/dlqreplay"
	"github.com/stationmaster/worker/internal/awsapi"
	"github.com/stationmaster/worker/localaws"
	"github.com/stationmaster/worker/queue"
)

// yard is a dead-letter queue on an SQS in this process, reached as AWS is, without sockets.
type yard struct {
	t      *testing.T
	server *localaws.Server
	api    *awsapi.Client
	url    string
	q      *awsapi.Queue
	dlq    dlqreplay.DLQ

	mu     sync.Mutex
	events []dlqreplay.Event
}

// caller is the server as an HTTP client.
type caller struct{ http.RoundTripper }

func (c caller) Do(r *http.Request) (*http.Response, error) { return c.RoundTrip(r) }

const holdFor = 2 * time.Minute

// newYard must be called inside a synctest bubble. The queue is FIFO when its name says so.
func newYard(t *testing.T, name string, nasty localaws.Nasty) *yard {
	t.Helper()
	y := &yard{t: t, server: localaws.New(localaws.Options{Nasty: nasty})}
	at := "http://localhost:4566"
	y.api = awsapi.New(aws.Config{
		Region: "us-east-1", BaseEndpoint: &at, HTTPClient: caller{y.server.Transport()},
		Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""),
	}, awsapi.Options{})
	attributes := map[string]string{}
	fifo := strings.HasSuffix(name, ".fifo")
	if fifo {
		attributes["FifoQueue"] = "true"
	}
	var err error
	if y.url, err = y.api.CreateQueue(t.Context(), name, attributes, nil); err != nil {
		t.Fatal(err)
	}
	y.q = y.api.Queue(y.url, awsapi.QueueOptions{Visibility: holdFor})
	y.dlq = dlqreplay.DLQ{
		Name: name, ARN: "arn:aws:sqs:us-east-1:000000000000:" + name, FIFO: fifo, Queue: y.q,
		Hold: holdFor, Retention: 14 * 24 * time.Hour, Counts: y.counts,
	}
	return y
}

func (y *yard) counts(ctx context.Context) (dlqreplay.Counts, error) {
	c, err := y.api.QueueCounts(ctx, y.url)
	return dlqreplay.Counts(c), err
}

func (y *yard) options() dlqreplay.ScanOptions {
	return dlqreplay.ScanOptions{DLQ: y.dlq, SpoolDir: y.t.TempDir(), Event: func(e dlqreplay.Event) {
		y.mu.Lock()
		defer y.mu.Unlock()
		y.events = append(y.events, e)
	}}
}

// told are the events of a kind.
func (y *yard) told(kind dlqreplay.EventKind) (some []dlqreplay.Event) {
	y.mu.Lock()
	defer y.mu.Unlock()
	for _, e := range y.events {
		if e.Kind == kind {
			some = append(some, e)
		}
	}
	return some
}

// source is a queue whose receives and settles can go wrong.
type source struct {
	dlqreplay.Source
	receive func(n int, next func(n int) ([]queue.Delivery, error)) ([]queue.Delivery, error)
	hide    func(handles []queue.ReceiptHandle, visible []time.Duration, next func() []error) []error
}

func (s *source) Receive(ctx context.Context, n int, wait time.Duration) ([]queue.Delivery, error) {
	next := func(n int) ([]queue.Delivery, error) { return s.Source.Receive(ctx, n, wait) }
	if s.receive == nil {
		return next(n)
	}
	return s.receive(n, next)
}

func (s *source) ChangeVisibility(ctx context.Context, handles []queue.ReceiptHandle, visible []time.Duration) []error {
	next := func() []error { return s.Source.ChangeVisibility(ctx, handles, visible) }
	if s.hide == nil {
		return next()
	}
	return s.hide(handles, visible, next)
}

// send puts messages into the dead-letter queue, and returns their ids.
func (y *yard) send(ms ...queue.Message) (ids []string) {
	y.t.Helper()
	for batch := range slices.Chunk(ms, queue.MaxBatch) {
		some, errs := y.q.Send(y.t.Context(), batch)
		if errs != nil {
			y.t.Fatal(errs)
		}
		ids = append(ids, some...)
	}
	return ids
}

// sendPlain sends n messages without a record.
func (y *yard) sendPlain(n int) []string {
	y.t.Helper()
	ms := make([]queue.Message, n)
	for i := range ms {
		ms[i] = queue.Message{Body: fmt.Sprintf(`{"n":%d}`, i)}
	}
	return y.send(ms...)
}

func (y *yard) scan(change func(*dlqreplay.ScanOptions)) *dlqreplay.Held {
	y.t.Helper()
	o := y.options()
	if change != nil {
		change(&o)
	}
	h, err := dlqreplay.Scan(y.t.Context(), o)
	if err != nil {
		y.t.Fatal(err)
	}
	return h
}

// holds checks how many messages the server shows, and how many are in flight.
func (y *yard) holds(visible, inFlight int64) {
	y.t.Helper()
	c, err := y.counts(y.t.Context())
	if err != nil {
		y.t.Fatal(err)
	}
	if c.Visible != visible || c.InFlight != inFlight {
		y.t.Errorf("the queue has %d visible and %d in flight, want %d and %d", c.Visible, c.InFlight, visible, inFlight)
	}
}

func (y *yard) plan(h *dlqreplay.Held, f dlqreplay.Filter, j dlqreplay.Judge) *dlqreplay.Plan {
	y.t.Helper()
	p, err := h.Plan(y.t.Context(), f, j, time.Now())
	if err != nil {
		y.t.Fatal(err)
	}
	return p
}

// dead is a message as a worker dead-letters it.
func dead(body string, death deadletter.Death, sent time.Time, err error) queue.Message {
	d := queue.Delivery{Message: queue.Message{Body: body}, MessageID: "source-id", Receives: 5, Sent: sent}
	m := d.Message
	if err := deadletter.New(&d, death, err).Write(&m); err != nil {
		panic(err)
	}
	return m
}

func ids(ls []*dlqreplay.Letter) []string {
	all := make([]string, len(ls))
	for i, l := range ls {
		all[i] = l.MessageID
	}
	return all
}
