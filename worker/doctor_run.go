package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/stationmaster/worker/doctor"
	"github.com/stationmaster/worker/topology"
)

// What becomes of a queue that would lose messages: [worker] verify.
const (
	verifyStop = "stop"
	verifyOff  = "off"
)

// errNoQueue says that a worker would have nothing to do.
var errNoQueue = errors.New("no queue can be polled: none of them exists")

// verdict is what the doctor says of the topology, looked at again when a queue that it has stopped is
// tried again.
type verdict struct {
	look func(context.Context) (*doctor.Report, error)
	stop bool

	mu     sync.Mutex
	report *doctor.Report
	at     time.Time
}

// verdictHolds is how old a verdict may be that stops a queue: apply may have mended it.
const verdictHolds = 15 * time.Second

// of tells why a queue is not to be polled; nil when it may be.
func (v *verdict) of(ctx context.Context, queue string) error {
	if v == nil || !v.stop {
		return nil
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	f := v.report.Lost(queue)
	if f == nil {
		return nil
	}
	if time.Since(v.at) >= verdictHolds {
		v.at = time.Now()
		if r, err := v.look(ctx); err == nil { // else it was so a moment ago
			v.report = r
		}
		if f = v.report.Lost(queue); f == nil {
			return nil
		}
	}
	return &lossError{f}
}

// said are the findings that have been logged.
func (v *verdict) said() (all []string) {
	if v == nil {
		return nil
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	for i := range v.report.Findings {
		all = append(all, v.report.Findings[i].Error())
	}
	return all
}

// lossError stops a queue.
type lossError struct{ *doctor.Finding }

func (e *lossError) Error() string {
	text := "messages would be lost: " + e.Finding.Error()
	if e.Mend.Apply {
		text += ": worker topology apply"
	}
	return text + "; more: worker doctor explain " + e.Code + `; to poll all the same: [worker] verify = "warn"`
}

// verify looks at the topology, briefly, and stops the queues that would lose messages.
func (w *Worker) verify(ctx context.Context) error {
	how := w.loaded.Config.Worker.Verify
	if how == verifyOff {
		return nil
	}
	v := &verdict{stop: how == verifyStop, at: time.Now(), look: func(ctx context.Context) (*doctor.Report, error) {
		r, _, err := w.examine(ctx)
		return r, err
	}}
	report, state, err := w.examine(ctx)
	if err != nil {
		return withWay(err)
	}
	v.report = report
	if err := w.notThere(state, report); err != nil {
		return err
	}
	for i := range report.Findings {
		f := &report.Findings[i]
		if w.confirms(f) {
			continue
		}
		tellFinding(ctx, w.log, f)
	}
	for _, u := range report.Unknown {
		if u.Refused {
			w.log.LogAttrs(ctx, slog.LevelWarn, "topology: not verified",
				slog.String("code", strings.Join(u.Codes, " ")), slog.String("err", strings.Join(u.Subjects, ", ")+": "+u.Reason+"; "+u.Mend))
		}
	}
	w.verdict = v
	return nil
}

// tellFinding logs what the doctor has found.
func tellFinding(ctx context.Context, log *slog.Logger, f *doctor.Finding) {
	level := slog.LevelWarn
	if f.Severity == doctor.Critical {
		level = slog.LevelError
	}
	log.LogAttrs(ctx, level, "topology: not as it should be", slog.String("code", f.Code), slog.String("severity", string(f.Severity)), slog.Any("err", f))
}

// examine is what the doctor can tell of what a worker may read in a moment.
func (w *Worker) examine(ctx context.Context) (*doctor.Report, *topology.State, error) {
	state, err := w.wanted.Observe(ctx, w.api, w.account, topology.ObserveOptions{Brief: true})
	if err != nil {
		return nil, nil, err
	}
	r, err := doctor.Examine(ctx, doctor.Options{
		Topology: w.wanted, State: state, Work: workOf(w.loaded.Config, w.o.Jobs), Drain: w.drainFor, Brief: true, Local: true,
	})
	return r, state, err
}

// notThere notes the queues that do not exist; an error when there is nothing to poll.
func (w *Worker) notThere(state *topology.State, report *doctor.Report) error {
	w.missing = map[string]bool{}
	none := []error{errNoQueue}
	for key, c := range w.loaded.Config.Queues {
		name := queueOf(key, c).Name
		if q := state.Queues[name]; q == nil || !q.Missing() {
			continue
		}
		w.missing[name] = true
		if f := report.Lost(name); f != nil {
			none = append(none, f)
		} else {
			none = append(none, fmt.Errorf("queue %s: %w", name, state.Queues[name].Err))
		}
	}
	if len(w.missing) > 0 && len(w.missing) == len(w.loaded.Config.Queues) {
		return errors.Join(none...)
	}
	return nil
}
