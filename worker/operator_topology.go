package worker

import (
	"context"
	"errors"
	"time"

	"github.com/stationmaster/worker/topology"
)

// ConfirmWithin is how long Apply usually waits for HTTP endpoints: a worker that is there answers in a
// second, and one that has to be started does so within a minute or two.
const ConfirmWithin = 2 * time.Minute

// wanted is the topology of the configuration, with the times of where it is applied.
func (p *Operator) wanted() topology.Topology {
	t := topologyOf(p.loaded.Config)
	t.Settle = p.settle
	return t
}

// Plan tells what Apply would do, and changes nothing.
func (p *Operator) Plan(ctx context.Context) (*topology.Plan, error) {
	plan, err := p.wanted().Plan(ctx, p.api, p.account)
	if err != nil {
		return nil, withWay(err)
	}
	return plan, nil
}

// Apply brings the account to match the configuration and calls step after each change, and while it
// waits. HTTP endpoints have so long to confirm their subscriptions.
func (p *Operator) Apply(ctx context.Context, confirm time.Duration, step func(topology.Change)) (topology.Result, error) {
	wanted := p.wanted()
	wanted.Confirm = confirm
	r, err := wanted.Apply(ctx, p.api, p.account, step)
	if err != nil && !errors.Is(err, topology.ErrPending) {
		return r, withWay(err)
	}
	return r, err
}

// Errands are what others have to do for messages to arrive.
func (p *Operator) Errands() []topology.Errand { return p.wanted().Errands(p.account) }

// Unwanted finds what is there, was made by this configuration's owner, and is no longer in it.
func (p *Operator) Unwanted(ctx context.Context) ([]topology.Doomed, error) {
	doomed, err := p.wanted().Unwanted(ctx, p.api, p.account)
	if err != nil {
		return nil, withWay(err)
	}
	return doomed, nil
}

// Prune deletes what Unwanted has found and calls step after each.
func (p *Operator) Prune(ctx context.Context, doomed []topology.Doomed, step func(topology.Change)) error {
	if err := p.wanted().Prune(ctx, p.api, p.account, doomed, step); err != nil {
		return withWay(err)
	}
	return nil
}

// Policy is what a role needs of IAM for exactly this topology.
func (p *Operator) Policy(role string, prune bool) (string, error) {
	return p.wanted().Policy(role, p.account, prune)
}

// lay applies a topology to the embedded server, where nobody else could have. Endpoints that this worker
// answers at confirm when it runs, and those of others are not there.
func lay(ctx context.Context, wanted topology.Topology, aws topology.API, account topology.Account) error {
	_, err := wanted.Apply(ctx, aws, account, nil)
	if err == nil || errors.Is(err, topology.ErrPending) {
		return nil
	}
	return withUnmanaged(err)
}
