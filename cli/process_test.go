package cli_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/stationmaster/worker/internal/awsapi"
	"github.com/stationmaster/worker/localaws"
	"github.com/stationmaster/worker/queue"
)

// outside is an SNS and SQS that outlives the workers that a test starts and kills, and a place for
// their jobs to report to.
type outside struct {
	endpoint, tell string
	api            *awsapi.Client

	mu   sync.Mutex
	told map[string]int
}

func newOutside(t *testing.T) *outside {
	t.Helper()
	o := &outside{told: map[string]int{}}
	server := httptest.NewServer(localaws.New(localaws.Options{}))
	t.Cleanup(server.Close)
	tell := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		text, err := io.ReadAll(r.Body)
		if err != nil {
			return // a worker that was killed in the middle of a word
		}
		o.mu.Lock()
		defer o.mu.Unlock()
		o.told[string(text)]++
	}))
	t.Cleanup(tell.Close)
	o.endpoint, o.tell = server.URL, tell.URL
	o.api = awsapi.New(aws.Config{
		Region: "us-east-1", BaseEndpoint: &o.endpoint, Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""),
	}, awsapi.Options{})
	return o
}

func (o *outside) heard(text string) int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.told[text]
}

// distinct is how many different messages were handled.
func (o *outside) distinct() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.told)
}

// command is the worker as a process of its own.
func (o *outside) command(t *testing.T, config string, args ...string) (*exec.Cmd, *bytes.Buffer) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self, append(args, "--config", config)...)
	cmd.Env = []string{
		asWorker + "=1", tellTo + "=" + o.tell, "AWS_ENDPOINT_URL=" + o.endpoint, "AWS_REGION=us-east-1",
		"AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=test", "HOME=" + t.TempDir(), "TMPDIR=" + t.TempDir(),
	}
	said := &bytes.Buffer{}
	cmd.Stdout, cmd.Stderr = said, said
	return cmd, said
}

func config(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "config.toml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func (o *outside) apply(t *testing.T, config string) {
	t.Helper()
	cmd, said := o.command(t, config, "topology", "apply")
	if err := cmd.Run(); err != nil {
		t.Fatalf("topology apply: %v\n%s", err, said)
	}
}

// fill sends n messages "0", "1", … to a queue.
func (o *outside) fill(t *testing.T, name string, n int) {
	t.Helper()
	url, err := o.api.QueueURL(t.Context(), name, "")
	if err != nil {
		t.Fatal(err)
	}
	q := o.api.Queue(url, awsapi.QueueOptions{})
	for from := 0; from < n; from += queue.MaxBatch {
		if _, errs := q.Send(t.Context(), numbered(from, min(queue.MaxBatch, n-from))); errors.Join(errs...) != nil {
			t.Fatal(errors.Join(errs...))
		}
	}
}

// numbered are n messages, whose bodies are the numbers from first on.
func numbered(first, n int) []queue.Message {
	batch := make([]queue.Message, n)
	for i := range batch {
		batch[i].Body = fmt.Sprintf("%q", fmt.Sprint(first+i))
	}
	return batch
}

func (o *outside) start(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() }) // it has ended, if all went well
}

func (o *outside) signal(t *testing.T, cmd *exec.Cmd, s syscall.Signal) {
	t.Helper()
	if err := cmd.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
}

// finish lets a last worker do the rest, and checks that every message was handled and nothing is left
// anywhere.
func (o *outside) finish(t *testing.T, file, name string, messages int, within time.Duration) {
	t.Helper()
	cmd, said := o.command(t, file, "run")
	o.start(t, cmd)
	eventually(t, within, func() bool { return o.distinct() == messages && o.counts(t, name) == awsapi.Counts{} },
		func() string {
			return fmt.Sprintf("%d of %d handled, %+v left\n%s", o.distinct(), messages, o.counts(t, name), said)
		})
	if left := o.counts(t, name+"-dlq"); left != (awsapi.Counts{}) {
		t.Errorf("%+v in the dead-letter queue", left)
	}
	o.signal(t, cmd, syscall.SIGINT)
	o.signal(t, cmd, syscall.SIGINT) // no open poll brings anything
	if err := cmd.Wait(); err != nil {
		t.Errorf("the last worker: %v\n%s", err, said)
	}
}

