package topology

import (
	"context"
	"fmt"
	"time"

	"github.com/stationmaster/worker/internal/pause"
)

// Change is one thing that Apply did, or would do.
type Change struct {
	Kind string // "queue", "topic", "subscription" or "policy"; or Waiting
	Name string
	What string // "create", "set VisibilityTimeout 30→60", "allow topic invitations to send" …
	Why  string // for somebody who reads a plan
	// Details are the attributes of what is created.
	Details []string
	// Waited is for how long Apply has waited, and AtMost for how long it does; of a wait only.
	Waited, AtMost time.Duration
}

// Waiting is the kind of what is no change: Name and What tell what has to happen before Apply goes on,
// or ends. It comes once a second meanwhile, and is not in Result.Changed.
const Waiting = "wait"

// String says the change in a line.
func (c Change) String() string { return c.Kind + " " + c.Name + ": " + c.What }

// Result tells what Apply did.
type Result struct {
	Changed []Change
	// Unchanged counts the queues, topics and subscriptions that were right already.
	Unchanged int
	// URLs holds the URL of each queue by name, dead-letter queues included.
	URLs map[string]string
	// Pending are the subscriptions that somebody has to confirm.
	Pending []Pending
}

// Apply brings the account to match t, in the order of the package comment, and calls step, when
// it is not nil, after each change and while it waits. What a wait is not about goes on before it. It
// stops at the first error and with ctx; the result tells what had been done, and applying again goes
// on from there. A subscription that somebody else has to confirm stops nothing, and is an error in the
// end: see ErrPending.
func (t Topology) Apply(ctx context.Context, aws API, account Account, step func(Change)) (Result, error) {
	if err := t.check(account); err != nil {
		return Result{}, fmt.Errorf("apply topology: %w", err)
	}
	a := newApplier(t, aws, account, step)
	if err := a.run(ctx); err != nil {
		return a.result, fmt.Errorf("apply topology: %w", err)
	}
	return a.result, nil
}

func newApplier(t Topology, aws API, account Account, step func(Change)) *applier {
	return &applier{
		want: t, aws: aws, account: account, step: step, layout: t.layout(account),
		result:  Result{URLs: make(map[string]string)},
		created: make(map[string]bool), late: make(map[string]error), set: make(map[string]bool),
		touched: make(map[string]map[string]string), modified: make(map[string]time.Time), known: make(map[string]map[end]string),
	}
}

func (a *applier) run(ctx context.Context) error {
	for _, part := range []func(context.Context) error{
		a.queues, a.topics, a.look, a.ready, a.names, a.settle, a.subscriptions, a.settled, a.confirm,
	} {
		if err := part(ctx); err != nil {
			return err
		}
	}
	return nil
}

// applier is one run of Apply.
type applier struct {
	want    Topology
	aws     API
	account Account
	layout  layout
	step    func(Change)
	result  Result

	created  map[string]bool              // names of queues and ARNs of topics made in this run
	late     map[string]error             // queue → what SQS said, for one whose name is not free yet
	set      map[string]bool              // queues that have been compared and set
	touched  map[string]map[string]string // queue → attributes set in this run, to be read back
	lastSet  time.Time
	modified map[string]time.Time      // queue that was right already → when it was last changed
	known    map[string]map[end]string // topic → subscription ARN, or the word in its place
	held     []Subscription            // that wait for a queue
}

func (a *applier) changed(kind, name, what, why string, details ...string) {
	c := Change{Kind: kind, Name: name, What: what, Why: why, Details: details}
	a.result.Changed = append(a.result.Changed, c)
	if a.step != nil {
		a.step(c)
	}
}

// tellEvery is how often a wait is told.
const tellEvery = time.Second

// wait is something that has to happen before Apply goes on.
type wait struct {
	name, what string
	began      time.Time
	atMost     time.Duration
}

// pause waits for d, and tells meanwhile what for.
func (a *applier) pause(ctx context.Context, w wait, d time.Duration) error {
	return w.pause(ctx, a.step, d)
}

func (w wait) pause(ctx context.Context, step func(Change), d time.Duration) error {
	for until := time.Now().Add(d); ; {
		if step != nil {
			step(Change{Kind: Waiting, Name: w.name, What: w.what, Waited: time.Since(w.began), AtMost: w.atMost})
		}
		left := time.Until(until)
		if err := pause.For(ctx, min(left, tellEvery)); err != nil {
			return fmt.Errorf("wait for %s: %w", w.name, err)
		}
		if left <= tellEvery {
			return nil
		}
	}
}

// counted runs the work on one resource and counts it as unchanged when that changed nothing, nor
// anything before it.
func (a *applier) counted(work func() error, before bool) error {
	n := len(a.result.Changed)
	if err := work(); err != nil {
		return err
	}
	if len(a.result.Changed) == n && !before {
		a.result.Unchanged++
	}
	return nil
}
