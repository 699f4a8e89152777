package config_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stationmaster/worker/internal/config"
	"github.com/stationmaster/worker/jobs"
	"github.com/stationmaster/worker/retry"
)

func TestDefaults(t *testing.T) {
	l := mustLoad(t, topic+queue+sub)
	want := config.Config{
		Worker: config.Worker{DrainTimeout: 25 * time.Second, LogLevel: "info", LogFormat: "auto", HTTPClient: "lean", Verify: "stop"},
		Admin:  config.Admin{Addr: "127.0.0.1:8080"},
		Ingress: config.Ingress{
			Addr: "127.0.0.1:8081", MaxBody: 528 << 10, MaxAge: time.Hour, Timeout: 12 * time.Second,
		},
		Topics: map[string]config.Topic{"t": {Name: "t", Manage: true, SignatureVersion: 2}},
		Queues: map[string]config.Queue{"q": {
			Job: "email", Name: "q", Manage: true, Slots: 10, Receivers: config.Auto, SuspectAfter: 5,
			VisibilityTimeout: time.Minute,
			Retry:             retry.Policy{Attempts: 5, First: 2 * time.Second, Factor: 2, Max: 15 * time.Minute},
			MaxReceiveCount:   15, UnknownGrace: 15 * time.Minute, WaitTime: 20 * time.Second,
			DLQ: config.DLQ{Name: "q-dlq"}, DLQRetention: 336 * time.Hour,
		}},
		Subscriptions: []config.Subscription{{
			Topic: "t", Protocol: "sqs", Endpoint: "q", DLQ: config.DLQ{Name: "t-q-delivery-dlq"},
		}},
	}
	if diff := cmp.Diff(want, l.Config); diff != "" {
		t.Errorf("defaults (-want +got):\n%s", diff)
	}
	if len(l.Warnings) > 0 {
		t.Errorf("warnings %v, want none", l.Warnings)
	}
}

