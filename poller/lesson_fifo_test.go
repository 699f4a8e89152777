package poller_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stationmaster/worker/jobs"
	"github.com/stationmaster/worker/localaws"
	"github.com/stationmaster/worker/poller"
	"github.com/stationmaster/worker/retry"
)

// inGroup makes bodies "a0", "a1" and so on.
func inGroup(group string, n int) []string {
	bodies := make([]string, n)
	for i := range bodies {
		bodies[i] = fmt.Sprintf("%q", fmt.Sprint(group, i))
	}
	return bodies
}

// plain are the same without their quotes.
func plain(group string, n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprint(group, i)
	}
	return all
}

func TestL13AFailureStopsItsGroupAndMatesGoBackLastToFirstBeforeIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStation(t, true)
		var j journal
		r := start(t, func(_ context.Context, m *jobs.Message[string]) error {
			j.note(m.GroupID, m.Body)
			if m.Body == "a1" && m.Attempt == 1 {
				return retry.After(errBoom, 5*time.Second)
			}
			return nil
		}, s.and(func(o *poller.Options) { o.Slots = 10 }))
		s.sendGroup("a", inGroup("a", 5)...)
		s.sendGroup("b", inGroup("b", 5)...)
		pass(4 * time.Second)
		if got := j.of("b"); !slices.Equal(got, plain("b", 5)) {
			t.Errorf("the other group ran %v meanwhile", got)
		}
		if got := j.of("a"); !slices.Equal(got, []string{"a0", "a1"}) {
			t.Errorf("group a ran %v before the delay was over", got)
		}
		pass(10 * time.Second)
		r.drain()
		if got, want := j.of("a"), []string{"a0", "a1", "a1", "a2", "a3", "a4"}; !slices.Equal(got, want) {
			t.Errorf("group a ran %v, want %v", got, want)
		}
		s.holds(0, 0)
		var hides []int
		for _, seen := range s.requests(changeAction) {
			equal(t, "entries of one call", len(seen.entries), 1)
			hides = append(hides, seen.hides()...)
		}
		if want := []int{0, 0, 0, 5}; !slices.Equal(hides, want) {
			t.Errorf("visibility was changed to %v, want the three mates first and the failed one last: %v", hides, want)
		}
	})
}

func TestL13TheWholeGroupKeepsItsLeases(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStation(t, true)
		var j journal
		most := 0
		r := start(t, func(_ context.Context, m *jobs.Message[string]) error {
			j.note(m.GroupID, m.Body)
			most = max(most, m.Receives)
			<-time.After(70 * time.Second) // more than two leases each
			return nil
		}, s.on)
		s.sendGroup("a", inGroup("a", 5)...)
		pass(8 * time.Minute)
		r.drain()
		if got := j.of("a"); !slices.Equal(got, plain("a", 5)) {
			t.Errorf("group a ran %v", got)
		}
		equal(t, "most receives", most, 1)
		s.holds(0, 0)
	})
}

func TestL13AGroupThatIsRetriedAtOnceKeepsItsOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStation(t, true)
		var j journal
		tries := map[string]int{}
		r := start(t, func(_ context.Context, m *jobs.Message[string]) error {
			if tries[m.Body]++; tries[m.Body] < 3 {
				return retry.After(errBoom, 0)
			}
			j.note(m.GroupID, m.Body)
			return nil
		}, s.on)
		s.sendGroup("a", inGroup("a", 8)...)
		pass(2 * time.Minute)
		r.drain()
		if got := j.of("a"); !slices.Equal(got, plain("a", 8)) {
			t.Errorf("group a ended in the order %v", got)
		}
		s.holds(0, 0)
	})
}

