package topology

import (
	"context"
	"fmt"
	"time"
)

// Change is one thing that Apply did, or would do.
type Change struct {
	Kind string // "queue", "topic", "subscription" or "policy"; or Waiting
	Name string
	What string // "create", "set VisibilityTimeout 30→60", "allow topic invitations to send" …
	Why  string // for somebody who reads a plan
	// Details are the attributes of what is created.
	Details []string
}

// Waiting is the kind of what is no change: What tells what Apply waits for, and for how long still. It
// comes again and again meanwhile, and is not in Result.Changed.
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
// it is not nil, after each change. It stops at the first error; the result tells what had been
// done, and applying again goes on from there. A subscription that somebody else has to confirm
// stops nothing, and is an error in the end: see ErrPending.
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
		touched: make(map[string]map[string]string), created: make(map[string]bool), known: make(map[string]map[end]string),
	}
}

func (a *applier) run(ctx context.Context) error {
	for _, part := range []func(context.Context) error{a.queues, a.topics, a.look, a.settle, a.subscriptions, a.settled, a.confirm} {
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
	touched  map[string]map[string]string // queue → attributes set in this run, to be read back
	lastSet  time.Time
	modified time.Time                 // when a queue that was right already was last changed
	known    map[string]map[end]string // topic → subscription ARN, or the word in its place
}

func (a *applier) changed(kind, name, what, why string, details ...string) {
	c := Change{Kind: kind, Name: name, What: what, Why: why, Details: details}
	a.result.Changed = append(a.result.Changed, c)
	if a.step != nil {
		a.step(c)
	}
}

// waiting tells what is waited for.
func (a *applier) waiting(what string) {
	if a.step != nil {
		a.step(Change{Kind: Waiting, What: what})
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
