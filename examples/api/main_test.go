package main

import (
	"bufio"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stationmaster/worker/internal/receivers"
	"github.com/stationmaster/worker/queue"
	"github.com/stationmaster/worker/worker"
)

// asAPI makes this test binary the program, so that a test can run two of it.
const asAPI = "API_TEST_AS_API"

func TestMain(m *testing.M) {
	if os.Getenv(asAPI) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// patience is how long a test waits for what must come.
const patience = 30 * time.Second

// lines watches what a program prints.
type lines struct {
	got chan string
}

func watch(from io.Reader) *lines {
	l := &lines{make(chan string, 1000)}
	go func() {
		defer close(l.got)
		for s := bufio.NewScanner(from); s.Scan(); {
			l.got <- s.Text()
		}
	}()
	return l
}

// with waits for a line that has all parts.
func (l *lines) with(t *testing.T, parts ...string) string {
	t.Helper()
	late := time.After(patience)
	var before []string
	for {
		select {
		case line, open := <-l.got:
			if !open {
				t.Fatalf("it ended without %q:\n%s", parts, strings.Join(before, "\n"))
			}
			before = append(before, line)
			found := true
			for _, part := range parts {
				found = found && strings.Contains(line, part)
			}
			if found {
				return line
			}
		case <-late:
			t.Fatalf("%q did not come:\n%s", parts, strings.Join(before, "\n"))
		}
	}
}

// invitee invites by the API whose first line is awaited.
func invitee(t *testing.T, l *lines, email string) {
	t.Helper()
	_, addr, _ := strings.Cut(l.with(t, "serving", "addr="), "addr=")
	status, body := post(t, "http://"+addr+"/invitations", "application/json", `{"email":"`+email+`","invited_by":"Grace"}`)
	if status != http.StatusAccepted || !strings.HasPrefix(body, `{"id":"`) {
		t.Fatalf("%d %s", status, body)
	}
}

func post(t *testing.T, url, kind, body string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", kind)
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	said, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, strings.TrimSpace(string(said))
}

func TestInOneProcessAnInvitationBecomesAMail(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	from, to := io.Pipe()
	defer func() { _ = to.Close() }()
	l, ended := watch(from), make(chan error, 1)
	go func() {
		ended <- run(ctx, []string{"-dev", "-aws-addr", "127.0.0.1:0", "-addr", "127.0.0.1:0", "-config", "config.toml"}, nil, to)
	}()
	invitee(t, l, "ada@example.com")
	l.with(t, "arrived", "kind=mail", "to=ada@example.com")
	stop()
	select {
	case err := <-ended:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(patience):
		t.Error("it does not end")
	}
}

// TestInTwoProcessesAnInvitationBecomesAMail: without -dev, so the way is the one to AWS; only the
// variables of the SDK say that the SNS and SQS of this test are meant.
func TestInTwoProcessesAnInvitationBecomesAMail(t *testing.T) {
	mails := make(chan receivers.Arrival, 10)
	inbox, err := receivers.Start(receivers.Options{Print: func(a receivers.Arrival) { mails <- a }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = inbox.Close() }) // after the programs
	dev, err := worker.StartDev(t.Context(), worker.Options{ConfigFile: "config.toml"}, worker.DevOptions{Addr: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = dev.Close() })
	if err := dev.Apply(t.Context()); err != nil {
		t.Fatal(err)
	}
	start := func(only string) *lines {
		program := exec.CommandContext(context.WithoutCancel(t.Context()), os.Args[0], "-only", only, "-addr", "127.0.0.1:0", "-config", "config.toml")
		nowhere := filepath.Join(t.TempDir(), "none") // no profile of this machine
		program.Env = []string{
			asAPI + "=1", "AWS_ENDPOINT_URL=" + dev.Info().Endpoint, "AWS_REGION=" + dev.Info().Region,
			"AWS_ACCESS_KEY_ID=local", "AWS_SECRET_ACCESS_KEY=local", "AWS_CONFIG_FILE=" + nowhere, "AWS_SHARED_CREDENTIALS_FILE=" + nowhere,
			"WORKER_JOBS__EMAIL__SMTP_ADDR=" + inbox.MailAddr(), "WORKER_JOBS__EMAIL__TLS=none",
			"WORKER_QUEUES__EMAIL__WAIT_TIME=1s", // a drain waits for an open poll
		}
		out, err := program.StderrPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := program.Start(); err != nil {
			t.Fatal(err)
		}
		l := watch(out)
		t.Cleanup(func() {
			defer time.AfterFunc(patience, func() { _ = program.Process.Kill() }).Stop()
			if err := program.Process.Signal(syscall.SIGTERM); err != nil {
				t.Error(err)
			}
			for line := range l.got { // it ends when the program has
				t.Log(only, line)
			}
			if err := program.Wait(); err != nil {
				t.Errorf("%s: %v", only, err)
			}
		})
		return l
	}
	start("worker")
	invitee(t, start("api"), "bob@example.com")
	select {
	case a := <-mails:
		if a.Kind != receivers.KindMail || a.To != "bob@example.com" {
			t.Errorf("arrived %+v", a)
		}
	case <-time.After(patience):
		t.Error("no mail arrives")
	}
}

// topics is a publisher that remembers or fails.
type topics struct {
	published []string
	err       error
}

func (p *topics) Publish(_ context.Context, topic string, m queue.Message) (string, error) {
	if p.err != nil {
		return "", p.err
	}
	p.published = append(p.published, topic+" "+m.Body)
	return "id-1", nil
}

func TestTheAPIAnswersClearly(t *testing.T) {
	const kind, good = "application/json", `{"email":"ada@example.com","invited_by":"Grace"}`
	for _, tt := range []struct {
		name, kind, body string
		err              error
		status           int
		says             string
	}{
		{"accepted", kind + "; charset=utf-8", good, nil, 202, `{"id":"id-1"}`},
		{"a form", "text/plain", good, nil, 415, `{"error":"Content-Type must be application/json"}`},
		{"no JSON", kind, "ada", nil, 400, `"error":"the body must be JSON like`},
		{"something behind it", kind, good + "{}", nil, 400, `"error":"the body must be JSON like`},
		{"too large", kind, `"` + strings.Repeat("x", maxBody) + `"`, nil, 413, `{"error":"the body must have at most 4096 bytes"}`},
		{"no address", kind, `{"email":"ada"}`, nil, 422, `{"error":"email must be an address like ada@example.com"}`},
		{"a name in it", kind, `{"email":"Ada <ada@example.com>"}`, nil, 422, `{"error":"email must be an address`},
		{"AWS is away", kind, good, errors.New("secret detail"), 503, `{"error":"the invitation was not accepted; try again"}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := &topics{err: tt.err}
			server := httptest.NewServer(newAPI(p, slog.New(slog.DiscardHandler)))
			defer server.Close()
			status, body := post(t, server.URL+"/invitations", tt.kind, tt.body)
			if status != tt.status || !strings.Contains(body, tt.says) {
				t.Errorf("%d %s, want %d %s", status, body, tt.status, tt.says)
			}
			want := `invitations {"event":"user_invited","email":"ada@example.com","invited_by":"Grace"}`
			if accepted := tt.status == 202; accepted != (len(p.published) == 1) || accepted && p.published[0] != want {
				t.Errorf("published %q", p.published)
			}
		})
	}
}
