package cli

import (
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stationmaster/worker/localaws"
)

// deaf is an HTTP endpoint that nobody answers for.
type deaf struct{}

func (deaf) RoundTrip(*http.Request) (*http.Response, error) {
	return nil, errors.New("nobody listens")
}

const hookFile = "[ingress]\npublic_url = \"https://hooks.example.com\"\n" + pickyFile + `
[[subscriptions]]
topic = "orders"
protocol = "https"
endpoint = "/audit"
job = "picky"
`

func deafAccount(t *testing.T) *account {
	t.Helper()
	return accountAt(t, localaws.New(localaws.Options{Deliver: deaf{}}))
}

// An endpoint that nobody answers for is waited for, which is told; in the end stands what has to be done.
func TestApplyWaitsForAnEndpointAndSaysWhatIsMissing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := deafAccount(t)
		began := time.Now()
		out, said, code := a.run(hookFile, "", "topology", "apply", "--prune")
		if took := time.Since(began); code != ExitPending || took != 2*time.Minute {
			t.Errorf("exit code %d after %s", code, took)
		}
		const waits = "worker: waiting up to 2m · subscription orders → https://hooks.example.com/audit: its HTTP endpoint has to confirm it\n"
		if said != waits+"worker: nothing is deleted before that\n" {
			t.Errorf("says\n%s", said)
		}
		const missing = `1 subscription is not confirmed within 2m, and SNS delivers nothing there:
? orders → https://hooks.example.com/audit: a worker of this configuration has to run where SNS
  reaches it at https://hooks.example.com/audit, and confirms it; apply again then, which asks SNS
  for a new token
start the worker:  worker run --config FILE
then apply again:  worker topology apply --config FILE
`
		if out = itsFile.ReplaceAllString(out, " --config FILE"); !strings.HasSuffix(out, "0 unchanged\n"+missing) {
			t.Errorf("prints\n%s", out)
		}
		began = time.Now()
		if _, said, code := a.run(hookFile, "", "topology", "apply", "--confirm-wait", "0s"); code != ExitPending || said != "" || time.Since(began) != 0 {
			t.Errorf("without a wait: exit code %d after %s, says %q", code, time.Since(began), said)
		}
	})
}

func TestApplyTellsWaitsToMachines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := deafAccount(t)
		out, said, code := a.run(hookFile, "", "topology", "apply", "--json", "--confirm-wait", "25s")
		if code != ExitPending || said != "" {
			t.Errorf("exit code %d, says %q", code, said)
		}
		var waited []float64
		last := ""
		for line := range strings.Lines(out) {
			var e wait
			if err := json.Unmarshal([]byte(line), &e); err != nil {
				t.Fatal(err)
			}
			if e.Kind == "wait" {
				waited = append(waited, e.Waited)
				if e.AtMost != 25 || e.Name != "subscription orders → https://hooks.example.com/audit" || e.For != "its HTTP endpoint has to confirm it" {
					t.Errorf("%+v", e)
				}
			}
			last = line
		}
		if len(waited) != 3 || waited[0] != 0 || waited[1] != 10 || waited[2] != 20 {
			t.Errorf("told after %v seconds", waited)
		}
		var end struct{ Pending []string }
		if err := json.Unmarshal([]byte(last), &end); err != nil || len(end.Pending) != 1 {
			t.Errorf("ends with %s", last)
		}
	})
}

// Somebody who watches sees one line that changes, no wider than the terminal, and gone in the end.
func TestApplyShowsAWaitOnOneLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := deafAccount(t)
		a.adjust = func(s *state) { s.terminal, s.columns = true, 60 }
		_, said, _ := a.run(hookFile, "", "topology", "apply", "--confirm-wait", "3s")
		const clear = "\r\033[K"
		var want string
		for _, so := range []string{"0s", "1s", "2s"} {
			want += clear + "  waiting " + so + " of at most 3s · subscription orders → https:/…"
		}
		if said != want+clear {
			t.Errorf("says %q, want %q", said, want+clear)
		}
		for line := range strings.SplitSeq(said, clear) {
			if n := len([]rune(line)); n > 59 {
				t.Errorf("%d columns: %q", n, line)
			}
		}
	})
}

// A signal ends the wait at once. What was done stands, and applying again goes on.
func TestApplyThatIsInterruptedSaysHowItGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := deafAccount(t)
		interrupt := func(after time.Duration) {
			a.adjust = func(s *state) {
				got := make(chan os.Signal, 1)
				time.AfterFunc(after, func() { got <- syscall.SIGINT })
				s.signals = func() (<-chan os.Signal, func()) { return got, func() {} }
			}
		}
		interrupt(30 * time.Second)
		began := time.Now()
		out, said, code := a.run(hookFile, "", "topology", "apply")
		if took := time.Since(began); code != ExitFailed || took != 30*time.Second || !strings.Contains(said, "worker: interrupted: all is done, and 1 subscription is not confirmed yet\n") ||
			!strings.Contains(out, "start the worker:  worker run --config ") || !strings.Contains(out, "then apply again:  worker topology apply --config ") {
			t.Errorf("exit code %d after %s\n%s%s", code, took, out, said)
		}
		// A queue whose name is not free: its wait comes before the end.
		out, _, _ = a.run(moreFile, "", "topology", "plan")
		if !strings.Contains(out, "create") {
			t.Fatal(out)
		}
		a.server.Control("CreateQueue", func(*localaws.Request) *localaws.Fault {
			return &localaws.Fault{Code: "AWS.SimpleQueueService.QueueDeletedRecently", Message: "wait"}
		})
		began = time.Now()
		_, said, code = a.run(moreFile, "", "topology", "apply")
		said = itsFile.ReplaceAllString(said, " --config FILE")
		if took := time.Since(began); code != ExitFailed || took != 30*time.Second ||
			!regexp.MustCompile(`worker: interrupted after \d+ changes?: what is left, and what this has cut, is done by: worker topology apply --config FILE\n$`).MatchString(said) {
			t.Errorf("exit code %d after %s, says\n%s", code, took, said)
		}
	})
}

// --fix waits as apply does, and tells it.
func TestDoctorFixTellsWhatItWaitsFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := deafAccount(t)
		out, said, code := a.run(hookFile, "", "doctor", "--fix")
		if code != 4 || !strings.HasPrefix(said, "worker: waiting up to 2m · subscription orders → https://hooks.example.com/audit: ") || !strings.Contains(out, "   D-08  ") {
			t.Errorf("exit code %d\n%s%s", code, out, said)
		}
	})
}
