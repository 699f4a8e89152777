// Copied from testdata/echo: the same source, compiled in.
package plugins_test

import (
	"context"

	"github.com/stationmaster/worker/jobs"
	"github.com/stationmaster/worker/retry"
)

// echoBody is the body of a message.
type echoBody struct {
	Text string `json:"text"`
}

// compiledEcho is the job.
type compiledEcho struct {
	Prefix string `config:"prefix"`
}

func init() { jobs.RegisterJob("compiled-echo", func() *compiledEcho { return &compiledEcho{} }) }

// Handle handles one message.
func (e *compiledEcho) Handle(_ context.Context, m *jobs.Message[echoBody]) error {
	if m.Body.Text == "" {
		return retry.Never(context.Canceled)
	}
	return nil
}
