package worker_test

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/stationmaster/worker/deadletter"
	"github.com/stationmaster/worker/internal/awsapi"
	elsewhere "github.com/stationmaster/worker/internal/theirs"
	"github.com/stationmaster/worker/jobs"
	"github.com/stationmaster/worker/localaws"
	"github.com/stationmaster/worker/queue"
	"github.com/stationmaster/worker/retry"
	"github.com/stationmaster/worker/worker"
)

// theirs is where the test runs: the embedded server behind a socket, or the one that is named.
func theirs(t *testing.T) *aws.Config {
	t.Helper()
	at := elsewhere.Endpoint(t)
	if at == "" {
		server := httptest.NewServer(localaws.New(localaws.Options{}))
		t.Cleanup(server.Close)
		at = server.URL
	}
	return &aws.Config{
		Region: "us-east-1", BaseEndpoint: &at,
		Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""),
	}
}

type invited struct {
	Event string `json:"event"`
	Email string `json:"email"`
}

// handled counts what the jobs saw, by job and message.
type handled struct {
	mu   sync.Mutex
	done map[string]map[string]int
	all  map[string][]jobs.Info
}

func (h *handled) saw(job string, m *jobs.Message[invited], ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.all[job] = append(h.all[job], m.Info)
	if ok {
		if h.done[job] == nil {
			h.done[job] = map[string]int{}
		}
		h.done[job][m.Body.Email]++
	}
}

func (h *handled) count(job string) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.done[job])
}

var errFlaky = errors.New("come back later")

// registry is the invitation line with jobs that remember: the mail job fails once for "flaky" and
// for good for "never".
func (h *handled) registry() *jobs.Registry {
	r := jobs.NewRegistry()
	var mu sync.Mutex
	tried := map[string]int{}
	jobs.AddTo(r, "email", func(_ context.Context, m *jobs.Message[invited]) error {
		mu.Lock()
		tried[m.Body.Email]++
		n := tried[m.Body.Email]
		mu.Unlock()
		switch {
		case strings.HasPrefix(m.Body.Email, "never"):
			h.saw("email", m, false)
			return retry.Never(fmt.Errorf("mailbox of %s is closed", m.Body.Email))
		case strings.HasPrefix(m.Body.Email, "flaky") && n == 1:
			h.saw("email", m, false)
			return retry.After(errFlaky, time.Second)
		}
		h.saw("email", m, true)
		return nil
	})
	jobs.AddBatchTo(r, "analytics", func(_ context.Context, ms []*jobs.Message[invited]) []error {
		for _, m := range ms {
			h.saw("analytics", m, true)
		}
		return nil
	})
	jobs.AddTo(r, "webhook", func(_ context.Context, m *jobs.Message[invited]) error {
		h.saw("webhook", m, true)
		return nil
	})
	return r
}

const line = `
[admin]
addr = "127.0.0.1:0"
[topics.%[1]s]
[queues.%[1]s-email]
job = "email"
visibility_timeout = "30s"
[queues.%[1]s-analytics]
job = "analytics"
[queues.%[1]s-webhook]
jobs = { user_invited = "webhook" }
kind = "body:event"
[[subscriptions]]
topic = "%[1]s"
protocol = "sqs"
endpoint = "%[1]s-email"
filter = { event = ["user_invited"] }
filter_on = "body"
[[subscriptions]]
topic = "%[1]s"
protocol = "sqs"
endpoint = "%[1]s-analytics"
[[subscriptions]]
topic = "%[1]s"
protocol = "sqs"
endpoint = "%[1]s-webhook"
raw = true
`

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "config.toml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// eventually waits for a condition, with a deadline.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.After(60 * time.Second)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-deadline:
			t.Fatalf("not within a minute: %s", what)
		case <-tick.C:
		}
	}
}

