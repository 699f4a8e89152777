package jobstest

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/stationmaster/worker/deadletter"
	"github.com/stationmaster/worker/internal/awsapi"
	"github.com/stationmaster/worker/jobs"
	"github.com/stationmaster/worker/localaws"
	"github.com/stationmaster/worker/poller"
	"github.com/stationmaster/worker/queue"
	"github.com/stationmaster/worker/retry"
)

const (
	// longest is how long a life may last: what SQS keeps a message for unless told otherwise.
	longest = 4 * 24 * time.Hour
	// spare is how many more receives than attempts the queue allows, as a worker's own queues do.
	spare = 10
	// mostBack is how many messages may come back to the job that published them.
	mostBack = 1000
)

// living are lives that go on.
type living struct {
	setup *setup
	job   string
	work  *awsapi.Queue
	sent  time.Time

	// For watchClock: whatever happens, the calls of the job that have not returned, the bubble's name.
	moves, runs atomic.Int64
	bubble      atomic.Value

	mu    sync.Mutex
	all   *Lives
	by    map[string]*Life // by SQS's MessageId
	calls map[any]*call    // by *jobs.Info
	left  int              // lives that have not ended
	back  int
	fault error
	woken chan struct{} // closed when a message is sent
	ended chan struct{} // closed when none is left, or at the fault
}

// call is one call of the job, for one message or a batch.
type call struct {
	size      int
	published []Published
}

type callKey struct{}

func (l *living) run(t *testing.T, d *jobs.Definition, bodies []any) {
	t.Helper()
	l.bubble.Store(bubbleOf())
	l.ended, l.woken = make(chan struct{}), make(chan struct{}) // the bubble's, or waiting for them would stop the clock
	i, published, err := l.setup.open(t, d, l)
	if err != nil {
		t.Fatalf("jobstest: %v", err)
	}
	defer func() {
		if err := i.Close(); err != nil {
			t.Errorf("jobstest: %v", err)
		}
	}()
	server := localaws.New(localaws.Options{})
	defer func() { _ = server.Close() }() // it holds nothing but this test
	work, dlq, err := l.queues(t.Context(), server)
	if err != nil {
		t.Fatalf("jobstest: %v", err)
	}
	slots := l.setup.slots
	if slots == 0 {
		slots = i.Batch()
	}
	p, err := poller.New(poller.Options{
		Name: queueName, Job: d.Name, Receiver: resting{work, l}, Settler: work, DeadLetters: dlq, FIFO: l.setup.fifo,
		Route: func(*jobs.Info) (*jobs.Instance, bool) { return i, true },
		Retry: l.setup.policy, Slots: slots, CutPolls: true, Random: func() float64 { return 1 },
		Build: queueName, Host: queueName,
		Hooks: poller.Hooks{Started: l.started, Finished: l.finished, Settled: l.settled},
	})
	if err != nil {
		t.Fatalf("jobstest: %v", err)
	}
	l.work, l.sent = work, time.Now()
	l.send(t, bodies)
	l.watch(t, p, dlq)
	l.all.Published, l.all.Lasted = published.all(), time.Since(l.sent)
	if len(l.all.Each) == 1 { // also what a job published with a context of its own
		l.all.Each[0].Published = l.all.Published
	}
}

// send sends the messages; nothing runs yet.
func (l *living) send(t *testing.T, bodies []any) {
	t.Helper()
	if len(bodies) == 0 {
		t.Fatalf("jobstest: no message for job %s", l.job)
	}
	for n, body := range bodies {
		m, _ := l.setup.about(t, body)
		name := m.id
		if name == "" {
			name = fmt.Sprintf("message-%d", n+1)
		}
		for _, other := range l.all.Each {
			if other.Name == name {
				t.Fatalf("jobstest: two messages have the id %s: give each its own, by With", name)
			}
		}
		sent := l.setup.delivery(t, name, body).Message
		if m.id != "" && m.topic == "" {
			sent.Attributes = maps.Clone(sent.Attributes)
			if sent.Attributes == nil {
				sent.Attributes = map[string]queue.Attribute{}
			}
			sent.Attributes[queue.StationmasterAttribute] = queue.Identified(m.id) // as publish.ID writes it
		}
		life := &Life{Name: name, t: l.all.t, job: l.job}
		if err := l.post(t.Context(), life, sent); err != nil {
			t.Fatalf("jobstest: send %s: %v", name, err)
		}
	}
}