// repeated is how many messages were handled more than once.
func (o *outside) repeated() (n int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, times := range o.told {
		if times > 1 {
			n++
		}
	}
	return n
}

func (o *outside) counts(t *testing.T, name string) awsapi.Counts {
	t.Helper()
	url, err := o.api.QueueURL(t.Context(), name, "")
	if err != nil {
		t.Fatal(err)
	}
	n, err := o.api.QueueCounts(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// eventually waits for a condition, with a deadline; say tells what is there instead.
func eventually(t *testing.T, within time.Duration, ok func() bool, say func() string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-ctx.Done():
			t.Fatalf("not within %v: %s", within, say())
		case <-tick.C:
		}
	}
}

const killable = `
[admin]
addr = "off"
[queues.tell]
job = "tell"
slots = 50
visibility_timeout = "10s"
max_receive_count = 100
`

// A worker that is killed loses nothing: what it held comes back when its lease ends.
func TestKilledTenTimesEveryMessageIsHandled(t *testing.T) {
	const messages, kills = 10_000, 10
	o := newOutside(t)
	o.surviveKills(t, messages, kills, time.Minute)
	t.Logf("%d messages handled, %d of them more than once, through %d kills", messages, o.repeated(), kills)
}

// surviveKills kills so many workers in the middle of so many messages, and lets a last one do the rest.
func (o *outside) surviveKills(t *testing.T, messages, kills int, rest time.Duration) {
	t.Helper()
	file := config(t, killable)
	o.apply(t, file)
	o.fill(t, "tell", messages)
	for range kills {
		cmd, said := o.command(t, file, "run")
		o.start(t, cmd)
		before := o.distinct()
		// Each worker does a share and dies in the middle of the next.
		eventually(t, time.Minute, func() bool { return o.distinct() >= before+messages/(2*kills) },
			func() string { return fmt.Sprintf("%d handled\n%s", o.distinct(), said) })
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait() // it was killed
	}
	if o.distinct() == messages {
		t.Fatal("all were handled before the last worker died: the kills proved nothing")
	}
	o.finish(t, file, "tell", messages, rest)
}

const drainable = `
[worker]
drain_timeout = "10s"
[admin]
addr = "off"
[queues.slow]
job = "slow"
slots = 20
visibility_timeout = "60s"
`

// SIGTERM under load: the running jobs end, nothing stays in flight, exit code 0.
func TestSIGTERMUnderLoadLeavesNothingInFlight(t *testing.T) {
	o := newOutside(t)
	file := config(t, drainable)
	o.apply(t, file)
	const messages = 500
	o.fill(t, "slow", messages)
	cmd, said := o.command(t, file, "run")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, time.Minute, func() bool { return o.counts(t, "slow").InFlight >= 20 && o.distinct() >= 60 },
		func() string { return said.String() })
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	if err := cmd.Wait(); err != nil {
		t.Fatalf("exit: %v\n%s", err, said)
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("drained in %v, more than its budget", took)
	}
	left := o.counts(t, "slow")
	if left.InFlight != 0 {
		t.Errorf("%d in flight after the drain\n%s", left.InFlight, said)
	}
	done := 0
	for i := range messages {
		done += o.heard(fmt.Sprint(i))
		if o.heard(fmt.Sprint(i)) != o.heard(fmt.Sprintf("started %d", i)) {
			t.Errorf("message %d was started and not ended by the drain", i)
		}
	}
	if int64(done)+left.Visible != messages {
		t.Errorf("%d done and %d left, want %d together", done, left.Visible, messages)
	}
	t.Logf("%s", bytes.TrimSpace(said.Bytes()))
}
