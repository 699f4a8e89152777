package localaws_test

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"pgregory.net/rapid"
)

// fate is where the model believes a message to be.
type fate struct {
	place    string // "stored", "delayed", "in flight", "deleted", "expired", "dead"
	due      time.Time
	sent     time.Time
	receives int
	handles  []string // of its receipts, the last one last
}

// model is a queue with a dead-letter queue, as plainly as it can be written.
type model struct {
	k          *sqsKit
	t          *testing.T
	work, dead *string
	messages   map[string]*fate // by body
	fault      string           // the first thing that was not as expected
}

const (
	modelReceives   = 3
	modelVisibility = 10 * time.Second
	modelRetention  = 2 * time.Minute
)

// step is one thing done to the queue; what a and b mean depends on what is done.
type step struct {
	What string
	A, B int
}

// A message is always exactly one of stored, delayed, in flight, deleted, expired and dead-lettered, and
// the counts of the queues agree. A task moves the dead back.
func TestEveryMessageIsInOnePlace(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		// Left to itself rapid draws half a dozen steps, too few to bury a message.
		steps := rapid.SliceOfN(rapid.Custom(drawStep), 60, 120).Draw(r, "steps")
		var fault string // told outside the bubble: rapid ends a run by a panic in its own goroutine
		synctest.Test(t, func(t *testing.T) {
			m := newModel(t)
			for i, s := range steps {
				m.do(s)
				m.check()
				if m.fault != "" {
					fault = fmt.Sprintf("step %d, %+v: %s", i, s, m.fault)
					return
				}
			}
		})
		if fault != "" {
			r.Fatal(fault)
		}
	})
}

func newModel(t *testing.T) *model {
	k := newSQSKit()
	dead := k.create(t, "dead", nil)
	work := k.create(t, "work", map[string]string{
		"VisibilityTimeout":      strconv.Itoa(int(modelVisibility.Seconds())),
		"MessageRetentionPeriod": strconv.Itoa(int(modelRetention.Seconds())),
		"RedrivePolicy":          `{"deadLetterTargetArn":"` + sqsARN("dead") + `","maxReceiveCount":` + strconv.Itoa(modelReceives) + `}`,
	})
	return &model{k: k, t: t, work: work, dead: dead, messages: map[string]*fate{}}
}

func drawStep(r *rapid.T) step {
	number := rapid.IntRange(0, 1000)
	switch rapid.IntRange(0, 10).Draw(r, "kind") {
	case 0, 1, 2:
		return step{"send", rapid.SampledFrom([]int{0, 0, 3, 20}).Draw(r, "delay"), 0}
	case 3, 4, 5:
		return step{"receive", rapid.IntRange(1, 10).Draw(r, "most"), 0}
	case 6:
		return step{"delete", number.Draw(r, "which"), number.Draw(r, "receipt")}
	case 7:
		return step{rapid.SampledFrom([]string{"release", "hide"}).Draw(r, "change"), number.Draw(r, "which"), number.Draw(r, "receipt")}
	case 8:
		return step{"redrive", 0, 0}
	default:
		return step{"wait", rapid.SampledFrom([]int{1, 2, 3, 5, 8, 10, 11, 15, 60}).Draw(r, "seconds"), 0}
	}
}

func (m *model) do(s step) {
	switch s.What {
	case "send":
		m.send(s.A)
	case "receive":
		m.receive(s.A)
	case "delete":
		m.remove(s.A, s.B)
	case "release":
		m.hide(s.A, s.B, 0)
	case "hide":
		m.hide(s.A, s.B, 1+s.B%30)
	case "redrive":
		m.redrive()
	case "wait":
		m.pass(time.Duration(s.A) * time.Second)
	}
}

// redrive brings all dead letters back, as new messages: their old receipts are worth nothing. It takes
// an odd time, so that the few milliseconds in which they arrive never decide whether they expire.
func (m *model) redrive() {
	if _, err := m.k.StartMessageMoveTask(m.t.Context(), &sqs.StartMessageMoveTaskInput{SourceArn: new(sqsARN("dead"))}); err != nil {
		m.t.Fatal(err)
	}
	began := time.Now()
	m.pass(1_012_300 * time.Microsecond)
	for _, f := range m.messages {
		if f.place == "dead" {
			*f = fate{place: "stored", sent: began}
		}
	}
}

func (m *model) faultf(format string, args ...any) {
	if m.fault == "" {
		m.fault = fmt.Sprintf(format, args...)
	}
}

