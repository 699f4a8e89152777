package cli

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/stationmaster/worker/dlqreplay"
)

// Exit codes of replay-dlq, besides those of every command.
const (
	exitNothing = 3
	exitLeft    = 4
	exitStopped = 5
	exitRefused = 6
	exitSignal  = 130
)

// mostFailures is how many reasons of refusals are printed.
const mostFailures = 5

// reportView is a report, and what is said with it.
type reportView struct {
	*dlqreplay.Report
	Verb string // replay, discard, import, export
	DLQ  string
	// Remain is what is left in the dead-letter queue as far as the run has seen it; -1: not known.
	Remain int
	// Skipped of the matched were not chosen.
	Skipped int
	// Unseen says why the scan has not seen all that there is; empty when it has, or was not asked to.
	Unseen string
	Build  string
	// Resume is the command that goes on with the run.
	Resume string
	Width  int
	Now    time.Time
}

// past are the verbs of what was done.
var past = map[string]string{"replay": "replayed", "discard": "discarded", "import": "imported", "export": "exported", "run": "run"}

// text is the report as §5.3 of its specification draws it.
func (v *reportView) text() string {
	var b strings.Builder
	add := func(label, text string) { b.WriteString(line(label, text, v.Width) + "\n") }
	switch v.Outcome {
	case dlqreplay.Interrupted:
		b.WriteString(wrapped(v.interrupted(), v.Width, 2) + "\n")
	case dlqreplay.Stopped:
		for _, l := range v.stopped() {
			b.WriteString(wrapped(l, v.Width, 4) + "\n")
		}
	case dlqreplay.Failed:
		b.WriteString(wrapped(fmt.Sprintf("Failed: %s.", strings.TrimSuffix(clean(v.Why), ".")), v.Width, 2) + "\n")
		add("done", v.done())
	case dlqreplay.Completed:
		add("done", v.done())
	default:
		add("done", v.done())
	}
	for i, f := range v.Failures {
		if i == mostFailures {
			add("refused", fmt.Sprintf("%d more reasons: they are in the journal", len(v.Failures)-i))
			break
		}
		add("refused", fmt.Sprintf("%d: %s (such as %s)", f.Count, clean(f.Why), clean(f.Example)))
	}
	if v.Why != "" && v.Outcome == dlqreplay.Completed {
		add("note", clean(v.Why))
	}
	if v.Unsure > 0 {
		add("unsure", fmt.Sprintf("%d may have been sent all the same: their answers were lost. Go on with it and they are counted: %s", v.Unsure, v.Resume))
	}
	if v.Undeleted > 0 {
		add("twice", fmt.Sprintf("%d were sent and could not be deleted here. Delete them: %s", v.Undeleted, v.Resume))
	}
	if v.Unwatched > 0 {
		add("unseen", fmt.Sprintf("%d would not be recognised if they came back", v.Unwatched))
	}
	if v.Hidden > 0 {
		add("hidden", fmt.Sprintf("%d could not be released: %s shows them again at %s", v.Hidden, v.DLQ, v.HiddenUntil.In(v.Now.Location()).Format(time.TimeOnly)))
	}
	if v.Unseen != "" {
		add("unseen", clean(v.Unseen))
	}
	if left := v.left(); left != "" {
		add("left", left)
	}
	return b.String()
}

func (v *reportView) done() string {
	parts := []string{fmt.Sprintf("%d %s", v.Replayed, past[v.Verb]), fmt.Sprintf("%d failed", v.Failed)}
	if v.Verb == "replay" || v.Verb == "import" {
		back := fmt.Sprintf("%d returned", v.Returned)
		if v.Watched > 0 {
			back += " in " + lasting(v.Watched.Round(time.Second))
		}
		parts = append(parts, back, fmt.Sprintf("%d ambiguous", v.Ambiguous))
	}
	if v.Gone > 0 {
		parts = append(parts, fmt.Sprintf("%d gone meanwhile", v.Gone))
	}
	if v.Left > 0 {
		parts = append(parts, fmt.Sprintf("%d not tried", v.Left))
	}
	return strings.Join(parts, " · ")
}

func (v *reportView) left() string {
	var parts []string
	if v.Remain >= 0 {
		parts = append(parts, fmt.Sprintf("%d in %s", v.Remain, v.DLQ))
	}
	if v.Skipped > 0 {
		parts = append(parts, fmt.Sprintf("%d of them matched and were skipped", v.Skipped))
	}
	return strings.Join(parts, " · ")
}

func (v *reportView) interrupted() string {
	text := fmt.Sprintf("Interrupted: %d %s, %d released.", v.Replayed, past[v.Verb], v.Released)
	if v.Left+v.Undeleted > 0 && v.Resume != "" {
		text += " Resume: " + v.Resume
	}
	return text
}

// stopped says what was sent, what was not, and what is known about what came back.
func (v *reportView) stopped() []string {
	all := []string{fmt.Sprintf("Stopped. %d of %d sent, %d untouched and released.", v.Replayed, v.Selected, v.Left)}
	if v.Returned > 0 {
		all[0] += " The fix is not in, or not in everywhere:"
	} else if v.Why != "" {
		all[0] += " " + clean(v.Why) + "."
	}
	type from struct{ build, host, reason string }
	counts := map[from]int{}
	var order []from
	for _, r := range v.Returns {
		f := from{r.Build, r.Host, orWord(r.Reason, r.Class)}
		if counts[f]++; counts[f] == 1 {
			order = append(order, f)
		}
	}
	slices.SortStableFunc(order, func(a, b from) int { return counts[b] - counts[a] })
	for i, f := range order {
		if i == mostFailures {
			break
		}
		text := fmt.Sprintf("  %d returned", counts[f])
		if f.build != "" {
			text += " from build " + clean(f.build)
		}
		if f.host != "" {
			text += " (host " + clean(f.host) + ")"
		}
		if f.reason != "" {
			text += ": " + clean(f.reason)
		}
		all = append(all, text)
	}
	if rest := v.Replayed - v.Returned; v.Returned > 0 && rest > 0 {
		all = append(all, fmt.Sprintf("  %d succeeded or are still running", rest))
	}
	if v.Resume != "" && v.Left > 0 {
		all = append(all, "Go on when it is in: "+v.Resume)
	}
	return all
}

// code is the exit code: not 0 unless everything that matched was replayed and stayed away.
func (v *reportView) code() int {
	switch {
	case v.Outcome == dlqreplay.Stopped:
		return exitStopped
	case v.Outcome == dlqreplay.Interrupted:
		return exitSignal
	case v.Whole() && v.Skipped == 0 && v.Unseen == "":
		return ExitDone
	}
	return exitLeft
}
