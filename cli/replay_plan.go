package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/stationmaster/worker/dlqreplay"
	"github.com/stationmaster/worker/worker"
)

// plan scans, releases, keeps the plan and prints it. Nothing is sent.
func (r *replaying) plan(ctx context.Context) error {
	if reason, native := r.nativeWanted(ctx); native {
		return r.nativePlan(ctx)
	} else if r.f.native == "always" {
		return reason
	}
	if err := r.w.Preflight(ctx, worker.Needs{}); err != nil {
		return err
	}
	held, plan, err := r.scanned(ctx, r.judging())
	if err != nil {
		return err
	}
	back := held.Release(ctx, r.hurry)
	r.screen.rest()
	if err := r.expected(plan); err != nil {
		if back.Hidden > 0 {
			r.screen.must(hidden(back, plan.DLQ))
		}
		return err
	}
	if len(plan.Selected) > 0 {
		if err := r.store.SavePlan(plan); err != nil {
			return err
		}
	}
	if r.s.json {
		if err := r.s.encode(plan); err != nil {
			return err
		}
	} else {
		r.screen.must(r.planText(plan, back))
	}
	if plan.Matched == 0 {
		return &quiet{exitNothing}
	}
	return nil
}

// planText is a plan that is only shown.
func (r *replaying) planText(plan *dlqreplay.Plan, back dlqreplay.Handback) string {
	v := r.view(plan)
	if back.Hidden > 0 {
		v.Notes = append(v.Notes, hidden(back, plan.DLQ))
	}
	if r.f.quiet {
		return strings.TrimSpace(v.would() + " Nothing sent.")
	}
	text := strings.TrimRight(v.text(), "\n") + " Nothing sent.\n"
	if plan.ID != "" {
		text += fmt.Sprintf("Plan %s saved.  Next:  %s\n", plan.ID, strings.Join(v.next(r.again(r.repeated()...)), " "))
	}
	return text
}

// repeated are the flags that the next command needs again.
func (r *replaying) repeated() []string {
	var words []string
	for _, f := range []struct{ name, value string }{
		{"limit", fmt.Sprint(r.f.limit)},
		{"max-deaths", fmt.Sprint(r.f.maxDeaths)},
		{"rate", r.f.rate},
		{"max-backlog", fmt.Sprint(r.f.maxBacklog)},
		{"concurrency", r.f.concurrency},
		{"canary", fmt.Sprint(r.f.canary)},
		{"settle", r.f.settle.String()},
		{"stop-on-return", r.f.stopOnReturn},
		{"to", r.f.to},
		{"native", r.f.native},
		{"plan", r.f.plan},
		{"aws-addr", r.f.addr},
	} {
		if r.f.given(f.name) {
			words = append(words, "--"+f.name, shellWord(f.value))
		}
	}
	for name, on := range map[string]bool{"ramp": r.f.ramp, "break-order": r.f.breakOrder, "foreign": r.f.foreign} {
		if on {
			words = append(words, "--"+name)
		}
	}
	if !r.f.check {
		words = append(words, "--check=false")
	}
	return words
}

// view is what a plan is shown with.
func (r *replaying) view(plan *dlqreplay.Plan) *planView {
	v := &planView{
		Plan: plan, Sources: r.w.Sources(), Pace: r.f.paceFor(r.pace, len(plan.Selected)), Build: r.w.Build,
		Verb: "replay", Notes: append([]string{}, r.w.Notes...), Width: r.s.columns, Now: r.now,
	}
	if r.f.to != worker.ToOrigin {
		v.Sources = []string{r.f.to}
	}
	v.Dies, v.Attempts = r.w.Dies()
	if plan.Unjudged > 0 {
		v.Notes = append(v.Notes, fmt.Sprintf("--where fails on %d, which so do not match: %s (such as %s)", plan.Unjudged, plan.UnjudgedWhy, plan.UnjudgedExample))
	}
	if plan.Why != "" {
		v.Notes = append(v.Notes, plan.Why)
	}
	return v
}

// longestKept is the longest retention of SQS, and a day for the clocks.
const longestKept = 15 * 24 * time.Hour

// judging is how strict the flags are. A job that is named is agreed to.
func (r *replaying) judging() worker.Judging {
	j := worker.Judging{MaxDeaths: r.f.maxDeaths, Limit: r.f.limit, BreakOrder: r.f.breakOrder, Check: r.f.check, Agreed: map[string]bool{}}
	var faults []error
	if j.Begun, faults = r.store.Begun(r.w.DLQ.ARN, r.now.Add(-longestKept)); len(faults) > 0 {
		r.s.notef("what an earlier run has sent is not known, and may be sent again: %v", errors.Join(faults...))
	}
	for _, t := range r.f.filter {
		if t.Key == "job" && !t.Not {
			j.Agreed[t.Value] = true
		}
	}
	return j
}

