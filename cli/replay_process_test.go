package cli_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/stationmaster/worker/dlqreplay"
	"github.com/stationmaster/worker/internal/awsapi"
	"github.com/stationmaster/worker/internal/witness"
	"github.com/stationmaster/worker/localaws"
	"github.com/stationmaster/worker/queue"
)

const replayable = `
[admin]
addr = "off"
[queues.tell]
job = "tell"
visibility_timeout = "10s"
wait_time = "1s"
`

// brief is for how long the server of these tests hides what a receive brings, whatever it is asked for,
// until the first process has ended: what that held shows up again soon.
const brief = 3

// holds is what a receive asks for.
var holds = regexp.MustCompile(`"VisibilityTimeout":\d+`)

// yard is a server in this process, for replays in others.
type yard struct {
	*outside
	server       *localaws.Server
	config, home string
	second       atomic.Bool // the first process has ended
}

func newYard(t *testing.T, messages int) *yard {
	t.Helper()
	y := &yard{outside: &outside{told: map[string]int{}}, server: localaws.New(localaws.Options{}), home: t.TempDir(), config: config(t, replayable)}
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !y.second.Load() && strings.HasSuffix(r.Header.Get("X-Amz-Target"), ".ReceiveMessage") {
			body, err := io.ReadAll(r.Body)
			if err != nil {
				return // a process that was killed
			}
			body = holds.ReplaceAll(body, fmt.Appendf(nil, `"VisibilityTimeout":%d`, brief))
			r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
		}
		y.server.ServeHTTP(w, r)
	}))
	t.Cleanup(front.Close)
	y.endpoint = front.URL
	y.api = awsapi.New(aws.Config{
		Region: "us-east-1", BaseEndpoint: &y.endpoint, Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""),
	}, awsapi.Options{})
	y.apply(t, y.config)
	y.fill(t, "tell-dlq", messages)
	return y
}

func (y *yard) replay(t *testing.T, args ...string) (*exec.Cmd, *witness.Book) {
	t.Helper()
	cmd, _ := y.command(t, y.config, append([]string{"replay-dlq"}, args...)...)
	cmd.Env = append(cmd.Env, "XDG_STATE_HOME="+y.home)
	said := &witness.Book{}
	cmd.Stdout, cmd.Stderr = said, said
	return cmd, said
}

// ended waits for a process and returns its exit code; -1 when a signal ended it.
func ended(t *testing.T, cmd *exec.Cmd) int {
	t.Helper()
	err := cmd.Wait()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return exit.ExitCode()
	}
	if err != nil {
		t.Fatal(err)
	}
	return 0
}

// journals are the runs that were begun.
func (y *yard) journals(t *testing.T) []string {
	t.Helper()
	all, err := filepath.Glob(filepath.Join(y.home, "worker", "replay", "r-*.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	for i, path := range all {
		all[i] = strings.TrimSuffix(filepath.Base(path), ".jsonl")
	}
	return all
}

// goOn resumes the run that was begun, or begins one, and returns its report.
func (y *yard) goOn(t *testing.T) *dlqreplay.Report {
	t.Helper()
	y.second.Store(true)
	args := append([]string{"tell", "--go", "--yes"}, unwatched...)
	if runs := y.journals(t); len(runs) == 1 {
		args = []string{"resume", runs[0]}
	} else {
		eventually(t, time.Minute, func() bool { return y.counts(t, "tell-dlq").InFlight == 0 }, func() string { return "still hidden" })
	}
	cmd, said := y.replay(t, append(args, "--json")...)
	y.start(t, cmd)
	code := ended(t, cmd)
	lines := strings.Split(strings.TrimSpace(said.String()), "\n")
	var last dlqreplay.Event
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &last); err != nil || last.Report == nil || code != 0 && last.Report.Gone == 0 {
		t.Fatalf("%v: exit code %d, %v\n%s", args, code, err, said)
	}
	return last.Report
}

// arrived counts how often each message arrived, and takes them out.
func (y *yard) arrived(t *testing.T) map[string]int {
	t.Helper()
	url, err := y.api.QueueURL(t.Context(), "tell", "")
	if err != nil {
		t.Fatal(err)
	}
	q := y.api.Queue(url, awsapi.QueueOptions{})
	got := map[string]int{}
	for {
		ds, err := q.Receive(t.Context(), queue.MaxBatch, time.Second)
		if err != nil {
			t.Fatal(err)
		}
		if len(ds) == 0 {
			return got
		}
		handles := make([]queue.ReceiptHandle, len(ds))
		for i := range ds {
			got[ds[i].Body]++
			handles[i] = ds[i].Handle
		}
		if errs := q.Delete(t.Context(), handles); errors.Join(errs...) != nil {
			t.Fatal(errors.Join(errs...))
		}
	}
}