func TestL14MatesSpendNoAttemptAndReceivesGetSmaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStation(t, true)
		var back returned
		attempts := map[string][]int{}
		failures := 0
		r := start(t, func(_ context.Context, m *jobs.Message[string]) error {
			attempts[m.Body] = append(attempts[m.Body], m.Attempt)
			if m.Body == "a0" && failures < 4 {
				failures++
				return retry.After(errBoom, time.Second)
			}
			return nil
		}, s.and(func(o *poller.Options) { o.Retry.Attempts = 6; o.Slots = 10; back.hook(o) }))
		s.sendGroup("a", inGroup("a", 6)...)
		pass(time.Minute)
		r.drain()
		s.holds(0, 0)
		for body, got := range attempts {
			want := []int{1}
			if body == "a0" {
				want = []int{1, 2, 3, 4, 5}
			}
			if !slices.Equal(got, want) {
				t.Errorf("%s ran as attempts %v, want %v", body, got, want)
			}
		}
		// Once or twice, if the next poll was open already; the receives after it ask for one.
		if n := back.of(poller.WhyGroupStopped); n > 10 {
			t.Errorf("mates were given back %d times", n)
		}
		equal(t, "dead letters", len(s.dead()), 0)
		var asked []int
		for _, seen := range s.requests(receiveAction) {
			n, _ := seen.body["MaxNumberOfMessages"].(float64)
			asked = append(asked, int(n))
		}
		if len(asked) < 8 || slices.Max(asked[2:5]) > 1 {
			t.Errorf("receives asked for %v: after a failure for one at a time", asked)
		}
		if slices.Max(asked[5:]) < 10 {
			t.Errorf("receives asked for %v: they must become full again", asked)
		}
	})
}

// An answer that is lost on its way would hide its groups for a whole visibility timeout.
func TestALostAnswerOfAFIFOReceiveIsAskedForAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStation(t, true)
		lose := true
		s.spoil(receiveAction, func(*localaws.Request) *localaws.Fault {
			if lose {
				lose = false
				return &localaws.Fault{Lose: true}
			}
			return nil
		})
		var j journal
		began := time.Now()
		var last time.Duration
		s.sendGroup("a", inGroup("a", 5)...)
		r := start(t, func(_ context.Context, m *jobs.Message[string]) error {
			j.note(m.GroupID, m.Body)
			last = time.Since(began)
			equal(t, "receives", m.Receives, 1)
			return nil
		}, s.on)
		pass(time.Minute)
		r.drain()
		if got := j.of("a"); !slices.Equal(got, plain("a", 5)) {
			t.Errorf("group a ran %v", got)
		}
		if last > 5*time.Second {
			t.Errorf("the group was through after %v, want it at the next receive", last)
		}
		ids := map[string]int{}
		for _, seen := range s.requests(receiveAction) {
			id, _ := seen.body["ReceiveRequestAttemptId"].(string)
			ids[id]++
		}
		if ids[""] > 0 {
			t.Errorf("%d receives without an attempt id", ids[""])
		}
		for id, n := range ids {
			if n > 2 {
				t.Errorf("attempt %s was used %d times", id, n)
			}
		}
	})
}

func TestAPauseHidesAGroupByItsFirstMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStation(t, true)
		var j journal
		var p *poller.Poller
		r := start(t, func(_ context.Context, m *jobs.Message[string]) error {
			j.note(m.GroupID, m.Body)
			if m.Body == "a1" && p != nil {
				p.Pause(time.Now().Add(10 * time.Minute)) // an operator, while it runs
				p = nil
			}
			return nil
		}, s.on)
		p = r.p
		s.sendGroup("a", inGroup("a", 5)...)
		pass(9 * time.Minute)
		if got := j.of("a"); !slices.Equal(got, []string{"a0", "a1"}) {
			t.Errorf("group a ran %v while the queue rests", got)
		}
		s.holds(3, 0)
		pass(2 * time.Minute)
		r.drain()
		if got := j.of("a"); !slices.Equal(got, plain("a", 5)) {
			t.Errorf("group a ran %v", got)
		}
		s.holds(0, 0)
	})
}
