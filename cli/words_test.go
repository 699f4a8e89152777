package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"testing"

	"github.com/stationmaster/worker/jobs"
	"github.com/stationmaster/worker/worker"
)

// picky is a job with a setting that it cannot do without.
type picky struct {
	Host string `config:"host"`
}

func (p *picky) CheckSettings() error {
	if p.Host == "" {
		return &usageError{text: "host: not set"}
	}
	return nil
}

func (*picky) Handle(context.Context, *jobs.Message[string]) error { return nil }

const pickyFile = `
[topics.orders]
[queues.ship]
job = "picky"
[[subscriptions]]
topic = "orders"
protocol = "sqs"
endpoint = "ship"
`

// says runs a command in this process, with the job picky and this configuration.
func says(t *testing.T, file string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "config.toml")
	if err := os.WriteFile(path, []byte(file), 0o600); err != nil {
		t.Fatal(err)
	}
	registry := jobs.NewRegistry()
	jobs.AddJobTo(registry, "picky", func() *picky { return &picky{} })
	var out, errs bytes.Buffer
	s := &state{
		name: "./bin/worker", args: append(args, "--config", path), stdout: &out, stderr: &errs,
		signals: func() (<-chan os.Signal, func()) { return nil, func() {} },
		options: []worker.Option{func(o *worker.Options) { o.Jobs = registry }},
	}
	code = execute(t.Context(), s)
	return out.String(), errs.String(), code
}

func TestWhatIsWrongIsSaidOnceWithTheWayOut(t *testing.T) {
	for _, key := range []string{"AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE", "AWS_ENDPOINT_URL"} {
		t.Setenv(key, "")
	}
	t.Setenv("AWS_CONFIG_FILE", filepath.Join(t.TempDir(), "none"))
	healthy := pickyFile + "[jobs.picky]\nhost = \"h\"\n"
	for _, row := range []struct {
		file string
		args []string
		want string
	}{
		{healthy, []string{"pubish"}, "worker: unknown command \"pubish\"\nworker: try: ./bin/worker publish\n"},
		{healthy, []string{"dev", "brake"}, "worker dev: unknown command \"brake\"\nworker: try: ./bin/worker dev break\n"},
		{healthy, []string{"zzzzzz"}, "worker: unknown command \"zzzzzz\"\nworker: try: ./bin/worker --help\n"},
		{healthy, []string{"--nope"}, "worker: unknown flag: --nope\nworker: try: ./bin/worker --help\n"},
		{healthy, []string{"publish"}, "worker publish: TOPIC and BODY are missing\nworker: try: ./bin/worker publish --help\n"},
		{healthy, []string{"publish", "orders"}, "worker publish: BODY is missing\nworker: try: ./bin/worker publish --help\n"},
		{pickyFile, []string{"config", "check"}, "worker: jobs.picky.host: not set\n"},
		{pickyFile, []string{"run"}, "worker: jobs.picky.host: not set\n"},
		{healthy, []string{"run"}, "worker: no AWS region: set AWS_REGION, or a profile that has one with AWS_PROFILE; to try this without an account: worker dev\n"},
	} {
		if _, said, code := says(t, row.file, row.args...); said != row.want || code != ExitUsage {
			t.Errorf("%v: exit code %d, want %d\n got %q\nwant %q", row.args, code, ExitUsage, said, row.want)
		}
	}
}

func TestWhatOnlyAJobHasAgainstItsSettingsHidesNothing(t *testing.T) {
	if out, said, code := says(t, pickyFile, "config", "show"); code != ExitDone || said != "" || !strings.Contains(out, "jobs.picky.host") {
		t.Errorf("config show: exit code %d\n%s%s", code, out, said)
	}
	out, said, code := says(t, "[queues.ship]\njob = \"picky\"\nslots = 0\n", "jobs", "list")
	if code != ExitDone || !strings.Contains(out, "picky") || said != "worker: the configuration has faults, so no queue of a job is told: try: ./bin/worker config check\n" {
		t.Errorf("jobs list: exit code %d\n%s%s", code, out, said)
	}
	var checked struct{ Warnings []string }
	if out, said, code := says(t, pickyFile+"[jobs.picky]\nhost = \"h\"\n", "config", "check", "--json"); code != ExitDone ||
		json.Unmarshal([]byte(out), &checked) != nil || checked.Warnings == nil {
		t.Errorf("config check: exit code %d\n%s%s", code, out, said)
	}
}

