package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stationmaster/worker/dlqreplay"
	"github.com/stationmaster/worker/localaws"
)

// denyEach answers AccessDenied to these actions.
func (s *story) deny(actions ...string) (stop func()) {
	var stops []func()
	for _, action := range actions {
		stops = append(stops, s.server.Control(action, func(*localaws.Request) *localaws.Fault {
			return &localaws.Fault{Status: 403, Code: "AccessDenied", Message: "not allowed to " + action}
		}))
	}
	return func() {
		for _, stop := range stops {
			stop()
		}
	}
}

// touched counts the requests that change anything.
func (s *story) touched() *atomic.Int32 {
	var n atomic.Int32
	for _, action := range []string{"ReceiveMessage", "SendMessageBatch", "DeleteMessageBatch", "StartMessageMoveTask"} {
		s.server.Control(action, func(r *localaws.Request) *localaws.Fault {
			if action != "SendMessageBatch" || !strings.Contains(string(r.Body), `"Entries":[]`) {
				n.Add(1)
			}
			return nil
		})
	}
	return &n
}

func (s *story) attribute(name, key, value string) {
	s.t.Helper()
	if err := s.api.SetQueueAttributes(s.t.Context(), s.url(name), map[string]string{key: value}); err != nil {
		s.t.Fatal(err)
	}
}

func (s *story) create(name string, attributes map[string]string) string {
	s.t.Helper()
	url, err := s.api.CreateQueue(s.t.Context(), name, attributes, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	all, err := s.api.QueueAttributes(s.t.Context(), url)
	if err != nil {
		s.t.Fatal(err)
	}
	return all["QueueArn"]
}

func TestWhatCannotGoWellIsRefusedBeforeAnythingIsTouched(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStory(t)
		s.send("orders-dlq", numberedOrders(3)...)
		s.create("plain", nil)
		next := s.create("next", nil)
		s.create("middle", map[string]string{"RedrivePolicy": fmt.Sprintf(`{"deadLetterTargetArn":%q,"maxReceiveCount":3}`, next)})
		s.create("first", map[string]string{"RedrivePolicy": `{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:000000000000:middle","maxReceiveCount":3}`})
		s.create("lane.fifo", map[string]string{"FifoQueue": "true"})
		touched := s.touched()
		for _, row := range []struct {
			args string
			code int
			want string
		}{
			{"plain", exitRefused, "plain is no dead-letter queue: no redrive policy of a queue and no subscription names it, and it names none itself. If Lambda or EventBridge puts its dead letters there, say --foreign"},
			{"first", exitRefused, "middle has a redrive policy of its own: each look is one of the 3 receives after which a message moves on to next. Replay next, or remove the policy from middle first"},
			{"middle", exitRefused, "middle has a redrive policy of its own"},
			{"nowhere", exitRefused, "the queues of the configuration are charges, orders"},
			{"arn:aws:sqs:eu-west-1:000000000000:orders-dlq", exitRefused, "is in eu-west-1, and this is us-east-1: set AWS_REGION"},
			{"orders --to nowhere", exitRefused, "--to nowhere: find queue nowhere"},
			{"orders --to orders-dlq", exitRefused, "--to orders-dlq: that is the dead-letter queue itself"},
			{"orders --to lane.fifo", exitRefused, "orders-dlq is a standard queue and lane.fifo a FIFO one"},
			{"orders --to job:none", ExitUsage, `job "none" is not in this program: it has [charge ship]`},
			{"orders --where .body.[", ExitUsage, "--where"},
			{"orders --since yesterday-ish", ExitUsage, "--since yesterday-ish"},
			{"orders --deaths many --where .[", ExitUsage, "--deaths many"},
			{"orders --plan p-none", ExitUsage, `no plan "p-none"`},
			{"orders --plan p-none --id m1", ExitUsage, "--plan and --id: give one of them"},
			{"resume r-none", ExitUsage, `no journal "r-none"`},
			{"orders --go --json", ExitUsage, "--json cannot ask: say --yes as well"},
			{"orders --native always --job ship", ExitUsage, "--native always: SQS moves everything or nothing, and knows nothing of selections"},
			{"orders import no-such-file.jsonl", exitRefused, "no-such-file.jsonl"},
			{"orders --rate fast --settle -1s", ExitUsage, `--rate "fast"`},
		} {
			said := s.replay(row.code, strings.Fields(row.args)...)
			has(t, said, row.want)
			if strings.Count(said, "panic") > 0 {
				t.Error(said)
			}
		}
		if n := touched.Load(); n != 0 {
			t.Errorf("%d requests touched something", n)
		}
		s.lies("orders-dlq", 3)
	})
}

