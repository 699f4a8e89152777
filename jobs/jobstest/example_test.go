package jobstest_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/stationmaster/worker/jobs"
	"github.com/stationmaster/worker/jobs/jobstest"
	"github.com/stationmaster/worker/retry"
)

type order struct {
	Total int `json:"total"`
}

// charge is the job under test. One that is registered is named: jobstest.Run(t, "charge", …).
func charge(_ context.Context, m *jobs.Message[order]) error {
	if m.Body.Total <= 0 {
		return retry.Never(errors.New("nothing to charge"))
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

func Example() {
	registry := jobs.NewRegistry()
	jobs.AddTo(registry, "charge", charge)
	job, _ := registry.Lookup("charge")

	var t stage // func TestCharge(t *testing.T)

	got := jobstest.Run(t, job, order{Total: 12}, jobstest.Envelope("orders"))
	fmt.Println(got.Decision.Action)

	got = jobstest.Run(t, job, order{}, jobstest.Envelope("orders"))
	fmt.Println(got.Decision.Action, "because", got.Record.Reason)
	// Output:
	// done
	// dead-letter because nothing to charge
}
