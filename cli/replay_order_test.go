package cli

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stationmaster/worker/localaws"
	"github.com/stationmaster/worker/queue"
)

const laneFile = `
[admin]
addr = "off"
[queues.lanes]
job = "ship"
fifo = true
wait_time = "1s"
`

// lanes makes a FIFO queue whose dead-letter queue holds n messages of three groups, in turn.
func (s *story) lanes(t *testing.T, n int) {
	t.Helper()
	s.write("config.toml", laneFile)
	if _, errs, code := s.calls("topology", "apply"); code != ExitDone {
		t.Fatal(errs)
	}
	var ms []queue.Message
	for i := range n {
		ms = append(ms, queue.Message{Body: fmt.Sprintf(`{"n":%d}`, i), GroupID: fmt.Sprint("g", i%3), DeduplicationID: fmt.Sprint(i)})
	}
	s.sendAll("lanes-dlq.fifo", ms)
}

// A FIFO queue is replayed group by group in order, also what a scan could not see; what would overtake
// something that stays is refused.
func TestAFIFOQueueIsReplayedInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStory(t)
		s.lanes(t, 60)
		plan := s.replay(ExitDone, "lanes")
		t.Log("\n" + plan)
		has(t, plan, "lanes-dlq.fifo  →  lanes.fifo", "FIFO · 60 messages · 3 groups")
		last := s.ids("lanes")
		has(t, s.replay(ExitDone, "lanes", "--id", last[len(last)-1]), "behind a message of their group that stays (--break-order)")

		said := s.replay(ExitDone, "lanes", "--go", "--yes", "--settle", "0s", "--canary", "0", "--rate", "max")
		t.Log("\n" + said)
		has(t, said, "60 replayed")
		next := map[string]int{"g0": 0, "g1": 1, "g2": 2}
		got := s.drained("lanes.fifo")
		for _, d := range got {
			if want := fmt.Sprintf(`{"n":%d}`, next[d.GroupID]); d.Body != want {
				t.Fatalf("%s: got %s, want %s", d.GroupID, d.Body, want)
			}
			next[d.GroupID] += 3
		}
		if len(got) != 60 {
			t.Errorf("%d arrived", len(got))
		}
		s.lies("lanes-dlq.fifo", 0)
	})
}

// runOf finds the id of a run in what was said.
func runOf(t *testing.T, said string) string {
	t.Helper()
	id := regexp.MustCompile(`r-[0-9a-z]{8}`).FindString(said)
	if id == "" {
		t.Fatalf("no run in\n%s", said)
	}
	return id
}

func TestAnInterruptedRunIsResumedWithItsOptions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStory(t)
		s.send("orders-dlq", numberedOrders(200)...)
		sends := 0
		stop := s.server.Control("SendMessageBatch", func(r *localaws.Request) *localaws.Fault {
			if strings.Contains(string(r.Body), `"Entries":[]`) {
				return nil
			}
			if sends++; sends == 5 {
				s.signals <- os.Interrupt
			}
			return nil
		})
		said := s.replay(exitSignal, "orders", "--to", "charges", "--go", "--yes", "--settle", "0s", "--canary", "0", "--concurrency", "1")
		stop()
		t.Log("\n" + said)
		has(t, said, "Interrupted: ", " released. Resume: worker replay-dlq resume r-")
		id := runOf(t, said)
		there := int(s.counts("charges").Visible)
		if there < 40 || there > 100 {
			t.Errorf("%d were sent", there)
		}
		s.lies("orders-dlq", 200-there)
		has(t, s.replay(ExitDone, "history"), id, "interrupted (resumable)")
		has(t, s.replay(ExitUsage, "charges", "resume", id), "a run knows its queue")

		has(t, s.replay(ExitDone, "resume", id), "200 replayed")
		s.lies("charges", 200)
		s.lies("orders-dlq", 0)
		has(t, s.replay(ExitDone, "resume", id), id+" has nothing left to do: all 200 are done.")
		has(t, s.replay(ExitDone, "history"), "completed")
	})
}

func TestAnInterruptedDiscardIsResumedIntoTheSameFile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStory(t)
		s.send("orders-dlq", numberedOrders(200)...)
		deletes := 0
		stop := s.server.Control("DeleteMessageBatch", func(*localaws.Request) *localaws.Fault {
			if deletes++; deletes == 3 {
				s.signals <- os.Interrupt
			}
			return nil
		})
		said := s.replay(exitSignal, "orders", "discard", "--yes", "--concurrency", "1")
		stop()
		t.Log("\n" + said)
		has(t, s.replay(ExitDone, "resume", runOf(t, said)), "200 discarded", "discarded-orders-dlq-")
		s.lies("orders-dlq", 0)
	})
}
