package poller

import "github.com/stationmaster/worker/queue"

// Why says for what reason a delivery went back, or was taken together with another one, without
// spending an attempt: SQS counts the receive all the same.
type Why string

// The reasons.
const (
	// WhyDrain: the worker drains, or had begun to when the delivery came.
	WhyDrain Why = "drain"
	// WhyPaused: the queue rests, for an operator, a job or the breaker.
	WhyPaused Why = "paused"
	// WhyLeaseShort: too little of the lease was left to start.
	WhyLeaseShort Why = "lease too short"
	// WhyWaited: it was held ready, and the runs before it took longer than expected.
	WhyWaited Why = "waited"
	// WhyLeaseLost: the lease ended while the job ran, which was cancelled for it.
	WhyLeaseLost Why = "lease lost"
	// WhyBatchLost: the lease of another message in the same batch ended.
	WhyBatchLost Why = "lease of its batch lost"
	// WhyGroupStopped: on a FIFO queue, a message before it did not end in a delete.
	WhyGroupStopped Why = "group stopped"
	// WhyUnknownKind: no job here takes it; it is kept for its grace.
	WhyUnknownKind Why = "unknown kind"
	// WhyLater: its job asked for another time, and nothing had failed.
	WhyLater Why = "later"
	// WhyPauseAsked: its job asked that the whole queue rests.
	WhyPauseAsked Why = "pause asked"
	// WhyDelayed: its producer asked that it starts later.
	WhyDelayed Why = "delayed"
	// WhyAdopted: it came again while it was held here; one run stands for both receives.
	WhyAdopted Why = "adopted"
)

// untouched remembers that a receive spent no attempt, and tells why. What the message itself tells
// needs no memory.
func (p *Poller) untouched(c contexts, d *queue.Delivery, why Why) {
	if d.Receives > hops(d, queue.NotBefore(d)) {
		p.memory.returned(d.MessageID)
	}
	p.o.Hooks.returned(c.settle, d, why)
}

// untouchedItems does so for items that nobody runs.
func (p *Poller) untouchedItems(c contexts, items []*item, why Why) {
	for _, it := range items {
		p.untouched(c, p.ledger.newest(it), why)
	}
}