func TestNamesAreCompletedFromTheConfiguration(t *testing.T) {
	for command, want := range map[string]string{"publish": "orders", "send": "ship", "pause": "ship", "resume": "ship"} {
		// The words before the last are the command line so far, the flags of this test among them.
		path := filepath.Join(t.TempDir(), "config.toml")
		if err := os.WriteFile(path, []byte(pickyFile), 0o600); err != nil {
			t.Fatal(err)
		}
		registry := jobs.NewRegistry()
		jobs.AddJobTo(registry, "picky", func() *picky { return &picky{} })
		var out, errs bytes.Buffer
		s := &state{
			args: []string{"__complete", command, "--config", path, ""}, stdout: &out, stderr: &errs,
			options: []worker.Option{func(o *worker.Options) { o.Jobs = registry }},
		}
		if code := execute(t.Context(), s); code != ExitDone || !slices.Contains(strings.Split(out.String(), "\n"), want) {
			t.Errorf("%s: exit code %d, completions %q, want %s", command, code, out.String(), want)
		}
	}
}

func TestTheProgramIsCalledAsItWasTyped(t *testing.T) {
	kept := "/root/.cache/go-build/ab/" + strings.Repeat("0a", 32) + "-d/worker"
	for path, want := range map[string]string{
		"worker":                         "worker",
		"./bin/worker":                   "./bin/worker",
		"/usr/local/bin/worker":          "/usr/local/bin/worker",
		"/go-build/bin/worker":           "/go-build/bin/worker",
		"/tmp/go-build1/b001/exe/worker": "go run ./cmd/worker",
		kept:                             "go run ./cmd/worker",
	} {
		if got := programName(path, nil); got != want {
			t.Errorf("programName(%q) = %q, want %q", path, got, want)
		}
	}
}

func TestAProgramOfAnotherModuleIsCalledByItsPath(t *testing.T) {
	const run = "/tmp/go-build1/b001/exe/worker"
	for want, built := range map[string]debug.BuildInfo{
		"go run .":          {Path: "example.com/own", Main: debug.Module{Path: "example.com/own", Version: "(devel)"}},
		"go run ./cmd/mine": {Path: "example.com/own/cmd/mine", Main: debug.Module{Path: "example.com/own"}},
		"go run github.com/stationmaster/worker/cmd/w": {Path: "github.com/stationmaster/worker/cmd/w", Main: debug.Module{Path: "github.com/stationmaster/worker", Version: "v1.0.0"}},
	} {
		if got := programName(run, &built); got != want {
			t.Errorf("programName = %q, want %q", got, want)
		}
	}
}

func TestWhatTheBannerSuggestsReachesItsTopic(t *testing.T) {
	s := &state{}
	usual, other := worker.DevInfo{Endpoint: "http://" + worker.DefaultDevAddr}, worker.DevInfo{Endpoint: "http://127.0.0.1:9"}
	for _, row := range []struct {
		topic string
		info  worker.DevInfo
		want  string
	}{
		{"orders", usual, ""},
		{"orders", other, " --aws-addr 127.0.0.1:9"},
		{"orders.fifo", usual, " --group-id ada --dedup-id 1"},
	} {
		if got := s.tryFlags(row.topic, row.info); got != row.want {
			t.Errorf("%s on %s: %q, want %q", row.topic, row.info.Endpoint, got, row.want)
		}
	}
}

func TestDevSuggestsWhatANewJobTakes(t *testing.T) {
	if got := tryBody("invitations"); !strings.Contains(got, "user_invited") {
		t.Error(got)
	}
	if got := tryBody("events"); got != `{"id":"42"}` {
		t.Error(got)
	}
}
