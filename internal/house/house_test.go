package house_test

import (
	"os"
	"strings"
	"testing"
	"testing/fstest"
)

// root is the module's root, seen from this package.
const root = "../.."

func TestTheHouseStands(t *testing.T) {
	faults, err := inspect(os.DirFS(root), floors)
	if err != nil {
		t.Fatal(err)
	}
	for _, fault := range faults {
		t.Error(fault)
	}
}

func TestTheWalkerSeesEachFault(t *testing.T) {
	const (
		queue  = "// Package queue is documented.\npackage queue\n"
		poller = "// Package poller is documented.\npackage poller\n"
	)
	tests := []struct {
		name, file, source, want string
	}{
		{"upward", "queue/a.go", queue + `import _ "github.com/stationmaster/worker/poller"`, "upward, from floor 0 to floor 3"},
		{"sideways", "poller/a.go", poller + `import _ "github.com/stationmaster/worker/topology"`, "sideways, both live on floor 3"},
		{"upward in a test", "queue/a_test.go", "package queue_test\n" + `import _ "github.com/stationmaster/worker/poller"`, "upward, from floor 0"},
		{"no floor", "attic/a.go", "// Package attic is documented.\npackage attic", "package attic has no floor"},
		{"import without floor", "poller/a.go", poller + `import _ "github.com/stationmaster/worker/attic"`, "it has no floor"},
		{"service package", "poller/a.go", poller + `import _ "github.com/aws/aws-sdk-go-v2/service/sqs"`, "service packages of the SDK belong to internal/awsapi"},
		{"service package in a roof", "cmd/worker/a.go", "// Command worker works.\npackage main\n" + `import _ "github.com/aws/aws-sdk-go-v2/service/sns"`, "service packages of the SDK belong"},
		{"SDK core", "poller/a.go", poller + `import _ "github.com/aws/aws-sdk-go-v2/aws"`, "the SDK is for internal/awsapi"},
		{"dependency on the ground floor", "queue/a.go", queue + `import _ "golang.org/x/sync/errgroup"`, "the standard library only"},
		{"localaws is by itself", "localaws/a.go", "// Package localaws is documented.\npackage localaws\n" + `import _ "github.com/stationmaster/worker/queue"`, "may import only internal/iampolicy, internal/snsdelivery, internal/snsfilter"},
		{"a job behind the counter", "jobs/email/a.go", "// Package email mails.\npackage email\n" + `import _ "github.com/stationmaster/worker/internal/config"`, "uses public packages only"},
		{"no package comment", "queue/a.go", "package queue", "queue: has no package comment"},
		{"sleep", "queue/a_test.go", "package queue_test\nimport \"time\"\nfunc f() { time.Sleep(1) }", "queue/a_test.go:3:12: time.Sleep in a test"},
		{"too long", "queue/a.go", queue + strings.Repeat("\n", longest), "lines, more than 600"},
		{"internal type in a signature", "worker/a.go", leak("func Open(c *config.Config) {}"), "exports config.Config"},
		{"internal type in a field", "worker/a.go", leak("type Options struct { Config []config.Config }"), "exports config.Config"},
		{"internal type in a method", "worker/a.go", leak("type W struct{}\nfunc (w *W) Config() config.Config { panic(1) }"), "exports config.Config"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			faults := inspectFile(t, tt.file, tt.source)
			if len(faults) != 1 || !strings.Contains(faults[0], tt.want) {
				t.Errorf("inspect found %q, want one fault with %q", faults, tt.want)
			}
		})
	}
}

func TestAnotherModuleStandsOutsideTheHouse(t *testing.T) {
	faults, err := inspect(fstest.MapFS{"examples/own/go.mod": {}, "examples/own/a.go": {Data: []byte("package a\n")}}, floors)
	if err != nil || len(faults) != 0 {
		t.Errorf("inspect found %q, %v", faults, err)
	}
}

func TestTheWalkerLetsTheRightThingsPass(t *testing.T) {
	const poller = "// Package poller is documented.\npackage poller\n"
	tests := []struct {
		name, file, source string
	}{
		{"downward", "poller/a.go", poller + `import _ "github.com/stationmaster/worker/queue"`},
		{"localaws in a test below it", "queue/a_test.go", "package queue_test\n" + `import _ "github.com/stationmaster/worker/localaws"`},
		{"its own package in a test", "poller/a_test.go", "package poller_test\n" + `import _ "github.com/stationmaster/worker/poller"`},
		{"the SDK in a test", "localaws/a_test.go", "package localaws_test\n" + `import _ "github.com/aws/aws-sdk-go-v2/service/sqs"`},
		{"the adapter", "internal/awsapi/a.go", "// Package awsapi adapts.\npackage awsapi\n" + `import _ "github.com/aws/aws-sdk-go-v2/service/sqs"`},
		{"what jobs share", "jobs/webhook/a.go", "// Package webhook posts.\npackage webhook\n" + `import _ "github.com/stationmaster/worker/jobs/internal/outbound"`},
		{"testdata", "queue/testdata/a.go", "package x\n" + `import _ "github.com/stationmaster/worker/poller"`},
		{"an unexported use of an internal type", "worker/a.go", leak("type W struct { c config.Config }\nfunc open(config.Config) {}\nfunc (w *W) set(c config.Config) { w.c = c }")},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if faults := inspectFile(t, tt.file, tt.source); len(faults) != 0 {
				t.Errorf("inspect found %q, want nothing", faults)
			}
		})
	}
}

// leak is a file of package worker, which may import internal/config, with one declaration.
func leak(decl string) string {
	return "// Package worker is documented.\npackage worker\n" +
		`import "github.com/stationmaster/worker/internal/config"` + "\n" + decl + "\n"
}

func inspectFile(t *testing.T, name, source string) []string {
	t.Helper()
	faults, err := inspect(fstest.MapFS{name: {Data: []byte(source)}}, floors)
	if err != nil {
		t.Fatal(err)
	}
	return faults
}
