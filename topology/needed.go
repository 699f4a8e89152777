package topology

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/stationmaster/worker/internal/awsarn"
	"github.com/stationmaster/worker/internal/iampolicy"
	"github.com/stationmaster/worker/queue"
)

const (
	// mostPages of the account's subscriptions are looked through before a queue is deleted, mostAsked of
	// them asked for their dead-letter queues. What nobody can look through keeps every queue.
	mostPages, mostAsked = 1000, 5000
)

// neighbours are the subscriptions of the account that stay.
type neighbours struct {
	all   []queue.Subscription
	whole bool
	asked map[string]string // the dead-letter queue of each that was asked, by its ARN
}

// findNeighbours lists what is subscribed in the account and is not about to be ended.
func (u *unwanted) findNeighbours(ctx context.Context) error {
	if len(u.tracks) == 0 {
		return nil
	}
	u.staying = neighbours{asked: map[string]string{}}
	goes := map[string]bool{}
	for _, s := range u.subscriptions {
		goes[s.arn] = s.Kept == ""
	}
	var err error
	u.staying.whole, err = eachSubscription(ctx, u.aws, u.lists, mostPages, func(s queue.Subscription) {
		if !goes[s.ARN] && !u.ended[s.ARN] {
			u.staying.all = append(u.staying.all, s)
		}
	})
	if err != nil {
		return err
	}
	for i := range u.tracks {
		if err := u.needed(ctx, &u.tracks[i]); err != nil {
			return err
		}
	}
	u.keep()
	return nil
}

// needed keeps a queue that somebody who stays delivers to: by a subscription, because it catches what a
// subscription cannot deliver, or by what its policy lets in. A subscription that another account has made
// shows in that policy only.
func (u *unwanted) needed(ctx context.Context, q *doomedQueue) error {
	if q.Kept == "" {
		q.Kept = u.admitted(q.policy)
	}
	if q.Kept != "" {
		return nil
	}
	p, err := iampolicy.Parse(q.policy)
	for _, s := range u.staying.all {
		if s.Endpoint == q.arn {
			q.Kept = "topic " + awsarn.Name(s.TopicARN) + " delivers to it, by a subscription that stays" + wayToEnd(s.ARN)
			return nil
		}
		if !awsarn.Is(s.ARN) || err == nil && !mayDeliver(p, s.TopicARN, q.arn) {
			continue
		}
		to, err := u.deadLetterQueue(ctx, s.ARN)
		if err != nil {
			return err
		}
		if to == q.arn {
			q.Kept = "it catches what SNS cannot deliver: " + awsarn.Name(s.TopicARN) + " → " + shortEndpoint(s.Endpoint) + ", which stays" + wayToEnd(s.ARN)
			return nil
		}
	}
	if !u.staying.whole {
		q.Kept = fmt.Sprintf("the account has more subscriptions than are looked through (%d, and %d of them asked for their dead-letter queues), and one of them may need it", mostPages*100, mostAsked)
	}
	return nil
}

// admitted is why a queue's policy keeps it; empty: it lets in nobody but topics of this account.
func (u *unwanted) admitted(policy string) (why string) {
	statements, topics, err := iampolicy.Strangers(policy)
	switch {
	case err != nil:
		return "nobody can tell whom it lets in: " + err.Error()
	case len(statements) > 0:
		return letsOthers(statements)
	}
	for _, topic := range topics {
		if owner := awsarn.Parse(topic).Account; owner != u.layout.account.ID {
			return "its policy lets topic " + topic + " in, and whether that delivers to it only account " + owner + " knows; take it out of the policy if nobody needs it"
		}
	}
	return ""
}

// letsOthers is why something stays that others are let into.
func letsOthers(statements []string) string {
	return "somebody else lets others use it: " + strings.Join(statements, ", ") + " of its policy; take that out if nobody needs it"
}

// mayDeliver tells whether a queue's policy lets a topic in, or nobody here can tell.
func mayDeliver(p *iampolicy.Policy, topicARN, queueARN string) bool {
	d := p.Authorize(iampolicy.Delivery(snsFor(topicARN, queueARN), topicARN, awsarn.Parse(topicARN).Account, queueARN, time.Now()))
	return d.Allowed || len(d.Unknown) > 0
}

// deadLetterQueue is where goes what a subscription cannot deliver; empty: nowhere, or there is none.
func (u *unwanted) deadLetterQueue(ctx context.Context, arn string) (string, error) {
	if to, ok := u.staying.asked[arn]; ok {
		return to, nil
	}
	if len(u.staying.asked) == mostAsked {
		u.staying.whole = false
		return "", nil
	}
	have, err := asked(ctx, u.attributes, func() (map[string]string, error) { return u.aws.SubscriptionAttributes(ctx, arn) })
	if err != nil && !errors.Is(err, queue.ErrNotFound) {
		return "", err
	}
	u.staying.asked[arn] = queue.ReadRedrive(have[attrRedrive]).Target
	return u.staying.asked[arn], nil
}

// wayToEnd is how somebody ends a subscription that nobody needs.
func wayToEnd(arn string) string {
	if !awsarn.Is(arn) {
		return ""
	}
	return "; if nobody needs that: aws sns unsubscribe --subscription-arn " + arn
}

// shortEndpoint is an endpoint as a line shows it.
func shortEndpoint(endpoint string) string {
	if to := Shown(endpoint); !awsarn.Is(to) {
		return to
	}
	return awsarn.Name(endpoint)
}
