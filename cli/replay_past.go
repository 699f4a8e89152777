package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/stationmaster/worker/dlqreplay"
	"github.com/stationmaster/worker/worker"
)

// resume goes on with a run that ended early, with the options that it had.
func (r *replaying) resume(ctx context.Context) (err error) {
	j, past, err := r.store.Resume(r.asked.object)
	if err != nil {
		return usageOf(err)
	}
	defer func() { err = errors.Join(err, j.Close()) }()
	err = r.resumed(ctx, j, past)
	if r.w != nil {
		err = errors.Join(err, r.w.Close())
	}
	return r.ended(ctx, err)
}

func (r *replaying) resumed(ctx context.Context, j *dlqreplay.Journal, past *dlqreplay.Past) error {
	h := past.Header
	if r.asked.queue != "" {
		return usagef(r.command("resume", j.ID()), "worker replay-dlq resume: a run knows its queue, which is %s: leave %s away", h.DLQ, r.asked.queue)
	}
	unfinished := []string{}
	for id, state := range past.All() {
		if state != dlqreplay.Deleted && state != dlqreplay.Refused {
			unfinished = append(unfinished, id)
		}
	}
	streams := h.Extra["stream"] != "" && (past.Report == nil || past.Report.More)
	if len(unfinished) == 0 && !streams {
		return r.nothingLeft(j, past)
	}
	r.restore(h)
	if err := r.openAgain(ctx, j, h); err != nil {
		return err
	}
	a := actingAgain(h, streams)
	exporter, err := r.destinationAgain(a, j, past)
	if err != nil {
		return err
	}
	if err := r.holdAgain(ctx, a, h, unfinished); err != nil {
		return errors.Join(err, r.endFile(exporter, nil))
	}
	r.screen.verb = a.verb
	report, err := r.runWith(ctx, a, h.Pace, j, past)
	if a.ended != nil {
		err = errors.Join(err, a.ended(report))
	}
	if report == nil {
		r.release(ctx, a.held)
		return err
	}
	return both(err, r.reported(a, report))
}

// openAgain opens what a run was between.
func (r *replaying) openAgain(ctx context.Context, j *dlqreplay.Journal, h dlqreplay.Header) error {
	to := h.To
	if h.Extra["file"] != "" && h.Action != dlqreplay.ActionImport {
		to = worker.ToOrigin
	}
	err := r.open(ctx, worker.ReplayOptions{Queue: h.DLQARN, To: to, Foreign: h.Extra["foreign"] != "", DevAddr: r.f.addr})
	if err != nil {
		return fmt.Errorf("resume %s of %s: %w", j.ID(), h.Where, err)
	}
	return nil
}

// actingAgain is what a run was told to do: its consents count for what is left of it, too.
func actingAgain(h dlqreplay.Header, streams bool) *acting {
	a := &acting{
		action: h.Action, verb: string(h.Action), file: h.Extra["file"],
		judging: worker.Judging{MaxDeaths: h.MaxDeaths, Check: h.Check, BreakOrder: h.BreakOrder, Agreed: map[string]bool{}},
		stream:  streams,
	}
	for job := range strings.SplitSeq(h.Extra["agreed"], "\n") {
		a.judging.Agreed[job] = true
	}
	return a
}

// destinationAgain says where the rest of a run goes, when that is not where its letters came from; the
// exporter is nil unless that is a file.
func (r *replaying) destinationAgain(a *acting, j *dlqreplay.Journal, past *dlqreplay.Past) (*dlqreplay.Exporter, error) {
	switch a.action {
	case dlqreplay.ActionExport, dlqreplay.ActionDiscard:
		if a.file == "" {
			return nil, fmt.Errorf("resume %s: %w", j.ID(), errNoFile)
		}
		exporter, err := r.exporterAgain(a.file, j, past)
		if err != nil {
			return nil, err
		}
		a.to = exporter.Destination()
		a.ended = func(report *dlqreplay.Report) error { return r.endFile(exporter, report) }
		return exporter, nil
	case dlqreplay.ActionImport:
		a.judging.File = true
		if past.Header.Extra["restore"] != "" {
			a.to = r.w.Back()
		}
	case dlqreplay.ActionReplay:
	default:
	}
	return nil, nil //nolint:nilnil // there is no file
}

// exporterAgain opens the unfinished file of a run, and refuses one that has not what the run had exported:
// that would be deleted from its queue.
func (r *replaying) exporterAgain(path string, j *dlqreplay.Journal, past *dlqreplay.Past) (*dlqreplay.Exporter, error) {
	h := past.Header
	h.ReplayID = j.ID()
	e, err := dlqreplay.NewExporter(path, h)
	if err != nil {
		return nil, err
	}
	if n := past.Count(dlqreplay.Sent) + past.Count(dlqreplay.Deleted); e.Count() < n {
		text := fmt.Errorf("resume %s: %s has %d of the %d dead letters that were exported into it: nothing is deleted. Put the file back, or begin a new export",
			j.ID(), path+".part", e.Count(), n)
		return nil, &coded{errors.Join(text, e.Suspend()), exitRefused}
	}
	return e, nil
}

