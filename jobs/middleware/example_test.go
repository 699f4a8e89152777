package middleware_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/stationmaster/worker/jobs"
	"github.com/stationmaster/worker/jobs/jobstest"
	"github.com/stationmaster/worker/jobs/middleware"
	"github.com/stationmaster/worker/retry"
)

type invitation struct {
	Email string `json:"email"`
}

// send is the job.
func send(_ context.Context, m *jobs.Message[invitation]) error {
	if m.Body.Email == "" {
		return retry.Never(errors.New("no address"))
	}
	return nil
}

// stage is what an example has in place of a test's t.
type stage struct{ testing.TB }

func (stage) Helper()           {}
func (stage) Output() io.Writer { return io.Discard }
func (stage) Context() context.Context {
	return context.Background() // an example has no context of a test
}

// One job, with a memory of what it has done and a bound of its own. In a job's package it is
// jobs.Register("email", send, jobs.Use(…)).
func Example() {
	registry := jobs.NewRegistry()
	jobs.AddTo(registry, "email", send, jobs.Use(
		jobs.Once(jobs.NewMemory(time.Hour, 10_000)), // the first is the outermost
		middleware.Timeout(10*time.Second),
		middleware.Recover(),
	))
	job, _ := registry.Lookup("email")

	var t stage // func TestSend(t *testing.T)
	got := jobstest.Run(t, job, invitation{Email: "ada@example.com"}, jobstest.ID("first"))
	fmt.Println(got.Decision.Action)
	got = jobstest.Run(t, job, invitation{}, jobstest.ID("second"))
	fmt.Println(got.Decision.Action, "because", got.Record.Reason)
	got = jobstest.Run(t, job, invitation{}, jobstest.ID("first")) // a duplicate: it does not run
	fmt.Println(got.Decision.Action)
	// Output:
	// done
	// dead-letter because no address
	// done
}
