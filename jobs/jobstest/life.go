package jobstest

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
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
)

// Try is one run of a job in a Life.
type Try struct {
	// At is when it began, counted from the send; Took is how long it ran.
	At, Took time.Duration
	// Attempt counts the tries that were spent, from 1.
	Attempt int
	// Err is what the job answered, Decision what the worker did about it.
	Err      error
	Decision retry.Decision
}

// Life is what became of one message, from its send to its end.
type Life struct {
	// Tries are the runs of the job, in order.
	Tries []Try
	// Done: the job succeeded and the message was deleted. Otherwise it lies in the dead-letter queue.
	Done bool
	// Dead is the dead letter as it lies there, Record the failure record that it carries. V is 0 when
	// there is none: SQS itself moved the message, after too many receives.
	Dead   queue.Message
	Record deadletter.Record
	// Published is what the job published in all its tries, in order.
	Published []Published
	// Lasted is from the send to the end.
	Lasted time.Duration

	t testing.TB
}

// Live sends one message to a queue of package localaws and lets a worker's own poller give it to the job
// until it has been deleted or lies in the dead-letter queue. Time is virtual (testing/synctest): retries
// over hours take milliseconds, and a job that waits takes no time at all. So Live must not be called in a
// bubble, and what the job talks to over sockets answers while the clock stands still.
//
// Retries follow Policy. A worker draws each delay below its bound; here it is the bound itself, so that a
// time table can be expected to the second. The job is set up once. Options that
// are of one delivery (Attempt, Sent) have no meaning here.
//
// That the job cannot be set up, or that the message has not ended after four days, ends the test.
func Live[J Job](t *testing.T, job J, body any, o ...Option) *Life {
	t.Helper()
	life := &Life{t: t}
	synctest.Test(t, func(t *testing.T) {
		t.Helper()
		l := &living{life: life, ended: make(chan struct{})}
		l.run(t, set(o), definition(t, job), body)
	})
	return life
}

// living is a life that goes on.
type living struct {
	sent time.Time

	mu    sync.Mutex
	life  *Life
	dead  bool
	ended chan struct{}
}

func (l *living) run(t *testing.T, s *setup, d *jobs.Definition, body any) {
	t.Helper()
	i, published, err := s.open(t, d)
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
	work, dlq, err := queues(t.Context(), server, s.policy)
	if err != nil {
		t.Fatalf("jobstest: %v", err)
	}
	p, err := poller.New(poller.Options{
		Name: queueName, Job: d.Name, Receiver: work, Settler: work, DeadLetters: dlq,
		Route: func(*jobs.Info) (*jobs.Instance, bool) { return i, true },
		Retry: s.policy, Slots: 1, CutPolls: true, Random: func() float64 { return 1 },
		Hooks: poller.Hooks{Finished: l.finished, Settled: l.settled},
	})
	if err != nil {
		t.Fatalf("jobstest: %v", err)
	}
	m := s.delivery(t, "", body).Message
	l.sent = time.Now()
	if _, errs := work.Send(t.Context(), []queue.Message{m}); queue.At(errs, 0) != nil {
		t.Fatalf("jobstest: send the message: %v", errs[0])
	}
	l.watch(t, p, dlq)
	l.life.Published, l.life.Lasted = published.all(), time.Since(l.sent)
}

// watch runs the poller until the message has ended.
func (l *living) watch(t *testing.T, p *poller.Poller, dlq *awsapi.Queue) {
	t.Helper()
	receive, stop := context.WithTimeout(t.Context(), longest)
	var all sync.WaitGroup
	defer all.Wait()
	defer stop()
	all.Go(func() { p.Run(receive, t.Context()) })
	dead := make(chan queue.Delivery, 1)
	all.Go(func() {
		for receive.Err() == nil {
			if ds, err := dlq.Receive(receive, 1, queue.MaxWait); err == nil && len(ds) > 0 {
				dead <- ds[0]
				return
			}
		}
	})
	select {
	case <-l.ended:
		l.life.Done = true
	case d := <-dead:
		l.life.Dead = d.Message
		l.life.Record, _ = deadletter.Read(&d.Message)
	case <-receive.Done():
		t.Fatalf("jobstest: the message has not ended after %v:\n%s", longest, l.life)
	}
}

