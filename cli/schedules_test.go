package cli

import (
	"encoding/json"
	gobuild "go/build"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

const healthyFile = pickyFile + "[jobs.picky]\nhost = \"h\"\n"

const timetableFile = `
[topics.ticks]
fifo = true
[queues.reports]
fifo = true
job = "picky"
[jobs.picky]
host = "h"
[schedules.nightly]
cron = "30 2 * * *"
zone = "Asia/Kolkata"
queue = "reports"
body = "{}"
[schedules.weekly]
cron = "@weekly"
topic = "ticks"
body = "{}"
paused = true
`

func TestSchedulesAreATimetable(t *testing.T) {
	out, said, code := says(t, timetableFile, "schedules")
	lines := strings.Split(strings.TrimSuffix(out, "\n"), "\n")
	if code != ExitDone || said != "" || len(lines) != 7 {
		t.Fatalf("exit code %d\n%s%s", code, out, said)
	}
	const at = `\w{3} \d{4}-\d\d-\d\d 02:30 IST$`
	for i, want := range []string{
		`^SCHEDULE  CRON        ZONE          TO                  STATE    NEXT$`,
		`^nightly   30 2 \* \* \*  Asia/Kolkata  queue reports.fifo  ticking  ` + at,
		`^ {65}` + at, `^ {65}` + at,
		`^weekly    @weekly     UTC           topic ticks.fifo    paused   Sun \d{4}-\d\d-\d\d 00:00 UTC$`,
	} {
		if !regexp.MustCompile(want).MatchString(lines[i]) {
			t.Errorf("line %d is %q, want %s", i, lines[i], want)
		}
	}
}

func TestSchedulesAsJSON(t *testing.T) {
	out, _, code := says(t, timetableFile, "schedules", "--json")
	var got []struct {
		Name, Cron, Zone, Queue, Topic string
		Paused                         bool
		Next                           []time.Time
	}
	if err := json.Unmarshal([]byte(out), &got); err != nil || code != ExitDone || len(got) != 2 {
		t.Fatalf("exit code %d, %v\n%s", code, err, out)
	}
	if one := got[0]; one.Name != "nightly" || one.Cron != "30 2 * * *" || one.Zone != "Asia/Kolkata" || one.Queue != "reports.fifo" || one.Topic != "" || one.Paused || len(one.Next) != 3 {
		t.Errorf("first %+v", one)
	}
	if two := got[1]; two.Topic != "ticks.fifo" || two.Queue != "" || !two.Paused || len(two.Next) != 3 || two.Next[1].Sub(two.Next[0]) != 7*24*time.Hour {
		t.Errorf("second %+v", two)
	}
}

func TestSchedulesOfAFileWithoutAndWithFaults(t *testing.T) {
	if out, said, code := says(t, healthyFile, "schedules"); code != ExitDone || said != "" || !strings.HasPrefix(out, "the configuration has no schedules: add ") {
		t.Errorf("exit code %d\n%s%s", code, out, said)
	}
	if out, _, code := says(t, healthyFile, "schedules", "--json"); code != ExitDone || out != "[]\n" {
		t.Errorf("exit code %d\n%s", code, out)
	}
	faulty := strings.Replace(timetableFile, `queue = "reports"`, `queue = "report"`, 1)
	for _, args := range [][]string{{"schedules"}, {"config", "check"}} {
		if out, said, code := says(t, faulty, args...); code != ExitUsage || out != "" || said != "worker: schedules.nightly.queue: \"report\" is no queue of this file: did you mean reports?\n" {
			t.Errorf("%v: exit code %d\n%s%s", args, code, out, said)
		}
	}
	if _, said, code := says(t, timetableFile, "schedules", "nightly"); code != ExitUsage || !strings.Contains(said, `unexpected argument "nightly"`) {
		t.Errorf("exit code %d\n%s", code, said)
	}
}

func TestConfigCheckCountsSchedules(t *testing.T) {
	out, said, _ := says(t, timetableFile, "config", "check")
	if !strings.HasSuffix(out, ": no faults · 1 topic · 1 queue · 0 subscriptions · 2 schedules\n") || said != "worker: schedules.weekly.paused: is true: it does not tick\n" {
		t.Errorf("%s%s", out, said)
	}
	if out, _, _ := says(t, healthyFile, "config", "check"); strings.Contains(out, "schedule") {
		t.Error(out)
	}
	var checked struct{ Schedules int }
	if out, _, _ := says(t, timetableFile, "config", "check", "--json"); json.Unmarshal([]byte(out), &checked) != nil || checked.Schedules != 2 {
		t.Error(out)
	}
}

// TestZonesComeWithTheWorker: an image from scratch has none, and a machine that runs tests has.
func TestZonesComeWithTheWorker(t *testing.T) {
	this, err := gobuild.ImportDir(".", 0)
	if err != nil || !slices.Contains(this.Imports, "time/tzdata") {
		t.Errorf("%v: the zones of time/tzdata are not imported", err)
	}
}
