package worker_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stationmaster/worker/internal/awsapi"
	"github.com/stationmaster/worker/internal/witness"
	"github.com/stationmaster/worker/jobs"
	"github.com/stationmaster/worker/worker"
)

// lines is a log that may be read while it is written.
type lines struct{ witness.Book }

func (l *lines) has(text string) bool { return strings.Contains(l.String(), text) }

const theirQueue = `
[admin]
addr = "off"
[queues.theirs]
job = "mail"
manage = false
wait_time = "1s"
timeout = "20s"
retry = { attempts = 5 }
`

func TestL27TheQueuesOwnSettingsAreComparedWithTheJobs(t *testing.T) {
	for _, verify := range []string{"stop", "off"} { // whoever looks first, it is said once
		t.Run(verify, func(t *testing.T) { comparesSettings(t, verify) })
	}
}

func comparesSettings(t *testing.T, verify string) {
	for _, row := range []struct {
		name, visibility, redrive string
		says                      []string
		silent                    []string
	}{
		{"both too low", "5", `{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:000000000000:theirs-dlq","maxReceiveCount":"5"}`, []string{
			"Q-04 queue theirs: the lease is too short for the job (VisibilityTimeout 5s, the queue's own; it is extended every 2.5s; timeout of the job: 20s)",
			"Q-02 queue theirs: a few receives, and the message is a dead letter (maxReceiveCount 5; the worker makes 5 attempts, ",
		}, nil},
		{
			"both fit", "60", `{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:000000000000:theirs-dlq","maxReceiveCount":8}`, nil,
			[]string{"Q-0"},
		},
	} {
		t.Run(row.name, func(t *testing.T) {
			cfg := theirs(t)
			api := awsapi.New(*cfg, awsapi.Options{})
			if _, err := api.CreateQueue(t.Context(), "theirs-dlq", nil, nil); err != nil {
				t.Fatal(err)
			}
			if _, err := api.CreateQueue(t.Context(), "theirs", map[string]string{
				"VisibilityTimeout": row.visibility, "RedrivePolicy": row.redrive,
			}, nil); err != nil {
				t.Fatal(err)
			}
			r := jobs.NewRegistry()
			jobs.AddTo(r, "mail", func(context.Context, *jobs.Message[string]) error { return nil })
			var log lines
			w, err := worker.New(t.Context(), worker.Options{ConfigFile: write(t, "[worker]\nverify = \""+verify+"\"\n"+theirQueue), Jobs: r, AWS: cfg, LogTo: &log})
			if err != nil {
				t.Fatal(err)
			}
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			done := make(chan error, 1)
			go func() { _, err := w.Run(ctx); done <- err }()
			eventually(t, "it polls", func() bool { return w.Stations()[0].State == "polling" })
			for _, text := range row.says {
				eventually(t, "the log says "+text, func() bool { return log.has(text) })
			}
			stop()
			w.Hurry(time.Second)
			if err := <-done; err != nil {
				t.Error(err)
			}
			for _, text := range row.says {
				if n := strings.Count(log.String(), text); n != 1 {
					t.Errorf("said %d times: %s", n, text)
				}
			}
			for _, text := range row.silent {
				if log.has(text) {
					t.Errorf("the log says %s", log.String())
				}
			}
			if err := w.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}
