package cli

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/stationmaster/worker/dlqreplay"
	"github.com/stationmaster/worker/worker"
)

// export copies dead letters into a file; --delete takes them out of the queue once they are safely there.
func (r *replaying) export(ctx context.Context) error {
	if r.f.delete {
		return r.moveToFile(ctx, r.asked.object, dlqreplay.ActionExport, "export")
	}
	if err := r.w.Preflight(ctx, worker.Needs{}); err != nil {
		return err
	}
	held, plan, err := r.scannedForFile(ctx)
	if err != nil {
		return err
	}
	defer r.release(ctx, held)
	if err := r.expected(plan); err != nil {
		return err
	}
	if len(plan.Selected) == 0 {
		text := fmt.Sprintf("Nothing matches: %s of %s looked at.", count(plan.Scanned, "message"), r.w.DLQ.Name)
		if plan.Elsewhere > 0 {
			text += fmt.Sprintf(" %d more were in the hands of somebody else.", plan.Elsewhere)
		}
		r.screen.must(text)
		return &quiet{exitNothing}
	}
	letters := make([]*dlqreplay.Letter, len(plan.Selected))
	for i, id := range plan.Selected {
		letters[i] = held.Get(id)
	}
	a := &acting{held: held, plan: plan, action: dlqreplay.ActionExport}
	if err := dlqreplay.WriteFile(ctx, r.asked.object, r.header(a, dlqreplay.Pace{}), letters, held.Message, r.screen.event); err != nil {
		return err
	}
	r.screen.rest()
	if r.s.json {
		return r.s.encode(map[string]any{"event": "exported", "file": r.asked.object, "count": len(letters), "dlq": r.w.DLQ.Name})
	}
	r.screen.must(fmt.Sprintf("%d exported to %s. They are still in %s: --delete takes them out.", len(letters), r.asked.object, r.w.DLQ.Name))
	return nil
}

// scannedForFile selects what goes into a file: everything may, however often it died.
func (r *replaying) scannedForFile(ctx context.Context) (*dlqreplay.Held, *dlqreplay.Plan, error) {
	return r.scannedFor(ctx, func(held *dlqreplay.Held, only []string) (*dlqreplay.Plan, error) {
		return r.planFor(ctx, held, only, dlqreplay.Judge{
			Limit: r.f.limit, BreakOrder: true,
			To: func(*dlqreplay.Letter) (*dlqreplay.Destination, error) { return nil, nil }, //nolint:nilnil // it is given when the file is open
		})
	})
}

// discard is an export into the state directory that deletes.
func (r *replaying) discard(ctx context.Context) error {
	name := fmt.Sprintf("discarded-%s-%s.jsonl.zst", r.w.DLQ.Name, r.now.UTC().Format("20060102-150405"))
	return r.moveToFile(ctx, filepath.Join(r.store.Dir, name), dlqreplay.ActionDiscard, "discard")
}

// moveToFile is a run whose destination is a file.
func (r *replaying) moveToFile(ctx context.Context, path string, action dlqreplay.Action, verb string) error {
	if err := r.mayAsk(); err != nil {
		return err
	}
	path, err := filepath.Abs(path) // for a resume from somewhere else
	if err != nil {
		return fmt.Errorf("export: %w", err)
	}
	if err := r.w.Preflight(ctx, worker.Needs{Takes: true}); err != nil {
		return err
	}
	held, plan, err := r.scannedForFile(ctx)
	if err != nil {
		return err
	}
	to := &dlqreplay.Destination{Name: path, Unchanged: true}
	a := &acting{
		held: held, plan: plan, action: action, verb: verb, to: to, file: path,
		judging: worker.Judging{Limit: r.f.limit, BreakOrder: true},
	}
	var exporter *dlqreplay.Exporter
	a.began = func(j *dlqreplay.Journal) error {
		h := r.header(a, dlqreplay.Pace{})
		h.ReplayID = j.ID()
		exporter, err = dlqreplay.NewExporter(path, h)
		if err == nil {
			*to = *exporter.Destination()
		}
		return err
	}
	a.ended = func(report *dlqreplay.Report) error { return r.endFile(exporter, report) }
	return r.act(ctx, a)
}

// endFile gives a file its name when its run is over, and leaves it to a resume otherwise.
func (r *replaying) endFile(e *dlqreplay.Exporter, report *dlqreplay.Report) error {
	if e == nil {
		return nil
	}
	if report == nil || report.Left > 0 || report.Undeleted > 0 || report.Outcome != dlqreplay.Completed {
		return e.Suspend()
	}
	if err := e.Close(); err != nil {
		return err
	}
	r.screen.tell(line("file", r.home(e.Path()), r.s.columns))
	return nil
}

// importFile puts what was exported back into its dead-letter queue, or sends it somewhere.
func (r *replaying) importFile(ctx context.Context) error {
	if err := r.mayAsk(); err != nil {
		return err
	}
	restore := !r.f.given("to")
	held, h, err := dlqreplay.OpenImport(ctx, r.asked.object, "")
	if err != nil {
		return &coded{err, exitRefused}
	}
	defer held.Release(ctx, r.hurry)
	if restore && h.DLQARN != r.w.DLQ.ARN {
		return &coded{fmt.Errorf("import %s: it was exported from %s, and this is %s: name that queue, or say where to with --to",
			r.asked.object, h.DLQARN, r.w.DLQ.ARN), exitRefused}
	}
	if err := r.w.Preflight(ctx, worker.Needs{Sends: !restore, Restores: true}); err != nil {
		return err
	}
	a := &acting{held: held, action: dlqreplay.ActionImport, verb: "import", judging: r.judging(), file: r.asked.object}
	a.judging.File = true
	judge := r.w.Judge(ctx, a.judging)
	if restore {
		a.to = r.w.Back()
		a.judging.Check, a.judging.MaxDeaths = false, 0
		judge = dlqreplay.Judge{Limit: r.f.limit, BreakOrder: true, To: func(*dlqreplay.Letter) (*dlqreplay.Destination, error) { return a.to, nil }}
	}
	if a.file, err = filepath.Abs(a.file); err != nil {
		return fmt.Errorf("import: %w", err)
	}
	if a.plan, err = r.planFor(ctx, held, nil, judge); err != nil {
		return err
	}
	return r.act(ctx, a)
}

// planFor makes a plan with a judge of the command's own.
func (r *replaying) planFor(ctx context.Context, held *dlqreplay.Held, only []string, judge dlqreplay.Judge) (*dlqreplay.Plan, error) {
	plan, err := held.Plan(ctx, r.filterOf(only), judge, r.now)
	if err != nil {
		return nil, usageOf(err)
	}
	return plan, nil
}

var errNoFile = errors.New("its journal does not say which file")
