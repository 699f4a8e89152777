package cli

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/stationmaster/worker/deadletter"
	"github.com/stationmaster/worker/dlqreplay"
)

const (
	// shortTime is what is left of a dead letter's time when it is marked.
	shortTime = 24 * time.Hour
	// leastWhy is the least width of a reason that still tells something.
	leastWhy = 24
	// mostNames is how many destinations are named before the rest is counted.
	mostNames = 3
)

// planView is a plan, and what is said with it.
type planView struct {
	*dlqreplay.Plan
	// Sources are the queues that the dead letters came from.
	Sources []string
	Pace    dlqreplay.Pace
	// Dies is how long a message needs to die again, and of how many attempts; 0: nobody knows.
	Dies     time.Duration
	Attempts int
	Build    string
	// Verb is what would be done: replay, import, discard or export.
	Verb string
	// Notes are what else has to be known before it is done.
	Notes []string
	Width int
	Now   time.Time
}

// text is the plan as §5.3 of its specification draws it.
func (v *planView) text() string {
	var b strings.Builder
	b.WriteString(v.header())
	if len(v.Groups) > 0 {
		b.WriteString("\n" + v.groups() + "\n")
	}
	for _, l := range v.lines() {
		b.WriteString(l + "\n")
	}
	return b.String()
}

func (v *planView) header() string {
	left := v.DLQ
	if len(v.Sources) > 0 {
		left += "  →  " + listed(v.Sources, mostNames)
	}
	kind, n := "standard", int64(v.Scanned)
	if v.FIFO {
		kind = "FIFO"
	}
	parts := []string{kind, count(int(max(n, v.Total)), "message")}
	if v.FIFO && v.MessageGroups > 0 {
		parts = append(parts, fmt.Sprintf("%s, visible %d of %d", count(v.MessageGroups, "group"), v.Scanned, max(n, v.Total)))
	}
	if v.Scanned > 0 {
		parts = append(parts, fmt.Sprintf("scanned %d in %s (each receive count +1)", v.Scanned, lasting(v.Took)))
	}
	facts := strings.Join(parts, " · ")
	head := padded(left, 30) + "   " + facts
	if v.Width > 0 && len([]rune(head)) > v.Width {
		head = left + "\n" + wrapped("  "+facts, v.Width, 2)
	}
	head += "\n"
	if v.Elsewhere > 0 {
		head += wrapped(fmt.Sprintf("  %d more were in the hands of somebody else when the scan began.", v.Elsewhere), v.Width, 2) + "\n"
	}
	if !v.Complete && !v.FIFO {
		head += wrapped(fmt.Sprintf("  These are not all of them: %d of about %d were seen.", v.Scanned, max(n, v.Total)), v.Width, 2) + "\n"
	}
	return head
}

// groups is the table of causes. What does not fit loses its times first, then the end of the reasons.
func (v *planView) groups() string {
	chosen := len(v.Filter) > 0
	job, why := len("JOB"), len("WHY")
	for _, g := range v.Groups {
		job = max(job, min(len([]rune(clean(orWord(g.Job, "-")))), 24))
		why = max(why, len([]rune(reason(g))))
	}
	columns := func(times bool) int {
		n := 2 + 6 + 2 + 5 + 2 + job + 2 + 2 + 7 + 4
		if chosen {
			n += 10
		}
		if times {
			n += 16
		}
		return n
	}
	times := v.Width <= 0 || v.Width-columns(true) >= min(why, leastWhy)
	if v.Width > 0 {
		if !times {
			job = min(job, 12)
		}
		why = min(why, max(v.Width-columns(times), 8))
	}
	var b strings.Builder
	row := func(group, picked, n, jobName, text, first, last, expires string) {
		line := "  " + padded(group, 6)
		if chosen {
			line += "  " + right(picked, 8)
		}
		line += "  " + right(n, 5) + "  " + padded(fit(jobName, job), job) + "  " + padded(fit(text, why), why)
		if times {
			line += "  " + padded(first, 6) + "  " + padded(last, 6)
		}
		b.WriteString(strings.TrimRight(line+"  "+expires, " ") + "\n")
	}
	row("GROUP", "SELECTED", "COUNT", "JOB", "WHY", "FIRST", "LAST", "EXPIRES")
	for _, g := range v.Groups {
		expires := "-"
		if !g.Expires.IsZero() {
			left := g.Expires.Sub(v.Now)
			expires = roughly(left)
			if left < shortTime {
				expires = padded(expires, 4) + " !"
			}
		}
		row(clean(g.Fingerprint), fmt.Sprint(g.Selected), fmt.Sprint(g.Count), clean(orWord(g.Job, "-")), reason(g),
			clock(g.First, v.Now), clock(g.Last, v.Now), expires)
	}
	return b.String()
}

