package topology

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/stationmaster/worker/queue"
)

// queues creates those that are missing, dead-letter queues first, and then sets what differs, in
// the same order. Nothing but what can only be said at creation is said there: a CreateQueue with
// other attributes than the queue's own is an error.
func (a *applier) queues(ctx context.Context) error {
	for _, q := range a.layout.queues {
		if err := a.findOrCreate(ctx, q); err != nil {
			return err
		}
	}
	if a.want.Settle > 0 && len(a.created) > 0 {
		// "You must wait at least one second after the queue is created." (CreateQueue, API reference)
		if err := pause(ctx, time.Second); err != nil {
			return err
		}
	}
	for _, q := range a.layout.queues {
		if q.Unmanaged {
			continue
		}
		if err := a.counted(func() error { return a.setQueue(ctx, q) }); err != nil {
			return err
		}
	}
	return nil
}

func (a *applier) findOrCreate(ctx context.Context, q Queue) error {
	url, err := findQueue(ctx, a.aws, q)
	if errors.Is(err, queue.ErrNotFound) && !q.Unmanaged {
		immutable := map[string]string(nil)
		if strings.HasSuffix(q.Name, fifo) {
			immutable = map[string]string{"FifoQueue": "true"}
		}
		if url, err = a.aws.CreateQueue(ctx, q.Name, immutable, q.Tags); err == nil {
			a.created[q.Name] = true
			a.changed("queue", q.Name, "create")
		}
	}
	if err != nil {
		return err
	}
	a.result.URLs[q.Name] = url
	return nil
}

// findQueue returns the URL of a queue that exists; only a queue given by its URL is taken at its
// word.
func findQueue(ctx context.Context, aws SQS, q Queue) (string, error) {
	if q.URL != "" {
		return q.URL, nil
	}
	if q.ARN == "" {
		return aws.QueueURL(ctx, q.Name, "")
	}
	parts := strings.Split(q.ARN, ":")
	if len(parts) != 6 {
		return "", fmt.Errorf("queue %s: ARN %q must have six parts, like arn:aws:sqs:eu-central-1:123456789012:name", q.Name, q.ARN)
	}
	return aws.QueueURL(ctx, parts[5], parts[4])
}

// setQueue sets what differs in one request: the policy stands in it, so there is no moment in
// which the queue has its other attributes and lets SNS in, or the reverse.
func (a *applier) setQueue(ctx context.Context, q Queue) error {
	url := a.result.URLs[q.Name]
	have, err := a.readNew(ctx, q.Name, url)
	if err != nil {
		return err
	}
	want := a.layout.attributes(q)
	policy, granted, err := a.layout.policy(q.Name, have[attrPolicy])
	if err != nil {
		return fmt.Errorf("queue %s: %w", q.Name, err)
	}
	set, names := difference(have, want)
	told := maps.Clone(set)
	if len(granted) > 0 {
		set[attrPolicy] = policy
	}
	if len(set) == 0 {
		return nil
	}
	if err := a.aws.SetQueueAttributes(ctx, url, set); err != nil {
		return err
	}
	a.touched[q.Name], a.lastSet = set, time.Now()
	for _, name := range names {
		if !a.created[q.Name] { // "create" has said it all
			a.changed("queue", q.Name, describe(name, have[name], told[name]))
		}
	}
	for _, topic := range granted {
		a.changed("policy", q.Name, "allow topic "+topic+" to send")
	}
	return nil
}

// readNew reads the attributes of a queue; one that was created a moment ago may still be unknown
// to the server that is asked.
func (a *applier) readNew(ctx context.Context, name, url string) (map[string]string, error) {
	const patience = 30
	for try := 1; ; try++ {
		have, err := a.aws.QueueAttributes(ctx, url)
		if !errors.Is(err, queue.ErrNotFound) || !a.created[name] || a.want.Settle <= 0 || try == patience {
			return have, err
		}
		if err := pause(ctx, time.Second); err != nil {
			return nil, err
		}
	}
}
