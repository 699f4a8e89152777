package worker_test

import (
	"context"
	"os"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/stationmaster/worker/internal/awsapi"
	"github.com/stationmaster/worker/jobs"
	"github.com/stationmaster/worker/queue"
	"github.com/stationmaster/worker/worker"
)

// TestAPathTakesNoMoreThanItsSlots: two messages are posted to a path at once. With one slot the second is
// answered 503 while the first runs, and comes again; with two slots both run side by side.
func TestAPathTakesNoMoreThanItsSlots(t *testing.T) {
	for slots, row := range map[string]struct{ atOnce int }{"1": {1}, "2": {2}} {
		t.Run(slots, func(t *testing.T) {
			t.Parallel()
			running, release := make(chan struct{}, 2), make(chan struct{})
			registry := jobs.NewRegistry()
			jobs.AddTo(registry, "audit", func(ctx context.Context, _ *jobs.Message[invited]) error {
				running <- struct{}{}
				select {
				case <-release:
					return nil
				case <-ctx.Done():
					return context.Cause(ctx)
				}
			})
			// A quarter of it is what a message waits for a slot.
			file := auditFile(t, "timeout = \"10s\"")
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, append(text, "slots = "+slots+"\n"...), 0o600); err != nil {
				t.Fatal(err)
			}
			o, log := worker.Options{ConfigFile: file, Jobs: registry}, &lines{}
			if drawn, err := worker.Map(o); err != nil || drawn.Topics[0].Tracks[0].Slots != row.atOnce {
				t.Errorf("the map has %+v, %v", drawn, err)
			}
			o.LogTo = log
			dev := startDev(t, o, false)
			w, err := dev.Worker(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			r := run(t, w, log)
			eventually(t, "the subscription", func() bool { return r.endpoint().Subscriptions[auditTopic] == "subscription attached" })
			if got := w.Hooks()[0].Slots; got != row.atOnce {
				t.Errorf("the path is shown with %d slots, want %d", got, row.atOnce)
			}
			api := awsapi.New(aws.Config{
				Region: "us-east-1", BaseEndpoint: aws.String(dev.Info().Endpoint), Credentials: credentials.NewStaticCredentialsProvider("local", "local", ""),
			}, awsapi.Options{})
			for _, email := range []string{"ada", "grace"} {
				if _, err := api.Publish(t.Context(), auditTopic, queue.Message{Body: `{"email":"` + email + `"}`}); err != nil {
					t.Fatal(err)
				}
			}
			if row.atOnce == 1 {
				eventually(t, "the 503 and its reason", func() bool {
					return r.endpoint().Refused["503"] == 1 && strings.Contains(log.String(), "all slots are taken")
				})
			} else {
				eventually(t, "both at once", func() bool { return len(running) == 2 })
			}
			if s := r.endpoint(); s.Slots != row.atOnce || s.Busy != row.atOnce || len(running) != row.atOnce {
				t.Errorf("%d run, status %+v", len(running), s)
			}
			close(release)
			eventually(t, "both messages", func() bool { return r.endpoint().Done == 2 })
			r.end()
		})
	}
}
