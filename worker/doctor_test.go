package worker_test

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/stationmaster/worker/internal/awsapi"
	"github.com/stationmaster/worker/jobs"
	"github.com/stationmaster/worker/localaws"
	"github.com/stationmaster/worker/queue"
	"github.com/stationmaster/worker/worker"
)

const twoQueues = `
[admin]
addr = "off"
[topics.orders]
[queues.mail]
job = "note"
[queues.bill]
job = "note"
[[subscriptions]]
topic = "orders"
protocol = "sqs"
endpoint = "mail"
[[subscriptions]]
topic = "orders"
protocol = "sqs"
endpoint = "bill"
`

type inProcess struct{ http.RoundTripper }

func (p inProcess) Do(r *http.Request) (*http.Response, error) { return p.RoundTrip(r) }

// shop is a worker on an AWS in this process, and what its job was given.
type shop struct {
	t      *testing.T
	server *localaws.Server
	o      worker.Options
	api    *awsapi.Client
	logs   bytes.Buffer

	mu    sync.Mutex
	noted []string
}

func newShop(t *testing.T, file string) *shop {
	t.Helper()
	s := &shop{t: t, server: localaws.New(localaws.Options{})}
	t.Cleanup(func() { _ = s.server.Close() })
	cfg := aws.Config{
		Region: "us-east-1", BaseEndpoint: aws.String("http://localaws.test"), HTTPClient: inProcess{s.server.Transport()},
		Credentials: credentials.NewStaticCredentialsProvider("AKID", "secret", ""),
	}
	s.api = awsapi.New(cfg, awsapi.Options{})
	r := jobs.NewRegistry()
	jobs.AddTo(r, "note", func(_ context.Context, m *jobs.Message[string]) error {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.noted = append(s.noted, m.Body)
		return nil
	})
	s.o = worker.Options{ConfigFile: write(t, file), Jobs: r, AWS: &cfg, LogTo: &s.logs}
	return s
}

func (s *shop) apply() {
	s.t.Helper()
	p, err := worker.OpenOperator(s.t.Context(), s.o, "")
	if err == nil {
		_, err = p.Apply(s.t.Context(), 0, nil)
	}
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *shop) url(name string) string {
	s.t.Helper()
	url, err := s.api.QueueURL(s.t.Context(), name, "")
	if err != nil {
		s.t.Fatal(err)
	}
	return url
}

func (s *shop) send(name, body string) {
	s.t.Helper()
	if _, errs := s.api.Queue(s.url(name), awsapi.QueueOptions{}).Send(s.t.Context(), []queue.Message{{Body: `"` + body + `"`}}); errs != nil {
		s.t.Fatal(errs)
	}
}

func (s *shop) has(body string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Contains(strings.Join(s.noted, " "), body)
}

// run runs a worker while do is done.
func (s *shop) run(do func()) {
	s.t.Helper()
	w, err := worker.New(s.t.Context(), s.o)
	if err != nil {
		s.t.Fatal(err)
	}
	ctx, stop := context.WithCancel(s.t.Context())
	done := make(chan error, 1)
	go func() { _, err := w.Run(ctx); done <- err }()
	do()
	stop()
	w.Hurry(time.Second)
	if err := errors.Join(<-done, w.Close()); err != nil {
		s.t.Error(err)
	}
}

// A queue that would lose messages is not polled, and says why with the doctor's code; the others are. Once
// it is mended, it is polled without a restart.
func TestQueueThatWouldLoseMessagesIsStopped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShop(t, twoQueues)
		s.apply()
		if err := s.api.SetQueueAttributes(t.Context(), s.url("mail"), map[string]string{"Policy": ""}); err != nil {
			t.Fatal(err)
		}
		s.send("mail", "held")
		s.send("bill", "billed")
		s.run(func() {
			<-time.After(5 * time.Minute)
			if !s.has("billed") || s.has("held") {
				t.Errorf("noted %q, want billed alone", s.noted)
			}
			s.apply()
			<-time.After(3 * time.Minute)
			if !s.has("held") {
				t.Errorf("noted %q, want held too", s.noted)
			}
		})
		for _, want := range []string{`"code":"D-01"`, "messages would be lost: D-01 subscription orders", "worker topology apply", "worker doctor explain D-01"} {
			if !strings.Contains(s.logs.String(), want) {
				t.Errorf("the log lacks %s:\n%s", want, &s.logs)
			}
		}
	})
}

