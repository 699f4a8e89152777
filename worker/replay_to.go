package worker

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/stationmaster/worker/dlqreplay"
	"github.com/stationmaster/worker/internal/awsapi"
	"github.com/stationmaster/worker/queue"
)

// destined is a destination that was looked for.
type destined struct {
	to  *dlqreplay.Destination
	err error
}

// findDestination finds what --to names.
func (r *Replay) findDestination(ctx context.Context) error {
	to := r.options.To
	if name, isJob := strings.CutPrefix(to, ToJob); isJob {
		d, err := r.jobDestination(name)
		r.explicit = d
		return err
	}
	if to == "" || to == ToOrigin {
		return nil
	}
	at, err := r.locate(ctx, to)
	if err != nil {
		return fmt.Errorf("--to %s: %w", to, err)
	}
	if at.arn == r.at.arn {
		return fmt.Errorf("--to %s: that is the dead-letter queue itself", to)
	}
	r.explicitAt = at
	r.explicit, err = r.queueDestination(at)
	if err != nil {
		return fmt.Errorf("--to %s: %w", to, err)
	}
	return nil
}

// queueDestination makes the destination of a queue.
func (r *Replay) queueDestination(at *place) (*dlqreplay.Destination, error) {
	if at.fifo() != r.at.fifo() {
		return nil, fmt.Errorf("%s is a %s queue and %s a %s one: messages cannot go from one to the other",
			r.at.name, kindOf(&r.at), at.name, kindOf(at))
	}
	size, _ := strconv.Atoi(at.attributes["MaximumMessageSize"]) // 0 stands for the most there is
	_, ours := r.configured(at.name)
	return &dlqreplay.Destination{
		Name: at.name, ARN: at.arn, FIFO: at.fifo(), MaxBytes: size, Marks: ours,
		Taker:  dlqreplay.Sends(r.op.api.Queue(at.url, awsapi.QueueOptions{}).Once()),
		Counts: r.counts(at.url),
	}, nil
}

func kindOf(at *place) string {
	if at.fifo() {
		return "FIFO"
	}
	return "standard"
}

// Back is the dead-letter queue itself as a destination: messages go into it as they are.
func (r *Replay) Back() *dlqreplay.Destination {
	d, _ := r.queueDestination(&r.at) // a queue is of its own kind
	d.Unchanged, d.Marks, d.Counts = true, false, nil
	return d
}

// destinationOf finds where a letter belongs. The error says why nobody knows.
func (r *Replay) destinationOf(ctx context.Context, l *dlqreplay.Letter, file bool) (*dlqreplay.Destination, error) {
	switch {
	case r.explicit != nil:
		return r.explicit, nil
	case file && l.SourceARN != "" && !slices.ContainsFunc(r.sources, func(s *place) bool { return s.arn == l.SourceARN }):
		return nil, fmt.Errorf("it says that it came from %s, which is no source of %s", l.SourceARN, r.at.name)
	case l.SourceARN != "":
		return r.atARN(ctx, l.SourceARN, nil)
	}
	for _, s := range r.sources {
		if l.Record.Origin == s.name {
			return r.atARN(ctx, s.arn, s)
		}
	}
	if l.Kind == dlqreplay.Undelivered || len(r.sources) == 0 {
		return r.undelivered(ctx, l)
	}
	if len(r.sources) == 1 {
		return r.atARN(ctx, r.sources[0].arn, r.sources[0])
	}
	names := make([]string, len(r.sources))
	for i, s := range r.sources {
		names[i] = s.name
	}
	return nil, fmt.Errorf("it does not say from which of %s", strings.Join(names, ", "))
}

// atARN is the queue of an ARN as a destination; the first answer is kept.
func (r *Replay) atARN(ctx context.Context, arn string, at *place) (*dlqreplay.Destination, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if d := r.found[arn]; d != nil {
		return d.to, d.err
	}
	d := &destined{}
	if at == nil {
		at, d.err = r.locate(ctx, arn)
	}
	switch {
	case d.err == nil:
		d.to, d.err = r.queueDestination(at)
	case errors.Is(d.err, queue.ErrNotFound):
		d.err = fmt.Errorf("queue %s does not exist any more", awsapi.NameOf(arn))
	}
	r.found[arn] = d
	return d.to, d.err
}

