package cli_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stationmaster/worker/localaws"
)

// What goes wrong while dead letters are replayed, and what becomes of them. Other movers lose messages
// here, and end with exit code 0.

// every is a fault of every nth request of an action; "" is any.
func every(n int64, action string, f func(*localaws.Request) *localaws.Fault) func(*localaws.Request) *localaws.Fault {
	var seen atomic.Int64
	return func(r *localaws.Request) *localaws.Fault {
		if r.Service != "sqs" || action != "" && r.Action != action || seen.Add(1)%n != 0 {
			return nil
		}
		return f(r)
	}
}

// oneEntry fails the first entry of a batch.
func oneEntry(r *localaws.Request) *localaws.Fault {
	return &localaws.Fault{Entries: map[string]string{r.Entries[0]: "InternalError"}}
}

func lost(*localaws.Request) *localaws.Fault { return &localaws.Fault{Lose: true} }

func throttled(*localaws.Request) *localaws.Fault {
	return &localaws.Fault{Status: http.StatusForbidden, Code: "RequestThrottled"}
}

// hopeless fails every nth message for good, whenever it is sent.
func hopeless(nth int) func(*localaws.Request) *localaws.Fault {
	return func(r *localaws.Request) *localaws.Fault {
		if r.Action != "SendMessageBatch" {
			return nil
		}
		var in struct {
			Entries []struct{ Id, MessageBody string }
		}
		if json.Unmarshal(r.Body, &in) != nil {
			return nil
		}
		bad := map[string]string{}
		for _, e := range in.Entries {
			if found := number.FindStringSubmatch(e.MessageBody); found != nil {
				if n, _ := strconv.Atoi(found[1]); n%nth == 0 {
					bad[e.Id] = "InvalidMessageContents"
				}
			}
		}
		return &localaws.Fault{Entries: bad}
	}
}

// mishap is a row of the table.
type mishap struct {
	name  string
	spoil func() func(*localaws.Request) *localaws.Fault
	// run replays; nil: it is simply run.
	run func(d *depot, messages int) *ran
	// left is how many are still in the dead-letter queue; -1 may be any.
	left func(messages int) int
	// quick ones are tried with every test; slow ones wait for holds to end.
	quick, slow bool
	// rerun: an operator who begins anew, instead of resuming, sends twice what was on its way.
	rerun bool
}

func none(int) int { return 0 }
func some(int) int { return -1 }

// often is how many percent of the requests are spoiled, as one of so many.
const often = 20

func mishaps() []mishap {
	of := func(f func(*localaws.Request) *localaws.Fault, action string) func() func(*localaws.Request) *localaws.Fault {
		return func() func(*localaws.Request) *localaws.Fault { return every(often, action, f) }
	}
	return []mishap{
		{name: "nothing", spoil: nil, left: none},
		{name: "5% of sends: one entry Failed", spoil: of(oneEntry, "SendMessageBatch"), left: none, quick: true},
		{name: "5% of messages: Failed for good", spoil: func() func(*localaws.Request) *localaws.Fault { return hopeless(often) }, left: func(n int) int { return n / often }, quick: true},
		{name: "5% of deletes: one entry Failed", spoil: of(oneEntry, "DeleteMessageBatch"), left: none, quick: true},
		{name: "5% of send answers lost", spoil: of(lost, "SendMessageBatch"), left: none, quick: true},
		{name: "5% of delete answers lost", spoil: of(lost, "DeleteMessageBatch"), left: none},
		{name: "5% of receive answers lost", spoil: of(lost, "ReceiveMessage"), left: some},
		{name: "every third request throttled", spoil: func() func(*localaws.Request) *localaws.Fault { return every(3, "", throttled) }, left: none},
		{name: "kill -9 at 25%, resume", run: killedAt(25), left: none, slow: true},
		{name: "kill -9 at 50%, resume", run: killedAt(50), left: none, slow: true},
		{name: "kill -9 at 75%, resume", run: killedAt(75), left: none, slow: true},
		{name: "kill -9 three times, resume", run: killedAt(25, 50, 75), left: none, slow: true},
		{name: "kill -9 at 50%, begin anew", run: rerun, left: none, slow: true, rerun: true},
		{name: "holds end: extensions fail", run: unextended, left: some, slow: true},
		{name: "holds end: stopped for 2m10s", run: suspended, left: some, slow: true},
	}
}

// soon kills a process when so many messages have arrived.
func (r *replaying) killAt(arrived int) {
	r.d.t.Helper()
	eventually(r.d.t, 4*time.Minute, func() bool { return r.d.counts(r.d.t, "email").Visible >= int64(arrived) }, r.said.String)
	if err := r.Process.Kill(); err != nil {
		r.d.t.Fatal(err)
	}
	if done := r.end(); done.code != -1 {
		r.d.t.Fatalf("it was not killed: exit code %d\n%s", done.code, done.tail())
	}
	r.d.expire()
}

