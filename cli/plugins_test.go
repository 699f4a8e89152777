package cli_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stationmaster/worker/internal/awsapi"
	"github.com/stationmaster/worker/internal/plugins"
	"github.com/stationmaster/worker/queue"
)

const pluggedLine = `
[plugins]
paths = ["plugins/*.so"]
[admin]
addr = "off"
[queues.work]
job = "echo"
wait_time = "1s"
`

// A worker builds a job as a plugin for itself, loads it, knows its settings, and runs it; the same
// worker does not start when the file is none.
func TestAWorkerRunsAPluginThatItHasBuilt(t *testing.T) {
	if err := plugins.Able(); err != nil {
		t.Skip(err)
	}
	if _, err := exec.LookPath("gcc"); err != nil || testing.CoverMode() != "" {
		t.Skip("needs a C compiler, and no coverage")
	}
	o := newOutside(t)
	dir := t.TempDir()
	config := filepath.Join(dir, "config.toml")
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	run := func(want int, args ...string) string {
		t.Helper()
		cmd, said := o.command(t, config, args...)
		cmd.Stdout = said
		// What the go command needs to build.
		cmd.Env = append(cmd.Env, "HOME="+os.Getenv("HOME"), "PATH="+os.Getenv("PATH"), "GOFLAGS="+os.Getenv("GOFLAGS"), "GOCACHE="+os.Getenv("GOCACHE"))
		_ = cmd.Run() // the exit code says it
		if got := cmd.ProcessState.ExitCode(); got != want {
			t.Fatalf("%v: exit code %d, want %d\n%s", args, got, want, said)
		}
		return said.String()
	}
	contains := func(text, want string) {
		t.Helper()
		if !strings.Contains(text, want) {
			t.Errorf("%s\ndoes not say %q", text, want)
		}
	}
	write(config, pluggedLine)
	contains(run(2, "config", "check"), `"echo" is no registered job: import its package in the worker, load it as a plugin, or use another (registered: email, layered, ship, slow, tell; "plugins/*.so" names no file in `+dir)

	file := filepath.Join(dir, "plugins", "echo.so")
	contains(run(0, "jobs", "build", "../internal/plugins/testdata/echo", "-o", file), "built "+file+": github.com/stationmaster/worker/internal/plugins/testdata/echo with go1.")
	write(config, pluggedLine+"[jobs.echo]\nprefx = \">\"\n")
	contains(run(2, "config", "check"), "jobs.echo.prefx: is no setting: did you mean prefix?")
	contains(run(0, "config", "check", "--no-plugins"), "plugins.paths: not loaded, as was asked")
	write(config, pluggedLine+"[jobs.echo]\nprefix = \">\"\n")
	contains(run(0, "jobs", "list"), "testdata/echo ("+file+")")

	o.apply(t, config)
	url, err := o.api.QueueURL(t.Context(), "work", "")
	if err != nil {
		t.Fatal(err)
	}
	q := o.api.Queue(url, awsapi.QueueOptions{})
	send := func() {
		t.Helper()
		if _, errs := q.Send(t.Context(), []queue.Message{{Body: `{"text":"hello"}`}}); queue.At(errs, 0) != nil {
			t.Fatal(errs)
		}
	}
	send()
	contains(run(0, "run", "--until-empty"), "plugin loaded")
	if left, dead := o.counts(t, "work"), o.counts(t, "work-dlq"); left != (awsapi.Counts{}) || dead != (awsapi.Counts{}) {
		t.Errorf("%+v left, %+v dead", left, dead)
	}

	// One file among them is none: nothing starts, also not the queues of the others.
	send()
	write(filepath.Join(dir, "plugins", "none.so"), "text")
	contains(run(2, "run", "--until-empty"), filepath.Join(dir, "plugins", "none.so")+": is no Go plugin")
	if ds, err := q.Receive(t.Context(), 1, time.Second); err != nil || len(ds) != 1 || ds[0].Receives != 1 {
		t.Errorf("%v, %+v: was received before", err, ds)
	}
}
