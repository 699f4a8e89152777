package worker

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/stationmaster/worker/internal/awsapi"
	"github.com/stationmaster/worker/internal/awsarn"
	"github.com/stationmaster/worker/internal/config"
	"github.com/stationmaster/worker/queue"
)

// mostSubscriptions is how many subscriptions are asked whether a queue is theirs for what could not be
// delivered: each takes a request.
const mostSubscriptions = 500

// place is a queue that was found.
type place struct {
	name, url, arn string
	attributes     map[string]string
}

func (p *place) fifo() bool { return p.attributes["FifoQueue"] == "true" }

// redrive is its redrive policy.
func (p *place) redrive() queue.Redrive { return queue.ReadRedrive(p.attributes["RedrivePolicy"]) }

// locate finds a queue by a key of the configuration, a name, an ARN or a URL.
func (r *Replay) locate(ctx context.Context, text string) (*place, error) {
	p := &place{name: text}
	account := ""
	if q, ok := r.op.loaded.Config.Queues[text]; ok {
		wanted := queueOf(text, q)
		p.name = wanted.Name
		if text = or(wanted.URL, wanted.ARN); text == "" {
			text = wanted.Name
		}
	}
	switch {
	case strings.HasPrefix(text, "http://"), strings.HasPrefix(text, "https://"):
		p.url, p.name = text, awsapi.NameOf(text)
	case strings.HasPrefix(text, "arn:"):
		if region := awsarn.Parse(text).Region; region != r.op.account.Region {
			return nil, fmt.Errorf("queue %s is in %s, and this is %s: set AWS_REGION", text, or(region, "no region"), r.op.account.Region)
		}
		p.name, account = ofARN(text)
	default:
		p.name = text
	}
	var err error
	if p.url == "" {
		if p.url, err = r.op.api.QueueURL(ctx, p.name, account); err != nil {
			return nil, r.withQueues(err)
		}
	}
	if p.attributes, err = r.op.api.QueueAttributes(ctx, p.url); err != nil {
		return nil, r.withQueues(err)
	}
	if p.arn = p.attributes["QueueArn"]; p.arn == "" {
		return nil, fmt.Errorf("read the attributes of %s: they have no QueueArn", p.name)
	}
	return p, nil
}

func (r *Replay) withQueues(err error) error {
	switch {
	case errors.Is(err, queue.ErrNotFound):
		return fmt.Errorf("%w; %s", err, r.op.known("queues", keysOf(r.op.loaded.Config.Queues)))
	case errors.Is(err, queue.ErrDenied):
		return fmt.Errorf("%w; --print-iam tells what a replay needs", err)
	}
	return withWay(err)
}

