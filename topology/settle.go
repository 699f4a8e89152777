package topology

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/stationmaster/worker/internal/pause"
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

// settle waits until what was set on queues has had its time to spread and reads back as set.
// Subscribing earlier would let SNS deliver into a policy that does not know it yet. When there is
// nothing to subscribe, it is enough that it reads back.
func (a *applier) settle(ctx context.Context) error {
	if a.want.Settle <= 0 {
		return nil
	}
	fresh := time.Since(a.modified) < a.want.Settle+clockSkew
	if len(a.touched) == 0 && !fresh {
		return nil
	}
	least := time.Duration(0)
	switch depends, err := a.depending(ctx); {
	case err != nil:
		return err
	case depends:
		least = a.want.Settle
	case len(a.touched) == 0:
		return nil
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
		a.waiting(fmt.Sprintf("queues take up to %s to spread what was set, and nothing is subscribed to them before: %s", a.want.Settle, waited.Round(time.Second)))
		if err := pause.For(ctx, min(a.want.Settle, readEvery)); err != nil {
			return err
		}
	}
}

// depending tells whether something is about to be sent where nothing was before: a subscription is to be
// made, or to get another dead-letter queue than the one that it has.
func (a *applier) depending(ctx context.Context) (bool, error) {
	if a.subscribing() {
		return true, nil
	}
	for _, s := range a.layout.subscriptions {
		arn, ok := a.there(s)
		if !ok || !isARN(arn) || s.DLQ == "" {
			continue
		}
		have, err := a.aws.SubscriptionAttributes(ctx, arn)
		if err != nil {
			return false, fmt.Errorf("subscription %s: %w", s.name(), err)
		}
		if now := queue.ReadRedrive(have[attrRedrive]).Target; now != "" && now != a.layout.queueARN(s.DLQ) {
			return true, nil
		}
	}
	return false, nil
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
