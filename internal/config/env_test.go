package config_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stationmaster/worker/internal/config"
)

func TestEnvironment(t *testing.T) {
	l := mustLoad(t, topic+"[queues.my-queue]\njob = \"webhook\"\n", environ(
		"PATH=/bin", "WORKER=1", "MY_WORKER_ADMIN__ADDR=x",
		"WORKER_ADMIN__ADDR=127.0.0.1:0",
		"WORKER_QUEUES__MY_QUEUE__SLOTS=3",
		"WORKER_QUEUES__MY_QUEUE__RECEIVERS=auto",
		"WORKER_QUEUES__MY_QUEUE__DLQ=false",
		"WORKER_QUEUES__MY_QUEUE__TIMEOUT=5s",
		"WORKER_QUEUES__MY_QUEUE__RETRY__FACTOR=1.5",
		"WORKER_QUEUES__MY_QUEUE__TAGS__TEAM=ops",
		"WORKER_JOBS__WEBHOOK__HOSTS=a, b",
		"WORKER_JOBS__WEBHOOK__ALLOW_PRIVATE=true",
		"WORKER_JOBS__WEBHOOK__RATIO=0.5",
	))
	q := l.Config.Queues["my-queue"]
	if q.Slots != 3 || q.Receivers != config.Auto || !q.DLQ.Off || q.Timeout != 5*time.Second || q.Retry.Factor != 1.5 || q.Tags["team"] != "ops" {
		t.Errorf("queue is %+v", q)
	}
	var job webhook
	if err := l.DecodeJob("webhook", &job); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(webhook{Hosts: []string{"a", "b"}, AllowPrivate: true, Ratio: 0.5}, job); diff != "" {
		t.Errorf("job (-want +got):\n%s", diff)
	}
	if got, want := shown(t, l, "queues.my-queue.tags.team"), (config.Value{Key: "queues.my-queue.tags.team", Value: "ops", Origin: "WORKER_QUEUES__MY_QUEUE__TAGS__TEAM"}); got != want {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestFaultsOfTheEnvironment(t *testing.T) {
	const file = topic + "[queues.email]\njob = \"email\"\n" +
		"[[subscriptions]]\ntopic = \"t\"\nprotocol = \"sqs\"\nendpoint = \"email\"\n"
	tests := []struct{ variable, want string }{
		{"WORKER_ADMIN_ADDR=x", "WORKER_ADMIN_ADDR: is no setting: did you mean WORKER_ADMIN__ADDR?"},
		{"WORKER_QUEUES__EMIAL__SLOTS=4", "WORKER_QUEUES__EMIAL__SLOTS: is no setting: did you mean WORKER_QUEUES__EMAIL__SLOTS?"},
		{"WORKER_DEBUG=1", "WORKER_DEBUG: is no setting: unset it"},
		{"WORKER_QUEUES__EMAIL__SLOTS=four", `WORKER_QUEUES__EMAIL__SLOTS: "four" must be a whole number`},
		{"WORKER_QUEUES__EMAIL__SLOTS=", `WORKER_QUEUES__EMAIL__SLOTS: "" must be a whole number`},
		{"WORKER_QUEUES__EMAIL__TIMEOUT=5", `queues.email.timeout: "5" must be a duration such as "5s" (from WORKER_QUEUES__EMAIL__TIMEOUT)`},
		{"WORKER_SUBSCRIPTIONS=x", "WORKER_SUBSCRIPTIONS: a list of tables can only be set in the file"},
		{"WORKER_SUBSCRIPTIONS__0__TOPIC=x", "WORKER_SUBSCRIPTIONS__0__TOPIC: a list of tables can only be set in the file"},
		{"WORKER_QUEUES__EMAIL__FIFO=true", `subscriptions[0].endpoint: "email" is a FIFO queue, and topic "t" is not FIFO`},
		{"WORKER_QUEUES__EMAIL__RATE=fast", `WORKER_QUEUES__EMAIL__RATE: "fast" must be a number`},
		{"WORKER_JOBS__SMTP_PORT=25", "WORKER_JOBS__SMTP_PORT: is no setting"},
	}
	for _, tt := range tests {
		_, err := load(t, file, environ(tt.variable))
		if got := faults(t, err); len(got) != 1 || !strings.Contains(got[0], tt.want) {
			t.Errorf("%s: got %q, want %q", tt.variable, got, tt.want)
		}
	}
}

func TestTwoNamesForOneVariable(t *testing.T) {
	_, err := load(t, "[queues.a-b]\njob = \"email\"\n[queues.a_b]\njob = \"email\"\n", environ("WORKER_QUEUES__A_B__SLOTS=2"))
	if got := faults(t, err); len(got) != 1 || !strings.Contains(got[0], "means two settings") {
		t.Errorf("got %q, want one fault", got)
	}
}

// Kubernetes sets these beside a Service called worker or worker-admin; nobody can unset them.
func TestServiceLinksOfKubernetesAreNotOurs(t *testing.T) {
	mustLoad(t, queue, environ(
		"WORKER_SERVICE_HOST=10.0.0.1", "WORKER_SERVICE_PORT=80", "WORKER_SERVICE_PORT_HTTP=80",
		"WORKER_PORT=tcp://10.0.0.1:80", "WORKER_PORT_80_TCP=tcp://10.0.0.1:80", "WORKER_PORT_80_TCP_ADDR=10.0.0.1",
		"WORKER_ADMIN_SERVICE_HOST=10.0.0.2", "WORKER_ADMIN_PORT=tcp://10.0.0.2:8080", "WORKER_ADMIN_PORT_8080_TCP_PROTO=tcp",
	))
}
