package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/stationmaster/worker/jobs"
	"github.com/stationmaster/worker/worker"
)

// onePublish is the configuration of the worker whose answer time is measured.
const onePublish = `
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
`

// meter measures the time from a publish to the start of its job, and beside it to the return of a
// plain long poll that was open already, on the same embedded server.
type meter struct {
	dev     *worker.Dev
	stop    func()
	ended   chan error
	topics  *sns.Client
	queues  *sqs.Client
	started chan time.Time

	workedARN, bareARN, bareURL string
}

// latency compares the two.
func (b *bench) latency(ctx context.Context) error {
	m, err := newMeter(ctx)
	if err != nil {
		return fmt.Errorf("latency: %w", err)
	}
	const batches, each = 5, 100
	var p50, p99 []float64
	for range batches {
		var worked, plain []time.Duration
		for range each { // in turns, so that a slow moment slows both
			w, err := m.worked(ctx)
			if err != nil {
				return errors.Join(err, m.close())
			}
			s, err := m.bare(ctx)
			if err != nil {
				return errors.Join(err, m.close())
			}
			worked, plain = append(worked, w), append(plain, s)
		}
		slices.Sort(worked)
		slices.Sort(plain)
		p50 = append(p50, float64(worked[each/2])/float64(plain[each/2]))
		p99 = append(p99, float64(worked[each*99/100])/float64(plain[each*99/100]))
	}
	slices.Sort(p50)
	slices.Sort(p99)
	r50, r99 := p50[batches/2], p99[batches/2]
	b.table.add("publish → job start, idle ÷ bare: p50, p99", "≤ 1.5, ≤ 3", fmt.Sprintf("%.2f, %.2f", r50, r99), r50 <= 1.5 && r99 <= 3)
	return m.close()
}

func newMeter(ctx context.Context) (m *meter, err error) {
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	file := filepath.Join(dir, "config.toml")
	if err := os.WriteFile(file, []byte(onePublish), 0o600); err != nil {
		return nil, err
	}
	m = &meter{started: make(chan time.Time, 1), ended: make(chan error, 1)}
	r := jobs.NewRegistry()
	jobs.AddTo(r, "noted", func(context.Context, *jobs.Message[struct{}]) error { m.started <- time.Now(); return nil })
	m.dev, err = worker.StartDev(ctx, worker.Options{ConfigFile: file, Jobs: r}, worker.DevOptions{Addr: "127.0.0.1:0"})
	if err != nil {
		return nil, err
	}
	w, err := m.dev.Worker(ctx)
	if err != nil {
		return nil, err
	}
	running, stop := context.WithCancel(ctx)
	m.stop = stop
	go func() {
		_, err := w.Run(running)
		m.ended <- errors.Join(err, w.Close())
	}()
	info := m.dev.Info()
	cfg := config(info.Endpoint)
	m.topics, m.queues = sns.NewFromConfig(cfg), sqs.NewFromConfig(cfg)
	return m, m.subscribe(ctx, info)
}

// subscribe sets up a queue that no worker polls.
func (m *meter) subscribe(ctx context.Context, info worker.DevInfo) error {
	arn := func(service, name string) string {
		return "arn:aws:" + service + ":" + info.Region + ":" + info.Account + ":" + name
	}
	m.workedARN, m.bareARN = arn("sns", "worked"), arn("sns", "bare")
	q, err := m.queues.CreateQueue(ctx, &sqs.CreateQueueInput{QueueName: aws.String("bare"), Attributes: map[string]string{
		"Policy": `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"sns.amazonaws.com"},` +
			`"Action":"sqs:SendMessage","Resource":"` + arn("sqs", "bare") + `"}]}`,
	}})
	if err != nil {
		return err
	}
	m.bareURL = *q.QueueUrl
	_, err = m.topics.Subscribe(ctx, &sns.SubscribeInput{TopicArn: &m.bareARN, Protocol: aws.String("sqs"), Endpoint: aws.String(arn("sqs", "bare"))})
	return err
}

func (m *meter) close() error {
	m.stop()
	return errors.Join(<-m.ended, m.dev.Close())
}

func (m *meter) publish(ctx context.Context, arn string) error {
	_, err := m.topics.Publish(ctx, &sns.PublishInput{TopicArn: &arn, Message: aws.String(body)})
	return err
}

func (m *meter) worked(ctx context.Context) (time.Duration, error) {
	began := time.Now()
	if err := m.publish(ctx, m.workedARN); err != nil {
		return 0, err
	}
	select {
	case at := <-m.started:
		return at.Sub(began), nil
	case <-time.After(10 * time.Second):
		return 0, errors.New("no job was started within 10 s")
	}
}

func (m *meter) bare(ctx context.Context) (time.Duration, error) {
	type answer struct {
		out *sqs.ReceiveMessageOutput
		at  time.Time
		err error
	}
	got := make(chan answer, 1)
	go func() {
		out, err := m.queues.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: &m.bareURL, WaitTimeSeconds: 20, MaxNumberOfMessages: 10})
		got <- answer{out, time.Now(), err}
	}()
	began := time.Now()
	if err := m.publish(ctx, m.bareARN); err != nil {
		return 0, err
	}
	a := <-got
	if a.err != nil {
		return 0, a.err
	}
	if len(a.out.Messages) != 1 {
		return 0, fmt.Errorf("the plain receive brought %d messages, want 1", len(a.out.Messages))
	}
	_, err := m.queues.DeleteMessage(ctx, &sqs.DeleteMessageInput{QueueUrl: &m.bareURL, ReceiptHandle: a.out.Messages[0].ReceiptHandle})
	return a.at.Sub(began), err
}
