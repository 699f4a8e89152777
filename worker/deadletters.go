package worker

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/stationmaster/worker/internal/awsapi"
	"github.com/stationmaster/worker/queue"
)

// lookAgain is how long a worker goes without a dead-letter queue before it looks for one again.
const lookAgain = 30 * time.Second

var errNoDLQ = errors.New("queue has no dead-letter queue: set one in its redrive policy")

// deadLetters sends to the queue's dead-letter queue, and looks for it when there was none or it has
// gone: it is somebody's to set up while the worker runs.
type deadLetters struct {
	look func(context.Context) (queue.Sender, error)

	mu     sync.Mutex
	to     queue.Sender // nil: none is known
	err    error        // of the last look
	looked time.Time
}

// Send implements queue.Sender.
func (d *deadLetters) Send(ctx context.Context, ms []queue.Message) (ids []string, errs []error) {
	to, err := d.find(ctx)
	if err != nil {
		return make([]string, len(ms)), queue.Each(err, len(ms))
	}
	ids, errs = to.Send(ctx, ms)
	if slices.ContainsFunc(errs, func(err error) bool { return errors.Is(err, queue.ErrNotFound) }) {
		d.gone(to)
	}
	return ids, errs
}

func (d *deadLetters) find(ctx context.Context) (queue.Sender, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.to != nil || d.err != nil && time.Since(d.looked) < lookAgain {
		return d.to, d.err
	}
	d.to, d.err = d.look(ctx)
	d.looked = time.Now()
	return d.to, d.err
}

// gone forgets a dead-letter queue that does not exist any more.
func (d *deadLetters) gone(to queue.Sender) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.to == to {
		d.to = nil
	}
}

// deadLetters is where to send what fails for good. The error says that nobody knows now, and passes;
// a queue without dead letters, or whose dead-letter queue cannot be found, is polled all the same.
func (s *station) deadLetters(ctx context.Context, url string, attributes map[string]string) (queue.Sender, error) {
	to, err := s.findDLQ(ctx, attributes)
	switch {
	case err == nil, errors.Is(err, errNoDLQ):
	case lasting(err) == nil:
		return nil, err
	default:
		s.log.ErrorContext(ctx, "no dead-letter queue: what fails for good stays in the queue", "err", err)
	}
	return &deadLetters{to: to, err: err, looked: time.Now(), look: func(ctx context.Context) (queue.Sender, error) {
		attributes, err := s.w.api.QueueAttributes(ctx, url)
		if err != nil && !errors.Is(err, queue.ErrDenied) {
			return nil, fmt.Errorf("look for the dead-letter queue: %w", err)
		}
		return s.findDLQ(ctx, attributes)
	}}, nil
}

// findDLQ finds the queue's own DLQ as its redrive policy says, which is right whoever set it.
func (s *station) findDLQ(ctx context.Context, attributes map[string]string) (queue.Sender, error) {
	name, account := s.queue.DLQ, ""
	if target := queue.ReadRedrive(attributes["RedrivePolicy"]).Target; target != "" {
		name, account = ofARN(target)
	}
	if name == "" {
		return nil, errNoDLQ
	}
	url, err := s.w.api.QueueURL(ctx, name, account)
	if err != nil {
		return nil, err
	}
	return s.w.api.Queue(url, awsapi.QueueOptions{}), nil
}
