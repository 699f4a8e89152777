// Command ownworker is a worker of one's own: the jobs of this module, and nothing else.
package main

import (
	_ "example.com/ownworker/jobs/all" // written by: go run github.com/stationmaster/worker/cmd/worker jobs generate

	"github.com/stationmaster/worker/cli"
)

func main() { cli.Main() }
