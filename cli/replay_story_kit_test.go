package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/stationmaster/worker/dlqreplay"
	"github.com/stationmaster/worker/internal/awsapi"
	"github.com/stationmaster/worker/jobs"
	"github.com/stationmaster/worker/localaws"
	"github.com/stationmaster/worker/queue"
	"github.com/stationmaster/worker/worker"
)

// overWire lets the SDK speak to a server of this process without a socket.
type overWire struct{ http.RoundTripper }

func (o overWire) Do(r *http.Request) (*http.Response, error) { return o.RoundTrip(r) }

type order struct {
	N int `json:"n"`
}

const storyFile = `
[admin]
addr = "off"
[queues.orders]
job = "ship"
visibility_timeout = "30s"
wait_time = "1s"
retry = { attempts = 2, first = "1s" }
[queues.charges]
job = "charge"
visibility_timeout = "30s"
wait_time = "1s"
retry = { attempts = 2, first = "1s" }
`

// story is an account with queues, a worker to run and the command to call.
type story struct {
	t      *testing.T
	server *localaws.Server
	api    *awsapi.Client
	aws    *aws.Config
	dir    string
	jobs   *jobs.Registry

	broken  atomic.Bool
	shipped atomic.Int32
	columns int
	stdin   string
	signals chan os.Signal
}

func newStory(t *testing.T) *story {
	t.Helper()
	s := &story{t: t, server: localaws.New(localaws.Options{}), dir: t.TempDir(), jobs: jobs.NewRegistry(), signals: make(chan os.Signal, 3)}
	t.Cleanup(func() { _ = s.server.Close() })
	s.aws = &aws.Config{
		Region: "us-east-1", BaseEndpoint: aws.String("http://sqs.test"), HTTPClient: overWire{s.server.Transport()},
		Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""),
	}
	s.api = awsapi.New(*s.aws, awsapi.Options{})
	handle := func(context.Context, *jobs.Message[order]) error {
		if s.broken.Load() {
			return errors.New("smtp: 535 authentication failed")
		}
		s.shipped.Add(1)
		return nil
	}
	jobs.AddTo(s.jobs, "ship", handle)
	jobs.AddTo(s.jobs, "charge", handle, jobs.ReplayAsk())
	s.write("config.toml", storyFile)
	if _, errs, code := s.calls("topology", "apply"); code != ExitDone {
		t.Fatalf("topology apply: %s", errs)
	}
	return s
}

func (s *story) write(name, text string) {
	s.t.Helper()
	if err := os.WriteFile(filepath.Join(s.dir, name), []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

func (s *story) options() worker.Option {
	return func(o *worker.Options) { o.AWS, o.Jobs, o.Version = s.aws, s.jobs, "v1.9.2" }
}

// calls runs a command as a process would.
func (s *story) calls(args ...string) (stdout, stderr string, code int) {
	s.t.Helper()
	var out, errs bytes.Buffer
	st := &state{
		name: "worker", args: append(args, "--config", filepath.Join(s.dir, "config.toml")),
		environ: []string{"HOME=" + s.dir}, stdin: strings.NewReader(s.stdin), stdout: &out, stderr: &errs, columns: s.columns,
		signals: func() (<-chan os.Signal, func()) { return s.signals, func() {} },
		options: []worker.Option{s.options()},
	}
	code = execute(s.t.Context(), st)
	return out.String(), errs.String(), code
}

// replay calls replay-dlq, and fails unless it ends with the code.
func (s *story) replay(code int, args ...string) string {
	s.t.Helper()
	out, errs, got := s.calls(append([]string{"replay-dlq"}, args...)...)
	if got != code {
		s.t.Fatalf("replay-dlq %s: exit code %d, want %d\n%s%s", strings.Join(args, " "), got, code, out, errs)
	}
	return out + errs
}

// work runs a worker until the function that it returns is called.
func (s *story) work() (stop func()) {
	s.t.Helper()
	o := worker.Options{ConfigFile: filepath.Join(s.dir, "config.toml")}
	s.options()(&o)
	w, err := worker.New(s.t.Context(), o)
	if err != nil {
		s.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(s.t.Context())
	done := make(chan error, 1)
	go func() {
		_, err := w.Run(ctx)
		done <- errors.Join(err, w.Close())
	}()
	return func() {
		cancel()
		if err := <-done; err != nil {
			s.t.Error(err)
		}
	}
}

func (s *story) url(name string) string {
	s.t.Helper()
	url, err := s.api.QueueURL(s.t.Context(), name, "")
	if err != nil {
		s.t.Fatal(err)
	}
	return url
}

// send sends bodies to a queue.
func (s *story) send(name string, bodies ...string) {
	s.t.Helper()
	ms := make([]queue.Message, len(bodies))
	for i, body := range bodies {
		ms[i].Body = body
	}
	s.sendAll(name, ms)
}

func (s *story) sendAll(name string, ms []queue.Message) {
	s.t.Helper()
	q := s.api.Queue(s.url(name), awsapi.QueueOptions{})
	for len(ms) > 0 {
		n := min(len(ms), queue.MaxBatch)
		if _, errs := q.Send(s.t.Context(), ms[:n]); errors.Join(errs...) != nil {
			s.t.Fatal(errors.Join(errs...))
		}
		ms = ms[n:]
	}
}

func numberedOrders(n int) []string {
	bodies := make([]string, n)
	for i := range bodies {
		bodies[i] = fmt.Sprintf(`{"n":%d}`, i)
	}
	return bodies
}

func (s *story) counts(name string) awsapi.Counts {
	s.t.Helper()
	n, err := s.api.QueueCounts(s.t.Context(), s.url(name))
	if err != nil {
		s.t.Fatal(err)
	}
	return n
}

// lies fails unless a queue has so many messages, none of them hidden.
func (s *story) lies(name string, want int) {
	s.t.Helper()
	if n := s.counts(name); n.Visible != int64(want) || n.InFlight != 0 {
		s.t.Errorf("%s has %+v, want %d visible", name, n, want)
	}
}

// die lets n orders die in their worker, with records.
func (s *story) die(name string, bodies ...string) {
	s.t.Helper()
	s.broken.Store(true)
	s.send(name, bodies...)
	stop := s.work()
	before := s.counts(name + "-dlq").Visible
	for range 600 {
		if s.counts(name+"-dlq").Visible >= before+int64(len(bodies)) {
			break
		}
		tick(s.t, time.Second)
	}
	stop()
	s.broken.Store(false)
	s.lies(name, 0)
}

// tick lets the bubble's time pass.
func tick(t *testing.T, d time.Duration) {
	t.Helper()
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-t.Context().Done():
		t.Fatal(t.Context().Err())
	}
}

// has fails unless text has all of these.
func has(t *testing.T, text string, wants ...string) {
	t.Helper()
	for _, want := range wants {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}

func (s *story) store() dlqreplay.Store {
	return dlqreplay.Store{Dir: filepath.Join(s.dir, ".local", "state", "worker", "replay")}
}