// queues makes the queue of the job and its dead-letter queue.
func queues(ctx context.Context, server *localaws.Server, policy retry.Policy) (work, dlq *awsapi.Queue, err error) {
	api := awsapi.New(aws.Config{
		Region: "us-east-1", BaseEndpoint: aws.String("http://jobstest.test"), HTTPClient: &http.Client{Transport: server.Transport()},
		Credentials: credentials.NewStaticCredentialsProvider("jobstest", "jobstest", ""),
	}, awsapi.Options{})
	dead, err := api.CreateQueue(ctx, queueName+"-dlq", nil, nil)
	if err != nil {
		return nil, nil, err
	}
	attributes, err := api.QueueAttributes(ctx, dead)
	if err != nil {
		return nil, nil, err
	}
	redrive := fmt.Sprintf(`{"deadLetterTargetArn":%q,"maxReceiveCount":%d}`, attributes["QueueArn"], max(policy.Attempts, 1)+spare)
	url, err := api.CreateQueue(ctx, queueName, map[string]string{"RedrivePolicy": redrive}, nil)
	if err != nil {
		return nil, nil, err
	}
	return api.Queue(url, awsapi.QueueOptions{Visibility: poller.DefaultVisibility}), api.Queue(dead, awsapi.QueueOptions{Visibility: time.Minute}), nil
}

func (l *living) finished(_ context.Context, _ *queue.Delivery, _ *jobs.Info, o poller.Outcome) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.life.Tries = append(l.life.Tries, Try{
		At: time.Since(l.sent) - o.Took, Took: o.Took, Attempt: o.Attempt, Err: o.Err, Decision: o.Decision,
	})
}

func (l *living) settled(_ context.Context, _ *queue.Delivery, did poller.Settlement, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case err != nil:
	case did == poller.DeadLettered:
		l.dead = true
	case did == poller.Deleted && !l.dead:
		close(l.ended)
	}
}

// String is the life as a table, a line for each try.
func (l *Life) String() string {
	var b strings.Builder
	for _, try := range l.Tries {
		answer := "done"
		if try.Err != nil {
			answer = try.Err.Error()
		}
		fmt.Fprintf(&b, "  %-12v attempt %d  took %v  %s", try.At, try.Attempt, try.Took, answer)
		if try.Decision.Action == retry.Again {
			fmt.Fprintf(&b, "  → again after %v", try.Decision.Delay)
		}
		b.WriteByte('\n')
	}
	switch {
	case l.Done:
		fmt.Fprintf(&b, "  %-12v deleted", l.Lasted)
	case l.Record.V > 0:
		fmt.Fprintf(&b, "  %-12v dead: %s (%s)", l.Lasted, l.Record.Reason, l.Record.Class)
	case l.Dead.Body != "":
		fmt.Fprintf(&b, "  %-12v dead: moved by SQS, without a record", l.Lasted)
	}
	return b.String()
}

// WantDone fails the test unless the job succeeded, at this attempt.
func (l *Life) WantDone(attempt int) {
	l.t.Helper()
	if !l.Done || len(l.Tries) == 0 || l.Tries[len(l.Tries)-1].Attempt != attempt {
		l.t.Errorf("want it done at attempt %d, its life was\n%s", attempt, l)
	}
}

// WantDead fails the test unless the message was dead-lettered with a record of this class.
func (l *Life) WantDead(class string) {
	l.t.Helper()
	if l.Done || l.Record.V == 0 || l.Record.Class != class {
		l.t.Errorf("want it dead with class %q, its life was\n%s", class, l)
	}
}

// WantTries fails the test unless the job was run at these times, counted from the send, to the second.
func (l *Life) WantTries(at ...time.Duration) {
	l.t.Helper()
	got := make([]time.Duration, len(l.Tries))
	for n, try := range l.Tries {
		got[n] = try.At.Round(time.Second)
	}
	if !slices.Equal(got, at) {
		l.t.Errorf("want it tried at %v, its life was\n%s", at, l)
	}
}

// WantPublished fails the test unless the job published to these topics, in this order.
func (l *Life) WantPublished(topics ...string) {
	l.t.Helper()
	got := make([]string, len(l.Published))
	for n, p := range l.Published {
		got[n] = p.Topic
	}
	if !slices.Equal(got, topics) {
		l.t.Errorf("want published to %q, got %q", topics, got)
	}
}
