package topology

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"
	"golang.org/x/time/rate"

	"github.com/stationmaster/worker/internal/awsarn"
	"github.com/stationmaster/worker/internal/iampolicy"
	"github.com/stationmaster/worker/queue"
)

// Pruner is what Unwanted and Prune ask and do.
type Pruner interface {
	Reader
	Lister
	Deleter
}

// Doomed is one thing that is there, was made by this owner, and is no longer declared.
type Doomed struct {
	Kind string // "subscription", "queue" or "topic"
	Name string
	Why  string // how it is known to be ours, and not wanted
	// Holds says what goes with it: messages of a queue, confirmed subscriptions of a topic. Held is
	// their number; 0: nothing is lost.
	Holds string
	Held  int64
	// Kept says why it stays all the same; empty: Prune deletes it.
	Kept string

	arn, url string
}

// String says it in a line.
func (d Doomed) String() string {
	text := d.Kind + " " + d.Name + ": " + d.Why
	if d.Holds != "" {
		text += "; " + d.Holds
	}
	if d.Kept != "" {
		text += "; it stays: " + d.Kept
	}
	return text
}

// Unwanted finds what Prune would delete, in the order of deletion, and changes nothing: subscriptions
// that nobody declared between what is declared, or with one of our dead-letter queues, and the queues
// and topics that carry Owner's tag and are not declared. Without an Owner no queue and no topic is
// ever unwanted. What others have made is not, whatever it does.
//
// The tag says who has made a thing, and not who uses it by now: what catches the dead letters of somebody
// else's queue or subscription, what a topic that stays delivers to, and what a policy lets others into
// has a reason to be Kept.
func (t Topology) Unwanted(ctx context.Context, aws Pruner, account Account) ([]Doomed, error) {
	return t.unwanted(ctx, aws, account, nil)
}

// unwanted is Unwanted, after some subscriptions were ended, which SNS may list for a while.
func (t Topology) unwanted(ctx context.Context, aws Pruner, account Account, ended map[string]bool) ([]Doomed, error) {
	if err := t.check(account); err != nil {
		return nil, fmt.Errorf("find what is unwanted: %w", err)
	}
	l := t.layout(account)
	u := &unwanted{
		layout: &l, aws: aws, owner: t.Owner, ended: ended,
		queues: rate.NewLimiter(sqsRate, sqsRate/5), topics: rate.NewLimiter(tagRate, 2), lists: rate.NewLimiter(listRate, 5),
		attributes: rate.NewLimiter(snsRate, snsRate/5),
	}
	for _, part := range []func(context.Context) error{u.findQueues, u.findTopics, u.findSubscriptions, u.findNeighbours} {
		if err := part(ctx); err != nil {
			return nil, fmt.Errorf("find what is unwanted: %w", err)
		}
	}
	return slices.Concat(u.subscriptions, u.inOrder(), u.stations), nil
}

// unwanted is one run of Unwanted.
type unwanted struct {
	layout                *layout
	aws                   Pruner
	owner                 string
	ended                 map[string]bool // subscriptions
	queues, topics, lists *rate.Limiter
	attributes            *rate.Limiter // of topics and subscriptions

	mu            sync.Mutex
	tracks        []doomedQueue
	stations      []Doomed // topics
	subscriptions []Doomed
	staying       neighbours
}

// doomedQueue knows where its messages go.
type doomedQueue struct {
	Doomed
	dlq    string // ARN
	policy string
}

// findQueues finds the queues with our tag that are not declared.
func (u *unwanted) findQueues(ctx context.Context) error {
	if u.owner == "" {
		return nil
	}
	urls, err := u.aws.Queues(ctx)
	if err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(atOnce)
	for _, url := range urls {
		if u.declared(u.layout.account.arnOf(url)) {
			continue
		}
		g.Go(func() error { return u.queue(ctx, url) })
	}
	if err := g.Wait(); err != nil {
		return err
	}
	u.keep()
	return nil
}

// keep keeps what the queues that stay stand on, and what that stands on.
func (u *unwanted) keep() {
	for again := true; again; {
		again = false
		for _, q := range u.tracks {
			i := slices.IndexFunc(u.tracks, func(dlq doomedQueue) bool { return q.dlq != "" && dlq.arn == q.dlq })
			if q.Kept != "" && i >= 0 && u.tracks[i].Kept == "" {
				u.tracks[i].Kept, again = catches(q.Name), true
			}
		}
	}
}

