package config_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stationmaster/worker/internal/config"
)

func TestSecretsShowNowhere(t *testing.T) {
	const file = `
[admin]
token = "hunter2"
[worker]
endpoint = "http://user:hunter2@localhost:4566"
[queues.q]
job = "webhook"
[jobs.webhook]
url = "https://me:hunter2@example.com/hook"
secret = "hunter2"
keys = ["hunter2", "hunter2"]
[jobs.email]
`
	withEnv := environ("WORKER_JOBS__EMAIL__PASSWORD=hunter2")
	l := mustLoad(t, file, withEnv)
	if all := fmt.Sprintf("%v %+v", l.Show(), l.Config.Admin); strings.Contains(all, "hunter2") {
		t.Errorf("a secret is shown: %s", all)
	}
	if got := shown(t, l, "jobs.webhook.secret").Value; got != "[redacted]" {
		t.Errorf("secret is shown as %q, want [redacted]", got)
	}
	if got := shown(t, l, "jobs.email.password"); got.Value != "[redacted]" || got.Origin != "WORKER_JOBS__EMAIL__PASSWORD" {
		t.Errorf("password is shown as %v", got)
	}
	// Without the jobs nobody knows what is secret.
	l = mustLoad(t, file, func(o *config.Options) { o.Settings = nil })
	if all := fmt.Sprint(l.Show()); strings.Contains(all, "hunter2") {
		t.Errorf("a secret of an unknown job is shown: %s", all)
	}
}

func TestShowHasEveryValueSorted(t *testing.T) {
	l := mustLoad(t, topic+`
[queues.q]
job = "email"
slots = 4
tags = { "team.name" = "ops" }
[[subscriptions]]
topic = "t"
protocol = "sqs"
endpoint = "q"
filter = { event = ["user_invited"] }
filter_on = "body"
dlq = false
[jobs.email]
smtp_addr = "127.0.0.1:1025"
[topics.u]
fifo = true
[schedules.nightly]
cron = "0 3 * * *"
topic = "u"
body = "{}"
attributes = { plan = "gold" }
`)
	file := l.File
	want := []config.Value{
		{"admin.addr", "127.0.0.1:8080", "default"},
		{"admin.token", "", "default"},
		{"ingress.addr", "127.0.0.1:8081", "default"},
		{"ingress.max_age", "1h", "default"},
		{"ingress.max_body", "540672", "default"},
		{"ingress.public_url", "", "default"},
		{"ingress.timeout", "12s", "default"},
		{"ingress.tls_cert", "", "default"},
		{"ingress.tls_key", "", "default"},
		{"jobs.email.from", "", "default"},
		{"jobs.email.password", "", "default"},
		{"jobs.email.smtp_addr", "127.0.0.1:1025", file},
		{"jobs.email.timeout", "10s", "default"},
		{"plugins.paths", "", "default"},
		{"queues.q.arn", "", "default"},
		{"queues.q.breaker", "false", "default"},
		{"queues.q.content_based_deduplication", "false", "default"},
		{"queues.q.delay", "", "default"},
		{"queues.q.dlq", "q-dlq", "default"},
		{"queues.q.dlq_retention", "14d", "default"},
		{"queues.q.fifo", "false", "default"},
		{"queues.q.high_throughput", "false", "default"},
		{"queues.q.job", "email", file},
		{"queues.q.kind", "", "default"},
		{"queues.q.kms_key", "", "default"},
		{"queues.q.manage", "true", "default"},
		{"queues.q.max_message_size", "0", "default"},
		{"queues.q.max_receive_count", "15", "default"},
		{"queues.q.name", "q", "default"},
		{"queues.q.paused", "false", "default"},
		{"queues.q.prefetch", "0", "default"},
		{"queues.q.rate", "0", "default"},
		{"queues.q.receivers", "auto", "default"},
		{"queues.q.retention", "0s", "default"},
		{"queues.q.retry.attempts", "5", "default"},
		{"queues.q.retry.factor", "2", "default"},
		{"queues.q.retry.first", "2s", "default"},
		{"queues.q.retry.max", "15m", "default"},
		{"queues.q.slots", "4", file},
		{"queues.q.sse", "", "default"},
		{"queues.q.suspect_after", "5", "default"},
		{`queues.q.tags."team.name"`, "ops", file},
		{"queues.q.timeout", "0s", "default"},
		{"queues.q.unknown_grace", "15m", "default"},
		{"queues.q.url", "", "default"},
		{"queues.q.visibility_timeout", "1m", "default"},
		{"queues.q.wait_time", "20s", "default"},
		{"queues.q.weight", "0", "default"},
		{"schedules.nightly.attributes.plan", "gold", file},
		{"schedules.nightly.body", "{}", file},
		{"schedules.nightly.cron", "0 3 * * *", file},
		{"schedules.nightly.group_id", "nightly", "default"},
		{"schedules.nightly.paused", "false", "default"},
		{"schedules.nightly.queue", "", "default"},
		{"schedules.nightly.topic", "u", file},
		{"schedules.nightly.zone", "UTC", "default"},
		{"subscriptions[0].delivery", "", "default"},
		{"subscriptions[0].dlq", "false", file},
		{"subscriptions[0].endpoint", "q", file},
		{"subscriptions[0].filter", `{"event":["user_invited"]}`, file},
		{"subscriptions[0].filter_on", "body", file},
		{"subscriptions[0].job", "", "default"},
		{"subscriptions[0].protocol", "sqs", file},
		{"subscriptions[0].raw", "false", "default"},
		{"subscriptions[0].resubscribe", "false", "default"},
		{"subscriptions[0].role", "", "default"},
		{"subscriptions[0].slots", "", "default"},
		{"subscriptions[0].topic", "t", file},
		{"topics.t.arn", "", "default"},
		{"topics.t.content_based_deduplication", "false", "default"},
		{"topics.t.delivery_log_role", "", "default"},
		{"topics.t.fifo", "false", "default"},
		{"topics.t.fifo_throughput", "", "default"},
		{"topics.t.kms_key", "", "default"},
		{"topics.t.manage", "true", "default"},
		{"topics.t.name", "t", "default"},
		{"topics.t.signature_version", "2", "default"},
		{"topics.u.arn", "", "default"},
		{"topics.u.content_based_deduplication", "false", "default"},
		{"topics.u.delivery_log_role", "", "default"},
		{"topics.u.fifo", "true", file},
		{"topics.u.fifo_throughput", "", "default"},
		{"topics.u.kms_key", "", "default"},
		{"topics.u.manage", "true", "default"},
		{"topics.u.name", "u.fifo", "default"},
		{"topics.u.signature_version", "0", "default"},
		{"topology.owner", "", "default"},
		{"worker.budget", "0", "default"},
		{"worker.drain_timeout", "25s", "default"},
		{"worker.endpoint", "", "default"},
		{"worker.http_client", "lean", "default"},
		{"worker.log_format", "auto", "default"},
		{"worker.log_level", "info", "default"},
		{"worker.region", "", "default"},
		{"worker.verify", "stop", "default"},
	}
	if diff := cmp.Diff(want, l.Show()); diff != "" {
		t.Errorf("Show (-want +got):\n%s", diff)
	}
}

