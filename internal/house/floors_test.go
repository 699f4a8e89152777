package house_test

import "path"

const (
	module = "github.com/stationmaster/worker"
	roof   = 7

	sdk        = "github.com/aws/aws-sdk-go-v2"
	sdkService = sdk + "/service/"
)

// room is a package, or a pattern of packages, and the floor it lives on.
type room struct {
	pattern string // of path.Match, below the module's root
	floor   int
	// only, when not nil, is all that the room may import of this module, below or not.
	only []string
}

// floors is the plan of the house, roof first; the first pattern that matches counts. An import goes
// down, never up and never sideways.
var floors = []room{
	{pattern: "cmd/*", floor: roof},
	{pattern: "bench", floor: roof},
	{pattern: "examples/*", floor: roof},
	{pattern: "internal/house", floor: roof},
	{pattern: "internal/jobsgen/gen", floor: roof}, // the program behind make jobs
	{pattern: "internal/actionsgen", floor: roof},  // the program behind make actions

	{pattern: "cli", floor: 6},
	{pattern: "jobs/all", floor: 6},

	{pattern: "internal/telemetry", floor: 4},
	{pattern: "doctor", floor: 4},
	{pattern: "jobs/jobstest", floor: 4},
	{pattern: "jobs/internal/*", floor: 4}, // what the bundled jobs share

	{pattern: "jobs/middleware", floor: 2},

	{pattern: "worker", floor: 5},
	{pattern: "jobs/*", floor: 5},

	{pattern: "poller", floor: 3},
	{pattern: "topology", floor: 3},
	{pattern: "ingress", floor: 3},
	{pattern: "dlqreplay", floor: 3},
	{pattern: "publish", floor: 3},

	{pattern: "internal/awsapi", floor: 2},
	{pattern: "internal/config", floor: 2},
	{pattern: "internal/receivers", floor: 2},
	{pattern: "internal/plugins", floor: 2},

	{pattern: "jobs", floor: 1},
	{pattern: "deadletter", floor: 1},
	{pattern: "schedule", floor: 1},
	{pattern: "internal/jobsgen", floor: 1},
	{pattern: "internal/journal", floor: 1},
	{pattern: "internal/tracecarrier", floor: 1},
	{pattern: "internal/theirs", floor: 1},  // where tests run
	{pattern: "internal/witness", floor: 1}, // what tests hear
	// The local AWS must stay usable by people who want nothing else of this module.
	{pattern: "localaws", floor: 1, only: []string{"internal/iampolicy", "internal/snsdelivery", "internal/snsfilter"}},

	{pattern: "internal/awsarn", floor: 0},
	{pattern: "internal/gcpace", floor: 0},
	{pattern: "internal/leanhttp", floor: 0},
	{pattern: "internal/pause", floor: 0},
	{pattern: "internal/period", floor: 0},
	{pattern: "queue", floor: 0},
	{pattern: "retry", floor: 0},
	{pattern: "internal/iampolicy", floor: 0},
	{pattern: "internal/snsdelivery", floor: 0},
	{pattern: "internal/snsfilter", floor: 0},
	{pattern: "internal/snssign", floor: 0},
}

// anywhere may be imported by every test, whatever its floor: the server and the kit they test with.
var anywhere = []string{"localaws", "jobs/jobstest", "internal/theirs", "internal/witness"}

// sdkServices may import the SDK's service packages; bench measures the worker against the plain
// SDK and so needs it.
var sdkServices = []string{"internal/awsapi", "bench"}

// sdkCore may import the rest of the SDK: aws.Config is how credentials come in.
var sdkCore = []string{"internal/awsapi", "bench", "worker", "publish", "jobs/jobstest", "examples/api"}

// lookup finds the room of a package, given as its path below the module's root.
func lookup(plan []room, pkg string) (room, bool) {
	for _, r := range plan {
		if ok, err := path.Match(r.pattern, pkg); err == nil && ok {
			return r, true
		}
	}
	return room{}, false
}
