package topology

import (
	"context"
	"fmt"
	"time"
)

// Change is one thing that Apply did.
type Change struct {
	Kind string // "queue", "topic", "subscription" or "policy"
	Name string
	What string // "create", "set VisibilityTimeout 30→60", "allow topic invitations to send" …
}

// String says the change in a line.
func (c Change) String() string { return c.Kind + " " + c.Name + ": " + c.What }

// Result tells what Apply did.
type Result struct {
	Changed []Change
	// Unchanged counts the queues, topics and subscriptions that were right already.
	Unchanged int
	// URLs holds the URL of each queue by name, dead-letter queues included.
	URLs map[string]string
}

// Apply brings the account to match t, in the order of the package comment, and calls step, when
// it is not nil, after each change. It stops at the first error; the result tells what had been
// done, and applying again goes on from there. A subscription that somebody else has to confirm
// stops nothing, and is an error in the end.
func (t Topology) Apply(ctx context.Context, aws API, account Account, step func(Change)) (Result, error) {
	if err := t.check(account); err != nil {
		return Result{}, fmt.Errorf("apply topology: %w", err)
	}
	a := &applier{
		want: t, aws: aws, account: account, step: step, layout: t.layout(account),
		result:  Result{URLs: make(map[string]string)},
		touched: make(map[string]map[string]string), created: make(map[string]bool), known: make(map[string]map[string]string),
	}
	for _, part := range []func(context.Context) error{a.queues, a.topics, a.look, a.settle, a.subscriptions} {
		if err := part(ctx); err != nil {
			return a.result, fmt.Errorf("apply topology: %w", err)
		}
	}
	return a.result, nil
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
	modified time.Time                    // when a queue that was right already was last changed
	known    map[string]map[string]string // topic → subscription ARN by endpoint
	pending  []error
}

func (a *applier) changed(kind, name, what string) {
	c := Change{Kind: kind, Name: name, What: what}
	a.result.Changed = append(a.result.Changed, c)
	if a.step != nil {
		a.step(c)
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
