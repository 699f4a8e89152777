package topology

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/stationmaster/worker/internal/awsarn"
	"github.com/stationmaster/worker/queue"
)

// Prune deletes what Unwanted found, in its order, and calls step after each. First it ends the
// subscriptions, then it waits for Settle: until then SNS may deliver what was under way, and SQS counts
// it not. Then it looks once more at all that is left. A queue that holds more than was shown, a queue or
// a topic that somebody has begun to use, and what no longer has our tag, is an error, and is not deleted:
// somebody has come meanwhile. What has gone already is no error, so that a run that was cut can be
// repeated.
func (t Topology) Prune(ctx context.Context, aws Pruner, account Account, doomed []Doomed, step func(Change)) error {
	p := &pruning{want: t, aws: aws, account: account, doomed: doomed, step: step, ended: map[string]bool{}}
	for _, part := range []func(context.Context) error{p.end, p.settle, p.lookAgain, p.deleteAll} {
		if err := part(ctx); err != nil {
			return fmt.Errorf("prune: %w", err)
		}
	}
	return nil
}

// pruning is one run of Prune.
type pruning struct {
	want    Topology
	aws     Pruner
	account Account
	doomed  []Doomed // as they were shown
	step    func(Change)
	ended   map[string]bool   // subscriptions
	now     map[string]Doomed // what is unwanted still, by ARN
}

// done tells what was deleted, or has gone already.
func (p *pruning) done(d *Doomed) {
	if p.step != nil {
		p.step(Change{Kind: d.Kind, Name: d.Name, What: "delete", Why: d.Why})
	}
}

// each calls work for all that is to be deleted and is of one of some kinds.
func (p *pruning) each(work func(*Doomed) error, kinds ...string) error {
	for i := range p.doomed {
		d := &p.doomed[i]
		if d.Kept != "" || !slices.Contains(kinds, d.Kind) {
			continue
		}
		if err := work(d); err != nil && !errors.Is(err, queue.ErrNotFound) {
			return err
		}
	}
	return nil
}

// end ends the subscriptions.
func (p *pruning) end(ctx context.Context) error {
	return p.each(func(d *Doomed) error {
		if err := p.aws.Unsubscribe(ctx, d.arn); err != nil && !errors.Is(err, queue.ErrNotFound) {
			return err
		}
		p.ended[d.arn] = true
		p.done(d)
		return nil
	}, "subscription")
}

// settle waits before queues are counted, which SQS does exactly a minute after the last send at the earliest.
// Source: GetQueueAttributes, SQS API reference.
func (p *pruning) settle(ctx context.Context) error {
	queues := 0
	_ = p.each(func(*Doomed) error { queues++; return nil }, "queue")
	if queues == 0 || p.want.Settle <= 0 {
		return nil
	}
	w := wait{fmt.Sprintf("%d queues", queues), "what was under way to them has to arrive and to be counted before one is deleted", time.Now(), p.want.Settle}
	return w.pause(ctx, p.step, p.want.Settle)
}

// lookAgain finds once more what is unwanted.
func (p *pruning) lookAgain(ctx context.Context) error {
	now, err := p.want.unwanted(ctx, p.aws, p.account, p.ended)
	if err != nil {
		return err
	}
	p.now = map[string]Doomed{}
	for _, d := range now {
		p.now[d.arn] = d
	}
	return nil
}

// deleteAll deletes the queues and the topics, each after a last look.
func (p *pruning) deleteAll(ctx context.Context) error {
	return p.each(func(d *Doomed) error {
		last := p.queue
		if d.Kind == "topic" {
			last = p.topic
		}
		if err := last(ctx, d); err != nil && !errors.Is(err, queue.ErrNotFound) {
			return fmt.Errorf("%s %s: %w", d.Kind, d.Name, err)
		}
		p.done(d)
		return nil
	}, "queue", "topic")
}

// still says why something is not to be deleted any more.
func (p *pruning) still(d *Doomed, tags map[string]string) error {
	if tags[OwnerTag] != p.want.Owner {
		return fmt.Errorf("has lost its tag %s=%s meanwhile; look who took it, then run this again", OwnerTag, p.want.Owner)
	}
	if why := p.now[d.arn].Kept; why != "" {
		return fmt.Errorf("stays, since this was shown: %s", why)
	}
	return nil
}

func (p *pruning) topic(ctx context.Context, d *Doomed) error {
	tags, err := p.aws.TopicTags(ctx, d.arn)
	if err != nil {
		return err
	}
	if err := p.still(d, tags); err != nil {
		return err
	}
	listed, err := p.aws.TopicSubscriptions(ctx, d.arn)
	if err != nil {
		return err
	}
	for _, s := range listed {
		if awsarn.Is(s.ARN) && !p.ended[s.ARN] {
			return fmt.Errorf("%s has been subscribed since this was shown: look again", Shown(s.Endpoint))
		}
	}
	return p.aws.DeleteTopic(ctx, d.arn)
}

// queue deletes one, unless a message has come that was not shown.
func (p *pruning) queue(ctx context.Context, d *Doomed) error {
	tags, err := p.aws.QueueTags(ctx, d.url)
	if err != nil {
		return err
	}
	if err := p.still(d, tags); err != nil {
		return err
	}
	have, err := p.aws.QueueAttributes(ctx, d.url)
	if err != nil {
		return err
	}
	if now, _ := held(have); now > d.Held {
		return fmt.Errorf("holds about %d messages, and %d when this was shown: somebody sends to it, or SNS had one under way; it is not deleted, and they are in it: look again", now, d.Held)
	}
	return p.aws.DeleteQueue(ctx, d.url)
}
