package worker_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stationmaster/worker/jobs"
	"github.com/stationmaster/worker/queue"
	"github.com/stationmaster/worker/worker"
)

// line1 is one queue with one job; its admin part differs.
const line1 = `
[admin]
%ADMIN%
[queues.mail]
name = "mail-queue"
job = "mail"
wait_time = "1s"
[queues.other]
job = "mail"
wait_time = "1s"
`

// site is a running worker whose one job counts.
type site struct {
	o        worker.Options
	w        *worker.Worker
	operator *worker.Operator
	handled  atomic.Int32
	stop     context.CancelFunc
	done     chan worker.Report
}

func startSite(t *testing.T, config string) *site {
	t.Helper()
	s := &site{done: make(chan worker.Report, 1)}
	r := jobs.NewRegistry()
	jobs.AddTo(r, "mail", func(context.Context, *jobs.Message[string]) error { s.handled.Add(1); return nil })
	s.o = worker.Options{ConfigFile: write(t, config), Jobs: r, AWS: theirs(t), LogTo: t.Output()}
	var err error
	if s.operator, err = worker.OpenOperator(t.Context(), s.o, ""); err != nil {
		t.Fatal(err)
	}
	if _, err := s.operator.Apply(t.Context(), 0, nil); err != nil {
		t.Fatal(err)
	}
	if s.w, err = worker.New(t.Context(), s.o); err != nil {
		t.Fatal(err)
	}
	var ctx context.Context
	ctx, s.stop = context.WithCancel(t.Context())
	go func() {
		report, err := s.w.Run(ctx)
		if err != nil {
			t.Error(err)
		}
		s.done <- report
	}()
	t.Cleanup(func() {
		s.stop()
		s.w.Hurry(time.Second)
		<-s.done
		if err := s.w.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func (s *site) send(t *testing.T) {
	t.Helper()
	if _, err := s.operator.Send(t.Context(), "mail", queue.Message{Body: `"x"`}); err != nil {
		t.Fatal(err)
	}
}

// post asks the admin port with a token.
func (s *site) post(t *testing.T, path, token string) (status int, body string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+s.w.AdminAddr()+path, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(text)
}

// queueState is what /status says about a queue.
type queueState struct {
	State    string           `json:"state"`
	Paused   string           `json:"paused_by"`
	Until    string           `json:"paused_until"`
	Received int              `json:"received"`
	Requests int              `json:"requests"`
	Returned map[string]int64 `json:"returned"`
}

func (s *site) state(t *testing.T, queue string) queueState {
	t.Helper()
	response, err := http.Get("http://" + s.w.AdminAddr() + "/status") //nolint:noctx // a test
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var all struct {
		Queues map[string]queueState `json:"queues"`
	}
	if err := json.NewDecoder(response.Body).Decode(&all); err != nil {
		t.Fatal(err)
	}
	return all.Queues[queue]
}

func admin(lines string) string { return strings.Replace(line1, "%ADMIN%", lines, 1) }

func TestAPausedQueueRestsUntilItIsResumed(t *testing.T) {
	s := startSite(t, admin("addr = \"127.0.0.1:0\"\ntoken = \"open sesame\""))
	s.send(t)
	eventually(t, "the first message", func() bool { return s.handled.Load() == 1 })

	status, body := s.post(t, "/queues/mail/pause?for=10m", "open sesame")
	if status != http.StatusOK || !strings.Contains(body, `"paused_by":"operator"`) {
		t.Fatalf("pause answered %d %s", status, body)
	}
	if q := s.state(t, "mail-queue"); q.State != "paused" || q.Paused != "operator" || q.Until == "" {
		t.Errorf("status %+v, want it paused by an operator with an end", q)
	}
	// The polls of the other queue are as long, so that after three of them no poll of this one is open.
	before := s.state(t, "other").Requests
	eventually(t, "the open poll ends", func() bool { return s.state(t, "other").Requests >= before+3 })
	s.send(t)
	eventually(t, "another poll", func() bool { return s.state(t, "other").Requests >= before+5 })
	if q := s.state(t, "mail-queue"); q.Received != 1 {
		t.Errorf("%d messages received, want the first one only", q.Received)
	}
	if status, _ := s.post(t, "/queues/mail-queue/resume", "open sesame"); status != http.StatusOK {
		t.Errorf("resume by the queue's name answered %d", status)
	}
	eventually(t, "the second message", func() bool { return s.handled.Load() == 2 })
	if q := s.state(t, "mail-queue"); q.Paused != "" {
		t.Errorf("status %+v after the resume", q)
	}
}

func TestRoutesThatWriteWantTheToken(t *testing.T) {
	s := startSite(t, admin("addr = \"127.0.0.1:0\"\ntoken = \"open sesame\""))
	for _, tt := range []struct {
		path, token string
		status      int
		says        string
	}{
		{"/queues/mail/pause", "", 401, "token is missing or wrong"},
		{"/queues/mail/pause", "open sesam", 401, "token is missing or wrong"},
		{"/queues/mail/resume", "OPEN SESAME", 401, "token is missing or wrong"},
		{"/queues/letters/pause", "open sesame", 404, `"letters" is no queue of this worker: it has mail, other`},
		{"/queues/mail/pause?for=soon", "open sesame", 400, `for="soon": must be a duration`},
		{"/queues/mail/pause?for=-1m", "open sesame", 400, `must be a duration`},
		{"/queues/mail/pause?for=200h", "open sesame", 400, `at most 168h`},
	} {
		status, body := s.post(t, tt.path, tt.token)
		if status != tt.status || !strings.Contains(body, tt.says) {
			t.Errorf("%s with token %q: %d %s, want %d %s", tt.path, tt.token, status, body, tt.status, tt.says)
		}
	}
	if q := s.state(t, "mail-queue"); q.Paused != "" {
		t.Errorf("it is paused by %s although nobody might", q.Paused)
	}
}

func TestWithoutATokenAPortHasNoRoutesThatWrite(t *testing.T) {
	s := startSite(t, admin(`addr = "127.0.0.1:0"`))
	if status, _ := s.post(t, "/queues/mail/pause", ""); status != http.StatusNotFound {
		t.Errorf("pause answered %d, want 404", status)
	}
	o := s.o
	o.Flags = map[string]any{"admin.addr": s.w.AdminAddr()}
	_, err := worker.PauseQueue(t.Context(), o, "mail", 0)
	if err == nil || !strings.Contains(err.Error(), "takes no orders: give it an admin.token") {
		t.Errorf("PauseQueue = %v", err)
	}
}

func TestASocketLetsItsUserIn(t *testing.T) {
	path := filepath.Join(t.TempDir(), "admin.sock")
	stale, err := net.Listen("unix", path) //nolint:noctx // a test
	if err != nil {
		t.Fatal(err)
	}
	stale.(*net.UnixListener).SetUnlinkOnClose(false) // as a process leaves it that is killed
	if err := stale.Close(); err != nil {
		t.Fatal(err)
	}
	s := startSite(t, admin(`addr = "unix:`+path+`"`))
	about, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if about.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, want only its user to open it", about.Mode())
	}
	paused, err := worker.PauseQueue(t.Context(), s.o, "mail", time.Hour)
	if err != nil || paused.By != "operator" || paused.Until == nil || paused.Queue != "mail-queue" {
		t.Errorf("PauseQueue = %+v, %v", paused, err)
	}
	resumed, err := worker.ResumeQueue(t.Context(), s.o, "mail")
	if err != nil || resumed.By != "" {
		t.Errorf("ResumeQueue = %+v, %v", resumed, err)
	}
	var refused interface{ ExitCode() int }
	if _, err := worker.PauseQueue(t.Context(), s.o, "nail", 0); !errors.As(err, &refused) || refused.ExitCode() != 2 {
		t.Errorf("PauseQueue of no queue = %v, want a fault of usage", err)
	}
	if _, err := worker.New(t.Context(), s.o); err == nil || !strings.Contains(err.Error(), "another process listens there") {
		t.Errorf("a second worker on the same socket: %v", err)
	}
}

func TestASocketReplacesNoFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "precious")
	if err := os.WriteFile(path, []byte("data"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := startSite(t, admin(`addr = "127.0.0.1:0"`))
	o := s.o
	o.Flags = map[string]any{"admin.addr": "unix:" + path}
	if _, err := worker.New(t.Context(), o); err == nil || !strings.Contains(err.Error(), "no socket") {
		t.Errorf("New = %v", err)
	}
	if text, err := fs.ReadFile(os.DirFS(filepath.Dir(path)), "precious"); err != nil || string(text) != "data" {
		t.Errorf("the file is %q, %v", text, err)
	}
}

func TestNobodyAnswersWhereNoWorkerListens(t *testing.T) {
	o := worker.Options{ConfigFile: write(t, admin(`addr = "unix:`+filepath.Join(t.TempDir(), "none")+`"`)), Jobs: jobs.NewRegistry()}
	jobs.AddTo(o.Jobs, "mail", func(context.Context, *jobs.Message[string]) error { return nil })
	if _, err := worker.ResumeQueue(t.Context(), o, "mail"); !errors.Is(err, worker.ErrNoAdmin) {
		t.Errorf("ResumeQueue = %v, want %v", err, worker.ErrNoAdmin)
	}
	for addr, says := range map[string]string{"off": "admin.addr is off", "127.0.0.1:0": "does not say where"} {
		o.Flags = map[string]any{"admin.addr": addr}
		if _, err := worker.PauseQueue(t.Context(), o, "mail", 0); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: PauseQueue = %v, want %q", addr, err, says)
		}
	}
}

func TestTheConfigurationPausesAQueueFromTheStart(t *testing.T) {
	s := startSite(t, strings.Replace(admin("addr = \"127.0.0.1:0\"\ntoken = \"t\""), "name = \"mail-queue\"", "name = \"mail-queue\"\npaused = true", 1))
	eventually(t, "the queue is opened", func() bool { return s.state(t, "mail-queue").State == "paused" })
	if q := s.state(t, "mail-queue"); q.Paused != "configuration" || q.Until != "" {
		t.Errorf("status %+v, want it paused by the configuration without end", q)
	}
	s.send(t)
	s.post(t, "/queues/mail/resume", "t")
	eventually(t, "the message", func() bool { return s.handled.Load() == 1 })
}
