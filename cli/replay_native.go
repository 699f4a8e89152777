package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/stationmaster/worker/dlqreplay"
	"github.com/stationmaster/worker/worker"
)

// nativeWanted reports whether SQS itself is to move everything. With --native always, the error says why
// it cannot.
func (r *replaying) nativeWanted(ctx context.Context) (reason error, wanted bool) {
	if r.f.native == "never" {
		return nil, false
	}
	if why := r.moreThanNative(); len(why) > 0 {
		return usageOf(fmt.Errorf("--native always: SQS moves everything or nothing, and knows nothing of %s", listed(why, len(why)))), false
	}
	if _, err := r.w.Native(ctx); err != nil {
		return &coded{err, exitRefused}, false
	}
	if r.f.native == "always" {
		return nil, true
	}
	if !r.unwatched() {
		return nil, false
	}
	pays, err := r.w.NativePays(ctx)
	return nil, err == nil && pays
}

// moreThanNative are the flags that were given and that SQS's own redrive cannot do.
func (r *replaying) moreThanNative() []string {
	var why []string
	if len(r.f.filter) > 0 || r.f.plan != "" {
		why = append(why, "selections")
	}
	for _, flag := range []string{"limit", "expect", "ramp", "max-backlog", "break-order"} {
		if r.f.given(flag) {
			why = append(why, "--"+flag)
		}
	}
	if asking := r.w.Asking(); len(asking) > 0 {
		why = append(why, "jobs that want to be asked ("+listed(asking, mostNames)+")")
	}
	if r.f.given("canary") && r.f.canary > 0 {
		why = append(why, "--canary")
	}
	if r.pace.Rate > dlqreplay.MaxTaskRate {
		why = append(why, fmt.Sprintf("a --rate above %d/s", dlqreplay.MaxTaskRate))
	}
	return why
}

// unwatched reports whether everything was switched off that SQS's own redrive cannot do.
func (r *replaying) unwatched() bool {
	return r.pace.Canary == 0 && r.pace.Settle == 0 && !r.f.check && r.f.maxDeaths == 0
}

func (r *replaying) nativeText(ctx context.Context, to *dlqreplay.Destination) (string, error) {
	n, err := r.w.DLQ.Counts(ctx)
	if err != nil {
		return "", err
	}
	pace := "as fast as SQS chooses"
	if r.pace.Rate > 0 {
		pace = trimmed(r.pace.Rate) + "/s"
	}
	return fmt.Sprintf("%s  →  %s   about %s\n", r.w.DLQ.Name, to.Name, count(int(n.Visible), "message")) + wrapped(fmt.Sprintf(
		"Would let SQS itself move them all, %s: nothing is looked at, skipped or watched, and the run can be neither resumed nor audited here.",
		pace), r.s.columns, 2), nil
}

func (r *replaying) nativePlan(ctx context.Context) error {
	to, err := r.w.Native(ctx)
	if err != nil {
		return &coded{err, exitRefused}
	}
	if err := r.w.Preflight(ctx, worker.Needs{}); err != nil {
		return err
	}
	text, err := r.nativeText(ctx, to)
	if err != nil {
		return err
	}
	if r.s.json {
		return r.s.encode(map[string]any{"dlq": r.w.DLQ.Name, "to": to.Name, "native": true})
	}
	r.screen.must(text + " Nothing sent.\nNext:  " + strings.Join(r.again(append(r.repeated(), "--go")...), " "))
	return nil
}

// replayNative lets SQS move everything.
func (r *replaying) replayNative(ctx context.Context) (err error) {
	if err := r.mayAsk(); err != nil {
		return err
	}
	to, err := r.w.Native(ctx)
	if err != nil {
		return &coded{err, exitRefused}
	}
	if err := r.w.Preflight(ctx, worker.Needs{Native: true}); err != nil {
		return err
	}
	text, err := r.nativeText(ctx, to)
	if err != nil {
		return err
	}
	r.screen.tell(text)
	if !r.f.yes {
		answer, err := r.ask(ctx, fmt.Sprintf("Let SQS move everything from %s to %s.  [y/N] ", r.w.DLQ.Name, to.Name))
		if err != nil || answer != "y" && answer != "yes" {
			r.screen.must("Nothing was done.")
			return orQuiet(err, exitLeft)
		}
	}
	a := &acting{plan: &dlqreplay.Plan{}, action: dlqreplay.ActionReplay, verb: "replay", to: to}
	h := r.header(a, r.pace)
	h.Extra["native"] = "true"
	j, err := r.store.Begin(h)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, j.Close()) }()
	report, err := dlqreplay.RunNative(ctx, dlqreplay.NativeOptions{
		ReplayID: j.ID(), DLQ: &r.w.DLQ, To: to, Tasks: r.w.Tasks(), Rate: int(r.pace.Rate + 0.5), Journal: j,
		Leave: r.leaves, Event: r.screen.event,
	})
	r.screen.rest()
	if report == nil {
		return err
	}
	if !r.s.json {
		v := &reportView{Report: report, Verb: "replay", DLQ: r.w.DLQ.Name, Remain: report.Left, Width: r.s.columns, Now: r.now}
		r.screen.must(v.text())
		if report.Why != "" && report.Outcome != dlqreplay.Failed {
			r.screen.must(wrapped("  "+report.Why+".", r.s.columns, 2))
		}
	}
	if v := (&reportView{Report: report}); err == nil && v.code() != ExitDone {
		return &quiet{v.code()}
	}
	return err
}

// leaves asks, after the first signal, whether SQS should go on by itself.
func (r *replaying) leaves() bool {
	if r.f.yes {
		return false
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		select {
		case <-r.hurry:
			cancel()
		case <-ctx.Done():
		}
	}()
	answer, err := r.ask(ctx, "Leave SQS at it, or cancel?  [leave/CANCEL] ")
	return err == nil && answer == "leave"
}
