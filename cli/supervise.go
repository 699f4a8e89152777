package cli

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"time"

	"github.com/stationmaster/worker/internal/gcpace"
	"github.com/stationmaster/worker/worker"
)

// hurryFor is what the second signal leaves to the running jobs.
const hurryFor = 5 * time.Second

// errAborted is the third signal.
var errAborted = errors.New("drain given up: what was running comes back by its visibility timeout")

// supervise runs a worker until it ends or signals end it: the first drains, the second shortens
// the drain, the third exits.
func (s *state) supervise(ctx context.Context, w *worker.Worker) error {
	defer gcpace.Start(s.lookup, os.DirFS("/"))()
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
			return s.drained(e.report, w.QueueReports(), e.err)
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
	if left := min(time.Until(w.PollsEnd()).Round(time.Second), w.DrainTimeout()); left > 0 && !w.CutsPolls() {
		text += fmt.Sprintf(" · open poll: up to %v", left)
	}
	s.notef("%s · again to cut it short", text)
}

// drained reports what the drain did. What it abandoned is a failure.
func (s *state) drained(r worker.Report, queues map[string]worker.Report, err error) error {
	if s.json {
		all := reported(r)
		by := map[string]any{}
		for name, q := range queues {
			by[name] = reported(q)
		}
		all["queues"] = by
		err = errors.Join(err, s.encode(all))
	} else {
		s.notef("drained in %v · %s", r.Took.Round(10*time.Millisecond), drainLine(r))
		for _, name := range slices.Sorted(maps.Keys(queues)) {
			// Which queue it was, for whoever has to look after it; with one queue everybody knows.
			if q := queues[name]; len(queues) > 1 && q.Abandoned+q.Uncertain > 0 {
				s.notef("  %s: %s", name, drainLine(q))
			}
		}
	}
	if r.Abandoned > 0 {
		err = errors.Join(err, fmt.Errorf("%s abandoned: raise worker.drain_timeout, or let the job end with its context",
			count(r.Abandoned, "job")))
	}
	return err
}

func drainLine(r worker.Report) string {
	return fmt.Sprintf("finished %d · released %d · dead-lettered %d · abandoned %d · uncertain %d",
		r.Finished, r.Released, r.DeadLettered, r.Abandoned, r.Uncertain)
}

// reported is a report as JSON has it.
func reported(r worker.Report) map[string]any {
	return map[string]any{
		"finished": r.Finished, "released": r.Released, "dead_lettered": r.DeadLettered,
		"abandoned": r.Abandoned, "uncertain": r.Uncertain, "took_seconds": r.Took.Seconds(),
	}
}

// areOf is a count that a sentence begins with.
func areOf(n int, what string) string {
	if n == 1 {
		return count(n, what) + " is"
	}
	return count(n, what) + " are"
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