// reason is why a group died, in the words of its record, or in ours where there is none.
func reason(g dlqreplay.Group) string {
	text := clean(g.Reason)
	switch class := clean(g.Class); {
	case text == "" && class == "" && g.Kind == dlqreplay.Moved:
		return "no record: worker died or timed out"
	case text == "" && class == "" && g.Kind == dlqreplay.Undelivered:
		return "SNS could not deliver it"
	case text == "" && class == "":
		return "no record: sent by somebody else"
	case text == "":
		return class
	case class != "" && class != "error" && !strings.Contains(strings.ToLower(text), strings.ToLower(class)):
		return text + " (" + class + ")"
	}
	return text
}

// lines are what is said below the table.
func (v *planView) lines() []string {
	var all []string
	add := func(label, text string) {
		if text != "" {
			all = append(all, line(label, text, v.Width))
		}
	}
	add("check", v.checks())
	add("deaths", v.deaths())
	for _, text := range v.skips() {
		add("skipped", text)
	}
	for _, note := range v.Notes {
		add("note", note)
	}
	if len(all) > 0 {
		all = append(all, "")
	}
	all = append(all, wrapped(v.would(), v.Width, 2))
	if text := v.slowDeath(); text != "" {
		all = append(all, wrapped(text, v.Width, 2))
	}
	return all
}

func (v *planView) checks() string {
	var parts []string
	if v.Checked > 0 {
		parts = append(parts, fmt.Sprintf("%d pass on this build (%s)", v.Checked, v.Build))
	}
	for _, s := range v.Skipped {
		if s.Why == dlqreplay.SkipCheck {
			verb := "fail"
			if s.Count == 1 {
				verb = "fails"
			}
			parts = append(parts, fmt.Sprintf("%d %s still %s: %q (skipped)", s.Count, clean(orWord(s.Job, "of no job")), verb, clean(s.Text)))
		}
	}
	return strings.Join(parts, " · ")
}

func (v *planView) deaths() string {
	recorded, most := 0, 0
	for n, many := range v.Deaths {
		if n > 0 {
			recorded += many
			most = max(most, n)
		}
	}
	var parts []string
	switch {
	case recorded == 0:
	case most == 1:
		parts = append(parts, fmt.Sprintf("%d recorded, all first", recorded))
	default:
		var by []string
		for _, n := range slices.Sorted(maps.Keys(v.Deaths)) {
			if n > 0 {
				by = append(by, fmt.Sprintf("%d × %d", v.Deaths[n], n))
			}
		}
		parts = append(parts, fmt.Sprintf("%d recorded (%s)", recorded, strings.Join(by, ", ")))
	}
	if n := v.Deaths[0]; n > 0 {
		parts = append(parts, fmt.Sprintf("%d unknown", n))
	}
	return strings.Join(parts, " · ")
}

// skips say what is not replayed and why, save for what the check says.
func (v *planView) skips() []string {
	var all []string
	for _, s := range v.Skipped {
		of := ""
		if s.Job != "" {
			of = " " + clean(s.Job)
		}
		text := ""
		switch s.Why {
		case dlqreplay.SkipCheck:
			continue
		case dlqreplay.SkipExhausted:
			text = "exhausted: died too often (--max-deaths)"
		case dlqreplay.SkipNowhere:
			text = "nobody knows where to (--to QUEUE)"
		case dlqreplay.SkipTooLarge:
			text = "too large for their destination"
		case dlqreplay.SkipAsks:
			text = "the job wants to be asked (--job " + clean(s.Job) + ")"
		case dlqreplay.SkipBegun:
			all = append(all, fmt.Sprintf("%d%s sent by %s, which did not end: replay-dlq resume %s", s.Count, of, s.Text, s.Text))
			continue
		case dlqreplay.SkipGroup:
			text = "behind a message of their group that stays (--break-order)"
		default:
			text = string(s.Why)
		}
		if s.Text != "" {
			text += ": " + clean(s.Text)
		}
		all = append(all, fmt.Sprintf("%d%s %s", s.Count, of, text))
	}
	return all
}

