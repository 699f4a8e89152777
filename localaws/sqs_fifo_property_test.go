package localaws_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"pgregory.net/rapid"
)

// fifoFate is where the model believes a message of a FIFO queue to be.
type fifoFate struct {
	id, group string
	place     string // "stored", "in flight", "deleted", "expired", "dead"
	sent, due time.Time
	receives  int
	handles   []string // of its receipts, the last one last
}

func (f *fifoFate) gone() bool {
	return f.place == "deleted" || f.place == "expired" || f.place == "dead"
}

// fifoModel is a FIFO queue with a dead-letter queue, as plainly as it can be written.
type fifoModel struct {
	k          *sqsKit
	t          *testing.T
	work, dead *string
	messages   []*fifoFate          // in the order of their sequence
	accepted   map[string]*fifoFate // the last one of each deduplication id
	fault      string
}

const fifoRetention = 2 * time.Minute

// aws-semantics §5.4, §1.6: whatever is done to a FIFO queue, each of its messages is in one place,
// groups keep their order and are blocked by what they have in flight, and nothing is stored twice
// within five minutes.
func TestFIFO_5_4_EveryHistoryKeepsTheOrder(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		steps := rapid.SliceOfN(rapid.Custom(drawFIFOStep), 60, 120).Draw(r, "steps")
		var fault string
		synctest.Test(t, func(t *testing.T) {
			m := newFIFOModel(t)
			for i, s := range steps {
				m.do(s)
				m.check()
				if m.fault != "" {
					fault = fmt.Sprintf("step %d, %+v: %s", i, s, m.fault)
					return
				}
			}
			m.checkDeadLetters()
			fault = m.fault
		})
		if fault != "" {
			r.Fatal(fault)
		}
	})
}

func newFIFOModel(t *testing.T) *fifoModel {
	k := newSQSKit()
	dead := k.fifo(t, "dead")
	work := k.fifo(t, "work", "VisibilityTimeout", strconv.Itoa(int(modelVisibility.Seconds())),
		"MessageRetentionPeriod", strconv.Itoa(int(fifoRetention.Seconds())),
		"RedrivePolicy", `{"deadLetterTargetArn":"`+sqsARN("dead.fifo")+`","maxReceiveCount":`+strconv.Itoa(modelReceives)+`}`)
	return &fifoModel{k: k, t: t, work: work, dead: dead, accepted: map[string]*fifoFate{}}
}

func drawFIFOStep(r *rapid.T) step {
	number := rapid.IntRange(0, 1000)
	switch rapid.IntRange(0, 9).Draw(r, "kind") {
	case 0, 1, 2:
		return step{"send", rapid.IntRange(1, 3).Draw(r, "group"), rapid.IntRange(0, 20).Draw(r, "dedup")}
	case 3, 4, 5:
		return step{"receive", rapid.IntRange(1, 10).Draw(r, "most"), 0}
	case 6:
		return step{"delete", number.Draw(r, "which"), number.Draw(r, "receipt")}
	case 7:
		return step{rapid.SampledFrom([]string{"release", "hide"}).Draw(r, "change"), number.Draw(r, "which"), number.Draw(r, "receipt")}
	default:
		return step{"wait", rapid.SampledFrom([]int{1, 2, 3, 5, 8, 10, 11, 15, 60, 300}).Draw(r, "seconds"), 0}
	}
}

func (m *fifoModel) do(s step) {
	switch s.What {
	case "send":
		m.send("g"+strconv.Itoa(s.A), "d"+strconv.Itoa(s.B))
	case "receive":
		m.receive(s.A)
	case "delete":
		m.remove(s.A, s.B)
	case "release":
		m.hide(s.A, s.B, 0)
	case "hide":
		m.hide(s.A, s.B, 1+s.B%30)
	case "wait":
		wait(m.t, time.Duration(s.A)*time.Second)
		m.pass()
	}
}

func (m *fifoModel) faultf(format string, args ...any) {
	if m.fault == "" {
		m.fault = fmt.Sprintf(format, args...)
	}
}

func (m *fifoModel) send(group, dedup string) {
	out, err := m.k.SendMessage(m.t.Context(), &sqs.SendMessageInput{QueueUrl: m.work, MessageBody: &dedup, MessageGroupId: &group, MessageDeduplicationId: &dedup})
	if err != nil {
		m.t.Fatal(err)
	}
	if first := m.accepted[dedup]; first != nil && time.Since(first.sent) < 5*time.Minute {
		if *out.MessageId != first.id {
			m.faultf("%s was stored twice", dedup)
		}
		return
	}
	f := &fifoFate{id: *out.MessageId, group: group, place: "stored", sent: time.Now()}
	m.messages = append(m.messages, f)
	m.accepted[dedup] = f
}

// run is what a group can give: its first messages, up to the first that is in flight.
func (m *fifoModel) run(group string) (run []*fifoFate) {
	for _, f := range m.messages {
		switch {
		case f.group != group || f.gone():
		case f.place == "in flight":
			return run
		default:
			run = append(run, f)
		}
	}
	return run
}

