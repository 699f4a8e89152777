package worker_test

import (
	"bytes"
	"context"
	"errors"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/stationmaster/worker/internal/awsapi"
	"github.com/stationmaster/worker/jobs"
	"github.com/stationmaster/worker/localaws"
	"github.com/stationmaster/worker/queue"
	"github.com/stationmaster/worker/retry"
	"github.com/stationmaster/worker/worker"
)

// A moment without an answer must not leave a worker without dead letters for the rest of its life.
func TestADeadLetterQueueThatCannotBeAskedForIsAskedForAgain(t *testing.T) {
	server := localaws.New(localaws.Options{})
	var refused atomic.Int32
	server.Control("GetQueueUrl", func(r *localaws.Request) *localaws.Fault {
		if bytes.Contains(r.Body, []byte("theirs-dlq")) && refused.Add(1) == 1 {
			return &localaws.Fault{Status: 403, Code: "ExpiredToken", Message: "for a moment"}
		}
		return nil
	})
	at := httptest.NewServer(server)
	t.Cleanup(at.Close)
	cfg := aws.Config{
		Region: "us-east-1", BaseEndpoint: &at.URL, Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""),
	}
	api := awsapi.New(cfg, awsapi.Options{})
	dead, err := api.CreateQueue(t.Context(), "theirs-dlq", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	source, err := api.CreateQueue(t.Context(), "theirs", map[string]string{
		"RedrivePolicy": `{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:000000000000:theirs-dlq","maxReceiveCount":"20"}`,
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	r := jobs.NewRegistry()
	jobs.AddTo(r, "mail", func(context.Context, *jobs.Message[string]) error { return retry.Never(errors.New("no")) })
	w, err := worker.New(t.Context(), worker.Options{ConfigFile: write(t, theirQueue), Jobs: r, AWS: &cfg, LogTo: t.Output()})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { _, err := w.Run(ctx); done <- err }()
	defer func() {
		stop()
		w.Hurry(time.Second)
		if err := errors.Join(<-done, w.Close()); err != nil {
			t.Error(err)
		}
	}()
	if _, errs := api.Queue(source, awsapi.QueueOptions{}).Send(t.Context(), []queue.Message{{Body: `"x"`}}); errs != nil {
		t.Fatal(errs)
	}
	eventually(t, "the message is dead-lettered", func() bool {
		n, err := api.QueueCounts(t.Context(), dead)
		return err == nil && n.Visible == 1
	})
	if refused.Load() < 2 {
		t.Error("the dead-letter queue was found at the first try: shows nothing")
	}
}
