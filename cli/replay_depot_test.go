package cli_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/stationmaster/worker/deadletter"
	"github.com/stationmaster/worker/dlqreplay"
	"github.com/stationmaster/worker/internal/awsapi"
	"github.com/stationmaster/worker/localaws"
	"github.com/stationmaster/worker/queue"
)

// The real command in a process of its own, against a server in this one that is as far away as wanted.

// replayBench names the binary that make bench-replay measures.
const replayBench = "STATIONMASTER_REPLAY_BENCH"

// measured skips what takes minutes.
func measured(t *testing.T) {
	t.Helper()
	if os.Getenv(replayBench) == "" {
		t.Skip("takes minutes: make bench-replay")
	}
}

const depotFile = `
[admin]
addr = "off"
[queues.email]
job = "email"
dlq = "dead"
`

// depot is a dead-letter queue, and the command that replays it.
type depot struct {
	*outside
	t            *testing.T
	server       *localaws.Server
	inner        *awsapi.Client // of this process: nothing delays it or spoils what it asks
	config, home string

	away   atomic.Int64                                            // how far away the server is, in nanoseconds
	spoils atomic.Pointer[func(*localaws.Request) *localaws.Fault] // what goes wrong besides

	mu      sync.Mutex
	handles []queue.ReceiptHandle // that were handed out, when they are kept
	keeps   bool
}

func newDepot(t *testing.T, file string) *depot {
	t.Helper()
	d := &depot{
		outside: &outside{told: map[string]int{}}, t: t, server: localaws.New(localaws.Options{}), home: t.TempDir(), config: config(t, file),
	}
	front := httptest.NewServer(http.HandlerFunc(d.serve))
	t.Cleanup(front.Close)
	d.endpoint = front.URL
	d.inner = awsapi.New(aws.Config{
		Region: "us-east-1", BaseEndpoint: &d.endpoint, HTTPClient: &http.Client{Transport: fromInside{d.server.Transport()}},
		Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""),
	}, awsapi.Options{})
	d.api = d.inner
	d.server.Control("", func(r *localaws.Request) *localaws.Fault {
		if r.Header.Get(insideHeader) != "" {
			return nil
		}
		f := &localaws.Fault{}
		if spoil := d.spoils.Load(); spoil != nil && !empties(r) {
			if bad := (*spoil)(r); bad != nil {
				*f = *bad
			}
		}
		if f.Delay == 0 {
			f.Delay = time.Duration(d.away.Load())
		}
		return f
	})
	cmd, said := d.process("topology", "apply")
	if err := cmd.Run(); err != nil {
		t.Fatalf("topology apply: %v\n%s", err, said)
	}
	return d
}

// process is the program that is measured, as a process of its own.
func (d *depot) process(args ...string) (*exec.Cmd, *bytes.Buffer) {
	d.t.Helper()
	cmd, said := d.command(d.t, d.config, args...)
	if binary := os.Getenv(replayBench); binary != "" {
		cmd.Path = binary
	}
	cmd.Env = append(cmd.Env, "XDG_STATE_HOME="+d.home)
	return cmd, said
}

// insideHeader marks what this process asks for.
const insideHeader = "X-Inside"

type fromInside struct{ to http.RoundTripper }

func (f fromInside) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set(insideHeader, "yes")
	return f.to.RoundTrip(r) //nolint:wrapcheck // it only marks requests
}

// empties reports a call that only asks for a permission.
func empties(r *localaws.Request) bool { return bytes.Contains(r.Body, []byte(`"Entries":[]`)) }

// kept hears what is answered.
type kept struct {
	http.ResponseWriter
	said bytes.Buffer
}

func (k *kept) Write(p []byte) (int, error) {
	k.said.Write(p)
	return k.ResponseWriter.Write(p) //nolint:wrapcheck // it is the answer, on its way
}

func (k *kept) Unwrap() http.ResponseWriter { return k.ResponseWriter }

var handle = regexp.MustCompile(`"ReceiptHandle":"([^"]+)"`)

func (d *depot) serve(w http.ResponseWriter, r *http.Request) {
	d.mu.Lock()
	keeps := d.keeps
	d.mu.Unlock()
	if !keeps || !strings.HasSuffix(r.Header.Get("X-Amz-Target"), ".ReceiveMessage") {
		d.server.ServeHTTP(w, r)
		return
	}
	k := &kept{ResponseWriter: w}
	d.server.ServeHTTP(k, r)
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, found := range handle.FindAllStringSubmatch(k.said.String(), -1) {
		d.handles = append(d.handles, queue.ReceiptHandle(found[1]))
	}
}

