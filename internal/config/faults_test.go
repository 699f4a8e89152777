package config_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/stationmaster/worker/internal/config"
)

const (
	topic = "[topics.t]\n"
	queue = "[queues.q]\njob = \"email\"\n"
	sub   = "[[subscriptions]]\ntopic = \"t\"\nprotocol = \"sqs\"\nendpoint = \"q\"\n"
)

// Each of these is one fault: its key and what its text must say.
func TestFaults(t *testing.T) {
	tests := []struct{ name, file, want string }{
		{"unknown key", queue + `slot = 4`, `queues.q.slot: is no setting: did you mean slots?`},
		{"unknown table", `[queue.q]`, `queue: is no setting: did you mean queues?`},
		{"unknown and unlike", "[admin]\nzzzzzzzz = 1", `admin.zzzzzzzz: is no setting: known are addr, token`},
		{"over the limit", queue + `wait_time = "30s"`, `queues.q.wait_time: "30s" must be at most 20s: lower it`},
		{"under the limit", queue + `slots = 0`, `queues.q.slots: 0 must be at least 1: raise it`},
		{"not a table", `worker = 5`, `worker: must be a table, not the whole number 5`},
		{"queue not a table", "[queues]\nq = 1", `queues.q: must be a table`},
		{"wrong type", queue + `slots = "four"`, `queues.q.slots: must be a whole number (int), not a string`},
		{"fraction", queue + `slots = 1.5`, `queues.q.slots: must be a whole number (int), not the number 1.5`},
		{"no duration", queue + `timeout = "5 seconds"`, `queues.q.timeout: "5 seconds" must be a duration such as "5s"`},
		{"number for a duration", queue + `timeout = 5`, `queues.q.timeout: must be a duration such as "5s", not the whole number 5`},
		{"date", "[worker]\nlog_level = 2026-01-01", `worker.log_level: must be a string, not a date or time`},
		{"log level", "[worker]\nlog_level = \"loud\"", `worker.log_level: "loud" must be one of debug, info, warn, error`},
		{"log format", "[worker]\nlog_format = \"xml\"", `worker.log_format: "xml" must be one of auto, text, json`},
		{"endpoint", "[worker]\nendpoint = \"localhost\"", `worker.endpoint: "localhost" must be a URL`},
		{"drain", "[worker]\ndrain_timeout = \"0s\"", `worker.drain_timeout: "0s" must be at least 1s`},
		{"admin addr", "[admin]\naddr = \"8080\"", `admin.addr: "8080" must be host:port`},
		{"admin port", "[admin]\naddr = \":http\"", `admin.addr: ":http" must end in a port`},
		{"plugins", "[plugins]\nfiles = []", `plugins.files: is no setting: known are paths`},
		{"no plugin", "[plugins]\npaths = [\" \"]", `plugins.paths[0]: is empty: write a file or a pattern`},
		{"a plugin alone", "[plugins]\npaths = \"a.so\"", `plugins.paths: must be a list, not`},
		{"queue key", "[queues.Q]\njob = \"email\"", `queues.Q: "Q" must be a lower-case letter`},
		{"queue name", queue + `name = "a b"`, `queues.q.name: "a b" must be 1 to 80 letters`},
		{"fifo name alone", queue + `name = "q.fifo"`, `queues.q.fifo: must be true, because "q.fifo" ends in .fifo: add fifo = true`},
		{"fifo without its name", queue + "fifo = true\nname = \"r\"", `queues.q.fifo: is true, and "r" does not end in .fifo`},
		{"deduplication of a standard queue", queue + `content_based_deduplication = true`, `queues.q.content_based_deduplication: needs fifo = true`},
		{"deduplication of a standard topic", topic + `content_based_deduplication = true`, `topics.t.content_based_deduplication: needs fifo = true`},
		{"deduplication of somebody else's", queue + "fifo = true\nmanage = false\ncontent_based_deduplication = true", `queues.q.content_based_deduplication: is its owner's to set`},
		{"fifo with a standard dlq", queue + "fifo = true\ndlq = \"r\"", `queues.q.dlq: "r" must be a FIFO queue exactly if the queue is`},
		{"fifo url", queue + "manage = false\nurl = \"https://sqs.eu-west-1.amazonaws.com/123456789012/q.fifo\"", `queues.q.fifo: must be true`},
		{"weight without a budget", queue + `weight = 2`, `queues.q.weight: is a part of worker.budget, and there is none`},
		{"weight", "[worker]\nbudget = 5\n" + queue + `weight = 0`, `queues.q.weight: 0 must be at least 1`},
		{"budget", "[worker]\nbudget = -1\n" + queue, `worker.budget: -1 must be at least 0`},
		{"rate", queue + `rate = -1`, `queues.q.rate: -1 must be at least 0`},
		{"rate is none", queue + `rate = inf`, `queues.q.rate: must be a number, not the number +Inf`},
		{"suspect_after", queue + `suspect_after = -1`, `queues.q.suspect_after: -1 must be at least 0`},
		{"prefetch", queue + `prefetch = -1`, `queues.q.prefetch: -1 must be at least 0`},
		{"no receivers", queue + `receivers = 0`, `queues.q.receivers: 0 must be at least 1`},
		{"socket", "[admin]\naddr = \"unix:\"", `admin.addr: "unix:" must be "unix:" and a path`},
		{"fifo queue of a standard topic", topic + queue + "fifo = true\n" + sub, `subscriptions[0].endpoint: "q" is a FIFO queue, and topic "t" is not FIFO`},
		{"fifo arn of a standard topic", topic + queue + strings.Replace(sub, `"q"`, `"arn:aws:sqs:eu-west-1:123456789012:x.fifo"`, 1), `is a FIFO queue, and topic "t" is not FIFO`},
		{"no job", "[queues.q]\nslots = 1", `queues.q.job: is missing`},
		{"unknown job", "[queues.q]\njob = \"emial\"", `queues.q.job: "emial" is no registered job: did you mean email? (registered: analytics, email, silent, webhook)`},
		{"job and jobs", queue + "kind = \"body:e\"\njobs = { a = \"email\" }", `queues.q.jobs: stands beside job`},
		{"jobs without kind", "[queues.q]\njobs = { a = \"email\" }", `queues.q.kind: is missing beside jobs`},
		{"kind without jobs", queue + `kind = "body:event"`, `queues.q.kind: says how to choose among jobs`},
		{"kind", "[queues.q]\nkind = \"header:x\"\njobs = { a = \"email\" }", `queues.q.kind: "header:x" must be "body:"`},
		{"unknown job of a kind", "[queues.q]\nkind = \"body:e\"\njobs = { \"a.b\" = \"mail\" }", `queues.q.jobs."a.b": "mail" is no registered job`},
		{"url of ours", queue + `url = "https://sqs.eu-west-1.amazonaws.com/123456789012/q"`, `queues.q.url: is somebody else's queue: add manage = false`},
		{"no arn", queue + "arn = \"arn:q\"\nmanage = false", `queues.q.arn: "arn:q" is no queue's ARN`},
		{"url and arn", queue + "arn = \"arn:aws:sqs:eu-west-1:123456789012:q\"\nurl = \"https://sqs/q\"\nmanage = false", `queues.q.arn: stands beside url`},
		{"retention of somebody else's", queue + "manage = false\nretention = \"1d\"", `queues.q.retention: is its owner's to set`},
		{"visibility", queue + `visibility_timeout = "5s"`, `queues.q.visibility_timeout: "5s" must be at least 10s`},
		{"visibility over 12 h", queue + `visibility_timeout = "13h"`, `queues.q.visibility_timeout: "13h" must be at most 12h`},
		{"visibility in parts of seconds", queue + `visibility_timeout = "10500ms"`, `must be whole seconds`},
		{"timeout", queue + `timeout = "1d"`, `queues.q.timeout: "1d" must be at most 12h`},
		{"grace", queue + `unknown_grace = "5s"`, `queues.q.unknown_grace: "5s" must be at least 30s`},
		{"grace and retention", "[queues.q]\nkind = \"body:e\"\njobs = { a = \"email\" }\nretention = \"15m\"", `queues.q.unknown_grace: "15m" must be less than retention`},
		{"attempts", queue + `retry = { attempts = 0 }`, `queues.q.retry.attempts: 0 must be at least 1`},
		{"factor", queue + `retry = { factor = 0.5 }`, `queues.q.retry.factor: 0.5 must be at least 1`},
		{"factor is none", queue + `retry = { factor = nan }`, `queues.q.retry.factor: must be a number, not the number NaN`},
		{"first over max", queue + `retry = { first = "1h" }`, `queues.q.retry.first: "1h" must be at most retry.max, "15m"`},
		{"unknown in retry", queue + `retry = { attempt = 3 }`, `queues.q.retry.attempt: is no setting: did you mean attempts?`},
		{"receive count", queue + `max_receive_count = 7`, `queues.q.max_receive_count: 7 must be at least retry.attempts + 3 = 8`},
		{"retention", queue + `retention = "15d"`, `queues.q.retention: "15d" must be at most 14d`},
		{"dlq retention", queue + `dlq_retention = "3d"`, `queues.q.dlq_retention: "3d" must be at least retention, "4d"`},
		{"dlq is itself", queue + `dlq = "q"`, `queues.q.dlq: "q" is the queue itself`},
		{"dlq is empty", queue + `dlq = ""`, `queues.q.dlq: is empty`},
		{"dlq is a number", queue + `dlq = 3`, `queues.q.dlq: must be a name, true or false, not the whole number 3`},
		{"tags", queue + `tags = { "aws:x" = "y" }`, `queues.q.tags."aws:x": begins with aws:`},
		{"receivers", queue + `receivers = "many"`, `queues.q.receivers: must be a whole number (int), not a string`},
		{"one queue twice", queue + "[queues.r]\njob = \"email\"\nname = \"q\"", `queues.r.name: "q" is the queue of queues.q too`},
		{"one topic twice", topic + "[topics.u]\nname = \"t\"", `topics.u.name: "t" is the topic of topics.t too`},
		{"topic of ours by arn", topic + `arn = "arn:aws:sns:eu-west-1:123456789012:t"`, `topics.t.arn: is somebody else's topic`},
		{"fifo topic by name", topic + `name = "t.fifo"`, `topics.t.fifo: must be true`},
		{"unknown topic", queue + "[topics.invitations]\n[[subscriptions]]\ntopic = \"invitation\"\nprotocol = \"sqs\"\nendpoint = \"q\"", `subscriptions[0].topic: "invitation" is no topic of this file: did you mean invitations?`},
		{"unknown queue", topic + queue + strings.Replace(sub, `"q"`, `"email-queue"`, 1), `subscriptions[0].endpoint: "email-queue" is no queue of this file: known are q`},
		{"arn of no queue", topic + queue + strings.Replace(sub, `"q"`, `"arn:aws:sns:x"`, 1), `subscriptions[0].endpoint: "arn:aws:sns:x" is no queue's ARN`},
		{"no protocol", topic + queue + strings.Replace(sub, `"sqs"`, `"amqp"`, 1), `subscriptions[0].protocol: "amqp" is no protocol of SNS`},
		{"filter alone", topic + queue + sub + `filter = { event = ["x"] }`, `subscriptions[0].filter_on: is missing beside filter`},
		{"filter_on alone", topic + queue + sub + `filter_on = "body"`, `subscriptions[0].filter_on: stands alone`},
		{"filter_on", topic + queue + sub + "filter_on = \"Body\"\nfilter = { event = [\"x\"] }", `subscriptions[0].filter_on: "Body" must be one of body, attributes`},
		{"filter without list", topic + queue + sub + "filter_on = \"body\"\nfilter = { event = \"x\" }", `subscriptions[0].filter.event: must be a list, not a string: write ["x"]`},
		{"filter below an attribute", topic + queue + sub + "filter_on = \"attributes\"\nfilter = { a = { b = [\"x\"] } }", `subscriptions[0].filter.a: must be a list`},
		{"filter with infinity", topic + queue + sub + "filter_on = \"body\"\nfilter = { a = [inf] }", `subscriptions[0].filter: is no JSON`},
		{"subscribed twice", topic + queue + sub + sub, `subscriptions[1].endpoint: t → q is subscribed by subscriptions[0] already`},
		{"one dlq for two things", topic + queue + sub + `dlq = "q-dlq"`, `subscriptions[0].dlq: "q-dlq" is used by a queue`},
		{"table of no job", `[jobs.mail]`, `jobs.mail: is no registered job`},
		{"unknown setting", "[jobs.email]\nsmtp_adr = \"x\"", `jobs.email.smtp_adr: is no setting: did you mean smtp_addr?`},
		{"untagged field", "[jobs.webhook]\nNotASetting = \"x\"", `jobs.webhook.NotASetting: is no setting`},
		{"job without settings", "[jobs.silent]\nx = 1", `jobs.silent: is set, and the job takes no settings`},
		{"type in a job", "[jobs.email]\ntimeout = 5", `jobs.email.timeout: must be a duration`},
		{"too big", "[jobs.webhook]\nretries = 256", `jobs.webhook.retries: must be a whole number (uint8), not the whole number 256`},
		{"negative", "[jobs.webhook]\nretries = -1", `jobs.webhook.retries: must be a whole number (uint8)`},
		{"list", "[jobs.webhook]\nhosts = \"a\"", `jobs.webhook.hosts: must be a list, not a string`},
		{"in a list", "[jobs.webhook]\nhosts = [\"a\", 1]", `jobs.webhook.hosts[1]: must be a string, not the whole number 1`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := load(t, tt.file)
			got := faults(t, err)
			if len(got) != 1 || !strings.Contains(got[0], tt.want) {
				t.Errorf("got %q\nwant one fault with %q", got, tt.want)
			}
		})
	}
}

