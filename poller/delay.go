package poller

import (
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/stationmaster/worker/queue"
	"github.com/stationmaster/worker/retry"
)

const (
	// hopAhead is how long before its time a first receive must have been to be taken for one that only
	// hid the message. It is by SQS's clock, and must not count out what a fast clock here has started.
	hopAhead = 5 * time.Second
	// tooFar is how far ahead the time of a delayed message may lie: the 12 hours, and an allowance for
	// clocks that differ.
	tooFar = queue.MaxHeld + 15*time.Minute
)

// hops is how many of the first receives of a message were before its time. They were no tries, in
// whichever process they were: the message's own times tell, after a restart too. One hop hides for
// nearly twelve hours, so that what asks for all of them takes two.
func hops(d *queue.Delivery, notBefore time.Time) int {
	if notBefore.IsZero() || d.FirstReceived.IsZero() {
		return 0
	}
	switch ahead := notBefore.Sub(d.FirstReceived) - hopAhead; {
	case ahead <= 0:
		return 0
	case ahead <= retry.Cap(queue.MaxHeld, 0):
		return 1
	}
	return 2
}

// readDelay reads what the message asks for, once it has been opened.
func (it *item) readDelay(d *queue.Delivery) {
	at := it.info.NotBefore
	it.far = false
	if at.IsZero() {
		return
	}
	it.far = time.Until(at) > tooFar
	it.attempt = max(1, it.attempt-hops(d, at))
}

// delayed reports whether an item must wait for its time. One whose time is too far ahead does not: it is
// dead-lettered.
func (it *item) delayed() bool {
	return !it.far && queue.Early(it.info.NotBefore, time.Now())
}

// hop hides an item until its time, untouched.
func (p *Poller) hop(c contexts, it *item) {
	p.noProbe(it.probe)
	p.untouched(c, p.ledger.newest(it), WhyDelayed)
	p.back(c, &settling{it: it, until: it.info.NotBefore, did: Hidden})
}

// hopLane is the same on a lane: nothing of the group may overtake it.
func (p *Poller) hopLane(c contexts, group string, it *item) {
	p.hop(c, it)
	items := []*item{it}
	p.giveWay(c, items, p.lanes.end(group, items))
}

// hidden is for how long an entry is hidden if it is sent now.
func (p *Poller) hidden(s *settling) time.Duration {
	if s.until.IsZero() {
		return s.hide
	}
	return retry.Cap(max(0, time.Until(s.until)), time.Since(p.ledger.newest(s.it).Received))
}

// delays are the messages that this process has hidden until their time, as many as are remembered.
type delays struct{ until *lru.Cache[string, time.Time] }

func newDelays() (delays, error) {
	until, err := lru.New[string, time.Time](remembered)
	return delays{until}, err
}

func (l delays) add(id string, until time.Time) { l.until.Add(id, until) }

// count is how many are not yet due.
func (l delays) count() (n int) {
	now := time.Now()
	for _, until := range l.until.Values() {
		if until.After(now) {
			n++
		}
	}
	return n
}
