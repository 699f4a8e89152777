package cli_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/stationmaster/worker/internal/awsapi"
)

// e2eEndpoint is the variable that names an SNS and SQS of somebody else for TestEndToEndReplay.
const e2eEndpoint = "STATIONMASTER_E2E_ENDPOINT"

const line = `
[admin]
addr = "off"
[queues.%s]
job = "ship"
visibility_timeout = "30s"
wait_time = "1s"
retry = { attempts = 2, first = "1s" }
`

// somewhere is the server that is named. What the job ship tells is refused while
// broken.
func somewhere(t *testing.T, broken *atomic.Bool) *outside {
	t.Helper()
	o := &outside{told: map[string]int{}, endpoint: os.Getenv(e2eEndpoint)}
	tell := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, err := io.ReadAll(r.Body)
		if err != nil || broken.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		o.mu.Lock()
		defer o.mu.Unlock()
		o.told[string(text)]++
	}))
	t.Cleanup(tell.Close)
	o.tell = tell.URL
	o.api = awsapi.New(aws.Config{
		Region: "us-east-1", BaseEndpoint: &o.endpoint, Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""),
	}, awsapi.Options{})
	return o
}

// TestEndToEndReplay is the story of an operator on whatever SQS it is given: messages die in a worker; a
// plan says why; once the receiver is mended they are replayed behind a canary; others are exported, taken
// out, imported and discarded.
func TestEndToEndReplay(t *testing.T) {
	if os.Getenv(e2eEndpoint) == "" {
		t.Skip("takes a minute of real time: make test-localstack runs it; TestTheWholeStory tells it in virtual time")
	}
	t.Parallel()
	const messages, others = 30, 12
	name := fmt.Sprintf("replay-%x", time.Now().UnixNano())
	var broken atomic.Bool
	o := somewhere(t, &broken)
	file, home := config(t, fmt.Sprintf(line, name)), t.TempDir()
	o.apply(t, file)

	calls := func(want int, args ...string) string {
		t.Helper()
		cmd, said := o.command(t, file, append([]string{"replay-dlq"}, args...)...)
		cmd.Env = append(cmd.Env, "XDG_STATE_HOME="+home)
		o.start(t, cmd)
		if code := ended(t, cmd); code != want {
			t.Fatalf("replay-dlq %s: exit code %d, want %d\n%s", strings.Join(args, " "), code, want, said)
		}
		t.Logf("replay-dlq %s\n%s", strings.Join(args, " "), said)
		return said.String()
	}
	says := func(text string, wants ...string) {
		t.Helper()
		for _, want := range wants {
			if !strings.Contains(text, want) {
				t.Errorf("no %q in\n%s", want, text)
			}
		}
	}
	dlq := func(n int64) {
		t.Helper()
		eventually(t, time.Minute, func() bool { return o.counts(t, name+"-dlq") == awsapi.Counts{Visible: n} },
			func() string {
				return fmt.Sprintf("%+v in the dead-letter queue, want %d", o.counts(t, name+"-dlq"), n)
			})
	}

	worker, log := o.command(t, file, "run")
	o.start(t, worker)
	broken.Store(true)
	o.fill(t, name, messages)
	dlq(messages)
	says(calls(0, name), name+"-dlq  →  "+name, fmt.Sprintf("standard · %d messages", messages), "ship", "the receiver answered 503", "30 recorded, all first", "Nothing sent.")
	dlq(messages)

	says(calls(5, name, "--go", "--yes", "--canary", "3", "--settle", "30s"), "Stopped. 3 of 30 sent, 27 untouched and released.")
	dlq(messages)
	broken.Store(false)
	says(calls(0, name, "--deaths", "1", "--go", "--yes", "--canary", "3", "--settle", "2s"), "27 replayed · 0 failed · 0 returned")
	says(calls(0, name, "--deaths", "2", "--go", "--yes", "--canary", "0", "--settle", "1s"), "3 replayed · 0 failed · 0 returned")
	dlq(0)
	eventually(t, time.Minute, func() bool { return o.distinct() == messages }, log.String)
	if n := o.repeated(); n != 0 {
		t.Errorf("%d were shipped twice", n)
	}

	broken.Store(true)
	o.fill(t, name, others)
	dlq(others)
	kept, taken := filepath.Join(home, "kept.jsonl.zst"), filepath.Join(home, "taken.jsonl")
	says(calls(0, name, "export", kept), fmt.Sprintf("%d exported", others))
	dlq(others)
	says(calls(0, name, "export", taken, "--delete", "--yes"), fmt.Sprintf("%d exported", others))
	dlq(0)
	says(calls(0, name, "import", taken, "--yes"), fmt.Sprintf("%d imported", others))
	dlq(others)
	says(calls(0, name, "discard", "--yes"), fmt.Sprintf("%d discarded", others), "discarded-"+name+"-dlq-")
	dlq(0)
	says(calls(3, name, "--go", "--yes"))
	if n := strings.Count(calls(0, "history"), "completed"); n != 5 {
		t.Errorf("%d runs completed, want 5", n)
	}

	o.signal(t, worker, syscall.SIGINT)
	o.signal(t, worker, syscall.SIGINT)
	if err := worker.Wait(); err != nil {
		t.Errorf("the worker: %v\n%s", err, log)
	}
}