// whole checks that every message arrived, and none more often than the report owns up to.
func (y *yard) whole(t *testing.T, messages, ambiguous int) {
	t.Helper()
	got := y.arrived(t)
	twice := 0
	for _, n := range got {
		twice += n - 1
	}
	if lost := messages - len(got); lost != 0 || twice > ambiguous {
		t.Errorf("%d lost, %d more than once, of which the report knows %d", lost, twice, ambiguous)
	}
	if n := y.counts(t, "tell-dlq"); n != (awsapi.Counts{}) {
		t.Errorf("%+v left in the dead-letter queue", n)
	}
}

// unwatched make a replay as fast as it goes.
var unwatched = []string{"--canary", "0", "--settle", "0s", "--rate", "max", "--concurrency", "2"}

// dry is a call that only asks for a permission.
func dry(r *localaws.Request) bool {
	return r.Action != "ReceiveMessage" && bytes.Contains(r.Body, []byte(`"Entries":[]`))
}

// A replay is killed at each step of its journal. Resumed, it loses nothing, and sends nothing twice that
// it does not own up to.
func TestReplayIsKilledAtEachStepAndResumed(t *testing.T) {
	const messages = 60
	for _, row := range []struct {
		name, action string
		nth          int32
		after        bool
		// slow: a resume has to wait until nobody can be hiding what was deleted.
		slow bool
	}{
		{"in the scan", "ReceiveMessage", 3, true, false},
		{"chosen, nothing sent", "SendMessageBatch", 1, false, false},
		{"sending, sent and not answered", "SendMessageBatch", 1, true, false},
		{"sending, in the middle of the run", "SendMessageBatch", 4, true, true},
		{"sent, nothing deleted", "DeleteMessageBatch", 1, false, false},
		{"sent, deleted and not answered", "DeleteMessageBatch", 1, true, true},
		{"deleted, in the middle of the run", "DeleteMessageBatch", 3, true, true},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			if row.slow {
				chaos(t)
			}
			y := newYard(t, messages)
			cmd, said := y.replay(t, append([]string{"tell", "--go", "--yes"}, unwatched...)...)
			var seen atomic.Int32
			started := make(chan struct{})
			kill := func() {
				<-started
				_ = cmd.Process.Kill() // it may have ended
			}
			stop := y.server.Control(row.action, func(r *localaws.Request) *localaws.Fault {
				switch n := seen.Load(); {
				case dry(r):
					return nil
				case n >= row.nth, seen.Add(1) < row.nth:
					return nil
				case row.after:
					time.AfterFunc(200*time.Millisecond, kill)
					return &localaws.Fault{Late: time.Second}
				}
				kill()
				return &localaws.Fault{Cut: true}
			})
			y.start(t, cmd)
			close(started)
			if code := ended(t, cmd); code != -1 {
				t.Fatalf("it was not killed: exit code %d\n%s", code, said)
			}
			stop()
			r := y.goOn(t)
			y.whole(t, messages, r.Ambiguous)
			t.Logf("%d replayed, %d ambiguous", r.Replayed, r.Ambiguous)
		})
	}
}

// A replay is killed, and somebody begins another one instead of resuming it: what the first has sent is
// left to it.
func TestANewRunLeavesAloneWhatAKilledOneHasSent(t *testing.T) {
	t.Parallel()
	chaos(t) // nobody may be hiding the messages any more
	const messages = 60
	y := newYard(t, messages)
	cmd, said := y.replay(t, append([]string{"tell", "--go", "--yes"}, unwatched...)...)
	stop := y.server.Control("DeleteMessageBatch", func(r *localaws.Request) *localaws.Fault {
		if !dry(r) {
			_ = cmd.Process.Kill() // it may have ended
			return &localaws.Fault{Cut: true}
		}
		return nil
	})
	y.start(t, cmd)
	if code := ended(t, cmd); code != -1 {
		t.Fatalf("it was not killed: exit code %d\n%s", code, said)
	}
	stop()
	sent := y.counts(t, "tell").Visible
	eventually(t, 3*time.Minute, func() bool { return y.counts(t, "tell-dlq").InFlight == 0 }, func() string { return "still hidden" })
	first := y.journals(t)
	y.second.Store(true)
	cmd, said = y.replay(t, append([]string{"tell", "--go", "--yes"}, unwatched...)...)
	y.start(t, cmd)
	if code := ended(t, cmd); code != 4 {
		t.Errorf("exit code %d, want 4: something is left\n%s", code, said)
	}
	if want := "which did not end: replay-dlq resume " + first[0]; !strings.Contains(said.String(), want) {
		t.Errorf("said\n%s\nwant %s", said, want)
	}
	if got := y.counts(t, "tell").Visible; sent == 0 || got >= messages {
		t.Errorf("%d there, of which %d by the first run, want what it had sent to be left to it", got, sent)
	}
	cmd, said = y.replay(t, "resume", first[0])
	y.start(t, cmd)
	if code := ended(t, cmd); code != 4 { // what the second has sent is gone
		t.Errorf("resume: exit code %d\n%s", code, said)
	}
	y.whole(t, messages, 20) // what two loops were sending when they were killed
}