// fresh are those of a run that are received, not buried.
func fresh(run []*fifoFate) []*fifoFate {
	return slices.DeleteFunc(slices.Clone(run), func(f *fifoFate) bool { return f.receives >= modelReceives })
}

// receive takes what the queue gives. Which groups it begins with is its own affair.
func (m *fifoModel) receive(most int) {
	runs, can := map[string][]*fifoFate{}, 0
	for _, group := range []string{"g1", "g2", "g3"} {
		runs[group] = fresh(m.run(group))
		can += len(runs[group])
	}
	got := m.k.take(m.t, m.work, int32(most))
	if len(got) != min(most, can) {
		m.faultf("received %d messages, want %d", len(got), min(most, can))
		return
	}
	last := ""
	for _, r := range got {
		group := r.Attributes["MessageGroupId"]
		if last != "" && group != last && len(runs[last]) > 0 {
			m.faultf("left %s for %s with %d messages to give", last, group, len(runs[last]))
		}
		last = group
		if len(runs[group]) == 0 || runs[group][0].id != *r.MessageId {
			m.faultf("received %s of %s out of order", *r.Body, group)
			return
		}
		f := runs[group][0]
		runs[group] = runs[group][1:]
		f.place, f.due = "in flight", time.Now().Add(modelVisibility)
		f.receives++
		f.handles = append(f.handles, *r.ReceiptHandle)
	}
	m.bury()
}

// bury finds out which of those that had all their receives were moved: of a message that is not in
// the queue any more SQS says so, of one that is it says that the receipt has expired.
func (m *fifoModel) bury() {
	for _, f := range m.messages {
		if f.place != "stored" || f.receives < modelReceives {
			continue
		}
		if err := m.k.hide(m.t, m.work, &f.handles[len(f.handles)-1], 0); strings.Contains(err.Error(), "does not exist") {
			f.place = "dead"
		}
	}
}

func (m *fifoModel) receipt(which, old int) (f *fifoFate, handle *string, good bool) {
	received := slices.DeleteFunc(slices.Clone(m.messages), func(f *fifoFate) bool { return len(f.handles) == 0 })
	if len(received) == 0 {
		return nil, nil, false
	}
	f = received[which%len(received)]
	i := old % len(f.handles)
	return f, &f.handles[i], i == len(f.handles)-1 && f.place == "in flight"
}

func (m *fifoModel) remove(which, old int) {
	f, handle, good := m.receipt(which, old)
	if f == nil {
		return
	}
	_, err := m.k.DeleteMessage(m.t.Context(), &sqs.DeleteMessageInput{QueueUrl: m.work, ReceiptHandle: handle})
	if (err == nil) != (good || f.gone()) {
		m.faultf("delete of a %s message: %v", f.place, err)
	}
	if good {
		f.place = "deleted"
	}
}

func (m *fifoModel) hide(which, old, seconds int) {
	f, handle, good := m.receipt(which, old)
	if f == nil {
		return
	}
	err := m.k.hide(m.t, m.work, handle, int32(seconds))
	if (err == nil) != good {
		m.faultf("change of a %s message: %v", f.place, err)
	}
	switch {
	case !good:
	case seconds > 0:
		f.due = time.Now().Add(time.Duration(seconds) * time.Second)
	default:
		f.place = "stored"
	}
}

func (m *fifoModel) pass() {
	for _, f := range m.messages {
		switch {
		case f.gone():
		case time.Since(f.sent) >= fifoRetention:
			f.place = "expired"
		case f.place == "in flight" && !f.due.After(time.Now()):
			f.place = "stored"
		}
	}
}

func (m *fifoModel) check() {
	n := map[string]int{}
	for _, f := range m.messages {
		n[f.place]++
	}
	if got, want := m.k.counts(m.t, m.work), (counts{visible: n["stored"], inFlight: n["in flight"]}); got != want {
		m.faultf("the queue has %+v, want %+v", got, want)
	}
	if got := m.k.counts(m.t, m.dead); got != (counts{visible: n["dead"]}) {
		m.faultf("the dead-letter queue has %+v, want %d", got, n["dead"])
	}
}

// checkDeadLetters drains the dead-letter queue: every group is still in order.
func (m *fifoModel) checkDeadLetters() {
	want := slices.DeleteFunc(slices.Clone(m.messages), func(f *fifoFate) bool { return f.place != "dead" })
	slices.SortStableFunc(want, func(a, b *fifoFate) int { return strings.Compare(a.group, b.group) })
	got := map[string][]string{}
	for batch := m.k.take(m.t, m.dead, 10); len(batch) > 0; batch = m.k.take(m.t, m.dead, 10) {
		for _, r := range batch {
			got[r.Attributes["MessageGroupId"]] = append(got[r.Attributes["MessageGroupId"]], *r.MessageId)
			m.k.remove(m.t, m.dead, r.ReceiptHandle)
		}
	}
	for _, f := range want {
		if ids := got[f.group]; len(ids) == 0 || ids[0] != f.id {
			m.faultf("%s has dead letters %v, want %s next", f.group, ids, f.id)
			return
		}
		got[f.group] = got[f.group][1:]
	}
}
