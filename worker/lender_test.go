package worker_test

import (
	"context"
	"testing"

	"github.com/stationmaster/worker/internal/awsapi"
	"github.com/stationmaster/worker/jobs"
	"github.com/stationmaster/worker/queue"
	"github.com/stationmaster/worker/worker"
)

// relay is a job that publishes as soon as it can.
type relay struct{}

func (*relay) Provision(ctx context.Context, env *jobs.Env) error {
	_, err := env.Publisher.Publish(ctx, "news", queue.Message{Body: `"hello"`})
	return err
}

func (*relay) Handle(context.Context, *jobs.Message[string]) error { return nil }

// TestAJobPublishesToATopicByItsKey: AWS knows the topic by another name.
func TestAJobPublishesToATopicByItsKey(t *testing.T) {
	const line = `
[admin]
addr = "off"
[topics.news]
name = "production-news"
[queues.relay]
job = "relay"
[[subscriptions]]
topic = "news"
protocol = "sqs"
endpoint = "relay"
raw = true
`
	cfg, registry := theirs(t), jobs.NewRegistry()
	jobs.AddJobTo(registry, "relay", func() *relay { return &relay{} })
	o := worker.Options{ConfigFile: write(t, line), Jobs: registry, AWS: cfg, LogTo: t.Output()}
	operator, err := worker.OpenOperator(t.Context(), o, "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := operator.Apply(t.Context(), 0, nil); err != nil {
		t.Fatal(err)
	}
	w, err := worker.New(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Error(err)
	}
	api := awsapi.New(*cfg, awsapi.Options{})
	if got := receiveDead(t, api, "relay"); len(got) != 1 || got[0].Body != `"hello"` {
		t.Errorf("arrived %+v", got)
	}
}