func TestCtrlCFinishesReleasesAndSaysHowToGoOn(t *testing.T) {
	t.Parallel()
	const messages = 120
	y := newYard(t, messages)
	cmd, said := y.replay(t, "tell", "--go", "--yes", "--canary", "0", "--settle", "0s", "--rate", "40/s")
	y.start(t, cmd)
	eventually(t, time.Minute, func() bool { return y.counts(t, "tell").Visible >= 20 }, said.String)
	y.signal(t, cmd, syscall.SIGINT)
	if code := ended(t, cmd); code != 130 {
		t.Errorf("exit code %d\n%s", code, said)
	}
	if !regexp.MustCompile(`Interrupted: \d+ replayed, \d+ released\. Resume: \S+ replay-dlq resume r-`).MatchString(said.String()) {
		t.Errorf("said\n%s", said)
	}
	there, left := y.counts(t, "tell"), y.counts(t, "tell-dlq")
	if there.Visible+left.Visible != messages || left.InFlight != 0 {
		t.Errorf("%+v there, %+v left, want %d visible together\n%s", there, left, messages, said)
	}
	r := y.goOn(t)
	if r.Ambiguous != 0 {
		t.Errorf("%d ambiguous", r.Ambiguous)
	}
	y.whole(t, messages, 0)
}

func TestCtrlCTwiceLeavesAtOnceAndSaysWhatStaysHidden(t *testing.T) {
	t.Parallel()
	const messages = 60
	y := newYard(t, messages)
	cmd, said := y.replay(t, append([]string{"tell", "--go", "--yes"}, unwatched...)...)
	var sends atomic.Int32
	stuck := make(chan struct{})
	release, cancel := context.WithCancel(t.Context())
	stop := y.server.Control("SendMessageBatch", func(r *localaws.Request) *localaws.Fault {
		if dry(r) || sends.Add(1) < 2 {
			return nil
		}
		if sends.Load() == 2 {
			close(stuck)
		}
		<-release.Done()
		return &localaws.Fault{Cut: true}
	})
	y.start(t, cmd)
	<-stuck
	y.signal(t, cmd, syscall.SIGINT)
	eventually(t, time.Minute, func() bool { return strings.Contains(said.String(), "again to leave at once") }, said.String)
	began := time.Now()
	y.signal(t, cmd, syscall.SIGINT)
	if code := ended(t, cmd); code != 130 {
		t.Errorf("exit code %d\n%s", code, said)
	}
	if took := time.Since(began); took > 8*time.Second {
		t.Errorf("it took %v to leave", took)
	}
	cancel()
	stop()
	if !regexp.MustCompile(`hidden +\d+ could not be released: tell-dlq shows them again at \d\d:`).MatchString(said.String()) {
		t.Errorf("said\n%s", said)
	}
	r := y.goOn(t)
	y.whole(t, messages, r.Ambiguous)
}

// A disk that is full in the middle of a run ends it: what was accepted is deleted, the rest is released,
// and a resume does the rest once there is room.
func TestAFullDiskEndsAReplayAndResumeGoesOn(t *testing.T) {
	t.Parallel()
	const messages = 300
	y := newYard(t, messages)
	cmd, said := y.replay(t, append([]string{"tell", "--go", "--yes"}, unwatched...)...)
	// In blocks of 512 bytes: the choice is written, and some of the sends.
	cmd.Args = append([]string{"sh", "-c", `ulimit -f 56; exec "$0" "$@"`, cmd.Path}, cmd.Args[1:]...)
	cmd.Path = "/bin/sh"
	y.start(t, cmd)
	if code := ended(t, cmd); code != 4 {
		t.Errorf("exit code %d\n%s", code, said)
	}
	if !strings.Contains(said.String(), "Failed: ") || !strings.Contains(said.String(), "make room") {
		t.Errorf("said\n%s", said)
	}
	there, left := y.counts(t, "tell"), y.counts(t, "tell-dlq")
	if there.Visible == 0 || left.Visible == 0 || left.InFlight != 0 {
		t.Errorf("%+v there and %+v left: the disk was not full in the middle\n%s", there, left, said)
	}
	chaos(t) // the resume waits until nobody can be hiding what was deleted
	r := y.goOn(t)
	y.whole(t, messages, r.Ambiguous)
	t.Logf("%d were there when the disk was full, %d ambiguous", there.Visible, r.Ambiguous)
}
