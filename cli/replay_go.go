package cli

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/stationmaster/worker/dlqreplay"
	"github.com/stationmaster/worker/worker"
)

// replay is --go: scan, show, ask, and act, all while holding the same messages.
func (r *replaying) replay(ctx context.Context) error {
	if reason, native := r.nativeWanted(ctx); native {
		return r.replayNative(ctx)
	} else if r.f.native == "always" {
		return reason
	}
	if err := r.mayAsk(); err != nil {
		return err
	}
	if err := r.w.Preflight(ctx, worker.Needs{Takes: true, Sends: true}); err != nil {
		return err
	}
	judging := r.judging()
	held, plan, err := r.scanned(ctx, judging)
	if err != nil {
		return err
	}
	return r.act(ctx, &acting{held: held, plan: plan, judging: judging, action: dlqreplay.ActionReplay, verb: "replay"})
}

// acting is what is done with letters that are held.
type acting struct {
	held    *dlqreplay.Held
	plan    *dlqreplay.Plan
	judging worker.Judging
	action  dlqreplay.Action
	verb    string
	// to, when it is not nil, is where everything goes.
	to *dlqreplay.Destination
	// began is called when the journal is open, before anything is sent.
	began func(j *dlqreplay.Journal) error
	// ended is called when the run is over; its report is nil when it has not begun.
	ended func(report *dlqreplay.Report) error
	// file is of an export, or of an import.
	file string
	// stream says that the run that is resumed goes on receiving.
	stream bool
}

// act shows what would be done, asks, and does it. Whatever happens, what is held is released.
func (r *replaying) act(ctx context.Context, a *acting) error {
	released := false
	release := func() {
		if !released {
			released = true
			r.release(ctx, a.held)
		}
	}
	defer release()
	r.screen.verb = a.verb
	r.screen.rest()
	r.showPlan(a)
	if err := r.expected(a.plan); err != nil {
		return err
	}
	if a.plan.Matched == 0 {
		return &quiet{exitNothing}
	}
	yes, err := r.agree(ctx, a)
	if err == nil {
		err = r.expected(a.plan) // there may be more of it now
	}
	switch {
	case err != nil:
		return err
	case len(a.plan.Selected) == 0:
		return &quiet{exitLeft}
	case !yes:
		release()
		r.screen.must(fmt.Sprintf("Nothing was done: %d are released.", a.plan.Scanned))
		return &quiet{exitLeft}
	}
	report, err := r.runs(ctx, a)
	released = report != nil
	if err != nil && report == nil {
		return err
	}
	return both(err, r.reported(a, report))
}

// both is an error with the exit code of a report that has been printed: said alone it would be silent.
func both(err, reported error) error {
	if err == nil || reported == nil {
		return errors.Join(err, reported)
	}
	return &coded{err, exitCode(reported)}
}

// release gives back what is held, and says what cannot be.
func (r *replaying) release(ctx context.Context, held *dlqreplay.Held) {
	if back := held.Release(ctx, r.hurry); back.Hidden > 0 {
		r.screen.rest()
		r.screen.must(hidden(back, r.w.DLQ.Name))
	}
}

func hidden(back dlqreplay.Handback, dlq string) string {
	return fmt.Sprintf("%d could not be released: %s shows them again at %s", back.Hidden, dlq, back.HiddenUntil.Local().Format(time.TimeOnly))
}

// showPlan prints the plan of what is about to be done.
func (r *replaying) showPlan(a *acting) {
	if r.s.json {
		_ = r.s.encode(map[string]any{"at": r.now, "event": "plan", "plan": a.plan}) // nobody reads
		return
	}
	v := r.view(a.plan)
	if v.Verb = a.verb; a.to != nil {
		v.Sources = []string{r.home(a.to.Name)}
	}
	text := v.text()
	if r.f.quiet && len(a.plan.Selected) == 0 {
		r.screen.must(v.would())
		return
	}
	r.screen.tell(text)
}