// nameFile gives the file of a run that is over its name, where that had failed.
func (r *replaying) nameFile(j *dlqreplay.Journal, past *dlqreplay.Past) error {
	path := past.Header.Extra["file"]
	if path == "" || past.Header.Action == dlqreplay.ActionImport {
		return nil
	}
	if _, err := os.Stat(path + ".part"); err != nil {
		return nil //nolint:nilerr // it has its name
	}
	e, err := r.exporterAgain(path, j, past)
	if err != nil {
		return err
	}
	return r.endFile(e, &dlqreplay.Report{Outcome: dlqreplay.Completed})
}

// nothingLeft says that a run is over. One that was killed at its end gets the report that it could not
// write any more.
func (r *replaying) nothingLeft(j *dlqreplay.Journal, past *dlqreplay.Past) error {
	report := past.Report
	if report == nil {
		report = &dlqreplay.Report{
			ReplayID: j.ID(), Journal: j.Path(), Outcome: dlqreplay.Completed, Selected: past.Len(), Replayed: past.Count(dlqreplay.Deleted),
			Failed: past.Count(dlqreplay.Refused), Ambiguous: past.Ambiguous, Returned: past.Returned, Returns: past.Returns, To: past.To(),
		}
		if err := j.End(report); err != nil {
			return err
		}
	}
	if err := r.nameFile(j, past); err != nil {
		return err
	}
	v := &reportView{Report: report, Verb: string(past.Header.Action)}
	text := fmt.Sprintf("all %d are done.", past.Len())
	if v.code() != ExitDone {
		text = v.done() + "."
	}
	if !r.s.json {
		r.screen.must(fmt.Sprintf("%s has nothing left to do: %s", j.ID(), text))
	} else if err := r.s.encode(dlqreplay.Event{At: r.now, Kind: dlqreplay.Ended, Report: report}); err != nil {
		return err
	}
	if v.code() != ExitDone {
		return &quiet{exitLeft}
	}
	return nil
}

// restore takes the options that a run had.
func (r *replaying) restore(h dlqreplay.Header) {
	r.f.filter, r.f.to, r.f.plan = h.Filter, h.To, ""
	r.pace = h.Pace
}

// holdAgain holds what a run has not finished.
func (r *replaying) holdAgain(ctx context.Context, a *acting, h dlqreplay.Header, unfinished []string) (err error) {
	if h.Action == dlqreplay.ActionImport {
		a.held, _, err = dlqreplay.OpenImport(ctx, a.file, "")
		return err
	}
	if err := r.w.Preflight(ctx, worker.Needs{Takes: true, Sends: a.to == nil}); err != nil {
		return err
	}
	a.held, err = r.scan(ctx, unfinished)
	return err
}

// history lists the runs of this machine, the latest first.
func (r *replaying) history() error {
	all, err := r.store.History()
	if err != nil {
		return err
	}
	if r.s.json {
		for _, h := range all {
			if err := r.s.encode(h); err != nil {
				return err
			}
		}
		return nil
	}
	if len(all) == 0 {
		r.s.printf("no runs in %s\n", r.home(r.store.Dir))
		return nil
	}
	rows := [][]string{{"RUN", "STARTED", "DID", "FROM", "TO", "CHOSEN", "SENT", "LEFT", "RETURNED", "OUTCOME"}}
	for _, h := range all {
		rows = append(rows, r.historyRow(&h))
	}
	r.s.table(rows)
	return nil
}

func (r *replaying) historyRow(h *dlqreplay.Summary) []string {
	if h.Fault != "" {
		return []string{h.ID, "-", "-", "-", "-", "-", "-", "-", "-", "cannot be read: " + h.Fault}
	}
	outcome := "killed"
	switch {
	case h.Running != "":
		outcome = "running"
	case h.Report != nil:
		outcome = string(h.Report.Outcome)
	}
	if h.Resumable() {
		outcome += " (resumable)"
	}
	to := orWord(h.Header.Extra["file"], h.Header.To)
	return []string{
		h.ID, h.Header.Started.Local().Format(time.DateTime), string(h.Header.Action), h.Header.DLQ, strings.TrimSpace(r.home(to)),
		fmt.Sprint(h.Chosen), fmt.Sprint(h.Sent + h.Deleted), fmt.Sprint(h.Untouched + h.Sending), fmt.Sprint(h.Returned), outcome,
	}
}