// keepHandles lets expire know what is held.
func (d *depot) keepHandles() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.keeps = true
}

// expire ends the holds of everything that was handed out, as if their time were over.
func (d *depot) expire() {
	d.t.Helper()
	d.mu.Lock()
	all := d.handles
	d.handles = nil
	d.mu.Unlock()
	q := d.at("dead")
	for len(all) > 0 {
		n := min(len(all), queue.MaxBatch)
		q.ChangeVisibility(d.t.Context(), all[:n], make([]time.Duration, n)) // what is deleted has none
		all = all[n:]
	}
	if n := d.counts(d.t, "dead"); n.InFlight != 0 {
		d.t.Fatalf("after their holds have ended: %+v", n)
	}
}

func (d *depot) at(name string) *awsapi.Queue {
	d.t.Helper()
	url, err := d.inner.QueueURL(d.t.Context(), name, "")
	if err != nil {
		d.t.Fatal(err)
	}
	return d.inner.Queue(url, awsapi.QueueOptions{})
}

// number finds the number of a message in its body.
var number = regexp.MustCompile(`n(\d+)@`)

func body(n int) string { return fmt.Sprintf(`{"event":"user_invited","email":"n%d@example.com"}`, n) }

// dead makes a dead letter as a worker sends it.
func dead(n int, job, origin, class, reason string) queue.Message {
	m := queue.Message{Body: body(n), Attributes: map[string]queue.Attribute{"plan": {Type: "String", Text: "gold"}}}
	now := time.Now().Add(-time.Hour).UTC().Truncate(time.Millisecond)
	r := deadletter.Record{
		V: deadletter.Version, ID: fmt.Sprintf("id-%d", n), Job: job, Class: class, Reason: reason,
		Fingerprint: deadletter.Fingerprint(job, class, reason), Origin: origin, OriginID: fmt.Sprintf("origin-%d", n),
		Receives: 5, Deaths: 1, Sent: now, FirstReceived: now, Died: now, Build: "v1.9.1", Host: "worker-7c",
	}
	if err := r.Write(&m); err != nil {
		panic(err)
	}
	return m
}

// put sends messages to a queue, the nth by make(n).
func (d *depot) put(name string, messages int, letter func(n int) queue.Message) {
	d.t.Helper()
	q := d.at(name)
	d.both(func(loop, loops int) error {
		for from := loop * queue.MaxBatch; from < messages; from += loops * queue.MaxBatch {
			ms := make([]queue.Message, min(queue.MaxBatch, messages-from))
			for i := range ms {
				ms[i] = letter(from + i)
			}
			if _, errs := q.Send(d.t.Context(), ms); errors.Join(errs...) != nil {
				return errors.Join(errs...)
			}
		}
		return nil
	})
}

// both runs something in as many loops as there are cores to spare.
func (d *depot) both(f func(loop, loops int) error) {
	d.t.Helper()
	const loops = 2
	var all sync.WaitGroup
	errs := make([]error, loops)
	for loop := range loops {
		all.Go(func() { errs[loop] = f(loop, loops) })
	}
	all.Wait()
	if err := errors.Join(errs...); err != nil {
		d.t.Fatal(err)
	}
}

// fill puts recorded dead letters of one cause into the dead-letter queue.
func (d *depot) fill(messages int) {
	d.t.Helper()
	d.put("dead", messages, func(n int) queue.Message {
		return dead(n, "email", "email", "timeout", "dial tcp <ip>:587: i/o timeout")
	})
}

// drained takes everything out of a queue, and counts how often each message was in it.
func (d *depot) drained(name string, messages int) []uint8 {
	d.t.Helper()
	q, got := d.at(name), make([]uint8, messages)
	var mu sync.Mutex
	d.both(func(int, int) error {
		for {
			ds, err := q.Receive(d.t.Context(), queue.MaxBatch, 0)
			if err != nil || len(ds) == 0 {
				return err
			}
			handles := make([]queue.ReceiptHandle, len(ds))
			mu.Lock()
			for i := range ds {
				handles[i] = ds[i].Handle
				found := number.FindStringSubmatch(ds[i].Body)
				n, err := strconv.Atoi(found[1])
				if err != nil || n >= messages {
					mu.Unlock()
					return fmt.Errorf("not a body of ours: %s", ds[i].Body)
				}
				got[n]++
			}
			mu.Unlock()
			if errs := q.Delete(d.t.Context(), handles); errors.Join(errs...) != nil {
				return errors.Join(errs...)
			}
		}
	})
	if n := d.counts(d.t, name); n != (awsapi.Counts{}) {
		d.t.Errorf("%+v are in %s, and cannot be received", n, name)
	}
	return got
}

