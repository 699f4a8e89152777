package config_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stationmaster/worker/internal/config"
)

const (
	fifoQueue = queue + "fifo = true\n"
	nightly   = "[schedules.nightly]\ncron = \"0 3 * * *\"\nqueue = \"q\"\nbody = \"{}\"\n"
)

func TestASchedule(t *testing.T) {
	l := mustLoad(t, fifoQueue+`
[topics.orders]
fifo = true
[schedules.nightly]
cron = "0 3 * * 1-5"
zone = "Europe/Berlin"
queue = "q"
body = '{"report":"daily"}'
attributes = { plan = "gold" }
group_id = "reports"
[schedules.hourly]
cron = "@hourly"
topic = "orders"
body = "{}"
paused = true
`, environ("WORKER_SCHEDULES__HOURLY__ZONE=Asia/Kolkata"))
	want := map[string]config.Schedule{
		"nightly": {
			Cron: "0 3 * * 1-5", Zone: "Europe/Berlin", Queue: "q", Body: `{"report":"daily"}`,
			Attributes: map[string]string{"plan": "gold"}, GroupID: "reports",
		},
		"hourly": {Cron: "@hourly", Zone: "Asia/Kolkata", Topic: "orders", Body: "{}", GroupID: "hourly", Paused: true},
	}
	if diff := cmp.Diff(want, l.Config.Schedules); diff != "" {
		t.Errorf("schedules (-want +got):\n%s", diff)
	}
	if len(l.Warnings) != 1 || l.Warnings[0].String() != "schedules.hourly.paused: is true: it does not tick" {
		t.Errorf("warnings %v", l.Warnings)
	}
	if got := shown(t, l, "schedules.hourly.zone").Origin; got != "WORKER_SCHEDULES__HOURLY__ZONE" {
		t.Errorf("the zone comes from %s", got)
	}
}

