package ingress

import (
	"context"
	"time"

	"github.com/stationmaster/worker/jobs"
	"github.com/stationmaster/worker/queue"
	"github.com/stationmaster/worker/retry"
)

// Hooks tell an observer what happens on a path. Each may be nil. They are called synchronously, from
// many goroutines at once, and must not block.
type Hooks struct {
	// Started is called when a message gets its slot; the context it returns is the job's.
	Started func(ctx context.Context, d *queue.Delivery, info *jobs.Info) context.Context
	// Finished is called when the job has returned, before SNS is answered.
	Finished func(ctx context.Context, d *queue.Delivery, info *jobs.Info, o Outcome)
	// DeadLettered reports the send of what failed for good: err nil means accepted.
	DeadLettered func(ctx context.Context, d *queue.Delivery, err error)
	// Duplicate is called for a message that was handled before, or is being handled.
	Duplicate func(ctx context.Context, d *queue.Delivery)
	// Refused is called for every request that was not taken. Nothing about it need be true.
	Refused func(ctx context.Context, status int, err error)
	// Subscribed reports what became of a subscription.
	Subscribed func(ctx context.Context, e Event)
}

// Outcome is how one run of a job ended.
type Outcome struct {
	Decision retry.Decision
	Err      error
	Took     time.Duration
	// Attempt counts the deliveries of this message that this process has seen, from 1: SNS does not
	// tell.
	Attempt int
	// Interrupted says that the worker's end ended it.
	Interrupted bool
}

// What names what became of a subscription.
type What string

// What can become of one.
const (
	// Confirmed: it delivers from now on; its attributes are not proved yet.
	Confirmed What = "subscription confirmed"
	// Attached: its dead-letter queue and its attributes are in force, read back.
	Attached What = "subscription attached"
	// NotAttached: it is confirmed, but what it should look like could not be set or read back.
	NotAttached What = "subscription not attached"
	// Foreign: a token of our topic confirmed a subscription to another one.
	Foreign What = "subscription is foreign"
	// Unsubscribed: somebody ended it.
	Unsubscribed What = "subscription ended"
	// Resubscribed: it was asked for again; SNS sends a new token.
	Resubscribed What = "subscribed again"
)

// Event is one thing that happened to a subscription.
type Event struct {
	What                   What
	Topic, SubscriptionARN string
	// Changed are the attributes that had to be set.
	Changed []string
	Err     error
}

func (h *Hooks) started(ctx context.Context, d *queue.Delivery, info *jobs.Info) context.Context {
	if h.Started == nil {
		return ctx
	}
	return h.Started(ctx, d, info)
}

func (h *Hooks) finished(ctx context.Context, d *queue.Delivery, info *jobs.Info, o Outcome) {
	if h.Finished != nil {
		h.Finished(ctx, d, info, o)
	}
}

func (h *Hooks) deadLettered(ctx context.Context, d *queue.Delivery, err error) {
	if h.DeadLettered != nil {
		h.DeadLettered(ctx, d, err)
	}
}

func (h *Hooks) duplicate(ctx context.Context, d *queue.Delivery) {
	if h.Duplicate != nil {
		h.Duplicate(ctx, d)
	}
}

func (h *Hooks) refused(ctx context.Context, status int, err error) {
	if h.Refused != nil {
		h.Refused(ctx, status, err)
	}
}

func (h *Hooks) subscribed(ctx context.Context, e Event) {
	if h.Subscribed != nil {
		h.Subscribed(ctx, e)
	}
}