// post sends one message and counts its life. Its first try may begin before SQS's answer is read.
func (l *living) post(ctx context.Context, life *Life, m queue.Message) error {
	if l.setup.fifo {
		if m.GroupID == "" {
			m.GroupID = queueName
		}
		m.DeduplicationID = life.Name
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	ids, errs := l.work.Send(ctx, []queue.Message{m})
	if err := queue.At(errs, 0); err != nil {
		return err
	}
	life.group = m.GroupID
	l.by[ids[0]] = life
	l.all.Each = append(l.all.Each, life)
	l.left++
	close(l.woken)
	l.woken = make(chan struct{})
	return nil
}

// published is told of what the job publishes; what goes to a topic of Subscribed comes back.
func (l *living) published(ctx context.Context, p Published, id string) error {
	l.mu.Lock()
	if c, ok := ctx.Value(callKey{}).(*call); ok {
		c.published = append(c.published, p)
	}
	comes := slices.Contains(l.setup.back, p.Topic)
	if comes {
		l.back++
	}
	if l.back > mostBack && l.fault == nil {
		l.fault = fmt.Errorf("job %s has published %d messages that came back to it: it does not end", l.job, mostBack)
		close(l.ended)
	}
	comes = comes && l.fault == nil
	l.mu.Unlock()
	if !comes {
		return nil
	}
	body, err := envelope(p.Topic, id, p.Message.Body, time.Now(), p.Message.Attributes)
	if err != nil {
		return err
	}
	life := &Life{Name: id, t: l.all.t, job: l.job}
	return l.post(ctx, life, queue.Message{Body: body, GroupID: p.Message.GroupID})
}

// watch runs the poller until every message has ended.
func (l *living) watch(t *testing.T, p *poller.Poller, dlq *awsapi.Queue) {
	t.Helper()
	receive, stop := context.WithTimeout(t.Context(), longest)
	var all sync.WaitGroup
	defer all.Wait()
	defer stop()
	all.Go(func() { p.Run(receive, t.Context()) })
	all.Go(func() {
		for receive.Err() == nil {
			l.bury(receive, dlq)
		}
	})
	select {
	case <-l.ended:
	case <-receive.Done():
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.fault != nil:
		t.Fatalf("jobstest: %v", l.fault)
	case l.left > 0:
		t.Fatalf("jobstest: job %s: %d of %d messages have not ended after %s:\n%s", l.job, l.left, len(l.all.Each), short(longest), l.all)
	}
}

// queues makes the queue of the job and its dead-letter queue.
func (l *living) queues(ctx context.Context, server *localaws.Server) (work, dlq *awsapi.Queue, err error) {
	api := awsapi.New(aws.Config{
		Region: "us-east-1", BaseEndpoint: aws.String("http://jobstest.test"),
		HTTPClient:  &http.Client{Transport: counted{server.Transport(), &l.moves}},
		Credentials: credentials.NewStaticCredentialsProvider("jobstest", "jobstest", ""),
	}, awsapi.Options{})
	suffix, attributes := "", map[string]string{}
	if l.setup.fifo {
		suffix, attributes["FifoQueue"] = ".fifo", "true"
	}
	dead, err := api.CreateQueue(ctx, queueName+"-dlq"+suffix, attributes, nil)
	if err != nil {
		return nil, nil, err
	}
	of, err := api.QueueAttributes(ctx, dead)
	if err != nil {
		return nil, nil, err
	}
	attributes["RedrivePolicy"] = fmt.Sprintf(`{"deadLetterTargetArn":%q,"maxReceiveCount":%d}`, of["QueueArn"], max(l.setup.policy.Attempts, 1)+spare)
	url, err := api.CreateQueue(ctx, queueName+suffix, attributes, nil)
	if err != nil {
		return nil, nil, err
	}
	return api.Queue(url, awsapi.QueueOptions{Visibility: poller.DefaultVisibility}), api.Queue(dead, awsapi.QueueOptions{Visibility: time.Minute}), nil
}

// resting is a queue that is not asked while there can be nothing to receive.
type resting struct {
	*awsapi.Queue
	l *living
}

func (r resting) Receive(ctx context.Context, n int, wait time.Duration) ([]queue.Delivery, error) {
	r.l.rest(ctx)
	return r.Queue.Receive(ctx, n, wait)
}

// ReceiveAs implements queue.Repeater, for FIFO queues.
func (r resting) ReceiveAs(ctx context.Context, attempt string, n int, wait time.Duration) ([]queue.Delivery, error) {
	r.l.rest(ctx)
	return r.Queue.ReceiveAs(ctx, attempt, n, wait)
}

// rest waits while every message is hidden: a poll would come back empty, every 20 seconds of days.
func (l *living) rest(ctx context.Context) {
	l.mu.Lock()
	until, woken := l.quiet(), l.woken
	l.mu.Unlock()
	wait := time.Until(until.Add(-time.Second)) // visibility timeouts are whole seconds
	if wait <= 0 {
		return
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-woken:
	case <-ctx.Done():
	}
}

// quiet is when the first message comes back that is hidden, if all are that have not ended; else no time.
// In a FIFO queue what is behind another in its group waits for that.
func (l *living) quiet() time.Time {
	var first time.Time
	behind := map[string]bool{}
	for _, life := range l.all.Each {
		if life.ended || l.setup.fifo && behind[life.group] {
			continue
		}
		behind[life.group] = true
		if life.due.IsZero() {
			return time.Time{}
		}
		if first.IsZero() || life.due.Before(first) {
			first = life.due
		}
	}
	return first
}

// counted counts what goes through a transport.
type counted struct {
	http.RoundTripper
	moves *atomic.Int64
}

func (c counted) RoundTrip(r *http.Request) (*http.Response, error) {
	c.moves.Add(1)
	return c.RoundTripper.RoundTrip(r)
}

// observe is the outermost middleware: it knows what is one call.
func (l *living) observe(next jobs.Call) jobs.Call {
	return func(ctx context.Context, ms []*jobs.Info) []error {
		c := &call{size: len(ms)}
		l.mu.Lock()
		l.all.calls = append(l.all.calls, len(ms))
		for _, m := range ms {
			l.calls[m] = c
		}
		l.mu.Unlock()
		l.runs.Add(1)
		defer l.runs.Add(-1)
		defer l.moves.Add(1)
		defer http.DefaultClient.CloseIdleConnections() // or they would stop the clock
		return next(context.WithValue(ctx, callKey{}, c), ms)
	}
}

func (l *living) started(ctx context.Context, d *queue.Delivery, _ *jobs.Info) context.Context {
	l.mu.Lock()
	defer l.mu.Unlock()
	life := l.by[d.MessageID]
	life.due = time.Time{}
	l.all.order = append(l.all.order, life)
	return ctx
}

func (l *living) finished(_ context.Context, d *queue.Delivery, info *jobs.Info, o poller.Outcome) {
	l.mu.Lock()
	defer l.mu.Unlock()
	life, try := l.by[d.MessageID], Try{
		At: time.Since(l.sent) - o.Took, Took: o.Took, Attempt: o.Attempt, Err: o.Err, Decision: o.Decision,
	}
	if c := l.calls[info]; c != nil {
		try.Batch = c.size
		life.Published = append(life.Published, c.published...)
		delete(l.calls, info)
	}
	life.Tries = append(life.Tries, try)
	if a := o.Decision.Action; a == retry.Again || a == retry.Rest {
		life.due = time.Now().Add(o.Decision.Delay)
	}
}

func (l *living) settled(_ context.Context, d *queue.Delivery, did poller.Settlement, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	life := l.by[d.MessageID]
	if err != nil || did != poller.Deleted || len(life.Tries) == 0 || life.Tries[len(life.Tries)-1].Err != nil {
		return
	}
	life.Done = true
	l.end(life)
}

// bury takes in what lies in the dead-letter queue.
func (l *living) bury(ctx context.Context, dlq *awsapi.Queue) {
	l.rest(ctx)
	ds, err := dlq.Receive(ctx, queue.MaxBatch, queue.MaxWait)
	if err != nil || len(ds) == 0 {
		return
	}
	handles := make([]queue.ReceiptHandle, len(ds))
	for n := range ds {
		handles[n] = ds[n].Handle
		l.died(&ds[n])
	}
	dlq.Delete(ctx, handles) // in a FIFO queue the next of its group waits for that
}

// died takes in a dead letter.
func (l *living) died(d *queue.Delivery) {
	l.mu.Lock()
	defer l.mu.Unlock()
	record, has := deadletter.Read(&d.Message)
	id := d.MessageID // SQS keeps it when it moves a message itself
	if has && record.Failed() {
		id = record.OriginID
	}
	life := l.by[id]
	if life == nil {
		return
	}
	life.Dead = d.Message
	if has && record.Failed() {
		life.Record = record
	}
	l.end(life)
}

// end counts a life that has ended, once.
func (l *living) end(life *Life) {
	if life.ended {
		return
	}
	life.ended, life.Lasted = true, time.Since(l.sent)
	if l.left--; l.left == 0 && l.fault == nil {
		close(l.ended)
	}
}
