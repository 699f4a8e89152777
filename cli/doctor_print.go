package cli

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/stationmaster/worker/doctor"
)

// severities say what the letters mean.
var severities = map[doctor.Severity]string{
	doctor.Critical: "messages are lost or cannot arrive",
	doctor.High:     "messages will be lost or come twice",
	doctor.Medium:   "it degrades, hides or costs",
	doctor.Low:      "hygiene",
}

// examined prints a report.
func (s *state) examined(where, addr string, r *doctor.Report, fixable bool) error {
	if s.json {
		return s.encode(struct {
			Where    string `json:"where"`
			ExitCode int    `json:"exit_code"`
			*doctor.Report
		}{where, r.ExitCode(), r})
	}
	p := &page{width: s.pageWidth(), name: s.name, there: s.there(addr)}
	p.line(0, where+" · "+count(r.Topics, "topic")+", "+count(r.Queues, "queue")+", "+count(r.DeadLetterQueues, "dead-letter queue")+", "+count(r.Subscriptions, "subscription"))
	for _, severity := range doctor.Severities() {
		p.findings(severity, r.Findings)
	}
	p.unknown(r.Unknown)
	p.proofs(r.Proofs)
	p.sum(r, fixable)
	s.printf("%s", p.String())
	return nil
}

// page is text that is broken at a width.
type page struct {
	strings.Builder
	width       int
	name, there string // what a command of this program begins and ends with
}

// label is how wide what stands before a finding's text is.
const label = 9

// line writes text behind what stands there already, at an indent, and breaks it between words.
func (p *page) line(indent int, text string) {
	at := 0
	for word := range strings.FieldsSeq(text) {
		switch n := utf8.RuneCountInString(word); {
		case at == 0:
			at = indent + n
		case at+1+n > p.width:
			p.WriteString("\n" + strings.Repeat(" ", indent))
			at = indent + n
		default:
			p.WriteByte(' ')
			at += 1 + n
		}
		p.WriteString(word)
	}
	p.WriteByte('\n')
}

// said writes what a label says.
func (p *page) said(indent int, name, text string) {
	fmt.Fprintf(p, "%*s%-*s", indent, "", label, name)
	p.line(indent+label, text)
}

// command writes a command line in one piece, so that it can be copied.
func (p *page) command(indent int, text string) {
	fmt.Fprintf(p, "%*s$ %s\n", indent+label, "", text)
}

// findings writes those of a severity, each code's title once.
func (p *page) findings(severity doctor.Severity, all []doctor.Finding) {
	code := ""
	for i := range all {
		f := &all[i]
		if f.Severity != severity {
			continue
		}
		if code == "" {
			fmt.Fprintf(p, "\n%s  ", severity)
			p.line(3, severities[severity])
		}
		if f.Code != code {
			fmt.Fprintf(p, "\n   %s  ", f.Code)
			p.line(9, f.Title)
		}
		code = f.Code
		p.finding(f)
	}
}

func (p *page) finding(f *doctor.Finding) {
	const indent = 9
	p.WriteString(strings.Repeat(" ", indent))
	p.line(indent, f.Subject)
	for i, text := range f.Evidence {
		name := "read"
		if i > 0 {
			name = ""
		}
		p.said(indent, name, text)
	}
	p.said(indent, "message", f.Happens)
	p.said(indent, "mend", f.Mend.Text)
	if f.Mend.Apply {
		p.command(indent, p.name+" topology apply"+p.there)
	}
	for _, command := range f.Mend.AWS {
		p.command(indent, command)
	}
}

// unknown writes what could not be looked at.
func (p *page) unknown(all []doctor.Unknown) {
	const indent = 3
	for i, u := range all {
		if i == 0 {
			p.WriteString("\n?  ")
			p.line(indent, "unknown, which is not the same as right")
		}
		text := codeList(u.Codes) + "  " + subjects(u.Subjects) + ": " + u.Reason
		if u.Mend != "" {
			text += "; " + u.Mend
		}
		p.WriteString("\n   ")
		p.line(indent, text)
	}
}

// codeList says codes in short.
func codeList(codes []string) string {
	const most = 8
	if len(codes) > most {
		return fmt.Sprintf("%s, %s and %d more", codes[0], codes[1], len(codes)-2)
	}
	return strings.Join(codes, ", ")
}

// subjects says a few of them.
func subjects(all []string) string {
	const most = 4
	all = slices.Compact(slices.Clone(all))
	if len(all) > most {
		return strings.Join(all[:most-1], ", ") + fmt.Sprintf(" and %d more", len(all)-most+1)
	}
	return strings.Join(all, ", ")
}

func (p *page) proofs(all []doctor.Proof) {
	for i, proof := range all {
		if i == 0 {
			p.WriteString("\ncanary\n")
		}
		text := proof.Line + ": "
		switch {
		case proof.Arrived:
			text += "arrived in " + proof.Took.Round(time.Millisecond).String() + map[bool]string{true: ", by a copy of the topic", false: ", by the topic itself"}[proof.Copy]
		case proof.Err != nil:
			text += "not tried"
		default:
			text += "did not arrive"
		}
		if proof.Why != "" {
			text += ": " + proof.Why
		}
		p.WriteString("   ")
		p.line(3, text)
	}
}

// sum writes what it comes to.
func (p *page) sum(r *doctor.Report, fixable bool) {
	p.WriteByte('\n')
	by := map[doctor.Severity]int{}
	for _, f := range r.Findings {
		by[f.Severity]++
	}
	var parts []string
	for _, severity := range doctor.Severities() {
		if n := by[severity]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, severity))
		}
	}
	verdict := map[int]string{doctor.ExitHealthy: "healthy", doctor.ExitWarnings: "messages would arrive, with warnings", doctor.ExitLost: "messages would be lost"}[r.ExitCode()]
	text := verdict
	if len(r.Findings) == 0 && r.Refused() { // nothing was found where nothing could be read
		text = "not known whether messages arrive"
	}
	if len(r.Findings) > 0 {
		text += ": " + count(len(r.Findings), "finding") + " (" + strings.Join(parts, ", ") + ")"
	}
	if n := len(r.Unknown); n > 0 {
		text += fmt.Sprintf("; %d unknown", n)
	}
	p.line(0, text)
	if len(r.Findings) > 0 {
		p.line(0, "the story of each: "+p.name+" doctor explain "+r.Findings[0].Code)
	}
	if fixable { // in one piece, so that it can be copied
		p.WriteString("what apply mends: " + p.name + " doctor --fix" + p.there + "\n")
	}
}