// fate is what became of the messages, as far as queues can tell.
type fate struct{ lost, twice, left int }

// fates empties both queues. What is in both of them is there twice.
func (d *depot) fates(messages int) (f fate) {
	d.t.Helper()
	there, here := d.drained("email", messages), d.drained("dead", messages)
	for n := range messages {
		if copies := int(there[n]) + int(here[n]); copies == 0 {
			f.lost++
		} else {
			f.twice += copies - 1
		}
		if here[n] > 0 {
			f.left++
		}
	}
	return f
}

// ran is a process that has ended.
type ran struct {
	code   int
	took   time.Duration
	peak   int64 // bytes of memory
	report *dlqreplay.Report
	said   *bytes.Buffer
}

// tail is the end of what it said.
func (r *ran) tail() string {
	const most = 4000
	text := r.said.String()
	return text[max(len(text)-most, 0):]
}

// replaying is a process that runs.
type replaying struct {
	*exec.Cmd
	d     *depot
	said  *bytes.Buffer
	began time.Time
	peak  chan int64
}

// unwatchedBy16 makes a replay as fast as it goes.
var unwatchedBy16 = []string{"--go", "--yes", "--canary", "0", "--settle", "0s", "--rate", "max", "--concurrency", "16"}

// begin starts replay-dlq.
func (d *depot) begin(args ...string) *replaying {
	d.t.Helper()
	cmd, said := d.process(append([]string{"replay-dlq", "--json"}, args...)...)
	r := &replaying{Cmd: cmd, d: d, said: said, began: time.Now(), peak: make(chan int64, 1)}
	d.start(d.t, cmd)
	go r.watch()
	return r
}

// watch reads the peak of the process's memory while it lives. Its rusage would tell the peak of this
// process: what starts a process shares its memory with it for a moment.
func (r *replaying) watch() {
	path := fmt.Sprintf("/proc/%d/status", r.Process.Pid)
	var peak int64
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		text, err := os.ReadFile(path)
		_, after, found := strings.Cut(string(text), "VmHWM:")
		if err != nil || !found { // it has ended, or this is no Linux
			r.peak <- peak
			return
		}
		kilobytes, err := strconv.ParseInt(strings.Fields(after)[0], 10, 64)
		if err == nil {
			peak = kilobytes << 10
		}
		<-tick.C
	}
}

// end waits for the process, and reads what it said last.
func (r *replaying) end() *ran {
	r.d.t.Helper()
	code := ended(r.d.t, r.Cmd)
	done := &ran{code: code, took: time.Since(r.began), said: r.said, peak: <-r.peak}
	for line := range bytes.SplitSeq(r.said.Bytes(), []byte("\n")) {
		if bytes.Contains(line, []byte(`"event":"ended"`)) {
			var e dlqreplay.Event
			if err := json.Unmarshal(line, &e); err != nil {
				r.d.t.Fatal(err)
			}
			done.report = e.Report
		}
	}
	return done
}

// replay runs replay-dlq to its end.
func (d *depot) replay(args ...string) *ran {
	d.t.Helper()
	done := d.begin(args...).end()
	if done.report == nil {
		d.t.Fatalf("exit code %d and no report:\n%s", done.code, done.tail())
	}
	return done
}

// journal is the only run of this depot.
func (d *depot) journal() string {
	d.t.Helper()
	all, err := filepath.Glob(filepath.Join(d.home, "worker", "replay", "r-*.jsonl"))
	if err != nil || len(all) != 1 {
		d.t.Fatalf("%v: %v, want one journal", all, err)
	}
	return strings.TrimSuffix(filepath.Base(all[0]), ".jsonl")
}

// spoil lets something go wrong from now on; nil ends it.
func (d *depot) spoil(f func(*localaws.Request) *localaws.Fault) {
	if f == nil {
		d.spoils.Store(nil)
		return
	}
	d.spoils.Store(&f)
}