// Whatever the file holds, Load answers, on one line for each fault, and the same each time.
func FuzzLoad(f *testing.F) {
	for _, seed := range []string{
		topic + queue + sub, `worker = 1`, `"" = ""`, `"a.b" = { "c.d" = [1, { e = 2026-01-01 }] }`,
		"[queues.q]\njobs = { \"com.example.x\" = \"email\" }\nkind = \"body:event\"", "[[queues]]\nx = 1",
		"[queues.q]\nretry = { factor = -inf }\nmax_receive_count = -9223372036854775808", "[jobs]\nemail = 3",
		"[queues.q]\ntimeout = \"99999999999d\"\nretention = \"106751d\"", "[[jobs.email.x]]", "[queues.\"a\\nb\"]",
		"[schedules.a]\ncron = \"*/0 25-1 L W# 8\"\nzone = \"../x\"\nqueue = \"q\"\nattributes = { \"\" = \"\\u0000\" }", "[schedules]\na = 1\n[schedules.B]",
		"[queues.q]\nfifo = true\njobs = { x = \"email\" }\nkind = \"attribute:schedule\"\n[schedules.x]\ncron = \"@daily\"\nqueue = \"q\"\nbody = \"{}\"",
		"[jobs.webhook]\nkeys = [[1]]\nheaders = { a = 1 }\nratio = nan", "[[subscriptions]]\nfilter = { a = { b = { c = [] } } }",
	} {
		f.Add(seed, "WORKER_QUEUES__Q__SLOTS=3")
	}
	f.Fuzz(func(t *testing.T, text, variable string) {
		l, err := load(t, text, environ(variable))
		_, again := load(t, text, environ(variable))
		cut := func(err error) []string { // the temporary path differs
			lines := faults(t, err)
			for i := range lines {
				lines[i] = lines[i][strings.LastIndexByte(lines[i], '/')+1:]
			}
			return lines
		}
		if first, second := cut(err), cut(again); !slices.Equal(first, second) {
			t.Errorf("told differently: %q, then %q", first, second)
		}
		if err != nil {
			return
		}
		for _, v := range l.Show() {
			if v.Key == "" || v.Origin == "" {
				t.Errorf("shown without key or origin: %+v", v)
			}
		}
	})
}
