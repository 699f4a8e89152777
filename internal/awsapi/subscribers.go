package awsapi

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"

	"github.com/aws/aws-sdk-go-v2/service/sns"
	snstypes "github.com/aws/aws-sdk-go-v2/service/sns/types"

	"github.com/stationmaster/worker/queue"
)

// askedAtOnce is how many subscriptions are read at the same time.
const askedAtOnce = 8

// Subscription is one subscription of a topic.
type Subscription struct {
	ARN, TopicARN, Protocol, Endpoint string
	// Raw: what it delivers has no envelope.
	Raw bool
}

// SubscriptionsFailingTo returns the subscriptions, of all topics of this account and region, whose
// redrive policy names the queue. There is no index of them: each subscription takes a request of its
// own, at most most of them. whole says that no subscription was left out: neither beyond most nor
// because the caller may not read it.
func (c *Client) SubscriptionsFailingTo(ctx context.Context, queueARN string, most int) (found []Subscription, whole bool, err error) {
	all, whole, err := c.subscriptions(ctx, most)
	if err != nil {
		return nil, false, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var (
		mu    sync.Mutex
		wg    sync.WaitGroup
		slots = make(chan struct{}, askedAtOnce)
	)
	for i := range all {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			if ctx.Err() != nil {
				return
			}
			s, its, err := c.failsTo(ctx, &all[i], queueARN)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case errors.Is(err, queue.ErrNotFound): // it has gone meanwhile
			case errors.Is(err, queue.ErrDenied):
				whole = false
			case err != nil:
				cancel(err)
			case its:
				found = append(found, s)
			}
		})
	}
	wg.Wait()
	if err := context.Cause(ctx); err != nil {
		return nil, false, err
	}
	slices.SortFunc(found, func(a, b Subscription) int { return strings.Compare(a.ARN, b.ARN) })
	return found, whole, nil
}

// subscriptions lists at most most subscriptions, without those that nobody has confirmed.
func (c *Client) subscriptions(ctx context.Context, most int) (all []queue.Subscription, whole bool, err error) {
	for token := ""; ; {
		var page []queue.Subscription
		if page, token, err = c.Subscriptions(ctx, token); err != nil {
			return nil, false, err
		}
		for _, s := range page {
			if !strings.HasPrefix(s.ARN, "arn:") {
				continue
			}
			if len(all) == most {
				return all, false, nil
			}
			all = append(all, s)
		}
		if token == "" {
			return all, true, nil
		}
	}
}

// Subscriptions lists the subscriptions of this account and region, whatever their topic, a hundred to a
// page. The first page has the empty token; next is empty after the last.
func (c *Client) Subscriptions(ctx context.Context, token string) (page []queue.Subscription, next string, err error) {
	ctx, cancel := context.WithTimeout(ctx, controlTimeout)
	defer cancel()
	in := &sns.ListSubscriptionsInput{}
	if token != "" {
		in.NextToken = &token
	}
	out, err := c.topics.ListSubscriptions(ctx, in)
	if err != nil {
		return nil, "", wrap("list the subscriptions", "", err)
	}
	return listed(out.Subscriptions), value(out.NextToken), nil
}

// listed are subscriptions as the SDK has them.
func listed(some []snstypes.Subscription) []queue.Subscription {
	all := make([]queue.Subscription, len(some))
	for i, s := range some {
		all[i] = queue.Subscription{
			ARN: value(s.SubscriptionArn), TopicARN: value(s.TopicArn), Protocol: value(s.Protocol),
			Endpoint: value(s.Endpoint), Owner: value(s.Owner),
		}
	}
	return all
}

// failsTo tells whether what a subscription cannot deliver goes to the queue.
func (c *Client) failsTo(ctx context.Context, s *queue.Subscription, queueARN string) (Subscription, bool, error) {
	attributes, err := c.SubscriptionAttributes(ctx, s.ARN)
	if err != nil {
		return Subscription{}, false, err
	}
	if queue.ReadRedrive(attributes["RedrivePolicy"]).Target != queueARN {
		return Subscription{}, false, nil
	}
	return Subscription{
		ARN: s.ARN, TopicARN: s.TopicARN, Protocol: s.Protocol, Endpoint: s.Endpoint, Raw: attributes["RawMessageDelivery"] == "true",
	}, true, nil
}
