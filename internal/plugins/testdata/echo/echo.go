// Package echo is a job as somebody outside would write it.
package echo

import (
	"context"

	"github.com/stationmaster/worker/jobs"
	"github.com/stationmaster/worker/retry"
)

// Body is the body of a message.
type Body struct {
	Text string `json:"text"`
}

// Echo is the job.
type Echo struct {
	Prefix string `config:"prefix"`
}

func init() { jobs.RegisterJob("echo", func() *Echo { return &Echo{} }) }

// Handle handles one message.
func (e *Echo) Handle(_ context.Context, m *jobs.Message[Body]) error {
	if m.Body.Text == "" {
		return retry.Never(context.Canceled)
	}
	return nil
}
