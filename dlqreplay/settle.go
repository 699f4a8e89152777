package dlqreplay

import (
	"fmt"
	"time"

	"github.com/stationmaster/worker/internal/pause"
	"github.com/stationmaster/worker/queue"
)

// settleTick is how often a run says that it is waiting.
const settleTick = time.Second

// settleCanary awaits the returns of the canary, and stops the run when there are too many.
func (r *run) settleCanary(c contexts, first []*parcel) {
	behind := r.behind(first)
	shown := time.Now()
	r.settle(c, phaseCanary, func() bool { return r.canaryFailed(c) }, func(left time.Duration) {
		if every := max(r.o.Pace.Settle/6, 5*time.Second); len(behind) > 0 && time.Since(shown) >= every && left > every/2 {
			shown = time.Now()
			// What returns to a FIFO group is behind what is held of it, and shows once that is given back.
			r.held.keeper.release(c.work, behind, r.o.Hurry, nil)
		}
	})
	r.regain(c, behind)
	r.untried(c, first)
}

// untried says of a canary that has not returned that it may not have been tried, either: a queue that is
// paused or delayed returns nothing.
func (r *run) untried(c contexts, first []*parcel) {
	if c.feed.Err() != nil || !r.watch.sees() || r.tally.so().Returned > r.watch.base.Returned {
		return
	}
	asked := map[*Destination]bool{}
	for _, p := range first {
		if p.to.Counts == nil || asked[p.to] {
			continue
		}
		asked[p.to] = true
		if now, err := p.to.Counts(c.work); err == nil && now.Visible+now.Delayed > 0 {
			r.tally.events.tell(Event{Kind: Unobserved, Why: fmt.Sprintf(
				"%d wait in %s: the canary may be among them, and nobody has tried it", now.Visible+now.Delayed, p.to.Name)})
		}
	}
}

// behind returns what is held of the groups of a FIFO canary besides the canary.
func (r *run) behind(first []*parcel) (ids []string) {
	if !r.held.dlq.FIFO {
		return nil
	}
	groups, canary := map[string]int{}, map[string]bool{}
	for _, p := range first {
		groups[p.letter.GroupID], canary[p.letter.MessageID] = 0, true
	}
	for _, l := range r.held.Letters() {
		n, is := groups[l.GroupID]
		if !is || canary[l.MessageID] {
			continue
		}
		groups[l.GroupID] = n + 1
		ids = append(ids, l.MessageID)
	}
	for group, n := range groups {
		if n >= queue.MaxBatch {
			r.tally.events.tell(Event{Kind: Unobserved, Why: fmt.Sprintf(
				"%d are behind the canary in message group %q: what returns to it cannot be seen", n, group)})
		}
	}
	return ids
}

// regain waits until what was given back for a look is in our hands again.
func (r *run) regain(c contexts, ids []string) {
	for until := time.Now().Add(grace); time.Now().Before(until); {
		missing := false
		for _, id := range ids {
			if _, held := r.held.keeper.receipt(id); !held {
				missing = true
			}
		}
		if !missing || pause.For(c.feed, settleTick) != nil {
			return
		}
	}
}

// canaryFailed judges the canary, once too many of it have returned: after a while, to hear of more.
func (r *run) canaryFailed(c contexts) bool {
	if !hurried(r.watch.bad) {
		return false
	}
	_ = pause.For(c.feed, grace) // its end is noticed by who asked
	now := r.tally.so()
	base := r.watch.base
	last := now.Returns[len(now.Returns)-1]
	r.stopOver(now.Returned-base.Returned, now.Replayed-base.Replayed, last)
	return true
}

// settle awaits returns for as long as Pace says, or until over. What stops the run does not end it.
func (r *run) settle(c contexts, phase string, over func() bool, look func(left time.Duration)) {
	now := r.tally.so()
	if r.o.Pace.Settle <= 0 || c.caller.Err() != nil || !r.watch.sees() || now.Replayed == r.watch.base.Replayed {
		return
	}
	if now.Unwatched == now.Replayed {
		r.tally.events.tell(Event{Kind: Unobserved, Why: "what was sent bears no mark of the replay: its returns would look like any dead letter"})
		return
	}
	began := time.Now()
	until := began.Add(r.o.Pace.Settle)
	for time.Now().Before(until) && !r.failed() && !over() {
		look(time.Until(until))
		r.tally.events.tellOften(Event{Kind: Settling, Phase: phase, Until: until, Returned: r.tally.so().Returned})
		if pause.For(c.caller, min(settleTick, time.Until(until))) != nil {
			break
		}
	}
	if phase == phaseReplay {
		r.tally.count(func(t *Report) { t.Watched = time.Since(began) })
	}
}
