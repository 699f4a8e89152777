package topology

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"golang.org/x/sync/errgroup"
	"golang.org/x/time/rate"

	"github.com/stationmaster/worker/internal/awsarn"
	"github.com/stationmaster/worker/queue"
)

// ObserveOptions say how much is read.
type ObserveOptions struct {
	// Brief leaves out what says nothing about whether messages arrive: see the fields of State.
	Brief bool
	// tags are read all the same where some are declared: Apply sets them.
	tags bool
}

// Observe reads everything back once, in parallel and within the rates that SNS and SQS allow to an
// account, and changes nothing. It needs read-only permissions; what it may not read has its error
// in the State. Its own error is what concerns all of it: credentials, the network, an invalid topology.
func (t Topology) Observe(ctx context.Context, aws Reader, account Account, o ObserveOptions) (*State, error) {
	if err := t.check(account); err != nil {
		return nil, fmt.Errorf("observe topology: %w", err)
	}
	l := t.layout(account)
	s, err := l.observe(ctx, aws, o)
	if err != nil {
		return nil, fmt.Errorf("observe topology: %w", err)
	}
	return s, nil
}

// Requests a second, of which a fifth may come at once. SNS lists 30 times a second
// (ListSubscriptionsByTopic, API reference); its other reads and those of SQS have no published limit as
// low. Who observes is not alone in the account.
const (
	listRate, tagRate, snsRate, sqsRate = 24, 8, 80, 150
	atOnce                              = 24
)

// observer is one run of Observe.
type observer struct {
	layout              *layout
	aws                 Reader
	brief, tags         bool
	list, tag, sns, sqs *rate.Limiter

	mu     sync.Mutex // of what is found on the way: Others
	state  *State
	others map[string]bool
	known  []queue.Subscription // of the account, to queues
}

func (l *layout) observe(ctx context.Context, aws Reader, o ObserveOptions) (*State, error) {
	limit := func(perSecond int) *rate.Limiter { return rate.NewLimiter(rate.Limit(perSecond), (perSecond+4)/5) }
	ob := &observer{
		layout: l, aws: aws, brief: o.Brief, tags: o.tags, others: map[string]bool{},
		list: limit(listRate), tag: limit(tagRate), sns: limit(snsRate), sqs: limit(sqsRate),
		state: &State{Account: l.account, Queues: map[string]*QueueState{}, Topics: map[string]*TopicState{}, Others: map[string]*QueueState{}},
	}
	for _, part := range []func(context.Context, *errgroup.Group){ob.first, ob.subscriptions, ob.rest, ob.strays} {
		g, ctx := errgroup.WithContext(ctx)
		g.SetLimit(atOnce)
		part(ctx, g)
		if err := g.Wait(); err != nil {
			return nil, err
		}
	}
	return ob.state, nil
}

// first reads the queues and the topics of the topology.
func (ob *observer) first(ctx context.Context, g *errgroup.Group) {
	for _, t := range ob.layout.ordered {
		s := &TopicState{Name: t.Name, ARN: ob.layout.topicARN(t.Name)}
		ob.state.Topics[t.Name] = s
		g.Go(func() error { return ob.topic(ctx, t, s) })
	}
	for _, q := range ob.layout.queues {
		s := &QueueState{Name: q.Name, ARN: ob.layout.queueARN(q.Name)}
		ob.state.Queues[q.Name] = s
		g.Go(func() error { return ob.queue(ctx, q, s) })
	}
	if !ob.brief {
		g.Go(func() error { return ob.listed(ctx) })
	}
}

// subscriptions reads the attributes of those that are listed.
func (ob *observer) subscriptions(ctx context.Context, g *errgroup.Group) {
	for _, want := range ob.layout.subscriptions {
		if t := ob.state.Topics[want.Topic]; t != nil {
			if s := t.Find(ob.layout.endpoint(want)); s != nil {
				s.Declared = true
			}
		}
	}
	for _, t := range ob.state.Topics {
		for _, s := range t.Subscriptions {
			if awsarn.Is(s.ARN) && (s.Declared || !ob.brief) {
				g.Go(func() error { return ob.subscription(ctx, s) })
			}
		}
	}
}

// rest reads the queues that the topology does not have and that something points at.
func (ob *observer) rest(ctx context.Context, g *errgroup.Group) {
	if ob.brief {
		return
	}
	for _, q := range ob.state.Queues {
		delete(ob.others, q.ARN)
	}
	for arn := range ob.others {
		if !arnOfService(arn, "sqs") {
			continue
		}
		s := &QueueState{Name: awsarn.Name(arn), ARN: arn}
		ob.state.Others[arn] = s
		g.Go(func() error { return ob.queue(ctx, Queue{Name: s.Name, ARN: arn, Unmanaged: true}, s) })
	}
}