// TestEndToEnd is the main line on whatever SNS and SQS it is given: apply, publish, handle, retry by
// visibility, dead-letter with the reason, drain.
func TestEndToEnd(t *testing.T) {
	name := fmt.Sprintf("e2e-%x", time.Now().UnixNano())
	cfg := theirs(t)
	h := &handled{done: map[string]map[string]int{}, all: map[string][]jobs.Info{}}
	o := worker.Options{ConfigFile: write(t, fmt.Sprintf(line, name)), Jobs: h.registry(), AWS: cfg, LogTo: t.Output()}

	operator, err := worker.OpenOperator(t.Context(), o, "")
	if err != nil {
		t.Fatal(err)
	}
	first, err := operator.Apply(t.Context(), 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(first.Changed) == 0 {
		t.Error("the first apply changed nothing")
	}
	second, err := operator.Apply(t.Context(), 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(second.Changed) > 0 {
		t.Errorf("the second apply changed %v", second.Changed)
	}

	w, err := worker.New(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	}()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	reports := make(chan worker.Report, 1)
	go func() {
		report, err := w.Run(ctx)
		if err != nil {
			t.Error(err)
		}
		reports <- report
	}()

	const n = 40
	var addresses []string
	for i := range n {
		addresses = append(addresses, fmt.Sprintf("ada%d@example.com", i))
	}
	addresses = append(addresses, "flaky@example.com", "never@example.com")
	for _, a := range addresses {
		m := queue.Message{
			Body:       fmt.Sprintf(`{"event":"user_invited","email":%q}`, a),
			Attributes: map[string]queue.Attribute{"plan": {Type: "String", Text: "gold"}},
		}
		if _, err := operator.Publish(t.Context(), name, m); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := operator.Publish(t.Context(), name, queue.Message{Body: `{"event":"user_left","email":"filtered@example.com"}`}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "42 webhooks, 43 events, 41 mails", func() bool {
		return h.count("webhook") == n+2 && h.count("analytics") == n+3 && h.count("email") == n+1
	})
	api := awsapi.New(*cfg, awsapi.Options{})
	letters := receiveDead(t, api, name+"-email-dlq")
	for _, q := range []string{name + "-email", name + "-analytics"} {
		eventually(t, "nothing is left in "+q, func() bool { return empty(t, api, q) })
	}
	w.Hurry(5 * time.Second) // the open polls bring nothing any more
	stop()
	report := <-reports
	if report.Abandoned != 0 || report.Uncertain != 0 {
		t.Errorf("drain %+v", report)
	}
	h.verify(t, letters)
}

func receiveDead(t *testing.T, api *awsapi.Client, name string) []queue.Delivery {
	t.Helper()
	url, err := api.QueueURL(t.Context(), name, "")
	if err != nil {
		t.Fatal(err)
	}
	got, err := api.Queue(url, awsapi.QueueOptions{}).Receive(t.Context(), 10, 20*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func empty(t *testing.T, api *awsapi.Client, name string) bool {
	t.Helper()
	url, err := api.QueueURL(t.Context(), name, "")
	if err != nil {
		t.Fatal(err)
	}
	n, err := api.QueueCounts(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	return n == awsapi.Counts{}
}

func (h *handled) verify(t *testing.T, letters []queue.Delivery) {
	t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	for job, done := range h.done {
		for address, times := range done {
			if times != 1 {
				t.Errorf("%s handled %s %d times", job, address, times)
			}
		}
	}
	if h.done["email"]["filtered@example.com"] != 0 || h.done["webhook"]["filtered@example.com"] != 0 {
		t.Error("what the filter or the kind excludes was handled")
	}
	for job, topic := range map[string]string{"email": "e2e", "webhook": ""} {
		m := h.all[job][0]
		if m.Attributes["plan"].Text != "gold" || !strings.HasPrefix(m.Topic, topic) || m.ID == "" || m.Sent.IsZero() {
			t.Errorf("%s: message %+v: want its attributes, its topic, its id and its time", job, m)
		}
	}
	if len(letters) != 1 {
		t.Fatalf("%d dead letters, want 1", len(letters))
	}
	record, ok := deadletter.Read(&letters[0].Message)
	if !ok || record.Job != "email" || record.Deaths != 1 || record.Reason != "mailbox of <body> is closed" {
		t.Errorf("record %+v, %v", record, ok)
	}
}
