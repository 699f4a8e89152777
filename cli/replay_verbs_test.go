package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stationmaster/worker/internal/awsapi"
	"github.com/stationmaster/worker/localaws"
	"github.com/stationmaster/worker/queue"
)

// drained receives and deletes everything of a queue.
func (s *story) drained(name string) []queue.Delivery {
	s.t.Helper()
	q := s.api.Queue(s.url(name), awsapi.QueueOptions{})
	var all []queue.Delivery
	for {
		ds, err := q.Receive(s.t.Context(), queue.MaxBatch, time.Second)
		if err != nil {
			s.t.Fatal(err)
		}
		if len(ds) == 0 {
			return all
		}
		handles := make([]queue.ReceiptHandle, len(ds))
		for i := range ds {
			handles[i] = ds[i].Handle
		}
		if errs := q.Delete(s.t.Context(), handles); errors.Join(errs...) != nil {
			s.t.Fatal(errors.Join(errs...))
		}
		all = append(all, ds...)
	}
}

// ids are the MessageIds of a dead-letter queue, as a plan has them.
func (s *story) ids(name string) []string {
	s.t.Helper()
	out, errs, code := s.calls("replay-dlq", name, "--json", "--max-deaths", "0", "--check=false", "--to", name)
	var plan struct{ Selected []string }
	if err := json.Unmarshal([]byte(out), &plan); err != nil || code != ExitDone {
		s.t.Fatalf("exit code %d, %v\n%s%s", code, err, out, errs)
	}
	return plan.Selected
}

func TestShowTellsOneLetterAndChangesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStory(t)
		s.broken.Store(true)
		s.sendAll("orders", []queue.Message{{Body: `{"n":1}`, Attributes: map[string]queue.Attribute{
			"color": {Type: "String.name", Text: "red\u0085[2J"}, "raw": {Type: "Binary", Binary: []byte{1, 2}},
		}}})
		stop := s.work()
		tick(t, time.Minute)
		stop()
		id := s.ids("orders")[0]
		said := s.replay(ExitDone, "orders", "show", id)
		t.Log("\n" + said)
		has(t, said, id+"  in orders-dlq\n", "  why      smtp: 535 authentication failed\n", "  job      ship\n", "  from     orders\n", "  deaths   1\n",
			"  attr     color (String.name) red�[2J\n", "  attr     raw (Binary) AQI=\n", "\n{\"n\":1}\n", "  logs     filter message_id = ")
		if strings.ContainsRune(said, '\u0085') {
			t.Error("it moves the cursor")
		}
		s.lies("orders-dlq", 1)
		has(t, s.replay(exitNothing, "orders", "show", "none"), "none is not among the 1 message of orders-dlq")
	})
}

func TestRunHandlesOneLetterHere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStory(t)
		s.die("orders", numberedOrders(2)...)
		ids := s.ids("orders")
		s.broken.Store(true)
		has(t, s.replay(exitLeft, "orders", "run", ids[0], "--yes"), "job ship failed: smtp: 535 authentication failed. The dead letter is released unchanged.")
		s.lies("orders-dlq", 2)
		s.broken.Store(false)
		s.stdin = "y\n"
		has(t, s.replay(ExitDone, "orders", "run", ids[0]), "Run job ship here on "+ids[0], "job ship succeeded: the dead letter is deleted from orders-dlq.")
		s.lies("orders-dlq", 1)
		has(t, s.replay(ExitDone, "orders", "run", ids[1], "--to", "job:charge", "--yes"), "job charge succeeded")
		s.lies("orders-dlq", 0)
		if n := s.shipped.Load(); n != 2 {
			t.Errorf("%d handled", n)
		}
	})
}

func TestLettersCanGoToAnotherQueueOrToAJobHere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStory(t)
		s.send("orders-dlq", numberedOrders(3)...)
		has(t, s.replay(ExitDone, "orders", "--to", "charges", "--limit", "1", "--go", "--yes", "--settle", "0s"), "1 replayed")
		s.lies("charges", 1)
		has(t, s.replay(ExitDone, "orders", "--to", "job:ship", "--go", "--yes", "--settle", "0s"), "Would replay 2 to job ship", "2 replayed")
		s.lies("orders-dlq", 0)
		if n := s.shipped.Load(); n != 2 {
			t.Errorf("%d handled", n)
		}
	})
}

func TestExportDiscardAndImportLoseNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStory(t)
		s.die("orders", numberedOrders(12)...)
		file := filepath.Join(s.dir, "orders.jsonl")
		has(t, s.replay(ExitDone, "orders", "export", file), "12 exported to "+file+". They are still in orders-dlq")
		s.lies("orders-dlq", 12)

		moved := filepath.Join(s.dir, "moved.jsonl.zst")
		has(t, s.replay(ExitDone, "orders", "export", moved, "--delete", "--yes", "--limit", "5"), "5 exported", "7 in orders-dlq", "~/moved.jsonl.zst")
		s.lies("orders-dlq", 7)
		discarded := s.replay(ExitDone, "orders", "discard", "--yes")
		has(t, discarded, "7 discarded · 0 failed", "~/.local/state/worker/replay/discarded-orders-dlq-")
		s.lies("orders-dlq", 0)

		has(t, s.replay(exitRefused, "charges", "import", moved, "--yes"), "it was exported from arn:aws:sqs:us-east-1:000000000000:orders-dlq")
		has(t, s.replay(ExitDone, "orders", "import", moved, "--yes"), "5 imported")
		s.lies("orders-dlq", 5)
		has(t, s.replay(ExitDone, "orders"), "5 recorded, all first", "smtp: 535 authentication failed")
		all, err := filepath.Glob(filepath.Join(s.store().Dir, "discarded-*.zst"))
		if err != nil || len(all) != 1 {
			t.Fatalf("%v, %v", all, err)
		}
		has(t, s.replay(ExitDone, "orders", "import", all[0], "--to", "origin", "--yes", "--settle", "0s"), "7 imported")
		s.lies("orders", 7)

		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		s.write("cut.jsonl", string(text[:len(text)/2]))
		has(t, s.replay(exitRefused, "orders", "import", filepath.Join(s.dir, "cut.jsonl"), "--yes"), "cut.jsonl")
		s.lies("orders-dlq", 5)
		has(t, s.replay(ExitDone, "orders", "export", filepath.Join(s.dir, "again.jsonl")), "5 exported")
		has(t, s.replay(ExitFailed, "orders", "export", filepath.Join(s.dir, "again.jsonl")), "again.jsonl")
	})
}

const mailingFile = `
[topics.events]
[queues.wrapped]
job = "ship"
[queues.bare]
job = "ship"
[[subscriptions]]
topic = "events"
protocol = "sqs"
endpoint = "wrapped"
[[subscriptions]]
topic = "events"
protocol = "sqs"
endpoint = "bare"
raw = true
`

// What SNS could not deliver goes to the subscribed queue in the shape that it expects: also what was
// enveloped before raw delivery was switched on.
func TestUndeliveredMessagesGoToTheirQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStory(t)
		s.write("config.toml", mailingFile)
		if _, errs, code := s.calls("topology", "apply"); code != ExitDone {
			t.Fatal(errs)
		}
		policies := map[string]string{}
		for _, name := range []string{"wrapped", "bare"} {
			all, err := s.api.QueueAttributes(t.Context(), s.url(name))
			if err != nil {
				t.Fatal(err)
			}
			policies[name] = all["Policy"]
			s.attribute(name, "Policy", "")
		}
		if _, errs, code := s.calls("publish", "events", `{"n":1}`, "--attr", "plan=gold"); code != ExitDone {
			t.Fatal(errs)
		}
		tick(t, time.Minute)
		for name, policy := range policies {
			s.attribute(name, "Policy", policy)
		}
		wrapped := s.drained("events-wrapped-delivery-dlq")
		if len(wrapped) != 1 {
			t.Fatalf("%d undelivered", len(wrapped))
		}
		envelope := wrapped[0].Message
		s.sendAll("events-wrapped-delivery-dlq", []queue.Message{envelope})
		s.sendAll("events-bare-delivery-dlq", []queue.Message{envelope})

		said := s.replay(ExitDone, "events-bare-delivery-dlq", "--go", "--yes", "--settle", "0s")
		t.Log("\n" + said)
		has(t, said, "events-bare-delivery-dlq  →  bare", "2  ship  SNS could not deliver it", "2 replayed")
		for _, d := range s.drained("bare") {
			if d.Body != `{"n":1}` || d.Attributes["plan"].Text != "gold" {
				t.Errorf("bare got %q %v", d.Body, d.Attributes)
			}
		}
		has(t, s.replay(ExitDone, "events-wrapped-delivery-dlq", "--go", "--yes", "--settle", "0s"), "1 replayed")
		got := s.drained("wrapped")
		if len(got) != 1 || got[0].Body != envelope.Body {
			t.Errorf("wrapped got %v", got)
		}
	})
}