// [worker] verify tells it otherwise.
func TestVerifyIsConfigured(t *testing.T) {
	for how, says := range map[string]bool{"warn": true, "off": false} {
		t.Run(how, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newShop(t, "[worker]\nverify = \""+how+"\"\n"+twoQueues)
				s.apply()
				if err := s.api.SetQueueAttributes(t.Context(), s.url("mail"), map[string]string{"Policy": ""}); err != nil {
					t.Fatal(err)
				}
				s.send("mail", "handled")
				s.run(func() { <-time.After(time.Minute) })
				if !s.has("handled") {
					t.Errorf("noted %q", s.noted)
				}
				if got := strings.Contains(s.logs.String(), "D-01"); got != says {
					t.Errorf("says D-01 %v, want %v:\n%s", got, says, &s.logs)
				}
			})
		})
	}
}

// What may not be read stops nothing, and is said once.
func TestVerifyThatIsDenied(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShop(t, twoQueues)
		s.apply()
		s.server.Control("ListSubscriptionsByTopic", func(*localaws.Request) *localaws.Fault {
			return &localaws.Fault{Status: 403, Code: "AuthorizationError", Message: "no"}
		})
		s.send("mail", "handled")
		s.run(func() { <-time.After(time.Minute) })
		if !s.has("handled") || strings.Count(s.logs.String(), "topology: not verified") != 1 {
			t.Errorf("noted %q:\n%s", s.noted, &s.logs)
		}
	})
}

// A run that ends with its queues empty says which one it has not polled.
func TestUntilEmptyDoesNotWaitForAStoppedQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShop(t, twoQueues)
		s.apply()
		if err := s.api.SetQueueAttributes(t.Context(), s.url("mail"), map[string]string{"Policy": ""}); err != nil {
			t.Fatal(err)
		}
		s.send("mail", "held")
		s.send("bill", "billed")
		s.o.UntilEmpty = true
		w, err := worker.New(t.Context(), s.o)
		if err != nil {
			t.Fatal(err)
		}
		_, err = w.Run(t.Context())
		if err == nil || !strings.Contains(err.Error(), "D-01") || !s.has("billed") || s.has("held") {
			t.Errorf("got %v, noted %q", err, s.noted)
		}
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	})
}

// A job's own timeout counts where the queue's configuration has none, the longest of several, and one job
// without any leaves the queue without.
func TestTimeoutOfAJobIsExamined(t *testing.T) {
	const single, kinds = `job = "slow"`, "kind = \"attribute:kind\"\njobs = { a = \"slow\", b = \"quick\", c = \"other\" }"
	const theirs = "\nmanage = false" // 5 s is less than the configuration takes
	for name, c := range map[string]struct {
		queue              string
		slow, quick, other time.Duration
		want               []string
	}{
		"too long":                   {queue: single, slow: 12 * time.Hour, want: []string{"Q-05"}},
		"queue's goes first":         {queue: single + "\ntimeout = \"20s\"", slow: 12 * time.Hour},
		"none":                       {queue: single + theirs, want: []string{"Q-04"}},
		"within the lease":           {queue: single + theirs, slow: 4 * time.Second},
		"beyond the lease":           {queue: single + theirs, slow: 5 * time.Second, want: []string{"Q-04"}},
		"longest of several":         {queue: kinds, slow: 12 * time.Hour, quick: time.Second, other: time.Second, want: []string{"Q-05"}},
		"longest, and one has none":  {queue: kinds, slow: 12 * time.Hour, quick: time.Second, want: []string{"Q-05"}},
		"several within the lease":   {queue: kinds + theirs, slow: 4 * time.Second, quick: time.Second, other: time.Second},
		"one of several without any": {queue: kinds + theirs, slow: 4 * time.Second, quick: time.Second, want: []string{"Q-04"}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newShop(t, "[admin]\naddr = \"off\"\n[queues.mail]\n"+c.queue+"\n")
				s.o.Jobs = jobs.NewRegistry()
				for job, timeout := range map[string]time.Duration{"slow": c.slow, "quick": c.quick, "other": c.other} {
					jobs.AddTo(s.o.Jobs, job, func(context.Context, *jobs.Message[string]) error { return nil }, jobs.Timeout(timeout))
				}
				if _, err := s.api.CreateQueue(t.Context(), "mail", map[string]string{"VisibilityTimeout": "5"}, nil); err != nil {
					t.Fatal(err)
				}
				if !strings.Contains(c.queue, theirs) {
					s.apply()
				}
				p, err := worker.OpenOperator(t.Context(), s.o, "")
				if err != nil {
					t.Fatal(err)
				}
				r, err := p.Examine(t.Context(), worker.Checkup{})
				if err != nil {
					t.Fatal(err)
				}
				var got []string
				for _, f := range r.Findings {
					if f.Code == "Q-04" || f.Code == "Q-05" {
						got = append(got, f.Code)
					}
				}
				if !slices.Equal(got, c.want) {
					t.Errorf("found %q, want %q: %v", got, c.want, r.Findings)
				}
			})
		})
	}
}
