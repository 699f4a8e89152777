// Package silent registers nothing, since nobody calls Setup.
package silent

import (
	"context"

	"github.com/stationmaster/worker/jobs"
)

// Setup would register it.
func Setup() {
	jobs.Register("silent", func(context.Context, *jobs.Message[string]) error { return nil })
}