const servedFile = `
[ingress]
addr = "127.0.0.1:0"
public_url = "https://hooks.example.com"
[topics.events]
[queues.other]
job = "ship"
[[subscriptions]]
topic = "events"
protocol = "https"
endpoint = "/events"
job = "ship"
dlq = "events-hook-dlq"
`

// What SNS could not deliver by HTTP runs through its job in this process, or goes to a queue.
func TestUndeliveredRequestsRunThroughTheirJobHere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStory(t)
		s.write("config.toml", servedFile)
		s.create("events-hook-dlq", nil)
		envelope := `{"Type":"Notification","MessageId":"m1","TopicArn":"arn:aws:sns:us-east-1:000000000000:events","Message":"{\"n\":1}","Timestamp":"2026-11-25T00:00:00.000Z"}`
		s.send("events-hook-dlq", envelope, envelope)
		s.broken.Store(true)
		said := s.replay(exitLeft, "events-hook-dlq", "--go", "--yes")
		has(t, said, "events-hook-dlq  →  https://hooks.example.com/events", "2  ship  SNS could not deliver it", "Would replay 2 to job ship", "0 replayed · 2 failed", "smtp: 535")
		s.lies("events-hook-dlq", 2)
		s.broken.Store(false)
		has(t, s.replay(ExitDone, "events-hook-dlq", "--go", "--yes", "--limit", "1"), "1 replayed")
		if n := s.shipped.Load(); n != 1 {
			t.Errorf("%d handled", n)
		}
		has(t, s.replay(ExitDone, "events-hook-dlq", "--to", "orders", "--go", "--yes", "--settle", "0s"), "1 replayed")
		s.lies("orders", 1)
	})
}

// Foreign messages have no record: Lambda's and EventBridge's attributes tell why they died, and they go
// where they are told to.
func TestForeignLettersAreExplainedAndGoWhereTheyAreTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStory(t)
		s.create("theirs", nil)
		s.create("target", nil)
		text := func(v string) queue.Attribute { return queue.Attribute{Type: "String", Text: v} }
		foreign := queue.Message{Body: `{"detail":1}`, Attributes: map[string]queue.Attribute{
			"ERROR_CODE": text("NO_PERMISSIONS"), "ERROR_MESSAGE": text("not authorized"), "RULE_ARN": text("arn:aws:events:us-east-1:000000000000:rule/nightly"),
		}}
		s.sendAll("theirs", []queue.Message{foreign, {Body: "plain text"}})
		s.replay(exitRefused, "theirs")
		said := s.replay(ExitDone, "theirs", "--foreign")
		t.Log("\n" + said)
		has(t, said, "NO_PERMISSIONS", "no record: sent by somebody else", "nobody knows where to (--to QUEUE)", "Would replay nothing")
		has(t, s.replay(ExitDone, "theirs", "--foreign", "--to", "target", "--go", "--yes", "--settle", "0s"), "2 replayed")
		got := s.drained("target")
		for _, d := range got {
			if d.Body == foreign.Body {
				if diff := cmp.Diff(foreign.Attributes, d.Attributes); diff != "" {
					t.Error(diff)
				}
			}
		}
		if len(got) != 2 {
			t.Errorf("%d arrived", len(got))
		}
	})
}

// What SQS itself moved goes back to the queue that it was moved from, of several that share one.
func TestASharedDeadLetterQueueIsSplitToItsSources(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStory(t)
		arn := s.create("shared-dlq", nil)
		for _, name := range []string{"left", "right"} {
			s.create(name, map[string]string{"RedrivePolicy": fmt.Sprintf(`{"deadLetterTargetArn":%q,"maxReceiveCount":1}`, arn), "VisibilityTimeout": "1"})
			s.send(name, name)
			q := s.api.Queue(s.url(name), awsapi.QueueOptions{})
			for range 3 { // the second receive moves it
				if _, err := q.Receive(t.Context(), 1, time.Second); err != nil {
					t.Fatal(err)
				}
				tick(t, 2*time.Second)
			}
		}
		s.send("shared-dlq", "of nobody")
		said := s.replay(exitLeft, "shared-dlq", "--go", "--yes", "--settle", "0s")
		t.Log("\n" + said)
		has(t, said, "shared-dlq  →  left and right", "2 replayed", "it does not say from which of left, right", "Would replay 2 to left (1) and right (1)")
		for _, name := range []string{"left", "right"} {
			if got := s.drained(name); len(got) != 1 || got[0].Body != name {
				t.Errorf("%s got %v", name, got)
			}
		}
		s.lies("shared-dlq", 1)
	})
}

