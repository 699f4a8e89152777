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

// settle waits until what was set on queues has had its time to spread and reads back as set.
// Subscribing earlier would let SNS deliver into a policy that does not know it yet. When there is
// nothing to subscribe, it is enough that it reads back.
func (a *applier) settle(ctx context.Context) error {
	if a.want.Settle <= 0 {
		return nil
	}
	least := time.Duration(0)
	if a.subscribing() {
		least = a.want.Settle
	}
	if len(a.touched) == 0 {
		if least == 0 || time.Since(a.modified) >= a.want.Settle+clockSkew {
			return nil
		}
		a.lastSet = time.Now() // a run that ended early has set it: nobody knows exactly when
	}
	for {
		wrong, err := a.unlike(ctx)
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
		if err := pause(ctx, min(a.want.Settle, readEvery)); err != nil {
			return err
		}
	}
}

// unlike returns the name of a queue that does not read back as it was set.
func (a *applier) unlike(ctx context.Context) (string, error) {
	for _, name := range slices.Sorted(maps.Keys(a.touched)) {
		have, err := a.aws.QueueAttributes(ctx, a.result.URLs[name])
		if errors.Is(err, queue.ErrNotFound) {
			return name, nil
		}
		if err != nil {
			return "", err
		}
		if d, _ := difference(have, a.touched[name]); len(d) > 0 {
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