func TestMissingPermissionsAreNamedAllAtOnceBeforeAnythingIsTouched(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStory(t)
		s.send("orders-dlq", numberedOrders(3)...)
		touched := s.touched()
		stop := s.deny("SendMessage", "SendMessageBatch", "DeleteMessage", "DeleteMessageBatch", "ChangeMessageVisibility", "ChangeMessageVisibilityBatch")
		said := s.replay(exitRefused, "orders", "--go", "--yes")
		has(t, said, "sqs:SendMessage on orders: access denied", "sqs:DeleteMessage on orders-dlq: access denied",
			"sqs:ChangeMessageVisibility on orders-dlq: access denied", "--print-iam")
		stop()
		stop = s.deny("GetQueueAttributes")
		has(t, s.replay(exitRefused, "orders"), "access denied", "--print-iam")
		policy := s.replay(ExitDone, "orders", "--print-iam")
		has(t, policy, "arn:aws:sqs:us-east-1:000000000000:orders-dlq", "arn:aws:sqs:us-east-1:000000000000:orders\"", "sqs:ReceiveMessage")
		stop()
		if n := touched.Load(); n > 0 {
			t.Errorf("%d requests touched something", n)
		}
		stop = s.deny("ReceiveMessage")
		has(t, s.replay(exitRefused, "orders"), "access denied", "--print-iam")
		stop()
		stop = s.deny("ListDeadLetterSourceQueues", "ListMessageMoveTasks", "ListSubscriptions")
		has(t, s.replay(ExitDone, "orders"), "sqs:ListDeadLetterSourceQueues is denied: only the queues of the configuration are known", "Would replay 3 to orders")
		stop()
		s.lies("orders-dlq", 3)
	})
}

// allows reads a policy as action and queue.
func allows(t *testing.T, text string) map[string]bool {
	t.Helper()
	var policy struct {
		Statement []struct{ Action, Resource stringOrList }
	}
	if err := json.Unmarshal([]byte(text), &policy); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	all := map[string]bool{}
	for _, st := range policy.Statement {
		for _, action := range st.Action {
			for _, resource := range st.Resource {
				all[action+" "+resource[strings.LastIndexByte(resource, ':')+1:]] = true
			}
		}
	}
	return all
}

type stringOrList []string

func (l *stringOrList) UnmarshalJSON(text []byte) error {
	var one string
	if json.Unmarshal(text, &one) == nil {
		*l = stringOrList{one}
		return nil
	}
	return json.Unmarshal(text, (*[]string)(l))
}

// What --print-iam prints is enough for everything that replay-dlq does with a queue, and so is what the
// role of a replayer has.
func TestThePolicyIsWhatAReplayNeeds(t *testing.T) {
	for _, from := range [][]string{{"replay-dlq", "orders", "--print-iam"}, {"iam", "replayer"}} {
		synctest.Test(t, func(t *testing.T) {
			s := newStory(t)
			text, errs, code := s.calls(from...)
			if code != ExitDone {
				t.Fatal(errs)
			}
			allowed := allows(t, text)
			s.send("orders-dlq", numberedOrders(3)...)
			s.server.Control("", func(r *localaws.Request) *localaws.Fault {
				if r.Service != "sqs" || r.Action == "GetQueueUrl" || r.Action == "ListMessageMoveTasks" {
					return nil // they do not name a URL
				}
				action := "sqs:" + strings.TrimSuffix(r.Action, "Batch")
				if target := r.Target[strings.LastIndexAny(r.Target, ":/")+1:]; !allowed[action+" "+target] && !allowed[action+" *"] {
					t.Errorf("%v: %s on %s is not in the policy", from, action, target)
				}
				return nil
			})
			s.replay(ExitDone, "orders")
			s.replay(ExitDone, "orders", "--go", "--yes")
		})
	}
}

