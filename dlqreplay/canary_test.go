package dlqreplay_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stationmaster/worker/dlqreplay"
	"github.com/stationmaster/worker/queue"
)

// careful is a pace with everything that looks after what was sent.
func careful() dlqreplay.Pace {
	return dlqreplay.Pace{Rate: 50, Canary: 5, Settle: 2 * time.Minute, StopOnReturn: 0.05}
}

func always(*queue.Delivery) bool { return true }
func never(*queue.Delivery) bool  { return false }

func TestACanaryThatReturnsStopsTheRun(t *testing.T) {
	for _, name := range []string{"work", "work.fifo"} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := newDepot(t, name)
				d.sendGroups(40, 8) // of five in a FIFO queue
				o := d.begin()
				o.Pace = careful()
				stop := d.worker(always)
				r := d.run(o)
				stop()
				if r.Outcome != dlqreplay.Stopped || r.Replayed != 5 || r.Returned != 5 || len(r.Returns) != 5 || r.Left != 35 {
					t.Fatalf("%+v", r)
				}
				if !strings.Contains(r.Why, "5 of 5 returned: smtp: 535 authentication failed (group ") {
					t.Errorf("why: %q", r.Why)
				}
				back := r.Returns[0]
				if back.Build != "v2" || back.Host != "here" || back.Job != "email" || back.FromID == "" || back.FromID == back.MessageID {
					t.Errorf("%+v", back)
				}
				if got := len(d.told(dlqreplay.Returned)); got != 5 {
					t.Errorf("%d events of returns, want 5", got)
				}
				d.conserved(40, 0)
			})
		})
	}
}

func TestACanaryThatStaysAwayLetsTheRunGoOn(t *testing.T) {
	for _, name := range []string{"work", "work.fifo"} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := newDepot(t, name)
				d.sendGroups(40, 8)
				o := d.begin()
				o.Pace = careful()
				began := time.Now()
				stop := d.worker(never)
				r := d.run(o)
				stop()
				if !r.Whole() || r.Replayed != 40 || r.Watched < 2*time.Minute {
					t.Errorf("%+v", r)
				}
				if took := time.Since(began); took < 4*time.Minute || took > 5*time.Minute {
					t.Errorf("it took %s, want twice the time to settle", took)
				}
				d.holds(0, 0)
			})
		})
	}
}

func TestReturnsDuringTheRunStopIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDepot(t, "work")
		d.sendPlain(2000)
		o := d.begin()
		o.Pace = careful()
		o.Pace.Canary = 0
		n := 0
		stop := d.worker(func(*queue.Delivery) bool { n++; return n%10 == 0 })
		r := d.run(o)
		stop()
		if r.Outcome != dlqreplay.Stopped || r.Replayed > 1000 || r.Returned*20 <= r.Replayed || r.Left == 0 {
			t.Errorf("%+v", r)
		}
		d.holds(int64(2000-r.Replayed+r.Replayed/10), 0)
	})
}

// What returns after the last message is counted, and replayed by nobody.
func TestReturnsAfterTheLastMessageAreCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDepot(t, "work")
		d.sendPlain(30)
		o := d.begin()
		o.Pace = careful()
		o.Pace.Canary, o.Pace.Rate = 0, 0
		stop := d.worker(func(m *queue.Delivery) bool {
			<-time.After(time.Second)
			return strings.HasSuffix(m.Body, "7}")
		})
		r := d.run(o)
		stop()
		if r.Outcome != dlqreplay.Completed || r.Replayed != 30 || r.Returned != 3 || r.Whole() || r.Released != 3 {
			t.Errorf("%+v", r)
		}
		d.holds(3, 0)
	})
}

func TestArrivalsDuringTheRunAreLeftAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDepot(t, "work")
		d.sendPlain(30)
		o := d.begin()
		o.Pace = careful()
		time.AfterFunc(time.Minute, func() { d.send(queue.Message{Body: "new"}, queue.Message{Body: "newer"}) })
		r := d.run(o)
		if !r.Whole() || r.Selected != 30 || r.Released != 2 {
			t.Errorf("%+v", r)
		}
		d.holds(2, 0)
	})
}

// Without a mark a return looks like any dead letter: the run says that it cannot tell, and does not wait.
func TestReturnsThatCannotBeRecognisedAreNotWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDepot(t, "work")
		d.to.Marks = false
		d.sendPlain(30)
		o := d.begin()
		o.Pace = careful()
		began := time.Now()
		r := d.run(o)
		if !r.Whole() || r.Unwatched != 30 || r.Watched != 0 || len(d.told(dlqreplay.Unobserved)) == 0 || time.Since(began) > time.Minute {
			t.Errorf("%+v", r)
		}
		for _, m := range d.all(d.workURL) {
			if len(m.Attributes) != 0 {
				t.Fatalf("a foreign message was given attributes: %v", m.Attributes)
			}
		}
	})
}

// sendGroups sends n messages; in a FIFO queue they are in as many groups.
func (d *depot) sendGroups(n, groups int) {
	d.t.Helper()
	ms := make([]queue.Message, n)
	for i := range ms {
		ms[i] = queue.Message{Body: fmt.Sprintf(`{"n":%d}`, i)}
		if d.dlq.FIFO {
			ms[i].GroupID, ms[i].DeduplicationID = fmt.Sprintf("group-%d", i%groups), fmt.Sprint(i)
		}
	}
	d.send(ms...)
}