func TestSixFaultsShowSix(t *testing.T) {
	_, err := load(t, `
[worker]
drain_timout = "25s"
log_level = "loud"
[queues.email]
job = "emial"
slots = 0
wait_time = "30s"
[[subscriptions]]
topic = "nowhere"
protocol = "sqs"
endpoint = "email"
`)
	var keys []string
	for _, line := range faults(t, err) {
		key, _, _ := strings.Cut(line, ": ")
		keys = append(keys, key)
	}
	want := []string{
		"queues.email.job", "queues.email.slots", "queues.email.wait_time",
		"subscriptions[0].topic", "worker.drain_timout", "worker.log_level",
	}
	if !slices.Equal(keys, want) {
		t.Errorf("faults of %q, want %q", keys, want)
	}
	if code := err.(interface{ ExitCode() int }).ExitCode(); code != 2 {
		t.Errorf("exit code %d, want 2", code)
	}
}

func TestAFileThatCannotBeRead(t *testing.T) {
	_, err := load(t, "[worker]\nlog_level = = 3\n")
	if got := faults(t, err); len(got) != 1 || !strings.Contains(got[0], "config.toml:2:13: ") {
		t.Errorf("syntax error told as %q, want file:line:column", got)
	}
	_, err = config.Load(config.Options{File: "no/such.toml"})
	if got := faults(t, err); len(got) != 1 || !strings.HasPrefix(got[0], "no/such.toml: cannot be read: no such file") {
		t.Errorf("missing file told as %q", got)
	}
}

func TestAWrongSecretIsNotQuoted(t *testing.T) {
	for _, line := range []string{
		`hunter2`, `"hunter2`, `'hunter2`, `2hunter2`, `"hunter2" hunter2`, `"hunter2\q"`, `{ hunter2 }`, `"hunter2"` + "\ntoken = \"hunter2\"",
	} {
		_, err := load(t, "[admin]\ntoken = "+line+"\n")
		if err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("token = %s is told as %v", line, err)
		}
	}
	_, err := load(t, "[jobs.webhook]\nsecret = 24681357\nkeys = [97531]\n[admin]\ntoken = 86429753\n")
	got := faults(t, err)
	if len(got) != 3 {
		t.Errorf("got %q, want three faults", got)
	}
	for _, secret := range []string{"24681357", "97531", "86429753"} {
		if strings.Contains(err.Error(), secret) {
			t.Errorf("%s is in %q", secret, got)
		}
	}
}
