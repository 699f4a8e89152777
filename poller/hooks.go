package poller

import (
	"context"
	"fmt"
	"time"

	"github.com/stationmaster/worker/jobs"
	"github.com/stationmaster/worker/queue"
	"github.com/stationmaster/worker/retry"
)

// Hooks tell an observer what the poller does. Each may be nil. They are called synchronously, on
// the goroutine that did the work, from many goroutines at once, and must not block.
type Hooks struct {
	// Received reports one completed receive: how many were asked for and came, how long it took.
	Received func(ctx context.Context, asked, got int, took time.Duration, err error)
	// Started is called when a delivery gets its slot; the context it returns is the job's.
	Started func(ctx context.Context, d *queue.Delivery, info *jobs.Info) context.Context
	// Finished is called when the job has returned, before anything is settled.
	Finished func(ctx context.Context, d *queue.Delivery, info *jobs.Info, o Outcome)
	// Settled reports what SQS answered for one delivery: err nil means accepted.
	Settled func(ctx context.Context, d *queue.Delivery, did Settlement, err error)
	// Extended reports one batch of n lease extensions.
	Extended func(ctx context.Context, n int, err error)
	// Returned is called for each receive that spent no attempt.
	Returned func(ctx context.Context, d *queue.Delivery, why Why)
	// Note reports what an operator may want to know and nothing above covers. d may be nil.
	Note func(ctx context.Context, d *queue.Delivery, what Note, err error)
}

// Outcome is how one run of a job ended.
type Outcome struct {
	Decision retry.Decision
	Err      error
	Took     time.Duration
	// Attempt is this run's number: the receive count less the untouched returns remembered.
	Attempt int
	// Returned says why the delivery goes back although its job did not fail; empty otherwise.
	Returned Why
}

// Settlement is one way in which a delivery ends.
type Settlement int

const (
	// Deleted: its job succeeded, or its dead letter was accepted.
	Deleted Settlement = iota
	// Hidden: it comes back after a delay.
	Hidden
	// Released: given back at once.
	Released
	// DeadLettered: the dead-letter queue accepted it; its Deleted follows.
	DeadLettered
)

// String returns the settlement's name.
func (s Settlement) String() string {
	switch s {
	case Deleted:
		return "deleted"
	case Hidden:
		return "hidden"
	case Released:
		return "released"
	case DeadLettered:
		return "dead-lettered"
	}
	return "unknown"
}

// Note names an event of a poller that is neither a receive nor an outcome.
type Note string

// The notes.
const (
	// LeaseLost: the lease ended while the job ran, or SQS no longer knows the receipt; the job's
	// context has been cancelled with ErrLeaseLost.
	LeaseLost Note = "lease lost"
	// Adopted: the message came again while its job runs; the newer receipt replaced the older.
	Adopted Note = "adopted"
	// AlreadyDone: a message that was handled or dead-lettered, but whose delete had failed, came
	// back; it is deleted and not run again.
	AlreadyDone Note = "already done"
	// UnknownKind: no job takes this kind of message; it is kept for a grace time.
	UnknownKind Note = "unknown kind"
	// Uncertain: a delete was accepted after the lease had ended: SQS may not have deleted.
	Uncertain Note = "delete uncertain"
	// NotDeleted: a delete was given up; the message will come back and is remembered as done.
	NotDeleted Note = "not deleted"
	// NotDeadLettered: the dead letter was not accepted; nothing is deleted.
	NotDeadLettered Note = "not dead-lettered"
	// IgnoresEnd: a job goes on although its context has ended.
	IgnoresEnd Note = "job ignores its end"
	// Suspect: this message has been received more often than its tries can explain. It runs alone,
	// and may be what ended the process last time.
	Suspect Note = "suspect starts"
	// BreakerOpened: so many runs failed that polling rests; BreakerClosed: a probe succeeded.
	BreakerOpened Note = "breaker opened"
	BreakerClosed Note = "breaker closed"
	// NotExtendable: SQS does not let this worker extend leases; jobs longer than theirs run twice.
	NotExtendable Note = "leases cannot be extended"
	// Recovered: the receive loop, a hook or Options.Route panicked, and the poller went on.
	Recovered Note = "receive loop recovered"
)

// caught keeps the panic of a hook from what the poller is doing: it holds slots and leases that
// nobody else would give back. It must be deferred itself.
func (h *Hooks) caught(ctx context.Context, name string) {
	v := recover()
	if v == nil || name == "Note" {
		return
	}
	h.note(ctx, nil, Recovered, fmt.Errorf("hook %s: panic: %v", name, v))
}

func (h *Hooks) received(ctx context.Context, asked, got int, took time.Duration, err error) {
	if h.Received != nil {
		defer h.caught(ctx, "Received")
		h.Received(ctx, asked, got, took, err)
	}
}

func (h *Hooks) started(ctx context.Context, d *queue.Delivery, info *jobs.Info) (job context.Context) {
	if h.Started == nil {
		return ctx
	}
	defer func(ctx context.Context) {
		if job == nil {
			job = ctx
		}
	}(ctx)
	defer h.caught(ctx, "Started")
	return h.Started(ctx, d, info)
}

func (h *Hooks) finished(ctx context.Context, d *queue.Delivery, info *jobs.Info, o Outcome) {
	if h.Finished != nil {
		defer h.caught(ctx, "Finished")
		h.Finished(ctx, d, info, o)
	}
}

func (h *Hooks) settled(ctx context.Context, d *queue.Delivery, did Settlement, err error) {
	if h.Settled != nil {
		defer h.caught(ctx, "Settled")
		h.Settled(ctx, d, did, err)
	}
}

func (h *Hooks) extended(ctx context.Context, n int, err error) {
	if h.Extended != nil {
		defer h.caught(ctx, "Extended")
		h.Extended(ctx, n, err)
	}
}

func (h *Hooks) returned(ctx context.Context, d *queue.Delivery, why Why) {
	if h.Returned != nil {
		defer h.caught(ctx, "Returned")
		h.Returned(ctx, d, why)
	}
}

func (h *Hooks) note(ctx context.Context, d *queue.Delivery, what Note, err error) {
	if h.Note != nil {
		defer h.caught(ctx, "Note")
		h.Note(ctx, d, what, err)
	}
}