func TestWithoutAFile(t *testing.T) {
	t.Chdir(t.TempDir())
	l, err := config.Load(config.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if l.File != "" || l.Config.Admin.Addr != "127.0.0.1:8080" {
		t.Errorf("file %q, admin %q: want no file and the default", l.File, l.Config.Admin.Addr)
	}
	if err := os.WriteFile(config.DefaultFile, []byte("[admin]\naddr = \"off\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if l, err = config.Load(config.Options{}); err != nil || l.File != "config.toml" || l.Config.Admin.Addr != "off" {
		t.Errorf("config.toml is not read: %v, %v", l, err)
	}
}

// The order is the contract: file, layers, environment, flags.
func TestTheStrongerWins(t *testing.T) {
	const file = "[worker]\ndrain_timeout = \"1s\"\n"
	layer := config.Layer{Origin: "dev", Values: map[string]any{"worker.drain_timeout": 2 * time.Second}}
	var o config.Options
	for i, tt := range []struct {
		add    func()
		origin string
	}{
		{func() {}, ""},
		{func() { o.Layers = []config.Layer{layer} }, "dev"},
		{func() { o.Environ = []string{"WORKER_WORKER__DRAIN_TIMEOUT=3s"} }, "WORKER_WORKER__DRAIN_TIMEOUT"},
		{func() { o.Flags = map[string]any{"worker.drain_timeout": "4s"} }, "--drain-timeout"},
	} {
		tt.add()
		l := mustLoad(t, file, func(to *config.Options) { to.Layers, to.Environ, to.Flags = o.Layers, o.Environ, o.Flags })
		if tt.origin == "" {
			tt.origin = l.File
		}
		want := config.Value{Key: "worker.drain_timeout", Value: fmt.Sprintf("%ds", i+1), Origin: tt.origin}
		if got := shown(t, l, want.Key); got != want {
			t.Errorf("got %v, want %v", got, want)
		}
	}
}

func TestTablesAreMergedKeyByKey(t *testing.T) {
	l := mustLoad(t, topic+queue+"retry = { attempts = 3 }\n[jobs.email]\nfrom = \"a@example.com\"\n",
		environ("WORKER_QUEUES__Q__RETRY__MAX=1m"),
		func(o *config.Options) {
			o.Layers = []config.Layer{{Origin: "dev", Values: map[string]any{
				"jobs": map[string]map[string]any{"email": {"smtp_addr": "127.0.0.1:2525"}},
			}}}
		})
	if got, want := l.Config.Queues["q"].Retry, (retry.Policy{Attempts: 3, First: 2 * time.Second, Factor: 2, Max: time.Minute}); got != want {
		t.Errorf("retry is %+v, want %+v", got, want)
	}
	var job email
	if err := l.DecodeJob("email", &job); err != nil || job.From != "a@example.com" || job.SMTPAddr != "127.0.0.1:2525" {
		t.Errorf("job is %+v (%v), want the file's from and dev's smtp_addr", job, err)
	}
	if got := shown(t, l, "jobs.email.smtp_addr").Origin; got != "dev" {
		t.Errorf("smtp_addr is from %q, want dev", got)
	}
}

func TestAFaultNamesTheForeignOrigin(t *testing.T) {
	_, err := load(t, queue, environ("WORKER_QUEUES__Q__SLOTS=0"))
	want := "queues.q.slots: 0 must be at least 1: raise it (from WORKER_QUEUES__Q__SLOTS)"
	if got := faults(t, err); len(got) != 1 || got[0] != want {
		t.Errorf("got %q, want %q", got, want)
	}
	_, err = load(t, "", func(o *config.Options) { o.Flags = map[string]any{"admin.adr": "x"} })
	if got := faults(t, err); len(got) != 1 || !strings.HasSuffix(got[0], "did you mean addr? (from --admin-adr)") {
		t.Errorf("got %q, want the flag", got)
	}
}

func TestDeadLetterQueues(t *testing.T) {
	tests := []struct {
		file       string
		want       config.DLQ
		warns      bool
		visibility time.Duration
	}{
		{queue, config.DLQ{Name: "q-dlq"}, false, time.Minute},
		{queue + `dlq = true`, config.DLQ{Name: "q-dlq"}, false, time.Minute},
		{queue + `dlq = false`, config.DLQ{Off: true}, true, time.Minute},
		{queue + `dlq = "dead"`, config.DLQ{Name: "dead"}, false, time.Minute},
		{queue + `name = "other"`, config.DLQ{Name: "other-dlq"}, false, time.Minute},
		{queue + "manage = false", config.DLQ{}, false, 0},
		{queue + "manage = false\ndlq = \"dead\"", config.DLQ{Name: "dead"}, false, 0},
	}
	for _, tt := range tests {
		l := mustLoad(t, tt.file)
		q := l.Config.Queues["q"]
		if q.DLQ != tt.want || (len(l.Warnings) > 0) != tt.warns || q.VisibilityTimeout != tt.visibility {
			t.Errorf("%q: %+v, visibility %s, warnings %v: want %+v", tt.file, q.DLQ, q.VisibilityTimeout, l.Warnings, tt.want)
		}
	}
}

func TestAJobLongerThanTheDrainIsWarnedOf(t *testing.T) {
	l := mustLoad(t, queue+`timeout = "1m"`)
	want := []config.Fault{{Key: "queues.q.timeout", Problem: `"1m" is longer than worker.drain_timeout, "25s": a drain may cut a job short and hand its message back`}}
	if diff := cmp.Diff(want, l.Warnings); diff != "" {
		t.Errorf("warnings (-want +got):\n%s", diff)
	}
}

func TestSomebodyElsesQueueHasItsOwnName(t *testing.T) {
	const arn = "arn:aws:sqs:eu-west-1:123456789012:theirs"
	for _, address := range []string{`arn = "` + arn + `"`, `url = "https://sqs.eu-west-1.amazonaws.com/123456789012/theirs"`} {
		l := mustLoad(t, topic+queue+"manage = false\n"+address+"\n"+sub)
		if got := l.Config.Queues["q"].Name; got != "theirs" {
			t.Errorf("%s: name %q, want theirs", address, got)
		}
	}
	l := mustLoad(t, topic+strings.Replace(sub, `"q"`, `"`+arn+`"`, 1))
	if got := l.Config.Subscriptions[0].DLQ.Name; got != "t-theirs-delivery-dlq" {
		t.Errorf("delivery DLQ %q", got)
	}
}

func TestDecodeJobKeepsDefaultsAndIsStrict(t *testing.T) {
	l := mustLoad(t, `
[jobs.webhook]
url = "https://example.com"
secret = "whsec_x"
hosts = ["a", "b"]
headers = { "X-A" = "1" }
keys = ["k1"]
ratio = 2
`)
	got := webhook{Retries: 3}
	if err := l.DecodeJob("webhook", &got); err != nil {
		t.Fatal(err)
	}
	want := webhook{
		URL: "https://example.com", Secret: "whsec_x", Retries: 3, Ratio: 2,
		Hosts: []string{"a", "b"}, Headers: map[string]string{"X-A": "1"}, Keys: []jobs.Secret{"k1"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("settings (-want +got):\n%s", diff)
	}
	if err := l.DecodeJob("webhook", &analytics{}); err == nil || !strings.Contains(err.Error(), "jobs.webhook.url: is no setting") {
		t.Errorf("another job's settings: %v, want a fault", err)
	}
	if err := l.DecodeJob("analytics", &analytics{}); err != nil {
		t.Errorf("a job without a table: %v", err)
	}
}

func TestTheShippedFileHasNoFaults(t *testing.T) {
	l, err := config.Load(config.Options{
		File: filepath.Join("..", "..", config.DefaultFile), Settings: settings, Jobs: registered,
	})
	if err != nil {
		t.Fatal(err)
	}
	c := l.Config
	if len(c.Topics) != 1 || len(c.Queues) != 3 || len(c.Subscriptions) != 3 || len(l.Warnings) > 0 {
		t.Errorf("%d topics, %d queues, %d subscriptions, warnings %v", len(c.Topics), len(c.Queues), len(c.Subscriptions), l.Warnings)
	}
}

func TestFIFONames(t *testing.T) {
	l := mustLoad(t, "[topics.orders]\nfifo = true\n[queues.bill]\njob = \"email\"\nfifo = true\n"+
		"[[subscriptions]]\ntopic = \"orders\"\nprotocol = \"sqs\"\nendpoint = \"bill\"\n")
	q := l.Config.Queues["bill"]
	got := []string{l.Config.Topics["orders"].Name, q.Name, q.DLQ.Name, l.Config.Subscriptions[0].DLQ.Name}
	want := []string{"orders.fifo", "bill.fifo", "bill-dlq.fifo", "orders-bill-delivery-dlq.fifo"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("names (-want +got):\n%s", diff)
	}
}

func TestPace(t *testing.T) {
	l := mustLoad(t, `
[worker]
budget = 6
[admin]
addr = "unix:/run/worker/admin.sock"
[queues.a]
job = "email"
weight = 3
prefetch = "auto"
receivers = 4
rate = 2.5
breaker = true
suspect_after = 0
[queues.b]
job = "email"
retry = { attempts = 8 }
rate = 20
`)
	a, b := l.Config.Queues["a"], l.Config.Queues["b"]
	if a.Weight != 3 || a.Prefetch != config.Auto || a.Receivers != 4 || a.Rate != 2.5 || !a.Breaker || a.SuspectAfter != 0 {
		t.Errorf("queue a is %+v", a)
	}
	if b.Weight != 1 || b.Prefetch != 0 || b.Receivers != config.Auto || b.SuspectAfter != 8 || b.Rate != 20 {
		t.Errorf("queue b is %+v: without a word it has weight 1, and its eight attempts explain eight receives", b)
	}
	if got := shown(t, l, "queues.a.prefetch").Value; got != "auto" {
		t.Errorf("prefetch is shown as %q", got)
	}
	if len(l.Warnings) > 0 {
		t.Errorf("warnings %v, want none", l.Warnings)
	}
}

func TestPaceWarnings(t *testing.T) {
	for _, tt := range []struct{ file, want string }{
		{"[worker]\nbudget = 10\n" + queue, "worker.budget: 10 caps nothing: all queues together have 10 slots"},
		{queue + "rate = 0.1", "queues.q.rate: 0.1 a second lets the last of 10 slots wait for 100 seconds"},
		{queue + "suspect_after = 2", "queues.q.suspect_after: 2 is less than retry.attempts, 5"},
		{queue + "suspect_after = 15", "queues.q.suspect_after: 15 is never reached"},
		{queue + "paused = true", "queues.q.paused: is true"},
	} {
		l := mustLoad(t, tt.file)
		if len(l.Warnings) != 1 || !strings.HasPrefix(l.Warnings[0].String(), tt.want) {
			t.Errorf("%q: warnings %v, want %q", tt.file, l.Warnings, tt.want)
		}
	}
}
