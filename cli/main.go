// Package cli is the command line of a worker, and the only place that touches the process: its
// arguments, environment, streams, signals and exit code. Each command has a file of its own.
//
// A user's own worker is a main function that imports jobs and calls Main.
package cli

import (
	"context"
	"os"
	_ "time/tzdata" // for the zones of schedules: an empty image has none

	"github.com/stationmaster/worker/worker"
)

// Exit codes. A supervisor should not restart a worker that ended with ExitUsage: it would only
// read the same configuration again.
const (
	// ExitDone: the command did what it was asked.
	ExitDone = 0
	// ExitFailed: something failed while running, or a drain left jobs behind.
	ExitFailed = 1
	// ExitUsage: the arguments or the configuration are wrong.
	ExitUsage = 2
)

// Main runs the command that the process was started with, and exits. It is the whole of a main
// function; the options adjust the worker that run and dev start.
func Main(options ...worker.Option) {
	os.Exit(execute(context.Background(), process(options)))
}
