package cli

import (
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// labelled is how far the text behind a label begins: "  check    44 pass".
const labelled = 11

// clean makes text of messages fit for a terminal: one line, and nothing that moves its cursor.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return ' '
		case !unicode.IsPrint(r):
			return '�'
		}
		return r
	}, s)
}

// fit cuts s to width runes; a width of 0 has room for all.
func fit(s string, width int) string {
	if width <= 0 || utf8.RuneCountInString(s) <= width {
		return s
	}
	r := []rune(s)
	return strings.TrimRight(string(r[:max(width-1, 0)]), " ") + "…"
}

// padded fills s up to width.
func padded(s string, width int) string {
	return s + strings.Repeat(" ", max(width-utf8.RuneCountInString(s), 0))
}

// right puts s at the right end of width.
func right(s string, width int) string {
	return strings.Repeat(" ", max(width-utf8.RuneCountInString(s), 0)) + s
}

// wrapped breaks text at spaces, so that no line is longer than width; all but the first begin with
// indent spaces. A word that is longer stays whole: it may be something to copy.
func wrapped(text string, width, indent int) string {
	if width <= 0 || utf8.RuneCountInString(text) <= width {
		return text
	}
	var b strings.Builder
	lead := text[:len(text)-len(strings.TrimLeft(text, " "))]
	b.WriteString(lead)
	at := len(lead)
	fresh := true
	for word := range strings.FieldsSeq(text) {
		n := utf8.RuneCountInString(word)
		switch {
		case fresh:
		case at+1+n > width:
			b.WriteString("\n" + strings.Repeat(" ", indent))
			at = indent
		default:
			b.WriteByte(' ')
			at++
		}
		b.WriteString(word)
		at += n
		fresh = false
	}
	return b.String()
}

// line is a labelled line: two spaces, the label, and its text, hanging below itself.
func line(label, text string, width int) string {
	head := padded("  "+label, labelled-1) + " "
	if width <= 0 || utf8.RuneCountInString(head+text) <= width {
		return strings.TrimRight(head+text, " ")
	}
	// The gap behind the label is part of no word.
	return head + strings.TrimLeft(wrapped(strings.Repeat(" ", len(head))+text, width, labelled), " ")
}

// lasting is a duration in two units at the most: 9d, 6h, 4m10s, 0.4s.
func lasting(d time.Duration) string {
	switch {
	case d <= 0:
		return "0s"
	case d < 10*time.Second:
		return strings.TrimSuffix(fmt.Sprintf("%.1f", d.Seconds()), ".0") + "s"
	case d < time.Minute:
		return fmt.Sprintf("%.0fs", d.Seconds())
	case d < time.Hour:
		return two(d.Round(time.Second), time.Minute, "m", time.Second, "s")
	case d < 48*time.Hour:
		return two(d.Round(time.Minute), time.Hour, "h", time.Minute, "m")
	}
	return fmt.Sprintf("%dd", d/(24*time.Hour))
}

func two(d, big time.Duration, bigs string, small time.Duration, smalls string) string {
	text := fmt.Sprintf("%d%s", d/big, bigs)
	if rest := d % big / small; rest > 0 {
		text += fmt.Sprintf("%d%s", rest, smalls)
	}
	return text
}

// roughly is how long something lasts that has days or hours: one unit.
func roughly(d time.Duration) string {
	switch {
	case d <= 0:
		return "now"
	case d < time.Hour:
		return fmt.Sprintf("%dm", max(d/time.Minute, 1))
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh", d/time.Hour)
	}
	return fmt.Sprintf("%dd", d/(24*time.Hour))
}

// clock is a time for people: the time of a day that was less than a day ago, else the day.
func clock(t, now time.Time) string {
	switch age := now.Sub(t); {
	case t.IsZero():
		return "-"
	case age < 24*time.Hour && age > -24*time.Hour:
		return t.In(now.Location()).Format("15:04")
	case age < 180*24*time.Hour && age > 0:
		return t.In(now.Location()).Format("Jan 2")
	}
	return t.In(now.Location()).Format("2006-01")
}

// listed joins words: "a", "a and b", "a, b and c"; more than most are counted.
func listed(words []string, most int) string {
	if len(words) > most {
		return fmt.Sprintf("%s and %d more", strings.Join(words[:most], ", "), len(words)-most)
	}
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:len(words)-1], ", ") + " and " + words[len(words)-1]
}

// shellWord quotes an argument where a shell would not take it as it is.
func shellWord(s string) string {
	odd := func(r rune) bool {
		const plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./:=@%+,"
		return !strings.ContainsRune(plain, r)
	}
	if s != "" && !strings.ContainsFunc(s, odd) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