func keysOf(queues map[string]config.Queue) []string {
	keys := make([]string, 0, len(queues))
	for key := range queues {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

// find tells the queue and its dead-letter queue apart, and finds where the letters came from.
func (r *Replay) find(ctx context.Context) error {
	at, err := r.locate(ctx, r.options.Queue)
	if err != nil {
		return err
	}
	if r.at = *at; !r.options.Foreign {
		if err := r.findDeadLetters(ctx, at); err != nil {
			return err
		}
	}
	r.open()
	return r.findDestination(ctx)
}

func (r *Replay) findDeadLetters(ctx context.Context, at *place) error {
	target := at.redrive().Target
	configured, isConfigured := r.configured(at.name)
	if target != "" && isConfigured {
		return r.useDLQ(ctx, at, target)
	}
	sources, err := r.sourcesOf(ctx, at)
	if err != nil {
		return err
	}
	switch {
	case target != "" && len(sources) == 0:
		return r.useDLQ(ctx, at, target)
	case len(sources) > 0:
		r.sources = sources
		r.subs = r.configuredSubscriptions(at)
		r.Undelivered = len(r.subs) > 0
		return nil
	case isConfigured && configured != "":
		return r.useDLQ(ctx, at, configured)
	}
	return r.findSubscriptions(ctx, at)
}

// useDLQ takes the dead-letter queue of a queue that was named.
func (r *Replay) useDLQ(ctx context.Context, source *place, dlq string) error {
	at, err := r.locate(ctx, dlq)
	if err != nil {
		return fmt.Errorf("dead-letter queue of %s: %w", source.name, err)
	}
	r.at = *at
	if r.sources, err = r.sourcesOf(ctx, at); err != nil {
		return err
	}
	if !slices.ContainsFunc(r.sources, func(s *place) bool { return s.arn == source.arn }) {
		r.sources = append(r.sources, source)
	}
	r.subs = r.configuredSubscriptions(at)
	r.Undelivered = len(r.subs) > 0
	return nil
}

// configured returns the name of the dead-letter queue that a queue has in the configuration.
func (r *Replay) configured(name string) (dlq string, ok bool) {
	for key, q := range r.op.loaded.Config.Queues {
		if wanted := queueOf(key, q); wanted.Name == name {
			return wanted.DLQ, true
		}
	}
	return "", false
}

// sourcesOf finds the queues whose redrive policy, or whose configuration, names a dead-letter queue.
func (r *Replay) sourcesOf(ctx context.Context, dlq *place) ([]*place, error) {
	urls, err := r.op.api.DeadLetterSources(ctx, dlq.url)
	if target := dlq.redrive().Target; errors.Is(err, queue.ErrDenied) && target != "" {
		err = nil // it is a source itself, as it seems
	}
	if errors.Is(err, queue.ErrDenied) {
		r.Notes = append(r.Notes, "sqs:ListDeadLetterSourceQueues is denied: only the queues of the configuration are known")
	} else if err != nil {
		return nil, withWay(err)
	}
	for key, q := range r.op.loaded.Config.Queues {
		wanted := queueOf(key, q)
		if wanted.DLQ != dlq.name || slices.ContainsFunc(urls, func(u string) bool { return awsapi.NameOf(u) == wanted.Name }) {
			continue
		}
		at, err := r.locate(ctx, key)
		if err != nil { // nothing can come from, or go to, what is not there
			r.Notes = append(r.Notes, fmt.Sprintf("%s is configured and was not found: %v", key, err))
			continue
		}
		if target := at.redrive().Target; target == "" || target == dlq.arn {
			urls = append(urls, at.url)
		}
	}
	slices.Sort(urls)
	var all []*place
	for _, url := range slices.Compact(urls) {
		at, err := r.locate(ctx, url)
		switch {
		case errors.Is(err, queue.ErrNotFound):
		case errors.Is(err, queue.ErrDenied):
			// It can be named all the same; whether it may be sent to is asked before a replay.
			all = append(all, &place{name: awsapi.NameOf(url), url: url, arn: r.op.account.QueueARN(awsapi.NameOf(url)), attributes: dlq.kindOnly()})
		case err != nil:
			return nil, err
		default:
			all = append(all, at)
		}
	}
	return all, nil
}

// kindOnly are the attributes that a source shares with its dead-letter queue.
func (p *place) kindOnly() map[string]string {
	return map[string]string{"FifoQueue": p.attributes["FifoQueue"]}
}

// queueProtocol is the protocol of subscriptions of queues.
const queueProtocol = "sqs"

// subscriber is a subscription, and the job here that handles what it delivers to this program by HTTP.
type subscriber struct {
	awsapi.Subscription
	job string
}

// configuredSubscriptions are those of the configuration that put into a queue what SNS could not deliver.
func (r *Replay) configuredSubscriptions(at *place) []subscriber {
	var all []subscriber
	for _, s := range r.op.loaded.Config.Subscriptions {
		if wanted := subscriptionOf(r.op.loaded.Config, s); wanted.DLQ == at.name {
			all = append(all, r.subscriberOf(s))
		}
	}
	return all
}

func (r *Replay) subscriberOf(s config.Subscription) subscriber {
	wanted := subscriptionOf(r.op.loaded.Config, s)
	sub := subscriber{Subscription: awsapi.Subscription{
		TopicARN: r.op.account.TopicARN(wanted.Topic), Protocol: or(wanted.Protocol, queueProtocol), Endpoint: wanted.Endpoint, Raw: wanted.Raw,
	}}
	if sub.Protocol == queueProtocol {
		sub.Endpoint = wanted.Queue
		if !strings.HasPrefix(sub.Endpoint, "arn:") {
			sub.Endpoint = r.op.account.QueueARN(sub.Endpoint)
		}
	}
	if s.Served() {
		sub.job = s.Job
	}
	return sub
}

// withJobs adds what the configuration knows of subscriptions that AWS told of.
func (r *Replay) withJobs(found []awsapi.Subscription) []subscriber {
	all := make([]subscriber, len(found))
	for i, f := range found {
		all[i].Subscription = f
		for _, s := range r.op.loaded.Config.Subscriptions {
			if ours := r.subscriberOf(s); ours.TopicARN == f.TopicARN && ours.Protocol == f.Protocol && ours.Endpoint == f.Endpoint {
				all[i].job = ours.job
			}
		}
	}
	return all
}

// findSubscriptions asks whether the queue is a subscription's.
func (r *Replay) findSubscriptions(ctx context.Context, at *place) error {
	found, whole, err := r.op.api.SubscriptionsFailingTo(ctx, at.arn, mostSubscriptions)
	if err != nil && !errors.Is(err, queue.ErrDenied) {
		return withWay(err)
	}
	if r.subs = r.withJobs(found); len(r.subs) == 0 {
		r.subs = r.configuredSubscriptions(at)
	}
	if r.Undelivered = len(r.subs) > 0; r.Undelivered {
		return nil
	}
	text := fmt.Sprintf("%s is no dead-letter queue: no redrive policy of a queue and no subscription names it, and it names none itself", at.name)
	switch {
	case err != nil:
		text += "; sns:ListSubscriptions is denied, so it may be a subscription's"
	case !whole:
		text += fmt.Sprintf("; not all subscriptions could be asked (%d at most)", mostSubscriptions)
	}
	return errors.New(text + ". If Lambda or EventBridge puts its dead letters there, say --foreign")
}

// endpointName is what a subscription delivers to, for people.
func endpointName(s subscriber) string {
	if s.Protocol == queueProtocol {
		return awsapi.NameOf(s.Endpoint)
	}
	return s.Endpoint
}