// would is the sentence that says what --go does.
func (v *planView) would() string {
	n := len(v.Selected)
	switch {
	case v.Scanned == 0 && v.Elsewhere > 0:
		return fmt.Sprintf("%s shows no message: nothing to %s before those come back, when their visibility timeouts end.", v.DLQ, v.Verb)
	case v.Scanned == 0:
		return fmt.Sprintf("%s is empty: nothing to %s.", v.DLQ, v.Verb)
	case v.Matched == 0:
		return fmt.Sprintf("Nothing matches: %s of %s looked at.", count(v.Scanned, "message"), v.DLQ)
	case n == 0:
		return fmt.Sprintf("Would %s nothing: all %d that match are skipped.", v.Verb, v.Matched)
	}
	text := fmt.Sprintf("Would %s %d", v.Verb, n)
	if to := v.destinations(); to != "" {
		text += " to " + to
	}
	return text + v.pacing(n)
}

func (v *planView) destinations() string {
	names := slices.Sorted(maps.Keys(v.To))
	if len(names) < 2 {
		return strings.Join(names, "")
	}
	parts := make([]string, len(names))
	for i, name := range names {
		parts[i] = fmt.Sprintf("%s (%d)", name, v.To[name])
	}
	return listed(parts, mostNames)
}

func (v *planView) pacing(n int) string {
	if v.Verb != "replay" && v.Verb != "import" {
		return "."
	}
	text := ": "
	rest := n
	if c := min(v.Pace.Canary, n); c > 0 {
		text += fmt.Sprintf("canary %d, then ", c)
		rest -= c
	}
	if v.Pace.Rate == 0 {
		text += "as fast as SQS"
	} else {
		lasts := time.Duration(float64(rest) / v.Pace.Rate * float64(time.Second))
		text += fmt.Sprintf("%s/s, about %s", trimmed(v.Pace.Rate), lasting(max(lasts.Round(time.Second), time.Second)))
	}
	if v.Pace.Settle > 0 {
		text += fmt.Sprintf(" with %s to settle", lasting(v.Pace.Settle))
	}
	return text + "."
}

// slowDeath warns of a settle that ends before a message could have died.
func (v *planView) slowDeath() string {
	if v.Dies <= v.Pace.Settle || v.Pace.Settle == 0 || len(v.Selected) == 0 || v.Verb != "replay" && v.Verb != "import" {
		return ""
	}
	return fmt.Sprintf("A message needs up to %s to die again (%s): within --settle %s, returns are only the first of them.",
		lasting(v.Dies), count(v.Attempts, "attempt"), lasting(v.Pace.Settle))
}

// largest is the fingerprint of the largest group that would be replayed; only says that nothing else
// matched.
func (v *planView) largest() (fingerprint string, only bool) {
	n := 0
	for _, g := range v.Groups {
		if g.Matched > 0 {
			n++
		}
		if g.Selected > 0 && fingerprint == "" {
			fingerprint = g.Fingerprint
		}
	}
	return fingerprint, n == 1
}

// next is the command that would do it: for all that is selected, or for the largest cause of many.
func (v *planView) next(again []string) []string {
	fingerprint, only := v.largest()
	switch {
	case only || len(v.Filter) > 0:
	case fingerprint == deadletter.Unexplained:
		again = append(again, "--unannotated")
	default:
		again = append(again, "--group", fingerprint)
	}
	return append(again, "--go")
}

func trimmed(f float64) string {
	return strings.TrimSuffix(strings.TrimRight(fmt.Sprintf("%.2f", f), "0"), ".")
}