func killedAt(percents ...int) func(*depot, int) *ran {
	return func(d *depot, messages int) *ran {
		d.keepHandles()
		args := append([]string{"email"}, unwatchedBy16...)
		for _, percent := range percents {
			d.begin(args...).killAt(messages * percent / 100)
			args = []string{"resume", d.journal()}
		}
		return d.replay(args...)
	}
}

func rerun(d *depot, messages int) *ran {
	d.keepHandles()
	args := append([]string{"email"}, unwatchedBy16...)
	d.begin(args...).killAt(messages / 2)
	return d.replay(args...)
}

// paced is a replay that lasts longer than its holds.
func paced(messages int) []string {
	return []string{"email", "--go", "--yes", "--canary", "0", "--settle", "0s", "--rate", fmt.Sprintf("%d/s", max(messages/150, 1)), "--concurrency", "16"}
}

func unextended(d *depot, messages int) *ran {
	d.spoil(every(1, "ChangeMessageVisibilityBatch", func(*localaws.Request) *localaws.Fault {
		return &localaws.Fault{Status: http.StatusInternalServerError, Code: "InternalFailure"}
	}))
	defer d.spoil(nil)
	return d.replay(paced(messages)...)
}

// suspended is a laptop that sleeps in the middle of a replay.
func suspended(d *depot, messages int) *ran {
	r := d.begin(paced(messages)...)
	eventually(d.t, time.Minute, func() bool { return d.counts(d.t, "email").Visible >= int64(messages/10) }, r.said.String)
	d.signal(d.t, r.Cmd, syscall.SIGSTOP)
	eventually(d.t, 4*time.Minute, func() bool { return time.Since(r.began) > 150*time.Second && d.counts(d.t, "dead").InFlight == 0 },
		func() string { return fmt.Sprintf("%+v", d.counts(d.t, "dead")) })
	d.signal(d.t, r.Cmd, syscall.SIGCONT)
	done := r.end()
	if done.report == nil {
		d.t.Fatalf("exit code %d and no report:\n%s", done.code, done.tail())
	}
	return done
}

// prove replays so many messages through a mishap, and checks what holds of every one of them.
func (m *mishap) prove(t *testing.T, messages int, away time.Duration) string {
	d := newDepot(t, depotFile)
	d.fill(messages)
	d.away.Store(int64(away))
	if m.spoil != nil {
		d.spoil(m.spoil())
	}
	run := m.run
	if run == nil {
		run = func(d *depot, _ int) *ran { return d.replay(append([]string{"email"}, unwatchedBy16...)...) }
	}
	done := run(d, messages)
	d.spoil(nil)
	eventually(t, 3*time.Minute, func() bool { return d.counts(t, "dead").InFlight == 0 }, func() string { return "still hidden" })
	f, r := d.fates(messages), done.report
	if f.lost != 0 {
		t.Errorf("%d lost", f.lost)
	}
	// What begins anew does not know what the killed run had sent: at most a batch of each loop.
	may := r.Ambiguous + r.Undeleted
	if m.rerun {
		may += 16 * 10 * 2
	}
	if f.twice > may {
		t.Errorf("%d are there twice, and the report owns up to %d ambiguous and %d undeleted", f.twice, r.Ambiguous, r.Undeleted)
	}
	if want := m.left(messages); want >= 0 && f.left != want {
		t.Errorf("%d left in the dead-letter queue, want %d", f.left, want)
	}
	if f.left > 0 && done.code == 0 {
		t.Errorf("exit code 0 with %d left", f.left)
	}
	if t.Failed() {
		t.Logf("%s", done.tail())
	}
	return fmt.Sprintf("%-34s %6d %6d %10d %6d %5d %8.1fs", m.name, f.lost, f.twice, r.Ambiguous, f.left, done.code, done.took.Seconds())
}

var faultHead = fmt.Sprintf("%-34s %6s %6s %10s %6s %5s %9s", "what goes wrong", "lost", "twice", "ambiguous", "left", "exit", "took")

// TestReplayLosesNothingWhateverFails is the table in small, as far as it is quick.
func TestReplayLosesNothingWhateverFails(t *testing.T) {
	for _, m := range mishaps() {
		if !m.quick {
			continue
		}
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			t.Log("\n" + faultHead + "\n" + m.prove(t, 400, time.Millisecond))
		})
	}
}

// TestReplayBenchFaults is the table: 3,000 messages, 15 ms away.
func TestReplayBenchFaults(t *testing.T) {
	measured(t)
	const messages = 3000
	rows := make([]string, len(mishaps()))
	var mu sync.Mutex
	t.Run("rows", func(t *testing.T) {
		for i, m := range mishaps() {
			t.Run(m.name, func(t *testing.T) {
				if m.slow {
					t.Parallel()
				}
				row := m.prove(t, messages, distance)
				mu.Lock()
				defer mu.Unlock()
				rows[i] = row
			})
		}
	})
	rows = slices.DeleteFunc(rows, func(row string) bool { return row == "" })
	t.Logf("%d messages, %v a call\n%s\n%s", messages, distance, faultHead, strings.Join(rows, "\n"))
}
