package dlqreplay

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// expires is when the queue's retention deletes a letter; zero when nobody knows. What a worker sent has
// its whole retention from its death on. What SQS moved keeps its age on a standard queue, and starts anew
// on a FIFO queue, where Sent says so.
func (l *Letter) expires(retention time.Duration) time.Time {
	from := l.Sent
	if l.Kind == Recorded {
		from = l.Died()
	}
	if retention <= 0 || from.IsZero() {
		return time.Time{}
	}
	return from.Add(retention)
}

// groups collects letters by cause.
type groups struct {
	dlq   *DLQ
	byKey map[groupKey]*Group
}

type groupKey struct {
	fingerprint, job string
	kind             Kind
}

func (g *groups) add(l *Letter, matched, selected bool) {
	key := groupKey{l.Fingerprint, l.Job, l.Kind}
	at := g.byKey[key]
	if at == nil {
		at = &Group{
			Fingerprint: l.Fingerprint, Kind: l.Kind, Job: l.Job, Class: l.Class, Reason: l.Reason, Example: l.MessageID,
		}
		if g.byKey == nil {
			g.byKey = map[groupKey]*Group{}
		}
		g.byKey[key] = at
	}
	at.Count++
	if matched {
		at.Matched++
	}
	if selected {
		at.Selected++
	}
	if died := l.Died(); !died.IsZero() {
		if at.First.IsZero() || died.Before(at.First) {
			at.First = died
		}
		at.Last = later(at.Last, died)
	}
	if end := l.expires(g.dlq.Retention); !end.IsZero() && (at.Expires.IsZero() || end.Before(at.Expires)) {
		at.Expires = end
	}
}

// sorted returns the largest group first.
func (g *groups) sorted() []Group {
	all := make([]Group, 0, len(g.byKey))
	for _, one := range g.byKey {
		all = append(all, *one)
	}
	slices.SortFunc(all, func(a, b Group) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Fingerprint, b.Fingerprint),
			cmp.Compare(a.Job, b.Job), cmp.Compare(a.Kind, b.Kind))
	})
	return all
}

// skips counts what is not replayed, by reason.
type skips map[skipKey]int

type skipKey struct {
	why       Skip
	job, text string
}

// mostSkips bounds the reasons that are told apart.
const mostSkips = 1000

func (s skips) add(why Skip, job, text string) {
	key := skipKey{why, job, text}
	if _, known := s[key]; !known && len(s) >= mostSkips {
		key.text = "other reasons"
	}
	s[key]++
}

// sorted returns the most frequent reason first.
func (s skips) sorted() []Skipped {
	all := make([]Skipped, 0, len(s))
	for key, n := range s {
		all = append(all, Skipped{Why: key.why, Job: key.job, Text: key.text, Count: n})
	}
	slices.SortFunc(all, func(a, b Skipped) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), strings.Compare(string(a.Why), string(b.Why)),
			strings.Compare(a.Job, b.Job), strings.Compare(a.Text, b.Text))
	})
	return all
}
