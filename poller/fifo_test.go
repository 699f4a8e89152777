package poller_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stationmaster/worker/jobs"
	"github.com/stationmaster/worker/poller"
	"github.com/stationmaster/worker/retry"
)

// journal is what a job did, in order.
type journal struct {
	mu    sync.Mutex
	lines []string
}

func (j *journal) note(group, body string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.lines = append(j.lines, group+" "+body)
}

func (j *journal) of(group string) (bodies []string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, line := range j.lines {
		if rest, ok := cutGroup(line, group); ok {
			bodies = append(bodies, rest)
		}
	}
	return bodies
}

func cutGroup(line, group string) (string, bool) {
	if len(line) > len(group) && line[:len(group)] == group {
		return line[len(group)+1:], true
	}
	return "", false
}

func fifo(o *poller.Options) {
	o.FIFO, o.Slots = true, 10
	o.Receiver.(*fakeQueue).fifo = true
}

func TestAGroupIsHandledInOrderAndGroupsSideBySide(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var j journal
		r := start(t, func(_ context.Context, m *jobs.Message[string]) error {
			j.note(m.GroupID, m.Body)
			<-time.After(time.Second)
			return nil
		}, fifo)
		synctest.Wait()
		for i := range 4 {
			r.q.putGroup("a", fmt.Sprintf("%q", fmt.Sprint("a", i)))
			r.q.putGroup("b", fmt.Sprintf("%q", fmt.Sprint("b", i)))
		}
		pass(2500 * time.Millisecond)
		if a, b := len(j.of("a")), len(j.of("b")); a < 2 || b < 2 {
			t.Errorf("after 2.5 s %d of a and %d of b had started: groups must run side by side", a, b)
		}
		pass(time.Minute)
		r.drain()
		for _, group := range []string{"a", "b"} {
			want := []string{group + "0", group + "1", group + "2", group + "3"}
			if got := j.of(group); !slices.Equal(got, want) {
				t.Errorf("group %s ran %v, want %v", group, got, want)
			}
		}
		equal(t, "deleted", len(r.q.deleted), 8)
	})
}

// Behind the last message of a lane the group stands still until the delete is through; deletes before it
// may share a request.
func TestDeletesOfALaneWaitForEachOtherAndTheLastOneForNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const messages = 100
		r := start(t, func(context.Context, *jobs.Message[string]) error {
			<-time.After(time.Millisecond)
			return nil
		}, fifo)
		for i := range messages {
			r.q.putGroup("a", fmt.Sprintf("%q", fmt.Sprint(i)))
		}
		pass(time.Second) // each receive of ten waits for the deletes of the ten before
		equal(t, "deleted", len(r.q.deleted), messages)
		if n := r.q.deletes; n > messages/3 {
			t.Errorf("%d requests deleted %d messages of one group, want at most a third", n, messages)
		}
		r.drain()
	})
}

func TestAFailureStopsItsGroupAndNothingOvertakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var j journal
		r := start(t, func(_ context.Context, m *jobs.Message[string]) error {
			j.note(m.GroupID, m.Body)
			if m.Body == "a1" && m.Attempt == 1 {
				return retry.After(errBoom, 5*time.Second)
			}
			return nil
		}, fifo)
		r.q.set(func(q *fakeQueue) { q.stuck = nil })
		r.q.putGroup("a", `"a0"`, `"a1"`, `"a2"`, `"a3"`)
		r.q.putGroup("b", `"b0"`)
		pass(2 * time.Second)
		equal(t, "group b", len(j.of("b")), 1)
		pass(time.Minute)
		r.drain()
		want := []string{"a0", "a1", "a1", "a2", "a3"}
		if got := j.of("a"); !slices.Equal(got, want) {
			t.Errorf("group a ran %v, want %v", got, want)
		}
		equal(t, "deleted", len(r.q.deleted), 5)
		equal(t, "dead letters", len(r.dead.all()), 0)
		// The mates went back last to first, one call each.
		var back []string
		for _, h := range r.q.hidden {
			if h.d == 0 {
				back = append(back, h.id)
			}
		}
		if len(back) < 2 || !slices.Equal(back[:2], []string{"m3", "m2"}) {
			t.Errorf("given back %v, want m3 before m2", back)
		}
	})
}

func TestADeadLetterLetsTheGroupGoOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var j journal
		r := start(t, func(_ context.Context, m *jobs.Message[string]) error {
			j.note(m.GroupID, m.Body)
			if m.Body == "a0" {
				return retry.Never(errBoom)
			}
			return nil
		}, fifo)
		r.q.putGroup("a", `"a0"`, `"a1"`)
		pass(5 * time.Second)
		r.drain()
		if got := j.of("a"); !slices.Equal(got, []string{"a0", "a1"}) {
			t.Errorf("group a ran %v", got)
		}
		sent := r.dead.all()
		if len(sent) != 1 || sent[0].GroupID != "a" || sent[0].DeduplicationID != "m0" {
			t.Errorf("dead letters %+v, want one of group a, deduplicated by its MessageId", sent)
		}
	})
}

func TestDrainHandsTheRestOfAGroupBackLastToFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var j journal
		r := start(t, func(_ context.Context, m *jobs.Message[string]) error {
			j.note(m.GroupID, m.Body)
			<-time.After(10 * time.Second)
			return nil
		}, func(o *poller.Options) { fifo(o); o.CutPolls = true })
		r.q.putGroup("a", `"a0"`, `"a1"`, `"a2"`)
		pass(time.Second)
		report := r.drain()
		equal(t, "ran", len(j.of("a")), 1)
		equal(t, "released", report.Released, 2)
		stored, inFlight := r.q.left()
		equal(t, "stored", stored, 2)
		equal(t, "in flight", inFlight, 0)
		equal(t, "first given back", r.q.hidden[0].id, "m2")
	})
}
