package worker

import (
	"context"

	"github.com/stationmaster/worker/dlqreplay"
)

// DeadLetters is a dead-letter queue of the configuration, and how many messages are in it.
type DeadLetters struct {
	DLQ string `json:"dlq"`
	// Of is the queue, or the subscription as "topic → queue", that it belongs to.
	Of       string `json:"of"`
	Messages int64  `json:"messages"`
	InFlight int64  `json:"in_flight"`
	// Fault says why nobody knows how many.
	Fault string `json:"fault,omitempty"`
}

// ListDeadLetters counts the messages of all dead-letter queues of the configuration. No message is
// received.
func ListDeadLetters(ctx context.Context, o Options, devAddr string) (all []DeadLetters, where string, err error) {
	r, err := openReplay(ctx, o, ReplayOptions{DevAddr: devAddr})
	if err != nil {
		return nil, "", err
	}
	c := r.op.loaded.Config
	for _, s := range specsOf(c) {
		if s.queue.DLQ != "" {
			all = append(all, DeadLetters{DLQ: s.queue.DLQ, Of: s.queue.Name})
		}
	}
	for _, s := range c.Subscriptions {
		if wanted := subscriptionOf(c, s); wanted.DLQ != "" {
			all = append(all, DeadLetters{DLQ: wanted.DLQ, Of: wanted.Topic + " → " + or(wanted.Queue, wanted.Endpoint)})
		}
	}
	for i := range all {
		if err := ctx.Err(); err != nil {
			return nil, "", err
		}
		n, err := r.count(ctx, all[i].DLQ)
		if err != nil {
			all[i].Fault = err.Error()
		}
		all[i].Messages, all[i].InFlight = n.Visible+n.Delayed, n.InFlight
	}
	return all, r.Where, nil
}

func (r *Replay) count(ctx context.Context, name string) (dlqreplay.Counts, error) {
	url, err := r.op.api.QueueURL(ctx, name, "")
	if err != nil {
		return dlqreplay.Counts{}, err
	}
	return r.counts(url)(ctx)
}