// scanned scans and plans. On an error everything is released.
func (r *replaying) scanned(ctx context.Context, j worker.Judging) (*dlqreplay.Held, *dlqreplay.Plan, error) {
	return r.scannedFor(ctx, func(held *dlqreplay.Held, only []string) (*dlqreplay.Plan, error) {
		return r.planOf(ctx, held, j, only)
	})
}

// scannedFor scans, and plans as it is told. On an error everything is released.
func (r *replaying) scannedFor(ctx context.Context, plans func(held *dlqreplay.Held, only []string) (*dlqreplay.Plan, error)) (*dlqreplay.Held, *dlqreplay.Plan, error) {
	if _, err := r.f.filter.Resolved(r.now); err != nil { // before anybody waits for a scan
		return nil, nil, usageOf(err)
	}
	only, err := r.only()
	if err != nil {
		return nil, nil, err
	}
	held, err := r.scan(ctx, only)
	if err != nil {
		return nil, nil, err
	}
	plan, err := plans(held, only)
	if err != nil {
		r.release(ctx, held)
		return nil, nil, err
	}
	return held, plan, nil
}

func (r *replaying) scan(ctx context.Context, only []string) (*dlqreplay.Held, error) {
	o := r.w.Scan()
	o.Only, o.Event, o.Hurry, o.Loops = only, r.screen.event, r.hurry, r.pace.Loops
	if r.s.json && r.asked.verb == "" && !r.f.goAhead {
		o.Event = nil // of a plan, only the plan is printed
	}
	return dlqreplay.Scan(ctx, o)
}

// planOf makes the plan; of a saved plan's letters only, if one was named.
func (r *replaying) planOf(ctx context.Context, held *dlqreplay.Held, j worker.Judging, only []string) (*dlqreplay.Plan, error) {
	plan, err := held.Plan(ctx, r.filterOf(only), r.w.Judge(ctx, j), r.now)
	if err != nil {
		return nil, err
	}
	if r.f.plan == "" {
		return plan, nil
	}
	resolved, err := r.f.filter.Resolved(r.now)
	plan.Filter = resolved
	gone := 0
	for _, id := range only {
		if held.Get(id) == nil {
			gone++
		}
	}
	switch {
	case gone == len(only):
		return nil, &coded{fmt.Errorf("plan %s: all %d of its messages are gone from %s, or in somebody else's hands", r.f.plan, gone, r.w.DLQ.Name), exitNothing}
	case gone > 0:
		r.w.Notes = append(r.w.Notes, fmt.Sprintf("%d of the %d messages of plan %s are gone, or in somebody else's hands", gone, len(only), r.f.plan))
	}
	return plan, err
}

// filterOf is the filter of the flags; with a saved plan, of its letters only.
func (r *replaying) filterOf(only []string) dlqreplay.Filter {
	filter := slices.Clone(r.f.filter)
	if r.f.plan != "" {
		for _, id := range only {
			filter = append(filter, dlqreplay.Term{Key: "id", Value: id})
		}
	}
	return filter
}

// only are the ids that alone can be selected: of the plan that was named, or of --id.
func (r *replaying) only() ([]string, error) {
	var ids []string
	for _, t := range r.f.filter {
		if t.Key == "id" && !t.Not {
			ids = append(ids, t.Value)
		}
	}
	if r.f.plan == "" {
		return ids, nil
	}
	if len(ids) > 0 {
		return nil, usageOf(errors.New("--plan and --id: give one of them"))
	}
	plan, err := r.store.LoadPlan(r.f.plan)
	if err != nil {
		return nil, usageOf(err)
	}
	if plan.DLQARN != r.w.DLQ.ARN {
		return nil, &coded{fmt.Errorf("plan %s is of %s, not of %s", plan.ID, plan.DLQARN, r.w.DLQ.ARN), exitRefused}
	}
	return plan.Selected, nil
}

// expected refuses a plan that selects another number than was expected.
func (r *replaying) expected(plan *dlqreplay.Plan) error {
	if r.f.expect < 0 || len(plan.Selected) == r.f.expect {
		return nil
	}
	return &coded{fmt.Errorf("--expect %d: %d are selected: nothing was sent", r.f.expect, len(plan.Selected)), exitRefused}
}
