package middleware_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"

	"github.com/stationmaster/worker/jobs"
	"github.com/stationmaster/worker/jobs/middleware"
)

// What the log has of a failure: why, but nothing of the message.
func ExampleLog() {
	registry := jobs.NewRegistry()
	jobs.AddTo(registry, "email", send, jobs.Use(middleware.Log()))
	job, _ := registry.Lookup("email")

	// A worker does all of this.
	plain := &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == "time" || a.Key == "elapsed" {
			return slog.Attr{}
		}
		return a
	}}
	log := slog.New(slog.NewTextHandler(os.Stdout, plain)).With("job", "email")
	instance, err := job.Open(context.Background(), nil, &jobs.Env{Log: log})
	if err != nil {
		fmt.Println(err)
		return
	}
	instance.Run(context.Background(), []*jobs.Info{{ID: "7c01", Queue: "email", Receives: 1, Attempt: 1, Raw: `{"email":""}`}})
	// Output:
	// level=INFO msg="job answered" job=email queue=email id=7c01 receive_count=1 attempt=1 answer=never err="no address" class=error fingerprint=6oi6yz
}
