package topology

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/stationmaster/worker/queue"
)

const (
	// readEvery is how often a queue is read until it is as it was set.
	readEvery = 5 * time.Second
	// patience is for how long it may read otherwise, beyond Topology.Settle.
	patience = 3 * time.Minute
	// clockSkew is how far the clocks of AWS and of this machine may be apart: AWS refuses requests
	// that are signed with a larger difference.
	clockSkew = 5 * time.Minute
)

// spreads tells whether what was set on a queue, in this run or by one that ended early, may not be
// known everywhere yet.
func (a *applier) spreads(name string) bool {
	if a.want.Settle <= 0 || name == "" {
		return false
	}
	_, touched := a.touched[name]
	return touched || time.Since(a.modified[name]) < a.want.Settle+clockSkew
}

// settle waits until what was set on queues has had its time to spread and reads back as set.
// Subscribing earlier would let SNS deliver into a policy that does not know it yet. When nothing
// waits to be subscribed, it is enough that it reads back.
func (a *applier) settle(ctx context.Context) error {
	if a.want.Settle <= 0 || len(a.touched) == 0 && len(a.held) == 0 {
		return nil
	}
	least := time.Duration(0)
	if len(a.held) > 0 {
		least = a.want.Settle
	}
	if len(a.touched) == 0 {
		a.lastSet = time.Now() // a run that ended early has set it: nobody knows exactly when
	}
	for lost := 0; ; {
		wrong, granted, err := a.unlike(ctx)
		if err != nil {
			return err
		}
		waited := time.Since(a.lastSet)
		switch {
		case wrong == "" && waited >= least:
			return nil
		case waited > a.want.Settle+patience:
			return fmt.Errorf("queue %s: does not read back as it was set after %s; look for another tool that sets it, then apply again",
				wrong, waited.Round(time.Second))
		}
		// One answer may be an old one. Two say that somebody has overwritten the policy.
		if lost++; !granted {
			lost = 0
		}
		if lost > 1 {
			if err := a.allowAgain(ctx, wrong); err != nil {
				return err
			}
			lost = 0
		}
		if err := a.pause(ctx, a.spreading(wrong, least), min(a.want.Settle, readEvery)); err != nil {
			return err
		}
	}
}

// spreading is the wait for what was set; wrong is a queue that does not read back as set, if one does.
func (a *applier) spreading(wrong string, least time.Duration) wait {
	if wrong != "" && time.Since(a.lastSet) >= least {
		return wait{"queue " + wrong, "it has to read back as it was set", a.lastSet, a.want.Settle + patience}
	}
	w := wait{fmt.Sprintf("%d queues", len(a.touched)), "what was set on them has to spread before SNS sends to them", a.lastSet, a.want.Settle}
	switch len(a.touched) {
	case 0:
		w.name, w.what = "queues", "what was set on them a moment ago has to spread before SNS sends to them"
	case 1:
		w.name, w.what = "queue "+slices.Collect(maps.Keys(a.touched))[0], "what was set on it has to spread before SNS sends to it"
	}
	return w
}

// unlike returns the name of a queue that does not read back as it was set, and whether what it lacks
// is the permission of a topic. A policy may hold more than was set: another one adds to it too.
func (a *applier) unlike(ctx context.Context) (name string, granted bool, err error) {
	for _, name := range slices.Sorted(maps.Keys(a.touched)) {
		have, err := a.aws.QueueAttributes(ctx, a.result.URLs[name])
		if errors.Is(err, queue.ErrNotFound) {
			return name, false, nil
		}
		if err != nil {
			return "", false, err
		}
		want := maps.Clone(a.touched[name])
		delete(want, attrPolicy)
		if d, _ := difference(have, want); len(d) > 0 {
			return name, false, nil
		}
		_, missing, err := a.layout.policy(name, have[attrPolicy])
		if err != nil {
			return "", false, fmt.Errorf("queue %s: %w", name, err)
		}
		if len(missing) > 0 {
			return name, true, nil
		}
	}
	return "", false, nil
}

// settled looks once more whether topics may send to the queues that were changed: a policy has no
// version, and another apply at the same time may have written back one that it had read before ours.
func (a *applier) settled(ctx context.Context) error {
	const tries = 5
	for range tries {
		wrong, granted, err := a.unlike(ctx)
		if err != nil || !granted {
			return err
		}
		if err := a.allowAgain(ctx, wrong); err != nil {
			return err
		}
	}
	return nil
}

// allowAgain merges our statement into a policy once more.
func (a *applier) allowAgain(ctx context.Context, name string) error {
	have, err := a.aws.QueueAttributes(ctx, a.result.URLs[name])
	if err != nil {
		return err
	}
	policy, granted, err := a.layout.policy(name, have[attrPolicy])
	if err != nil {
		return fmt.Errorf("queue %s: %w", name, err)
	}
	if len(granted) == 0 {
		return nil
	}
	if err := a.aws.SetQueueAttributes(ctx, a.result.URLs[name], map[string]string{attrPolicy: policy}); err != nil {
		return err
	}
	a.lastSet = time.Now()
	for _, topic := range granted {
		a.changed("policy", name, "allow topic "+topic+" to send, again", "somebody else has set the policy at the same time, without it")
	}
	return nil
}