func TestWithoutAQueueTheDeadLetterQueuesAreCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStory(t)
		s.send("orders-dlq", numberedOrders(3)...)
		touched := s.touched()
		said := s.replay(ExitDone)
		if !regexp.MustCompile(`(?m)^orders-dlq +orders +3 +0$`).MatchString(said) {
			t.Errorf("said\n%s", said)
		}
		has(t, said, "Next:  worker replay-dlq orders-dlq")
		if n := touched.Load(); n > 0 {
			t.Errorf("%d requests touched something", n)
		}
		has(t, s.replay(ExitDone, "--aws-addr", "127.0.0.1:9"), "Next:  worker replay-dlq orders-dlq --config ", " --aws-addr 127.0.0.1:9\n")
		has(t, s.replay(ExitUsage, "--go"), "QUEUE is missing")
		has(t, s.replay(ExitUsage, "--group", "a3f9c1"), "QUEUE is missing", "worker replay-dlq QUEUE --group a3f9c1")
		has(t, s.replay(ExitDone, "history"), "no runs in ~/.local/state/worker/replay")
	})
}

// What somebody else holds is not gone: a queue is not called empty because of it.
func TestAQueueWhoseMessagesAreHiddenIsNotEmpty(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStory(t)
		s.send("orders-dlq", numberedOrders(3)...)
		q := s.api.Queue(s.url("orders-dlq"), awsapi.QueueOptions{})
		for n := 0; n < 3; {
			ds, err := q.Receive(t.Context(), queue.MaxBatch, time.Second)
			if err != nil {
				t.Fatal(err)
			}
			n += len(ds)
		}
		said := s.replay(exitNothing, "orders")
		has(t, said, "3 more were in the hands of somebody else", "orders-dlq shows no message: nothing to replay before those come back")
		if strings.Contains(said, "empty") {
			t.Errorf("said\n%s", said)
		}
		has(t, s.replay(exitNothing, "orders", "show", "m1"), "m1 is not among the 0 messages of orders-dlq that can be seen: 3 are in the hands of somebody else")
		has(t, s.replay(exitNothing, "orders", "export", filepath.Join(t.TempDir(), "x.jsonl")), "0 messages of orders-dlq looked at. 3 more were in the hands of somebody else.")
	})
}

func TestSQSItselfMovesEverythingWhenItIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStory(t)
		s.send("orders-dlq", numberedOrders(30)...)
		has(t, s.replay(ExitDone, "orders", "--native", "always"), "Would let SQS itself move them all, 50/s", "can be neither resumed nor audited", "Nothing sent.")
		s.lies("orders-dlq", 30)
		has(t, s.replay(exitLeft, "orders", "--native", "always", "--go"), "Nothing was done.")
		said := s.replay(ExitDone, "orders", "--native", "always", "--go", "--yes")
		t.Log("\n" + said)
		has(t, said, "30 replayed", "0 in orders-dlq")
		s.lies("orders", 30)
	})
}

func TestARedriveOfSQSsOwnIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStory(t)
		s.send("orders-dlq", numberedOrders(30)...)
		account := "arn:aws:sqs:us-east-1:000000000000:"
		if _, err := s.api.StartMoveTask(t.Context(), account+"orders-dlq", account+"orders", 1); err != nil {
			t.Fatal(err)
		}
		has(t, s.replay(exitRefused, "orders"), "SQS's own redrive of orders-dlq to orders is running: ")
	})
}

// What the destination refuses stays in the dead-letter queue, all of it, and is released.
func TestARefusedSendLeavesEverything(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStory(t)
		s.send("orders-dlq", numberedOrders(30)...)
		refusing := s.server.Control("SendMessageBatch", func(r *localaws.Request) *localaws.Fault {
			if strings.Contains(string(r.Body), `"Entries":[]`) {
				return nil
			}
			return &localaws.Fault{Status: 400, Code: "AWS.SimpleQueueService.NonExistentQueue", Message: "gone"}
		})
		said := s.replay(exitLeft, "orders", "--go", "--yes", "--settle", "0s", "--canary", "0")
		has(t, said, "gone")
		refusing()
		s.lies("orders-dlq", 30)
		s.lies("orders", 0)
	})
}
