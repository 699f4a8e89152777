package topology

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/stationmaster/worker/internal/awsarn"
	"github.com/stationmaster/worker/queue"
)

// ErrPending says that a subscription waits for somebody to confirm it: nothing is delivered until
// then. It is the only thing wrong after an Apply whose error is of this class alone.
var ErrPending = errors.New("subscription is pending")

// Pending is a subscription that somebody has to confirm.
type Pending struct {
	Name               string // topic → endpoint
	Protocol, Endpoint string
	// Served: a worker of this configuration confirms it, once it runs.
	Served bool
	Who    string // has to do what
	arn    string
	s      Subscription
}

// Error says it in a line.
func (p Pending) Error() string {
	return fmt.Sprintf("subscription %s: is pending: %s; nothing is delivered until then", p.Name, p.Who)
}

// Unwrap is ErrPending.
func (Pending) Unwrap() error { return ErrPending }

// People tells whether a person has to confirm it, for whom Apply neither waits nor fails.
func (p Pending) People() bool { return !p.s.web() && p.Protocol != sqs }

// wait notes that a subscription waits to be confirmed. The ARN is empty where SNS does not tell it.
func (a *applier) wait(s Subscription, arn string) {
	protocol, endpoint := a.layout.endpoint(s)
	endpoint = Shown(endpoint)
	p := Pending{Name: s.name(), Protocol: protocol, Endpoint: endpoint, Served: s.Served, arn: arn, s: s}
	switch {
	case s.Served:
		p.Who = "a worker of this configuration has to run where SNS reaches it at " + endpoint + ", and confirms it; apply again then, which asks SNS for a new token"
	case s.web():
		p.Who = "whoever answers at " + endpoint + " has to confirm it; applying again asks SNS for a new token"
	case protocol == sqs:
		p.Who = "SNS has sent a SubscriptionConfirmation into the queue, and its owner has to confirm it; apply again after that"
	case protocol == "email" || protocol == "email-json":
		p.Who = "somebody has to click the link in the mail to " + endpoint
	default:
		p.Who = "its owner has to confirm it"
	}
	a.result.Pending = append(a.result.Pending, p)
}

// confirmed looks whether a new subscription is in force. SNS wants the word of the owner of the
// endpoint, unless that is us.
func (a *applier) confirmed(ctx context.Context, s Subscription, arn string) error {
	protocol, endpoint := a.layout.endpoint(s)
	if protocol == sqs && awsarn.Parse(endpoint).Account == a.account.ID {
		return nil
	}
	have, err := a.aws.SubscriptionAttributes(ctx, arn)
	if errors.Is(err, queue.ErrNotFound) || err == nil && have[attrPending] == "true" {
		a.wait(s, arn)
		return nil
	}
	return err
}

// confirmEvery is how often a pending subscription is looked at.
const confirmEvery = time.Second

// confirm waits for HTTP endpoints to confirm their subscriptions. What is left then, or when ctx ends,
// is an error, except for mail: nobody waits for people.
func (a *applier) confirm(ctx context.Context) error {
	for began := time.Now(); a.want.Confirm > 0; {
		left, err := a.stillPending(ctx)
		if err == nil && (len(left) == 0 || time.Since(began) >= a.want.Confirm) {
			break
		}
		if err == nil {
			w := wait{fmt.Sprintf("%d HTTP endpoints", len(left)), "they have to confirm their subscriptions", began, a.want.Confirm}
			if len(left) == 1 {
				w.name, w.what = "subscription "+left[0].Name, "its HTTP endpoint has to confirm it"
			}
			err = a.pause(ctx, w, confirmEvery)
		}
		if end := context.Cause(ctx); end != nil { // all that is not pending is done
			return errors.Join(fmt.Errorf("wait for confirmations: %w", end), a.pendingErrors())
		}
		if err != nil {
			return err
		}
	}
	return a.pendingErrors()
}

// stillPending drops the HTTP endpoints that have confirmed meanwhile, and returns the others.
func (a *applier) stillPending(ctx context.Context) (left []Pending, err error) {
	var still []Pending
	for _, p := range a.result.Pending {
		if p.s.web() && awsarn.Is(p.arn) {
			have, err := a.aws.SubscriptionAttributes(ctx, p.arn)
			if err != nil && !errors.Is(err, queue.ErrNotFound) {
				return nil, err
			}
			if err == nil && have[attrPending] != "true" {
				continue
			}
			left = append(left, p)
		}
		still = append(still, p)
	}
	a.result.Pending = still
	return left, nil
}

func (a *applier) pendingErrors() error {
	var all []error
	for _, p := range a.result.Pending {
		if !p.People() {
			all = append(all, p)
		}
	}
	return errors.Join(all...)
}