func TestASavedPlanIsOfItsMessagesAndNoOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStory(t)
		s.send("orders-dlq", numberedOrders(4)...)
		said := s.replay(ExitDone, "orders")
		id := said[strings.Index(said, "Plan p-")+5:]
		id = id[:strings.IndexByte(id, ' ')]
		s.send("orders-dlq", `{"n":99}`)

		has(t, s.replay(exitRefused, "charges", "--plan", id), "plan "+id+" is of arn:aws:sqs:us-east-1:000000000000:orders-dlq")
		done := s.replay(ExitDone, "orders", "--plan", id, "--go", "--yes", "--settle", "0s")
		has(t, done, "4 replayed · 0 failed")
		s.lies("orders-dlq", 1)
		s.lies("orders", 4)
		has(t, s.replay(exitNothing, "orders", "--plan", id, "--go", "--yes"), "plan "+id+": all 4 of its messages are gone from orders-dlq")
		s.lies("orders-dlq", 1)
	})
}

func TestExpectAndLimitBoundWhatIsSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStory(t)
		s.send("orders-dlq", numberedOrders(30)...)
		has(t, s.replay(exitRefused, "orders", "--go", "--yes", "--expect", "29"), "--expect 29: 30 are selected: nothing was sent")
		s.lies("orders", 0)
		has(t, s.replay(ExitDone, "orders", "--go", "--yes", "--limit", "7", "--expect", "7", "--settle", "0s"), "7 replayed", "23 in orders-dlq")
		s.lies("orders", 7)
		s.lies("orders-dlq", 23)
		has(t, s.replay(exitNothing, "orders", "--go", "--yes", "--class", "none"), "Nothing matches: 23 messages of orders-dlq looked at.")
		has(t, s.replay(exitNothing, "charges"), "charges-dlq is empty: nothing to replay.")
	})
}

func TestWhatARunThatWasKilledHasSentIsLeftToIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStory(t)
		s.die("orders", numberedOrders(4)...)
		ids := s.ids("orders")
		killed, err := s.store().Begin(dlqreplay.Header{Action: dlqreplay.ActionReplay, DLQARN: "arn:aws:sqs:us-east-1:000000000000:orders-dlq"})
		if err != nil {
			t.Fatal(err)
		}
		first := killed.ID()
		if err := errors.Join(killed.Select(ids), killed.Sending(ids[:3], "orders"), killed.Sent(ids[:2], []string{"a", "b"}, nil), killed.Close()); err != nil {
			t.Fatal(err)
		}
		said := s.replay(exitLeft, "orders", "--go", "--yes", "--canary", "0", "--settle", "0s")
		has(t, said, "3 ship sent by "+first+", which did not end: replay-dlq resume "+first)
		s.lies("orders", 1)
		s.lies("orders-dlq", 3)
	})
}

func TestAnAnswerThatIsNotYesSendsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStory(t)
		s.send("orders-dlq", numberedOrders(3)...)
		for stdin, want := range map[string]string{"n\n": "Nothing was done: 3 are released.", "": "nobody answers: without a terminal say --yes", "maybe\n": "Nothing was done"} {
			s.stdin = stdin
			has(t, s.replay(exitLeft, "orders", "--go"), want, `Replay 3 × ship "no record: sent by somebody else" from orders-dlq to orders.  [y/N] `)
			s.lies("orders-dlq", 3)
		}
		s.stdin = "y\n"
		has(t, s.replay(ExitDone, "orders", "--go", "--settle", "0s"), "3 replayed")
		s.lies("orders-dlq", 0)
	})
}

