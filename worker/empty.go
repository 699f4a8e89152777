package worker

import (
	"context"
	"errors"
	"fmt"
	"time"
)

const (
	// emptyPolls is how many long polls in a row must bring nothing: one empty receive does not
	// mean an empty queue.
	emptyPolls = 2
	emptyEvery = time.Second
)

// untilEmpty returns when every queue is empty: two empty long polls in a row, nothing running
// here, and SQS's counts at zero. A queue that cannot be polled is an error: it would never end.
func (w *Worker) untilEmpty(ctx context.Context) error {
	for wait(ctx, emptyEvery) {
		all := true
		for _, s := range w.stations {
			done, err := s.isEmpty(ctx)
			if err != nil {
				return fmt.Errorf("wait for queue %s to be empty: %w", s.queue.Name, err)
			}
			all = all && done
		}
		if all {
			return nil
		}
	}
	return nil
}

func (s *station) isEmpty(ctx context.Context) (bool, error) {
	state, open := s.state()
	if !open {
		return false, s.seen.Fault()
	}
	if state.Busy > 0 || s.seen.EmptyPolls() < emptyPolls {
		return false, nil
	}
	visible, inFlight, err := s.seen.Counts(ctx)
	if err != nil {
		if ctx.Err() != nil || errors.Is(err, context.Canceled) {
			return false, nil //nolint:nilerr // the drain has begun; nobody asks any more
		}
		return false, err
	}
	return visible == 0 && inFlight == 0, nil
}
