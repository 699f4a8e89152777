// Command worker runs the bundled jobs. A worker of your own is this file with other jobs imported.
package main

import (
	"github.com/stationmaster/worker/cli"
	_ "github.com/stationmaster/worker/jobs/all" // the bundled jobs
)

func main() { cli.Main() }
