package cli

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stationmaster/worker/dlqreplay"
	"github.com/stationmaster/worker/localaws"
	"github.com/stationmaster/worker/queue"
)

// exported makes an export of letters that say they come from a queue.
func (s *story) exported(sourceARN string, n int) (path string) {
	s.t.Helper()
	path = filepath.Join(s.dir, fmt.Sprintf("export-%d.jsonl", time.Now().UnixNano()))
	var ls []*dlqreplay.Letter
	for i := range n {
		ls = append(ls, &dlqreplay.Letter{MessageID: fmt.Sprint("m-", i), Kind: dlqreplay.Moved, SourceARN: sourceARN, Sent: time.Now()})
	}
	h := dlqreplay.Header{Action: dlqreplay.ActionExport, DLQ: "orders-dlq", DLQARN: arnOf("orders-dlq")}
	body := func(l *dlqreplay.Letter) (queue.Message, error) {
		return queue.Message{Body: fmt.Sprintf(`{"n":%s}`, strings.TrimPrefix(l.MessageID, "m-"))}, nil
	}
	if err := dlqreplay.WriteFile(s.t.Context(), path, h, ls, body, nil); err != nil {
		s.t.Fatal(err)
	}
	return path
}

func arnOf(name string) string { return "arn:aws:sqs:us-east-1:000000000000:" + name }

// interruptAt sends the first signal with the nth request of an action.
func (s *story) interruptAt(action string, nth int) (stop func()) {
	n := 0
	return s.server.Control(action, func(r *localaws.Request) *localaws.Fault {
		if len(r.Entries) == 0 {
			return nil
		}
		if n++; n == nth {
			s.signals <- os.Interrupt
		}
		return nil
	})
}

// Where a letter came from is what SQS says, not what a file says: whoever writes the file would choose the
// queue that gets the messages.
func TestAFileDoesNotChooseWhereItsLettersGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStory(t)
		said := s.replay(exitLeft, "orders", "import", s.exported(arnOf("charges"), 3), "--to", "origin", "--yes", "--settle", "0s")
		has(t, said, "skipped")
		s.lies("charges", 0)
		s.lies("orders", 0)
		tick(t, time.Second) // exports are named by the time
		s.replay(ExitDone, "orders", "import", s.exported(arnOf("orders"), 3), "--to", "origin", "--yes", "--settle", "0s")
		s.lies("orders", 3)
	})
}

func TestAnImportGoesOnToWhereItWent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStory(t)
		file := s.exported(arnOf("orders"), 100)
		stop := s.interruptAt("SendMessageBatch", 3)
		said := s.replay(exitSignal, "orders", "import", file, "--to", "origin", "--yes", "--settle", "0s", "--canary", "0", "--concurrency", "1")
		stop()
		s.replay(ExitDone, "resume", runOf(t, said))
		s.lies("orders", 100)
		s.lies("orders-dlq", 0)
	})
}

// A run that goes on receiving goes on with that, too.
func TestAnInterruptedFIFORunIsResumedToItsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStory(t)
		s.lanes(t, 90)
		tick(t, time.Second) // what dies from the start of the run on is not of it
		stop := s.interruptAt("SendMessageBatch", 4)
		said := s.replay(exitSignal, "lanes", "--go", "--yes", "--settle", "0s", "--canary", "0", "--rate", "max")
		stop()
		said = s.replay(ExitDone, "resume", runOf(t, said))
		has(t, said, "90 replayed")
		s.lies("lanes-dlq.fifo", 0)
	})
}

// What was refused is still there: a resume that has nothing to do does not say that all is well.
func TestAResumeOfARunThatFailedIsNoSuccess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStory(t)
		s.send("orders-dlq", numberedOrders(2)...)
		s.broken.Store(true)
		said := s.replay(exitLeft, "orders", "--to", "job:ship", "--go", "--yes")
		has(t, s.replay(exitLeft, "resume", runOf(t, said)), "2 failed")
	})
}

// A file whose name is taken at the end keeps its letters, says so, and gets its name from a resume.
func TestAnExportThatCannotGetItsNameIsResumed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStory(t)
		s.send("orders-dlq", numberedOrders(5)...)
		file := filepath.Join(s.dir, "out.jsonl")
		stop := s.server.Control("DeleteMessageBatch", func(r *localaws.Request) *localaws.Fault {
			if len(r.Entries) > 0 {
				s.write("out.jsonl", "mine")
			}
			return nil
		})
		said := s.replay(ExitFailed, "orders", "export", file, "--delete", "--yes")
		stop()
		has(t, said, "already exists", "out.jsonl.part")
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
		s.replay(ExitDone, "resume", runOf(t, said))
		s.replay(ExitDone, "orders", "import", file, "--yes")
		s.lies("orders-dlq", 5)
	})
}

