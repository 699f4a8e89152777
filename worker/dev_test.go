package worker_test

import (
	"context"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/stationmaster/worker/jobs"
	"github.com/stationmaster/worker/worker"
)

// aws-semantics §1.8, by `worker dev --nasty`: what was just set does not show yet.
func TestANastyDevWorkerIsSlowToChange(t *testing.T) {
	for nasty, want := range map[bool]string{false: "45", true: "30"} {
		dev := startDev(t, worker.Options{}, nasty)
		client := sqs.New(sqs.Options{
			Region: dev.Info().Region, BaseEndpoint: aws.String(dev.Info().Endpoint),
			Credentials: credentials.NewStaticCredentialsProvider("local", "local", ""),
		})
		queue, err := client.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: aws.String("work")})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := client.SetQueueAttributes(t.Context(), &sqs.SetQueueAttributesInput{QueueUrl: queue.QueueUrl, Attributes: map[string]string{"VisibilityTimeout": "45"}}); err != nil {
			t.Fatal(err)
		}
		read, err := client.GetQueueAttributes(t.Context(), &sqs.GetQueueAttributesInput{QueueUrl: queue.QueueUrl, AttributeNames: []types.QueueAttributeName{"All"}})
		if err != nil {
			t.Fatal(err)
		}
		if got := read.Attributes["VisibilityTimeout"]; got != want {
			t.Errorf("nasty %v: VisibilityTimeout reads %s, want %s", nasty, got, want)
		}
	}
}

// What a nasty dev worker has just applied does not show yet; that is no reason to cry out.
func TestANastyDevWorkerFindsNoFaultWithItsOwnTopology(t *testing.T) {
	registry := jobs.NewRegistry()
	jobs.AddTo(registry, "mail", func(context.Context, *jobs.Message[string]) error { return nil })
	file := write(t, "[admin]\naddr = \"off\"\n[queues.mail]\njob = \"mail\"\nvisibility_timeout = \"60s\"\n")
	log := &lines{}
	dev := startDev(t, worker.Options{ConfigFile: file, Jobs: registry, LogTo: log}, true)
	w, err := dev.Worker(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got := w.Stations(); len(got) != 1 || got[0].State != "ready" {
		t.Errorf("stations %+v, want one that is ready", got)
	}
	if err := w.Close(); err != nil {
		t.Error(err)
	}
	if log.String() != "" {
		t.Errorf("it says:\n%s", log)
	}
}
