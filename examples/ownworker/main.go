// Command ownworker is a worker of one's own: the jobs of this module, and a layer around all of them.
package main

import (
	_ "example.com/ownworker/jobs/all" // written by: go run github.com/stationmaster/worker/cmd/worker jobs generate

	"github.com/stationmaster/worker/cli"
	"github.com/stationmaster/worker/jobs/middleware"
	"github.com/stationmaster/worker/worker"
)

func main() {
	cli.Main(func(o *worker.Options) {
		o.Middleware = append(o.Middleware, middleware.Log()) // a record of each message that a job has answered
	})
}