// undelivered finds the endpoint that SNS could not reach, in the shape that it expects.
func (r *Replay) undelivered(ctx context.Context, l *dlqreplay.Letter) (*dlqreplay.Destination, error) {
	sub, err := r.subscriptionOf(l)
	if err != nil {
		return nil, err
	}
	if sub.job != "" {
		return r.atJob(sub.job)
	}
	if sub.Protocol != queueProtocol {
		return nil, fmt.Errorf("SNS delivers it to %s by %s: run its job here with --to %sNAME, or say --to QUEUE", sub.Endpoint, sub.Protocol, ToJob)
	}
	d, err := r.atARN(ctx, sub.Endpoint, nil)
	if err != nil || !sub.Raw {
		return d, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	key := "raw " + sub.Endpoint
	if r.found[key] == nil {
		unwrapped := *d
		unwrapped.Taker = &rawTaker{to: d.Taker, most: d.MaxBytes}
		r.found[key] = &destined{to: &unwrapped}
	}
	return r.found[key].to, nil
}

// atJob is a job of this program as a destination; the first answer is kept.
func (r *Replay) atJob(name string) (*dlqreplay.Destination, error) {
	r.mu.Lock()
	d := r.found[ToJob+name]
	r.mu.Unlock()
	if d == nil {
		d = &destined{}
		d.to, d.err = r.jobDestination(name)
		r.mu.Lock()
		r.found[ToJob+name] = d
		r.mu.Unlock()
	}
	return d.to, d.err
}

// subscriptionOf tells whose letter it is: of the only subscription, or the only one of its topic.
func (r *Replay) subscriptionOf(l *dlqreplay.Letter) (subscriber, error) {
	if len(r.subs) == 1 {
		return r.subs[0], nil
	}
	r.mu.Lock()
	topic := r.topics[l.MessageID]
	r.mu.Unlock()
	var its []subscriber
	for _, s := range r.subs {
		if topic != "" && s.TopicARN == topic {
			its = append(its, s)
		}
	}
	switch {
	case len(its) == 1:
		return its[0], nil
	case len(r.subs) == 0:
		return subscriber{}, errors.New("nothing tells where it came from")
	}
	return subscriber{}, fmt.Errorf("nothing tells of which of %d subscriptions it is", len(r.subs))
}

// rawTaker takes messages out of their envelopes, for a subscription that delivers without: what SNS put
// into the dead-letter queue while it delivered with one would not be understood there.
type rawTaker struct {
	to   dlqreplay.Taker
	most int
}

// Take implements dlqreplay.Taker.
func (t *rawTaker) Take(ctx context.Context, ls []*dlqreplay.Letter, ms []queue.Message) (ids []string, errs []error) {
	raw := make([]queue.Message, len(ms))
	for i := range ms {
		raw[i] = unwrap(ms[i])
	}
	return t.to.Take(ctx, ls, raw)
}

// unwrap is a message as raw delivery has it. The mark of the replay stays when there is room.
func unwrap(m queue.Message) queue.Message {
	n, enveloped := queue.ReadNotification(m.Body)
	if !enveloped || n.Type != "Notification" {
		return m
	}
	outer := m.Attributes
	m.Body, m.Attributes = n.Message, maps.Clone(n.Attributes)
	mark, marked := outer[queue.StationmasterAttribute]
	if _, has := m.Attributes[queue.StationmasterAttribute]; marked && (has || len(m.Attributes) < queue.MaxAttributes) {
		if m.Attributes == nil {
			m.Attributes = map[string]queue.Attribute{}
		}
		m.Attributes[queue.StationmasterAttribute] = mark
	}
	return m
}