// tagged tells whether the tags of a thing are of use.
func (ob *observer) tagged(declared map[string]string, unmanaged bool) bool {
	return !ob.brief || ob.tags && len(declared) > 0 && !unmanaged
}

func (ob *observer) topic(ctx context.Context, t Topic, s *TopicState) error {
	s.Err = ask(ctx, ob.sns, func() (err error) { s.Attributes, err = ob.aws.TopicAttributes(ctx, s.ARN); return err })
	if s.Missing() {
		return nil
	}
	s.ListErr = ask(ctx, ob.list, func() error {
		listed, err := ob.aws.TopicSubscriptions(ctx, s.ARN)
		for _, one := range listed {
			s.Subscriptions = append(s.Subscriptions, &SubscriptionState{Subscription: one})
			if one.Protocol == "sqs" {
				ob.note(one.Endpoint)
			}
		}
		return err
	})
	if ob.tagged(t.Tags, t.Unmanaged) {
		s.TagsErr = ask(ctx, ob.tag, func() (err error) { s.Tags, err = ob.aws.TopicTags(ctx, s.ARN); return err })
	}
	return serious(s.Err, s.ListErr, s.TagsErr)
}

func (ob *observer) queue(ctx context.Context, q Queue, s *QueueState) error {
	s.Err = ask(ctx, ob.sqs, func() (err error) { s.URL, err = findQueue(ctx, ob.aws, q); return err })
	if s.Err == nil {
		s.Err = ask(ctx, ob.sqs, func() (err error) { s.Attributes, err = ob.aws.QueueAttributes(ctx, s.URL); return err })
	}
	if s.URL == "" || s.Missing() {
		return serious(s.Err)
	}
	ob.note(queue.ReadRedrive(s.Attributes[attrRedrive]).Target)
	if ob.tagged(q.Tags, q.Unmanaged) {
		s.TagsErr = ask(ctx, ob.sqs, func() (err error) { s.Tags, err = ob.aws.QueueTags(ctx, s.URL); return err })
	}
	if _, catches := ob.layout.victims[q.Name]; catches && !ob.brief {
		s.SourceErr = ask(ctx, ob.sqs, func() (err error) { s.Sources, err = ob.aws.DeadLetterSources(ctx, s.URL); return err })
		s.TasksErr = ask(ctx, ob.sqs, func() (err error) { s.MoveTasks, err = ob.aws.MoveTasks(ctx, s.ARN); return err })
	}
	if errors.Is(s.TasksErr, queue.ErrRejected) {
		return serious(s.Err, s.TagsErr, s.SourceErr) // SQS knows tasks of the dead-letter queues of queues only
	}
	return serious(s.Err, s.TagsErr, s.SourceErr, s.TasksErr)
}

func (ob *observer) subscription(ctx context.Context, s *SubscriptionState) error {
	s.Err = ask(ctx, ob.sns, func() (err error) { s.Attributes, err = ob.aws.SubscriptionAttributes(ctx, s.ARN); return err })
	ob.note(queue.ReadRedrive(s.Attributes[attrRedrive]).Target)
	return serious(s.Err)
}

// note remembers a queue that something points at.
func (ob *observer) note(arn string) {
	ob.mu.Lock()
	defer ob.mu.Unlock()
	if arn != "" {
		ob.others[arn] = true
	}
}

// ask waits for its turn and asks.
func ask(ctx context.Context, turn *rate.Limiter, question func() error) error {
	if err := turn.Wait(ctx); err != nil {
		return err
	}
	return question()
}

// asked is ask for a question that has an answer.
func asked[T any](ctx context.Context, turn *rate.Limiter, question func() (T, error)) (answer T, err error) {
	err = ask(ctx, turn, func() (err error) { answer, err = question(); return err })
	return answer, err
}

// serious returns the first error that concerns more than the thing that was asked about.
func serious(errs ...error) error {
	for _, err := range errs {
		if err != nil && !passing(err) {
			return err
		}
	}
	return nil
}

// passing tells whether an error concerns one thing only. Many that ask at once must not keep each
// other from their work, so a throttle is one.
func passing(err error) bool {
	return errors.Is(err, queue.ErrNotFound) || errors.Is(err, queue.ErrDenied) || errors.Is(err, queue.ErrThrottled)
}
