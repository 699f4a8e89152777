package jobstest

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/stationmaster/worker/internal/period"
	"github.com/stationmaster/worker/retry"
)

// widest is how much of an answer a table shows.
const widest = 70

// row is one line of a table: a try of a life, or, without a try, an end that none brought about.
type row struct {
	life *Life
	try  *Try
	last bool
}

// String is the life as a table: attempt, at, took, answer, next; a line for each try.
func (l *Life) String() string { return table(false, l.rows()) }

// String is what happened as a table, in order of time; a line for each try of each message.
func (l *Lives) String() string {
	var rows []row
	for _, one := range l.Each {
		rows = append(rows, one.rows()...)
	}
	at := func(r row) time.Duration {
		switch {
		case r.try != nil:
			return r.try.At
		case r.life.ended:
			return r.life.Lasted
		}
		return math.MaxInt64 // after all that has happened
	}
	// Tries that began at one instant stand as they began.
	began := map[*Try]int{}
	nth := map[*Life]int{}
	for n, one := range l.order {
		if i := nth[one]; i < len(one.Tries) {
			began[&one.Tries[i]] = n
			nth[one]++
		}
	}
	slices.SortStableFunc(rows, func(a, b row) int {
		if at(a) != at(b) || a.try == nil || b.try == nil {
			return cmp.Compare(at(a), at(b))
		}
		return began[a.try] - began[b.try]
	})
	return table(true, rows)
}

func (l *Life) rows() []row {
	rows := make([]row, len(l.Tries), len(l.Tries)+1)
	for n := range l.Tries {
		rows[n] = row{life: l, try: &l.Tries[n], last: n == len(l.Tries)-1}
	}
	if !l.ended || !l.Done && !l.Record.Failed() {
		rows = append(rows, row{life: l})
	}
	return rows
}

func table(names bool, rows []row) string {
	batches := slices.ContainsFunc(rows, func(r row) bool { return r.try != nil && r.try.Batch > 1 })
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	line := func(name, attempt, at, took, batch, answer, next string) {
		cells := []string{attempt, at, took, answer, next}
		if batches {
			cells = slices.Insert(cells, 3, batch)
		}
		if names {
			cells = slices.Insert(cells, 0, name)
		}
		fmt.Fprintf(w, "  %s\n", strings.Join(cells, "\t"))
	}
	line("message", "attempt", "at", "took", "batch", "answer", "next")
	for _, r := range rows {
		if r.try == nil {
			ended := "-"
			if r.life.ended {
				ended = short(r.life.Lasted)
			}
			line(r.life.Name, "-", ended, "-", "-", "-", r.life.end())
			continue
		}
		answer := "done"
		if r.try.Err != nil {
			answer = oneLine(r.try.Err.Error())
		}
		line(r.life.Name, fmt.Sprint(r.try.Attempt), short(r.try.At), short(r.try.Took), fmt.Sprint(r.try.Batch), answer, r.next())
	}
	_ = w.Flush() // it writes to memory
	return strings.TrimSuffix(b.String(), "\n")
}

// end is what became of a life that no try has ended.
func (l *Life) end() string {
	if l.ended {
		return "moved to the dead-letter queue by SQS, without a record"
	}
	return "has not ended"
}

// next is what followed a try.
func (r row) next() string {
	spent := ", no attempt spent"
	if r.try.Decision.Spends {
		spent = ""
	}
	switch r.try.Decision.Action {
	case retry.Again:
		return "again after " + short(r.try.Decision.Delay) + spent
	case retry.Rest:
		return "the queue rests for " + short(r.try.Decision.Delay) + spent
	case retry.DeadLetter:
		if r.last && r.life.Record.Failed() {
			return "dead-lettered, class " + r.life.Record.Class
		}
		return "dead-lettered"
	case retry.Done:
		if r.try.Err == nil {
			return "deleted"
		}
	}
	return "handed back"
}

// oneLine is the beginning of a text, as much as a line of a table bears.
func oneLine(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	if runes := []rune(s); len(runes) > widest {
		return string(runes[:widest-1]) + "…"
	}
	return s
}

// short is a duration in whole milliseconds.
func short(d time.Duration) string { return period.Text(d.Round(time.Millisecond)) }

func times(all []time.Duration) string {
	if len(all) == 0 {
		return "no time"
	}
	texts := make([]string, len(all))
	for n, d := range all {
		texts[n] = short(d)
	}
	return strings.Join(texts, " ")
}