// header says what the run is, for its journal.
func (r *replaying) header(a *acting, pace dlqreplay.Pace) dlqreplay.Header {
	h := dlqreplay.Header{
		Action: a.action, DLQ: r.w.DLQ.Name, DLQARN: r.w.DLQ.ARN, FIFO: r.w.DLQ.FIFO, Where: r.w.Where, By: r.w.By,
		Filter: a.plan.Filter, PlanID: r.f.plan, PlanHash: a.plan.Hash(), Pace: pace, To: r.f.to,
		MaxDeaths: a.judging.MaxDeaths, Limit: a.judging.Limit, Check: a.judging.Check, BreakOrder: a.judging.BreakOrder,
		Started: r.now.UTC(), Build: r.w.Build, Extra: map[string]string{},
	}
	if r.f.foreign {
		h.Extra["foreign"] = "true"
	}
	if a.file != "" {
		h.Extra["file"] = a.file
	}
	if a.to != nil && a.to.Unchanged && a.action == dlqreplay.ActionImport {
		h.Extra["restore"] = "true"
	}
	if r.streams(a) {
		h.Extra["stream"] = "true"
		h.Extra["agreed"] = strings.Join(slices.Sorted(maps.Keys(a.judging.Agreed)), "\n")
	}
	return h
}

// runs journals and runs what was agreed to. The report is nil when nothing was begun.
func (r *replaying) runs(ctx context.Context, a *acting) (report *dlqreplay.Report, err error) {
	pace := r.f.paceFor(r.pace, len(a.plan.Selected))
	if a.verb != "replay" && a.verb != "import" || a.to != nil && a.to.Unchanged {
		pace.Canary, pace.Settle, pace.StopOnReturn = 0, 0, 1
	}
	if a.verb == "discard" || a.verb == "export" {
		pace.Rate = 0
	}
	j, err := r.store.Begin(r.header(a, pace))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, j.Close()) }()
	if a.began != nil {
		if err := a.began(j); err != nil {
			return nil, err
		}
	}
	report, err = r.runWith(ctx, a, pace, j, nil)
	if a.ended != nil {
		err = errors.Join(err, a.ended(report))
	}
	return report, err
}

// runWith runs, from the beginning or from where an earlier run ended.
func (r *replaying) runWith(ctx context.Context, a *acting, pace dlqreplay.Pace, j *dlqreplay.Journal, past *dlqreplay.Past) (*dlqreplay.Report, error) {
	judge := r.w.Judge(ctx, a.judging)
	if to := a.to; to != nil {
		judge.To = func(*dlqreplay.Letter) (*dlqreplay.Destination, error) { return to, nil }
	}
	if a.plan != nil {
		r.screen.known = map[string]bool{}
		for _, g := range a.plan.Groups {
			r.screen.known[g.Fingerprint] = true
		}
	}
	filter := r.f.filter
	if a.plan != nil {
		filter = a.plan.Filter // as of the scan, whatever the time is now
	}
	o := dlqreplay.Options{
		ReplayID: j.ID(), By: r.w.By, Held: a.held, Plan: a.plan, Filter: filter, Judge: judge, Pace: pace,
		Journal: j, Past: past, BreakOrder: a.judging.BreakOrder, Hurry: r.hurry, Stream: r.streams(a),
		Event: func(e dlqreplay.Event) {
			if e.Kind == dlqreplay.JournalAt {
				e.Path = r.home(e.Path)
			}
			r.screen.event(e)
		},
	}
	report, err := dlqreplay.Run(ctx, o)
	r.screen.rest()
	return report, err
}

// streams reports whether the run goes on with what a scan cannot hold at once. What was bounded or
// named is held.
func (r *replaying) streams(a *acting) bool {
	if a.plan == nil {
		return a.stream
	}
	if r.f.limit > 0 || r.f.plan != "" || r.f.expect >= 0 || a.action != dlqreplay.ActionReplay {
		return false
	}
	return a.plan.FIFO || !a.plan.Complete && a.plan.Scanned >= dlqreplay.MaxHeld
}

