package worker_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/stationmaster/worker/jobs"
	"github.com/stationmaster/worker/worker"
)

// What the worker adds between a publish and the start of the job, beside a bare SDK publish and
// receive on the same server in the same run. The machine is noisy, so the best of three tries counts.
func TestPublishToJobStartIsCloseToTheBareSDK(t *testing.T) {
	const tries, rounds = 3, 150
	l := newLatency(t)
	var said string
	for range tries {
		var worked, bare []time.Duration
		for range rounds { // in turns, so that a slow moment slows both
			worked = append(worked, l.worked(t))
			bare = append(bare, l.bare(t))
		}
		w50, w99 := percentiles(worked)
		b50, b99 := percentiles(bare)
		r50, r99 := float64(w50)/float64(b50), float64(w99)/float64(b99)
		said = fmt.Sprintf("publish → job start: p50 %v (%.2f of bare), p99 %v (%.2f of bare)", w50, r50, w99, r99)
		if r50 <= 2 && r99 <= 4 {
			t.Log(said)
			return
		}
	}
	t.Errorf("%s, want at most 2 and 4", said)
}

func percentiles(d []time.Duration) (p50, p99 time.Duration) {
	slices.Sort(d)
	return d[len(d)/2], d[len(d)*99/100]
}

type latency struct {
	topics                      *sns.Client
	queues                      *sqs.Client
	started                     chan time.Time
	workedARN, bareARN, bareURL string
}

func newLatency(t *testing.T) *latency {
	t.Helper()
	l := &latency{started: make(chan time.Time, 1)}
	r := jobs.NewRegistry()
	jobs.AddTo(r, "noted", func(context.Context, *jobs.Message[invited]) error { l.started <- time.Now(); return nil })
	dev, err := worker.StartDev(t.Context(), worker.Options{
		ConfigFile: write(t, `
[admin]
addr = "off"
[topics.worked]
[topics.bare]
[queues.worked]
job = "noted"
[[subscriptions]]
topic = "worked"
protocol = "sqs"
endpoint = "worked"
`), Jobs: r,
	}, worker.DevOptions{Addr: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	w, err := dev.Worker(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { _, err := w.Run(ctx); ended <- err }()
	t.Cleanup(func() {
		stop()
		for _, err := range []error{<-ended, w.Close(), dev.Close()} {
			if err != nil {
				t.Error(err)
			}
		}
	})
	info := dev.Info()
	cfg := aws.Config{
		Region: info.Region, BaseEndpoint: &info.Endpoint, Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""),
	}
	l.topics, l.queues = sns.NewFromConfig(cfg), sqs.NewFromConfig(cfg)
	l.subscribeBare(t, info)
	return l
}

// subscribeBare sets up a queue that no worker polls.
func (l *latency) subscribeBare(t *testing.T, info worker.DevInfo) {
	t.Helper()
	arn := func(service, name string) string {
		return "arn:aws:" + service + ":" + info.Region + ":" + info.Account + ":" + name
	}
	l.workedARN, l.bareARN = arn("sns", "worked"), arn("sns", "bare")
	q, err := l.queues.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: aws.String("bare"), Attributes: map[string]string{
		"Policy": `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"sns.amazonaws.com"},` +
			`"Action":"sqs:SendMessage","Resource":"` + arn("sqs", "bare") + `"}]}`,
	}})
	if err != nil {
		t.Fatal(err)
	}
	l.bareURL = *q.QueueUrl
	if _, err := l.topics.Subscribe(t.Context(), &sns.SubscribeInput{
		TopicArn: &l.bareARN, Protocol: aws.String("sqs"), Endpoint: aws.String(arn("sqs", "bare")),
	}); err != nil {
		t.Fatal(err)
	}
}

const invitation = `{"event":"user_invited","email":"ada@example.com"}`

func (l *latency) publish(t *testing.T, arn string) {
	t.Helper()
	if _, err := l.topics.Publish(t.Context(), &sns.PublishInput{TopicArn: &arn, Message: aws.String(invitation)}); err != nil {
		t.Error(err)
	}
}

// worked is the time from a publish to the start of its job.
func (l *latency) worked(t *testing.T) time.Duration {
	t.Helper()
	began := time.Now()
	l.publish(t, l.workedARN)
	select {
	case at := <-l.started:
		return at.Sub(began)
	case <-time.After(10 * time.Second):
		t.Fatal("no job was started within 10 s")
		return 0
	}
}

// bare is the time from a publish to the return of a long poll that was open already.
func (l *latency) bare(t *testing.T) time.Duration {
	t.Helper()
	type answer struct {
		out *sqs.ReceiveMessageOutput
		at  time.Time
		err error
	}
	got := make(chan answer, 1)
	go func() {
		out, err := l.queues.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: &l.bareURL, WaitTimeSeconds: 20, MaxNumberOfMessages: 10})
		got <- answer{out, time.Now(), err}
	}()
	began := time.Now()
	l.publish(t, l.bareARN)
	a := <-got
	if a.err != nil || len(a.out.Messages) != 1 {
		t.Fatalf("bare receive: %v, %+v", a.err, a.out)
	}
	if _, err := l.queues.DeleteMessage(t.Context(), &sqs.DeleteMessageInput{QueueUrl: &l.bareURL, ReceiptHandle: a.out.Messages[0].ReceiptHandle}); err != nil {
		t.Fatal(err)
	}
	return a.at.Sub(began)
}
