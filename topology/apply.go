package topology

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/stationmaster/worker/queue"
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
// done, and applying again goes on from there.
func (t Topology) Apply(ctx context.Context, aws API, account Account, step func(Change)) (Result, error) {
	a := &applier{
		want: t, aws: aws, account: account, step: step, layout: t.layout(account),
		result: Result{URLs: make(map[string]string)}, touched: make(map[string]map[string]string), created: make(map[string]bool),
	}
	for _, part := range []func(context.Context) error{a.valid, a.queues, a.topics, a.settle, a.subscriptions} {
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

	created map[string]bool              // names of queues and ARNs of topics made in this run
	touched map[string]map[string]string // queue → attributes set in this run, to be read back
	lastSet time.Time
}

func (a *applier) valid(context.Context) error { return a.want.Validate() }

func (a *applier) changed(kind, name, what string) {
	c := Change{Kind: kind, Name: name, What: what}
	a.result.Changed = append(a.result.Changed, c)
	if a.step != nil {
		a.step(c)
	}
}

// counted runs the work on one resource and counts it as unchanged when it changed nothing.
func (a *applier) counted(work func() error) error {
	before := len(a.result.Changed)
	if err := work(); err != nil {
		return err
	}
	if len(a.result.Changed) == before {
		a.result.Unchanged++
	}
	return nil
}

// settle waits until what was set on queues has had its time to spread and reads back as set.
// Subscribing earlier would let SNS deliver into a policy that does not know it yet.
func (a *applier) settle(ctx context.Context) error {
	if a.want.Settle <= 0 || len(a.touched) == 0 {
		return nil
	}
	const patience = 3 * time.Minute
	interval := min(a.want.Settle, 5*time.Second)
	for {
		wrong, err := a.unlike(ctx)
		if err != nil {
			return err
		}
		waited := time.Since(a.lastSet)
		switch {
		case wrong == "" && waited >= a.want.Settle:
			return nil
		case waited > a.want.Settle+patience:
			return fmt.Errorf("queue %s: does not read back as it was set after %s; look for another tool that sets it, then apply again",
				wrong, waited.Round(time.Second))
		}
		if err := pause(ctx, interval); err != nil {
			return err
		}
	}
}

// unlike returns the name of a queue that does not read back as it was set.
func (a *applier) unlike(ctx context.Context) (string, error) {
	for name, set := range a.touched {
		have, err := a.aws.QueueAttributes(ctx, a.result.URLs[name])
		if errors.Is(err, queue.ErrNotFound) {
			return name, nil
		}
		if err != nil {
			return "", err
		}
		if d, _ := difference(have, set); len(d) > 0 {
			return name, nil
		}
	}
	return "", nil
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