// Each of these is one fault: its key and what its text must say.
func TestFaultsOfASchedule(t *testing.T) {
	with := func(old, text string) string { return fifoQueue + strings.Replace(nightly, old, text, 1) }
	kinds := "[queues.q]\nfifo = true\nkind = \"attribute:job\"\njobs = { mail = \"email\" }\n"
	for _, tt := range []struct{ name, file, want string }{
		{"unknown key", with("cron", "expression = \"x\"\ncron"), `schedules.nightly.expression: is no setting: known are attributes, body, cron`},
		{"almost a key", with("cron", "time_zone = \"x\"\ncron"), `schedules.nightly.time_zone: is no setting: `},
		{"no table", fifoQueue + "[schedules]\nnightly = 1", `schedules.nightly: must be a table, not the whole number 1`},
		{"name", with("nightly", "Nightly"), `schedules.Nightly: "Nightly" must be a lower-case letter`},
		{"long name", with("nightly", strings.Repeat("n", 81)), `has a name of 81 characters, and at most 80`},
		{"no cron", with(`cron = "0 3 * * *"`, ""), `schedules.nightly.cron: is missing: write minute, hour,`},
		{"four fields", with("0 3 * * *", "0 3 * *"), `schedules.nightly.cron: "0 3 * *": `},
		{"minute 61", with("0 3 * * *", "61 3 * * *"), `schedules.nightly.cron: "61 3 * * *": `},
		{"31 February", with("0 3 * * *", "0 3 31 2 *"), `so it would never tick`},
		{"every", with("0 3 * * *", "@every 5m"), `@every has no fixed times`},
		{"zone in the expression", with("0 3 * * *", "CRON_TZ=UTC 0 3 * * *"), `a time zone belongs in zone`},
		{"zone", with("body", "zone = \"Europe/Atlantis\"\nbody"), `schedules.nightly.zone: "Europe/Atlantis": unknown time zone`},
		{"this machine's zone", with("body", "zone = \"Local\"\nbody"), `schedules.nightly.zone: "Local": differs from machine to machine`},
		{"a file for a zone", with("body", "zone = \"../../etc/passwd\"\nbody"), `schedules.nightly.zone: "../../etc/passwd": `},
		{"no target", with(`queue = "q"`, ""), `schedules.nightly.queue: is missing, and so is topic`},
		{"two targets", "[topics.t]\nfifo = true\n" + with("body", "topic = \"t\"\nbody"), `schedules.nightly.queue: stands beside topic: keep one`},
		{"unknown queue", with(`queue = "q"`, `queue = "qq"`), `schedules.nightly.queue: "qq" is no queue of this file: did you mean q?`},
		{"no queue", nightly, `schedules.nightly.queue: "q" is no queue of this file: add [queues.q] with fifo = true`},
		{"unknown topic", with(`queue = "q"`, `topic = "t"`), `schedules.nightly.topic: "t" is no topic of this file: add [topics.t]`},
		{"standard queue", queue + nightly, `schedules.nightly.queue: "q" is a standard queue, which would take each tick once from every worker: add fifo = true to [queues.q]`},
		{"standard topic", topic + with(`queue = "q"`, `topic = "t"`), `schedules.nightly.topic: "t" is a standard topic, which would take each tick once from every worker: add fifo = true to [topics.t]`},
		{"no body", with(`body = "{}"`, ""), `schedules.nightly.body: is empty, which SQS and SNS refuse`},
		{"character", with(`"{}"`, `"a\u0000"`), `schedules.nightly.body: has the character U+0000`},
		{"large", with("{}", strings.Repeat("x", 1<<20)), `schedules.nightly.body: has 1048576 bytes with its attributes, and SQS and SNS take at most 1047552`},
		{"group", with("body", "group_id = \"a b\"\nbody"), `schedules.nightly.group_id: "a b" must be 1 to 128`},
		{"attributes are text", with("body", "attributes = { n = 1 }\nbody"), `schedules.nightly.attributes.n: must be a string, not the whole number 1`},
		{"its own attribute", with("body", "attributes = { tick = \"x\" }\nbody"), `schedules.nightly.attributes.tick: is written by the schedule itself`},
		{"AWS's attribute", with("body", "attributes = { \"aws.x\" = \"x\" }\nbody"), `schedules.nightly.attributes."aws.x": must be a name`},
		{"attribute's name", with("body", "attributes = { \"a b\" = \"x\" }\nbody"), `schedules.nightly.attributes."a b": must be a name`},
		{"empty attribute", with("body", "attributes = { a = \"\" }\nbody"), `schedules.nightly.attributes.a: is empty`},
		{"many attributes", with("body", "attributes = { a = \"1\", b = \"1\", c = \"1\", d = \"1\", e = \"1\", f = \"1\", g = \"1\", h = \"1\" }\nbody"), `schedules.nightly.attributes: has 8, and at most 7 stand beside the 3 of each tick`},
		{"no kind", kinds + nightly, `schedules.nightly.queue: "q" has a job for each kind of message, and its ticks have none`},
		{"other kind", kinds + nightly + "attributes = { job = \"mial\" }", `schedules.nightly.queue: "q" has no job for messages of kind "mial" (attribute:job): did you mean mail?`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := load(t, tt.file)
			got := faults(t, err)
			if len(got) != 1 || !strings.Contains(got[0], tt.want) {
				t.Errorf("got %q\nwant one fault with %q", got, tt.want)
			}
		})
	}
}

func TestAllFaultsOfASchedule(t *testing.T) {
	_, err := load(t, "[schedules.nightly]\ncron = \"x\"\nzone = \"y\"\ngroup_id = \" \"\nattributes = { \"z!\" = \"1\" }\nsecond = 3\n")
	var keys []string
	for _, line := range faults(t, err) {
		key, _, _ := strings.Cut(line, ": ")
		keys = append(keys, strings.TrimPrefix(key, "schedules.nightly."))
	}
	want := []string{`attributes."z!"`, "body", "cron", "group_id", "queue", "second", "zone"}
	if !slices.Equal(keys, want) {
		t.Errorf("faults of %q, want %q", keys, want)
	}
}

// The name of the schedule is itself a kind: one queue can have a job for each schedule.
func TestTheKindOfATickMayBeItsSchedule(t *testing.T) {
	for rule, more := range map[string]string{"attribute:schedule": "", "attribute:job": "attributes = { job = \"nightly\" }", "body:job": ""} {
		file := fmt.Sprintf("[queues.q]\nfifo = true\nkind = %q\njobs = { nightly = \"email\" }\n%s%s\n", rule, strings.Replace(nightly, `"{}"`, `'{"job":"nightly"}'`, 1), more)
		if _, err := load(t, file); err != nil {
			t.Errorf("%s: %v", rule, err)
		}
	}
}
