package cli_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

const pausable = `
[admin]
addr = "unix:%s"
[queues.tell]
job = "tell"
slots = 5
wait_time = "1s"
[queues.other]
job = "tell"
wait_time = "1s"
`

// runs runs a command of the worker and returns what it said and its exit code.
func (o *outside) runs(t *testing.T, file string, args ...string) (said string, code int) {
	t.Helper()
	cmd, out := o.command(t, file, args...)
	var exit *exec.ExitError
	if err := cmd.Run(); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return out.String(), cmd.ProcessState.ExitCode()
}

// A queue is paused and resumed from another process, and the drain is reported by queue as JSON.
func TestPauseResumeAndTheDrainReportAsJSON(t *testing.T) {
	o := newOutside(t)
	file := config(t, fmt.Sprintf(pausable, filepath.Join(t.TempDir(), "a.sock")))
	o.apply(t, file)
	cmd, _ := o.command(t, file, "run", "--json")
	var stdout bytes.Buffer
	cmd.Stdout = &stdout
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var said string
	eventually(t, time.Minute, func() bool {
		var code int
		said, code = o.runs(t, file, "pause", "tell", "--for", "10m", "--json")
		return code == 0 && strings.Contains(said, `"state":"paused"`) // not before the queue is opened
	}, func() string { return said })
	if !strings.Contains(said, `{"queue":"tell","state":"paused","paused_by":"operator","paused_until":"`) {
		t.Errorf("pause --json says %s", said)
	}
	if said, code := o.runs(t, file, "pause", "tell"); code != 0 || said != "tell rests (operator) until it is resumed\n" {
		t.Errorf("pause says %q, exit code %d", said, code)
	}
	if said, code := o.runs(t, file, "pause", "bell"); code != 2 || !strings.Contains(said, `"bell" is no queue of this worker: it has other, tell`) {
		t.Errorf("pause of no queue says %q, exit code %d", said, code)
	}
	if said, code := o.runs(t, file, "pause", "tell", "--for", "-1m"); code != 2 || !strings.Contains(said, "must be more than nothing") {
		t.Errorf("pause for less than nothing says %q, exit code %d", said, code)
	}
	o.fill(t, "tell", 20)
	if said, code := o.runs(t, file, "resume", "tell"); code != 0 || said != "tell is polling\n" {
		t.Errorf("resume says %q, exit code %d", said, code)
	}
	eventually(t, time.Minute, func() bool { return o.distinct() == 20 }, func() string { return fmt.Sprint(o.distinct(), " handled") })
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	var report struct {
		Abandoned *int `json:"abandoned"`
		Queues    map[string]struct {
			Finished *int `json:"finished"`
		} `json:"queues"`
	}
	if err := json.Unmarshal(stdout.Bytes(), &report); err != nil {
		t.Fatalf("%v: %s", err, stdout.String())
	}
	if report.Abandoned == nil || *report.Abandoned != 0 || len(report.Queues) != 2 || report.Queues["tell"].Finished == nil {
		t.Errorf("drain report %s: want counts in all and for each of the two queues", stdout.String())
	}
	if said, code := o.runs(t, file, "resume", "tell"); code != 1 || !strings.Contains(said, "no worker answers") {
		t.Errorf("resume without a worker says %q, exit code %d", said, code)
	}
}