// Letters whose file is gone are not deleted for having been in it.
func TestNothingIsDeletedWhoseExportIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStory(t)
		s.send("orders-dlq", numberedOrders(5)...)
		file := filepath.Join(s.dir, "out.jsonl")
		stop := s.server.Control("DeleteMessageBatch", func(r *localaws.Request) *localaws.Fault {
			if len(r.Entries) == 0 {
				return nil
			}
			return &localaws.Fault{Status: 503}
		})
		said := s.replay(exitLeft, "orders", "export", file, "--delete", "--yes")
		stop()
		if err := os.Remove(file + ".part"); err != nil {
			t.Fatal(err)
		}
		has(t, s.replay(exitRefused, "resume", runOf(t, said)), "nothing is deleted")
		tick(t, 20*time.Minute)
		s.lies("orders-dlq", 5)
	})
}

// --expect is of what is sent, not of what was planned before a job was agreed to.
func TestExpectCountsWhatWasAgreedTo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStory(t)
		s.die("orders", numberedOrders(2)...)
		s.die("charges", numberedOrders(3)...)
		s.stdin = "yes\ny\n"
		s.replay(exitRefused, "charges", "--go", "--expect", "0")
		s.lies("charges", 0)
		s.lies("charges-dlq", 3)
	})
}

func TestAFilesTextDoesNotReachTheTerminal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStory(t)
		path := filepath.Join(s.dir, "evil.jsonl")
		h := dlqreplay.Header{DLQ: "x", DLQARN: "arn\x1b]0;owned\x07\u009b31m"}
		if err := dlqreplay.WriteFile(t.Context(), path, h, nil, nil, nil); err != nil {
			t.Fatal(err)
		}
		said := s.replay(exitRefused, "orders", "import", path, "--yes")
		if strings.ContainsAny(said, "\x1b\x07\u009b") {
			t.Errorf("%q", said)
		}
	})
}

// What cannot be given back is hidden, whatever it was that held it.
func TestWhatStaysHiddenIsSaid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStory(t)
		s.send("orders-dlq", numberedOrders(3)...)
		for _, args := range [][]string{
			{"orders", "show", s.ids("orders")[0]},
			{"orders", "export", filepath.Join(s.dir, "copy.jsonl")},
			{"orders", "--go"}, // nobody answers
			{"orders", "--go", "--yes", "--expect", "9"},
		} {
			stop := s.server.Control("ChangeMessageVisibilityBatch", func(r *localaws.Request) *localaws.Fault {
				if len(r.Entries) == 0 {
					return nil
				}
				return &localaws.Fault{Status: 400, Code: "InternalFailure"}
			})
			out, errs, _ := s.calls(append([]string{"replay-dlq"}, args...)...)
			stop()
			if !strings.Contains(out+errs, "could not be released") {
				t.Errorf("%v: said\n%s%s", args, out, errs)
			}
			tick(t, 20*time.Minute)
		}
	})
}

// SQS's own redrive asks no job.
func TestSQSDoesNotMoveWhatWantsToBeAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStory(t)
		s.die("charges", numberedOrders(2)...)
		out, errs, code := s.calls("replay-dlq", "charges", "--native", "always", "--go", "--yes", "--canary", "0", "--settle", "0s", "--check=false", "--max-deaths", "0")
		if code != ExitUsage {
			t.Errorf("exit code %d\n%s%s", code, out, errs)
		}
		s.lies("charges-dlq", 2)
	})
}

// A run of a job here that was killed goes on here.
func TestARunHereIsResumedHere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStory(t)
		s.die("orders", numberedOrders(1)...)
		s.replay(ExitDone, "orders", "run", s.ids("orders")[0], "--yes")
		all, err := s.store().History()
		if err != nil || len(all) != 1 {
			t.Fatal(errors.Join(err, fmt.Errorf("%d runs", len(all))))
		}
		if to := all[0].Header.To; to != "job:ship" {
			t.Errorf("to %q", to)
		}
	})
}