func (u *unwanted) queue(ctx context.Context, url string) error {
	if err := u.queues.Wait(ctx); err != nil {
		return err
	}
	tags, err := u.aws.QueueTags(ctx, url)
	if errors.Is(err, queue.ErrNotFound) || err == nil && tags[OwnerTag] != u.owner {
		return nil
	}
	if err != nil {
		return err
	}
	have, err := u.aws.QueueAttributes(ctx, url)
	if err != nil {
		return err
	}
	sources, err := u.aws.DeadLetterSources(ctx, url)
	if err != nil {
		return err
	}
	q := doomedQueue{dlq: queue.ReadRedrive(have[attrRedrive]).Target, policy: have[attrPolicy]}
	q.Doomed = Doomed{Kind: "queue", Name: awsarn.Name(have["QueueArn"]), Why: "it has the tag " + OwnerTag + "=" + u.owner + " and is not declared", arn: have["QueueArn"], url: url}
	q.Held, q.Holds = held(have)
	for _, source := range sources {
		tags, err := u.aws.QueueTags(ctx, source)
		if err != nil {
			return err
		}
		if arn := u.layout.account.arnOf(source); tags[OwnerTag] != u.owner || u.declared(arn) {
			q.Kept = catches(awsarn.Name(arn))
		}
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.tracks = append(u.tracks, q)
	return nil
}

// catches is why a queue stays that another one needs.
func catches(source string) string {
	return "it catches the dead letters of " + source + ", which stays"
}

// declared tells whether the topology speaks of a queue, by its name or by whatever name it has there.
func (u *unwanted) declared(arn string) bool {
	if _, ok := u.layout.byName[awsarn.Name(arn)]; ok {
		return true
	}
	return slices.ContainsFunc(u.layout.queues, func(q Queue) bool { return u.layout.queueARN(q.Name) == arn })
}

// held counts the messages of a queue.
func held(have map[string]string) (n int64, text string) {
	var counts [3]int64
	for i, name := range []string{"ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible", "ApproximateNumberOfMessagesDelayed"} {
		counts[i], _ = strconv.ParseInt(have[name], 10, 64) // a count that is not there is none
		n += counts[i]
	}
	if n == 0 {
		return 0, "it is empty"
	}
	return n, fmt.Sprintf("it holds about %d messages (%d visible, %d in flight, %d delayed), which would be lost", n, counts[0], counts[1], counts[2])
}

// inOrder are the queues, those that others catch dead letters for first.
func (u *unwanted) inOrder() (all []Doomed) {
	slices.SortFunc(u.tracks, func(a, b doomedQueue) int { return strings.Compare(a.Name, b.Name) })
	left := slices.Clone(u.tracks)
	for len(left) > 0 {
		// The first that has a dead-letter queue and is none; else one that is none; else they go round in
		// a circle, which has no first.
		i := 0
		if free := slices.IndexFunc(left, func(q doomedQueue) bool { return q.dlq != "" && !catchesAny(left, q) }); free >= 0 {
			i = free
		} else if free := slices.IndexFunc(left, func(q doomedQueue) bool { return !catchesAny(left, q) }); free >= 0 {
			i = free
		}
		all = append(all, left[i].Doomed)
		left = slices.Delete(left, i, i+1)
	}
	return all
}

// catchesAny tells whether a queue is the dead-letter queue of another one.
func catchesAny(of []doomedQueue, dlq doomedQueue) bool {
	return slices.ContainsFunc(of, func(q doomedQueue) bool { return q.dlq != "" && q.dlq == dlq.arn && q.arn != dlq.arn })
}

// findTopics finds the topics with our tag that are not declared, and ends all their subscriptions first:
// those of a topic that has gone linger for days.
func (u *unwanted) findTopics(ctx context.Context) error {
	if u.owner == "" {
		return nil
	}
	arns, err := u.aws.Topics(ctx)
	if err != nil {
		return err
	}
	for _, arn := range arns {
		name := awsarn.Name(arn)
		if _, declared := u.layout.topics[name]; declared || slices.ContainsFunc(u.layout.ordered, func(t Topic) bool { return t.ARN == arn }) {
			continue
		}
		tags, err := asked(ctx, u.topics, func() (map[string]string, error) { return u.aws.TopicTags(ctx, arn) })
		if errors.Is(err, queue.ErrNotFound) || err == nil && tags[OwnerTag] != u.owner {
			continue
		}
		if err != nil {
			return err
		}
		if err := u.topic(ctx, name, arn); err != nil && !errors.Is(err, queue.ErrNotFound) {
			return err
		}
	}
	return nil
}

// topic dooms one, and those of its subscriptions that are ours. With one that is somebody else's, and
// where its policy lets others publish, it stays.
func (u *unwanted) topic(ctx context.Context, name, arn string) error {
	have, err := asked(ctx, u.attributes, func() (map[string]string, error) { return u.aws.TopicAttributes(ctx, arn) })
	if err != nil {
		return err
	}
	listed, err := asked(ctx, u.lists, func() ([]queue.Subscription, error) { return u.aws.TopicSubscriptions(ctx, arn) })
	if err != nil {
		return err
	}
	d := Doomed{Kind: "topic", Name: name, Why: "it has the tag " + OwnerTag + "=" + u.owner + " and is not declared", Holds: "nobody is subscribed", arn: arn}
	switch statements, _, err := iampolicy.Strangers(have[attrPolicy]); {
	case err != nil:
		d.Kept = "nobody can tell whom it lets in: " + err.Error()
	case len(statements) > 0:
		d.Kept = letsOthers(statements)
	}
	mine := map[string]string{} // why, by ARN
	for _, s := range listed {
		if !awsarn.Is(s.ARN) || u.ended[s.ARN] {
			continue
		}
		d.Held++
		why, err := u.ours(ctx, s)
		if err != nil {
			return err
		}
		if mine[s.ARN] = why; why == "" {
			d.Kept = shortEndpoint(s.Endpoint) + " is subscribed to it, and is not known to be ours" + wayToEnd(s.ARN)
		}
	}
	for _, s := range listed {
		if why := mine[s.ARN]; why != "" {
			if d.Kept == "" {
				why = "its topic goes"
			}
			u.doom(s, name, why)
		}
	}
	if d.Held > 0 {
		d.Holds = fmt.Sprintf("it has %d confirmed subscriptions, which end", d.Held)
		if d.Kept != "" {
			d.Holds = fmt.Sprintf("it has %d confirmed subscriptions", d.Held)
		}
	}
	u.stations = append(u.stations, d)
	return nil
}

func (u *unwanted) doom(s queue.Subscription, topic, why string) {
	d := Doomed{Kind: "subscription", Name: topic + " → " + shortEndpoint(s.Endpoint), Why: why, arn: s.ARN}
	if !awsarn.Is(s.ARN) {
		d.Kept = "it is pending, and SNS ends no pending one; it goes by itself within three days"
	}
	u.subscriptions = append(u.subscriptions, d)
}

// findSubscriptions finds those of declared topics that are ours and not declared.
func (u *unwanted) findSubscriptions(ctx context.Context) error {
	type at struct {
		topic string
		end   end
	}
	wanted := map[at]bool{}
	for _, s := range u.layout.subscriptions {
		wanted[at{u.layout.topicARN(s.Topic), endOf(u.layout.endpoint(s))}] = true
	}
	for _, t := range u.layout.ordered {
		arn := u.layout.topicARN(t.Name)
		listed, err := asked(ctx, u.lists, func() ([]queue.Subscription, error) { return u.aws.TopicSubscriptions(ctx, arn) })
		if errors.Is(err, queue.ErrNotFound) {
			continue
		}
		if err != nil {
			return err
		}
		for _, s := range listed {
			if s.ARN == gone || wanted[at{arn, endOf(s.Protocol, s.Endpoint)}] {
				continue
			}
			why, err := u.ours(ctx, s)
			if err != nil {
				return err
			}
			if why != "" {
				u.doom(s, t.Name, why)
			}
		}
	}
	return nil
}

// ours tells how a subscription is known to have been made here; empty: it is not.
func (u *unwanted) ours(ctx context.Context, s queue.Subscription) (why string, err error) {
	if s.Protocol == sqs && u.hasQueue(s.Endpoint) {
		return "its queue is ours, and the subscription is not declared", nil
	}
	if !awsarn.Is(s.ARN) {
		return "", nil // its dead-letter queue cannot be asked for
	}
	have, err := u.aws.SubscriptionAttributes(ctx, s.ARN)
	if errors.Is(err, queue.ErrNotFound) {
		return "", nil
	}
	if err == nil && u.hasQueue(queue.ReadRedrive(have[attrRedrive]).Target) {
		return "its dead-letter queue is ours, and the subscription is not declared", nil
	}
	return "", err
}

// hasQueue tells whether a queue is managed here, or was.
func (u *unwanted) hasQueue(arn string) bool {
	if q, ok := u.layout.byName[awsarn.Name(arn)]; ok && u.layout.queueARN(q.Name) == arn {
		return !q.Unmanaged
	}
	return slices.ContainsFunc(u.tracks, func(q doomedQueue) bool { return q.arn == arn })
}
