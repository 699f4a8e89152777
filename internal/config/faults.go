package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Fault is one thing that is wrong, where, and what to do about it. It never holds a secret.
type Fault struct {
	// Key is the key path, an environment variable, or file:line:column.
	Key     string
	Problem string
}

// String returns the fault in one line.
func (f Fault) String() string { return f.Key + ": " + f.Problem }

// Faults are all that is wrong with a configuration.
type Faults []Fault

// Error returns one line for each fault.
func (f Faults) Error() string {
	lines := make([]string, len(f))
	for i := range f {
		lines[i] = f[i].String()
	}
	return strings.Join(lines, "\n")
}

// ExitCode is the exit code for usage and configuration.
func (Faults) ExitCode() int { return 2 }

// collector gathers faults. The first of a key counts: whatever else is wrong with the same value
// follows from it.
type collector struct {
	faults []Fault
	seen   map[string]bool
}

func (c *collector) addf(key, format string, args ...any) {
	if c.seen[key] {
		return
	}
	if c.seen == nil {
		c.seen = map[string]bool{}
	}
	c.seen[key] = true
	c.faults = append(c.faults, Fault{key, oneLine(fmt.Sprintf(format, args...))})
}

// oneLine keeps a fault on one line whatever the values in it hold.
func oneLine(s string) string {
	return strings.NewReplacer("\r", " ", "\n", " ").Replace(s)
}

// sorted returns the faults by key; where a value came from is added when it is not the file.
func (c *collector) sorted(origin func(key string) string) []Fault {
	slices.SortStableFunc(c.faults, func(a, b Fault) int { return cmp.Compare(a.Key, b.Key) })
	for i, f := range c.faults {
		if from := origin(f.Key); from != "" {
			c.faults[i].Problem += " (from " + from + ")"
		}
	}
	return c.faults
}

// nearest returns the candidate that was probably meant, if one is close.
func nearest(got string, candidates []string) (string, bool) {
	best, least := "", (len(got)+2)/3+1 // a third of the letters, and two that changed places
	for _, candidate := range candidates {
		if d := distance(got, candidate); d < least {
			best, least = candidate, d
		}
	}
	return best, best != ""
}

// hint ends a fault about an unknown name: the one that was probably meant, or all that exist.
func hint(got string, candidates []string) string {
	if meant, ok := nearest(got, candidates); ok {
		return fmt.Sprintf("did you mean %s?", meant)
	}
	if len(candidates) == 0 {
		return "remove it"
	}
	return "known are " + strings.Join(candidates, ", ")
}

// distance counts the letters to insert, delete or replace to make b of a; a long name is not
// worth the work.
func distance(a, b string) int {
	const long = 100
	if len(a) > long || len(b) > long {
		return long
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
