// Package twice takes a name that is taken.
package twice

import (
	"context"

	"github.com/stationmaster/worker/jobs"
)

func init() {
	jobs.Register("compiled", func(context.Context, *jobs.Message[string]) error { return nil })
}
