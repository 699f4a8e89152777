package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/stationmaster/worker/worker"
)

// hurryFor is what the second signal leaves to the running jobs.
const hurryFor = 5 * time.Second

// errAborted is the third signal.
var errAborted = errors.New("drain given up: what was running comes back by its visibility timeout")

// supervise runs a worker until it ends or signals end it: the first drains, the second shortens
// the drain, the third exits.
func (s *state) supervise(ctx context.Context, w *worker.Worker) error {
	got, stop := s.signals()
	defer stop()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type end struct {
		report worker.Report
		err    error
	}
	ended := make(chan end, 1)
	go func() {
		report, err := w.Run(ctx)
		ended <- end{report, err}
	}()
	for n := 0; ; {
		select {
		case e := <-ended:
			return s.drained(e.report, e.err)
		case sig := <-got:
			switch n++; n {
			case 1:
				s.draining(w, sig)
				cancel()
			case 2:
				s.notef("%v again: polls are cut, jobs have %v; once more to exit at once", sig, hurryFor)
				w.Hurry(hurryFor)
			default:
				return errAborted
			}
		}
	}
}

// draining says what is waited for, and for how long.
func (s *state) draining(w *worker.Worker, sig os.Signal) {
	text := fmt.Sprintf("%v: draining", sig)
	if n := w.Busy(); n > 0 {
		text += fmt.Sprintf(" · %s running: up to %v", count(n, "job"), w.DrainTimeout())
	}
	if left := time.Until(w.PollsEnd()).Round(time.Second); left > 0 && !w.CutsPolls() {
		text += fmt.Sprintf(" · open poll: up to %v", left)
	}
	s.notef("%s · again to cut it short", text)
}

// drained reports what the drain did. What it abandoned is a failure.
func (s *state) drained(r worker.Report, err error) error {
	if s.json {
		if encodeErr := s.encode(map[string]any{
			"finished": r.Finished, "released": r.Released, "dead_lettered": r.DeadLettered,
			"abandoned": r.Abandoned, "uncertain": r.Uncertain, "took_seconds": r.Took.Seconds(),
		}); encodeErr != nil {
			err = errors.Join(err, encodeErr)
		}
	} else {
		s.notef("drained in %v · finished %d · released %d · dead-lettered %d · abandoned %d · uncertain %d",
			r.Took.Round(10*time.Millisecond), r.Finished, r.Released, r.DeadLettered, r.Abandoned, r.Uncertain)
	}
	if r.Abandoned > 0 {
		err = errors.Join(err, fmt.Errorf("%s abandoned: raise worker.drain_timeout, or let the job end with its context",
			count(r.Abandoned, "job")))
	}
	return err
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
