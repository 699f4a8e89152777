package topology

import (
	"context"
	"errors"
	"slices"

	"golang.org/x/sync/errgroup"
	"golang.org/x/time/rate"

	"github.com/stationmaster/worker/internal/awsarn"
	"github.com/stationmaster/worker/queue"
)

const (
	// MostListed is how many subscriptions of an account are looked through, a hundred to a page: it may
	// have millions, and who looks shares ListSubscriptions' 30 requests a second with everybody else.
	MostListed = listedPages * 100

	listedPages = 50
	mostStrays  = 100 // each of which may take a request of its own
)

// Stray is a subscription that leads to a queue of the topology, and that none of its topics has: SNS
// lists it in the account only.
type Stray struct {
	queue.Subscription
	// Recreated: the topology has the topic, which does not list it: it was made for a topic of the same
	// name that was deleted.
	Recreated bool
	// TopicErr is that of looking for a topic that the topology does not have; it wraps queue.ErrNotFound
	// when there is none.
	TopicErr error
}

// Orphan tells whether its topic is known not to exist.
func (s *Stray) Orphan() bool { return errors.Is(s.TopicErr, queue.ErrNotFound) }

// listed reads the subscriptions of the account that lead to queues.
func (ob *observer) listed(ctx context.Context) error {
	whole, err := eachSubscription(ctx, ob.aws, ob.list, listedPages, func(s queue.Subscription) {
		if s.Protocol == sqs {
			ob.known = append(ob.known, s)
		}
	})
	if err != nil {
		ob.state.StraysErr = err
		return serious(err)
	}
	ob.state.MoreStrays = !whole
	return nil
}

// eachSubscription calls with for the subscriptions of the account that are not gone, as far as so many pages
// have them; whole tells that those are all.
func eachSubscription(ctx context.Context, aws TopicReader, turn *rate.Limiter, pages int, with func(queue.Subscription)) (whole bool, err error) {
	token := ""
	for range pages {
		var page []queue.Subscription
		err := ask(ctx, turn, func() (err error) { page, token, err = aws.Subscriptions(ctx, token); return err })
		if err != nil {
			return false, err
		}
		for _, s := range page {
			if s.ARN != gone {
				with(s)
			}
		}
		if token == "" {
			return true, nil
		}
	}
	return false, nil
}

// strays finds, among what the account has, what leads to a queue of the topology and is listed by none of
// its topics.
func (ob *observer) strays(ctx context.Context, g *errgroup.Group) {
	ours := map[string]bool{}
	for _, q := range ob.state.Queues {
		ours[q.ARN] = true
	}
	topics := map[string]*TopicState{}
	for _, t := range ob.state.Topics {
		topics[t.ARN] = t
	}
	unknown, recreated := map[string][]*Stray{}, []*Stray(nil) // by the topic that nobody has looked for
	for _, s := range ob.known {
		t := topics[s.TopicARN]
		if !ours[s.Endpoint] || t != nil && (t.Missing() || t.ListErr != nil || t.lists(s)) {
			continue // what is wrong with a topic of the topology is told of it
		}
		if len(ob.state.Strays) == mostStrays {
			ob.state.MoreStrays = true
			break
		}
		stray := &Stray{Subscription: s}
		ob.state.Strays = append(ob.state.Strays, stray)
		if t == nil {
			unknown[s.TopicARN] = append(unknown[s.TopicARN], stray)
			continue
		}
		stray.Recreated = true
		recreated = append(recreated, stray)
	}
	for _, s := range recreated {
		g.Go(func() error { return ob.stillThere(ctx, s) })
	}
	for arn, some := range unknown {
		g.Go(func() error {
			err := ask(ctx, ob.sns, func() error { _, err := ob.aws.TopicAttributes(ctx, arn); return err })
			for _, s := range some {
				s.TopicErr = err
			}
			return serious(err)
		})
	}
}

// lists tells whether the topic's own list has a subscription. One that waits to be confirmed has no ARN
// there, and is known by its endpoint.
func (t *TopicState) lists(s queue.Subscription) bool {
	return slices.ContainsFunc(t.Subscriptions, func(have *SubscriptionState) bool {
		if awsarn.Is(have.ARN) && awsarn.Is(s.ARN) {
			return have.ARN == s.ARN
		}
		return endOf(have.Protocol, have.Endpoint) == endOf(s.Protocol, s.Endpoint)
	})
}

// stillThere forgets a stray that was ended, or made, while the lists were read.
func (ob *observer) stillThere(ctx context.Context, s *Stray) error {
	if !awsarn.Is(s.ARN) {
		return nil
	}
	err := ask(ctx, ob.sns, func() error { _, err := ob.aws.SubscriptionAttributes(ctx, s.ARN); return err })
	if errors.Is(err, queue.ErrNotFound) {
		ob.mu.Lock()
		defer ob.mu.Unlock()
		ob.state.Strays = slices.DeleteFunc(ob.state.Strays, func(other *Stray) bool { return other == s })
	}
	return serious(err)
}