// unseen says why there may be more of what was to be replayed. Who named letters, or a number of them, has
// asked for no more.
func (r *replaying) unseen(a *acting) string {
	named := r.f.limit > 0 || r.f.plan != "" || slices.ContainsFunc(r.f.filter, func(t dlqreplay.Term) bool { return t.Key == "id" && !t.Not })
	if a.plan.Complete || a.plan.FIFO || a.verb == "import" || named || r.streams(a) {
		return ""
	}
	return orWord(a.plan.Why, "the scan did not see everything")
}

// reported prints the report, and gives the exit code.
func (r *replaying) reported(a *acting, report *dlqreplay.Report) error {
	v := &reportView{
		Report: report, Verb: a.verb, DLQ: r.w.DLQ.Name, Remain: -1, Build: r.w.Build, Width: r.s.columns, Now: time.Now(),
		Resume: r.command("resume", report.ReplayID),
	}
	if a.plan != nil {
		for _, s := range a.plan.Skipped {
			v.Skipped += s.Count
		}
		v.Unseen = r.unseen(a)
		if a.verb != "import" && !r.streams(a) {
			v.Remain = max(a.plan.Scanned-report.Replayed+report.Undeleted-report.Gone+report.Returned, 0)
		}
	}
	if !r.s.json {
		r.screen.must(v.text())
	}
	if code := v.code(); code != ExitDone {
		return &quiet{code}
	}
	return nil
}

// agree asks. What a job wants to be asked about is asked first, word for word.
func (r *replaying) agree(ctx context.Context, a *acting) (bool, error) {
	if a.action == dlqreplay.ActionReplay && !r.f.yes {
		if err := r.agreeJobs(ctx, a); err != nil {
			return false, err
		}
	}
	if len(a.plan.Selected) == 0 || r.f.yes {
		return true, nil
	}
	answer, err := r.ask(ctx, r.question(a)+"  [y/N] ")
	return answer == "y" || answer == "yes", err
}

// agreeJobs asks for the jobs that want it, and plans again with those that were agreed to.
func (r *replaying) agreeJobs(ctx context.Context, a *acting) error {
	agreed := false
	for _, s := range a.plan.Skipped {
		if s.Why != dlqreplay.SkipAsks {
			continue
		}
		answer, err := r.ask(ctx, fmt.Sprintf("%s wants to be asked: replay %d of it as well? Type yes: ", clean(s.Job), s.Count))
		if err != nil {
			return err
		}
		if answer == "yes" {
			a.judging.Agreed[s.Job] = true
			agreed = true
		}
	}
	if !agreed {
		return nil
	}
	only, err := r.only()
	if err != nil {
		return err
	}
	plan, err := r.planOf(ctx, a.held, a.judging, only)
	if err == nil {
		a.plan = plan
	}
	return err
}

// question is what is asked before anything is done.
func (r *replaying) question(a *acting) string {
	n := len(a.plan.Selected)
	what := count(n, "message")
	groups := slices.DeleteFunc(slices.Clone(a.plan.Groups), func(g dlqreplay.Group) bool { return g.Selected == 0 })
	switch {
	case len(groups) == 1:
		what = fmt.Sprintf("%d × %s %q", n, clean(orWord(groups[0].Job, "no job")), reason(groups[0]))
	case len(groups) > 1:
		what += fmt.Sprintf(" of %d groups", len(groups))
	}
	verb := map[string]string{"replay": "Replay", "discard": "Discard", "export": "Move", "import": "Import"}[a.verb]
	text := fmt.Sprintf("%s %s from %s", verb, what, r.w.DLQ.Name)
	if a.verb == "import" {
		text = fmt.Sprintf("%s %s of %s", verb, what, r.home(a.file))
	}
	if r.streams(a) {
		text += ", and what is behind them,"
	}
	v := planView{Plan: a.plan}
	switch {
	case a.to != nil:
		text += " to " + r.home(a.to.Name)
	case len(a.plan.To) > 0:
		text += " to " + v.destinations()
	}
	return text + "."
}