func TestAJobThatWantsToBeAskedIsNotReplayedByYesAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStory(t)
		s.die("charges", numberedOrders(3)...)
		has(t, s.replay(exitLeft, "charges", "--go", "--yes", "--settle", "0s"), "3 charge the job wants to be asked (--job charge)", "Would replay nothing")
		s.stdin = "y\ny\n"
		s.replay(exitLeft, "charges", "--go", "--settle", "0s")
		s.lies("charges-dlq", 3)
		s.stdin = "yes\ny\n"
		has(t, s.replay(ExitDone, "charges", "--go", "--settle", "0s", "--limit", "1"), "charge wants to be asked: replay 3 of it as well? Type yes: ", "1 replayed")
		has(t, s.replay(ExitDone, "charges", "--go", "--yes", "--job", "charge", "--settle", "0s"), "2 replayed")
		s.lies("charges-dlq", 0)
	})
}

func TestEveryLineOfJSONIsAnEventAndTheLastIsTheReport(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStory(t)
		s.send("orders-dlq", numberedOrders(3)...)
		var plan dlqreplay.Plan
		out, _, code := s.calls("replay-dlq", "orders", "--json")
		if err := json.Unmarshal([]byte(out), &plan); err != nil || code != ExitDone || len(plan.Selected) != 3 || plan.ID == "" {
			t.Errorf("plan: %v, exit code %d\n%s", err, code, out)
		}
		out, _, code = s.calls("replay-dlq", "orders", "--go", "--yes", "--json", "--settle", "1s")
		if code != ExitDone {
			t.Errorf("exit code %d", code)
		}
		lines := strings.Split(strings.TrimSpace(out), "\n")
		var last dlqreplay.Event
		kinds := map[string]bool{}
		for _, line := range lines {
			last = dlqreplay.Event{}
			if err := json.Unmarshal([]byte(line), &last); err != nil || last.Kind == "" || last.At.IsZero() {
				t.Errorf("%v: %s", err, line)
			}
			kinds[string(last.Kind)] = true
		}
		if last.Kind != dlqreplay.Ended || last.Report == nil || last.Report.Replayed != 3 {
			t.Errorf("the last line is %s", lines[len(lines)-1])
		}
		for _, kind := range []string{"plan", "scanned", "journal", "replaying"} {
			if !kinds[kind] {
				t.Errorf("no event %s in\n%s", kind, out)
			}
		}
	})
}

func TestStateIsKeptWhereItBelongs(t *testing.T) {
	for _, row := range []struct {
		environ []string
		want    string
	}{
		{[]string{"HOME=/home/ada"}, "/home/ada/.local/state/worker/replay"},
		{[]string{"HOME=/home/ada", "XDG_STATE_HOME=/var/lib/state"}, "/var/lib/state/worker/replay"},
		{[]string{"HOME=/home/ada", "XDG_STATE_HOME=relative"}, "/home/ada/.local/state/worker/replay"},
	} {
		if got, err := (&state{environ: row.environ}).stateDir(); err != nil || got != row.want {
			t.Errorf("%v: %s, %v", row.environ, got, err)
		}
	}
	if _, err := (&state{}).stateDir(); exitCode(err) != ExitUsage {
		t.Errorf("without a home: %v", err)
	}
}

func TestASignalDuringTheScanReleasesEverything(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStory(t)
		s.send("orders-dlq", numberedOrders(200)...)
		var n atomic.Int32
		s.server.Control("ReceiveMessage", func(*localaws.Request) *localaws.Fault {
			if n.Add(1) == 5 {
				s.signals <- os.Interrupt
			}
			return &localaws.Fault{Delay: 100 * time.Millisecond}
		})
		has(t, s.replay(exitSignal, "orders", "--go", "--yes"), "Interrupted: nothing was sent.")
		s.lies("orders-dlq", 200)
		s.lies("orders", 0)
		if files, err := filepath.Glob(filepath.Join(s.store().Dir, "r-*")); err != nil || len(files) > 0 {
			t.Errorf("journals %v, %v", files, err)
		}
	})
}
