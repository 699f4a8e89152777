package worker

import (
	"context"
	"errors"
	"time"

	"github.com/stationmaster/worker/internal/pause"
	"github.com/stationmaster/worker/queue"
)

const (
	// emptyPolls is how many long polls in a row must bring nothing: one empty receive does not
	// mean an empty queue.
	emptyPolls = 2
	emptyEvery = time.Second
	// emptyLooks is how many looks in a row must find everything empty: the last job of one queue
	// may have filled another that had been looked at.
	emptyLooks = 2
)

// emptied is what was found at a queue after that many empty polls in a row.
type emptied struct {
	polls int
	zero  bool
}

// untilEmpty returns when every queue is empty: two empty long polls in a row, nothing running
// here, and SQS's counts at zero. A queue that cannot be polled does not keep the others from their
// end, and is an error then.
func (w *Worker) untilEmpty(ctx context.Context) error {
	looks := 0
	for pause.For(ctx, emptyEvery) == nil {
		empty, err := w.areEmpty(ctx)
		if !empty {
			looks = 0
			continue
		}
		if looks++; looks == emptyLooks {
			return err
		}
	}
	return nil
}

// areEmpty reports whether all queues are empty that can be polled; the error is of the others.
func (w *Worker) areEmpty(ctx context.Context) (bool, error) {
	var faults []error
	for _, s := range w.stations {
		empty, err := s.isEmpty(ctx)
		switch {
		case err != nil:
			faults = append(faults, err)
		case !empty:
			return false, nil
		}
	}
	return ctx.Err() == nil, errors.Join(faults...)
}

func (s *station) isEmpty(ctx context.Context) (bool, error) {
	state, open := s.state()
	if !open {
		return false, lasting(s.seen.Fault())
	}
	polls := s.seen.EmptyPolls()
	if err := lasting(state.Err); err != nil || state.Busy > 0 || polls < emptyPolls {
		s.emptied = emptied{}
		return false, err
	}
	if polls != s.emptied.polls { // asking once per poll is enough, and costs no more than it
		n, err := s.w.api.QueueCounts(ctx, s.url)
		if err != nil {
			return false, lasting(err)
		}
		s.emptied = emptied{polls: polls, zero: n.Visible+n.Delayed+n.InFlight == 0}
	}
	return s.emptied.zero, nil
}

// lasting keeps the errors that do not pass by waiting: a queue that does not exist, that we may not
// use, or that would lose messages.
func lasting(err error) error {
	if _, stopped := errors.AsType[*lossError](err); stopped || errors.Is(err, queue.ErrNotFound) || errors.Is(err, queue.ErrDenied) {
		return err
	}
	return nil
}