func (m *model) send(delay int) {
	body := "m" + strconv.Itoa(len(m.messages))
	if _, err := m.k.SendMessage(m.t.Context(), &sqs.SendMessageInput{QueueUrl: m.work, MessageBody: &body, DelaySeconds: int32(delay)}); err != nil {
		m.t.Fatal(err)
	}
	f := &fate{place: "stored", sent: time.Now()}
	if delay > 0 {
		f.place, f.due = "delayed", time.Now().Add(time.Duration(delay)*time.Second)
	}
	m.messages[body] = f
}

// receive takes what the queue gives: which of the stored ones it gives is its own affair, but it
// gives as many as it can, and buries those that had their receives.
func (m *model) receive(most int) {
	out, err := m.k.ReceiveMessage(m.t.Context(), &sqs.ReceiveMessageInput{QueueUrl: m.work, MaxNumberOfMessages: int32(most)})
	if err != nil {
		m.t.Fatal(err)
	}
	fresh := 0
	for _, f := range m.messages {
		if f.place == "stored" && f.receives < modelReceives {
			fresh++
		}
	}
	if len(out.Messages) != min(most, fresh) {
		m.faultf("received %d messages, want %d", len(out.Messages), min(most, fresh))
	}
	for _, got := range out.Messages {
		f := m.messages[*got.Body]
		if f.place != "stored" || f.receives >= modelReceives {
			m.faultf("received %s, which was %s after %d receives", *got.Body, f.place, f.receives)
		}
		f.place, f.due = "in flight", time.Now().Add(modelVisibility)
		f.receives++
		f.handles = append(f.handles, *got.ReceiptHandle)
	}
	m.bury()
}

// bury asks the dead-letter queue, without receiving from it, how many it got; which ones is only
// known of those that had all their receives.
func (m *model) bury() {
	dead, known := m.k.counts(m.t, m.dead).visible, 0
	var spent []*fate
	for _, body := range slices.Sorted(maps.Keys(m.messages)) {
		switch f := m.messages[body]; {
		case f.place == "dead":
			known++
		case f.place == "stored" && f.receives == modelReceives:
			spent = append(spent, f)
		}
	}
	if dead-known > len(spent) {
		m.faultf("%d new dead letters, but only %d messages had their receives", dead-known, len(spent))
		return
	}
	// A spent message that is still stored is told from a dead one by its receipt: only what is in
	// the queue can be hidden.
	for _, f := range spent {
		if err := m.k.hide(m.t, m.work, &f.handles[len(f.handles)-1], 0); err != nil {
			f.place = "dead"
			known++
		}
	}
	if dead != known {
		m.faultf("the dead-letter queue has %d messages, want %d", dead, known)
	}
}

// receipt picks any receipt that was ever given out.
func (m *model) receipt(which, old int) (f *fate, handle string, last bool) {
	var received []*fate
	for _, body := range slices.Sorted(maps.Keys(m.messages)) {
		if f := m.messages[body]; len(f.handles) > 0 {
			received = append(received, f)
		}
	}
	if len(received) == 0 {
		return nil, "", false
	}
	f = received[which%len(received)]
	i := old % len(f.handles)
	return f, f.handles[i], i == len(f.handles)-1
}

func (m *model) remove(which, old int) {
	f, handle, last := m.receipt(which, old)
	if f == nil {
		return
	}
	m.k.remove(m.t, m.work, &handle)
	if last && f.place != "dead" && f.place != "expired" {
		f.place = "deleted"
	}
}

func (m *model) hide(which, old, seconds int) {
	f, handle, _ := m.receipt(which, old)
	if f == nil {
		return
	}
	err := m.k.hide(m.t, m.work, &handle, int32(seconds))
	if gone := f.place == "deleted" || f.place == "expired" || f.place == "dead"; gone != (err != nil) {
		m.faultf("change of a %s message: %v", f.place, err)
	}
	switch {
	case err != nil:
	case seconds > 0:
		f.place, f.due = "in flight", time.Now().Add(time.Duration(seconds)*time.Second)
	default:
		f.place = "stored"
	}
}

func (m *model) pass(d time.Duration) {
	wait(m.t, d)
	for _, f := range m.messages {
		switch {
		case f.place == "deleted" || f.place == "dead":
		case time.Since(f.sent) >= modelRetention:
			f.place = "expired"
		case (f.place == "delayed" || f.place == "in flight") && !f.due.After(time.Now()):
			f.place = "stored"
		}
	}
}

func (m *model) check() {
	n := map[string]int{}
	for _, f := range m.messages {
		n[f.place]++
	}
	want := counts{n["stored"], n["in flight"], n["delayed"]}
	if got := m.k.counts(m.t, m.work); got != want {
		m.faultf("the queue has %+v, want %+v", got, want)
	}
	if got := m.k.counts(m.t, m.dead); got != (counts{visible: n["dead"]}) {
		m.faultf("the dead-letter queue has %+v, want %d", got, n["dead"])
	}
}
