// Package panics is a job whose init ends badly.
package panics

import (
	"context"

	"github.com/stationmaster/worker/jobs"
)

func init() {
	if jobs.Default() != nil {
		panic("no licence")
	}
	jobs.Register("panics", func(context.Context, *jobs.Message[string]) error { return nil })
}
