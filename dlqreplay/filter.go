package dlqreplay

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/stationmaster/worker/deadletter"
	"github.com/stationmaster/worker/queue"
)

// String writes the filter as flags, as a command takes it.
func (f Filter) String() string {
	var b strings.Builder
	for i, t := range f {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(t.String())
	}
	return b.String()
}

// String writes the term as a flag.
func (t Term) String() string {
	flag := "--"
	if t.Not {
		flag = "--not-"
	}
	if t.Key == "unannotated" {
		return flag + t.Key
	}
	value := t.Value
	if value == "" || strings.ContainsAny(value, " \t\n'\"\\$`<>|&;()*?[]#~=%{}!") {
		value = "'" + strings.ReplaceAll(value, "'", `'\''`) + "'"
	}
	return flag + t.Key + " " + value
}

// Resolved returns the filter with its relative times made absolute, so that it says the same tomorrow.
// The error names every fault of the filter.
func (f Filter) Resolved(now time.Time) (Filter, error) {
	out := slices.Clone(f)
	var faults []error
	for i, t := range out {
		switch t.Key {
		case "since", "until":
			at, err := parseTime(t.Value, now)
			if err == nil {
				out[i].Value = at.Format(time.RFC3339Nano)
			}
			faults = append(faults, t.fault(err))
		default:
			_, err := t.compile(now)
			faults = append(faults, t.fault(err))
		}
	}
	return out, errors.Join(faults...)
}

// fault says which term is wrong.
func (t Term) fault(err error) error {
	if err == nil {
		return nil
	}
	if len(t.Value) > 200 {
		t.Value = first(t.Value, 200) + "…"
	}
	return fmt.Errorf("%s: %w", t, err)
}

// candidate is a letter under examination; its message is read when somebody asks.
type candidate struct {
	*Letter
	load    func() (*queue.Message, error)
	message *queue.Message
	view    any // what a where expression sees
}

func (h *Held) candidate(l *Letter) *candidate {
	return &candidate{Letter: l, load: func() (*queue.Message, error) {
		m, err := h.Message(l)
		return &m, err
	}}
}

func (c *candidate) read() (*queue.Message, error) {
	if c.message == nil {
		m, err := c.load()
		if err != nil {
			return nil, err
		}
		c.message = m
	}
	return c.message, nil
}

// matches is one condition. The error says that nobody can tell.
type matches func(ctx context.Context, c *candidate) (bool, error)

// matcher is a filter made ready: steps that must all be passed, those that read no message first.
type matcher struct{ steps []*step }

// step passes what one of its alternatives matches, or, with not, what none does.
type step struct {
	scope string
	not   bool
	any   []matches
}

func (s *step) reads() bool { return s.scope == "where" || strings.HasPrefix(s.scope, "attr ") }

// compile makes the filter ready. The error names every fault of it.
func (f Filter) compile(now time.Time) (*matcher, error) {
	var (
		m      matcher
		faults []error
	)
	for _, t := range f {
		one, err := t.compile(now)
		if err != nil {
			faults = append(faults, t.fault(err))
			continue
		}
		at := slices.IndexFunc(m.steps, func(s *step) bool { return s.not == t.Not && s.scope == t.scope() })
		if at < 0 {
			at = len(m.steps)
			m.steps = append(m.steps, &step{scope: t.scope(), not: t.Not})
		}
		m.steps[at].any = append(m.steps[at].any, one)
	}
	slices.SortStableFunc(m.steps, func(a, b *step) int {
		switch {
		case a.reads() == b.reads():
			return 0
		case b.reads():
			return -1
		}
		return 1
	})
	return &m, errors.Join(faults...)
}

// scope is what the term is an alternative in.
func (t Term) scope() string {
	if t.Key != "attr" {
		return t.Key
	}
	name, _, _ := strings.Cut(t.Value, "=")
	return "attr " + name
}

// match reports whether a letter is chosen. An error that wraps errUnjudged says that an expression failed
// on it; such a letter is not chosen.
func (m *matcher) match(ctx context.Context, c *candidate) (bool, error) {
	for _, s := range m.steps {
		found := false
		var unsure error
		for _, one := range s.any {
			ok, err := one(ctx, c)
			if err != nil && !errors.Is(err, errUnjudged) {
				return false, err
			}
			if err != nil {
				unsure = err
			}
			if found = ok; found {
				break
			}
		}
		switch {
		case found == s.not && unsure == nil, found && s.not:
			return false, nil
		case !found && unsure != nil:
			return false, unsure
		}
	}
	return true, nil
}

// keys are what terms are about, for whoever mistypes one.
const keys = "group, job, class, id, since, until, deaths, attr, where, unannotated"

// compile makes one term ready, Not aside.
func (t Term) compile(now time.Time) (matches, error) {
	about := func(is func(l *Letter) bool) (matches, error) {
		return func(_ context.Context, c *candidate) (bool, error) { return is(c.Letter), nil }, nil
	}
	if t.Value == "" && t.Key != "unannotated" && t.Key != "job" && t.Key != "class" && strings.Contains(keys, t.Key) {
		return nil, errors.New("has no value")
	}
	switch t.Key {
	case "group":
		return about(func(l *Letter) bool { return hasPrefixFold(l.Fingerprint, t.Value) })
	case "job":
		return about(func(l *Letter) bool { return l.Job == t.Value })
	case "class":
		return about(func(l *Letter) bool { return l.Class == t.Value })
	case "id":
		return about(func(l *Letter) bool { return l.MessageID == t.Value })
	case "since", "until":
		at, err := parseTime(t.Value, now)
		if err != nil {
			return nil, err
		}
		if t.Key == "since" {
			return about(func(l *Letter) bool { return !l.Sent.IsZero() && !l.Sent.Before(at) })
		}
		return about(func(l *Letter) bool { return !l.Sent.IsZero() && !l.Sent.After(at) })
	case "deaths":
		is, err := ParseDeaths(t.Value)
		if err != nil {
			return nil, err
		}
		return about(func(l *Letter) bool { return is(l.Deaths()) })
	case "unannotated":
		return about(func(l *Letter) bool { return !l.Record.Failed() })
	case "attr":
		return attr(t.Value)
	case "where":
		return where(t.Value)
	}
	return nil, fmt.Errorf("%q is nothing that dead letters are chosen by: must be one of %s", t.Key, keys)
}

// hasPrefixFold reports whether s begins with prefix, in whatever case.
func hasPrefixFold(s, prefix string) bool {
	return len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix)
}

// attr matches an attribute of the message, or of the one in the envelope: "name=text", or "name" for
// whatever text.
func attr(value string) (matches, error) {
	name, text, valued := strings.Cut(value, "=")
	if name == "" {
		return nil, errors.New("must be name=value, or name")
	}
	return func(_ context.Context, c *candidate) (bool, error) {
		m, err := c.read()
		if err != nil {
			return false, err
		}
		a, has := m.Attributes[name]
		if !has {
			if n, enveloped := queue.ReadNotification(m.Body); enveloped {
				a, has = n.Attributes[name]
			}
		}
		return has && (!valued || a.Text == text), nil
	}, nil
}

// ParseDeaths reads a condition on how often a message has died: "2", "<2", "<=2", ">1", ">=1".
func ParseDeaths(text string) (is func(deaths int) bool, err error) {
	op := strings.TrimRight(text, "0123456789 ")
	n, err := strconv.Atoi(strings.TrimSpace(strings.TrimPrefix(text, op)))
	if err == nil {
		switch strings.TrimSpace(op) {
		case "", "=", "==":
			return func(d int) bool { return d == n }, nil
		case "<":
			return func(d int) bool { return d < n }, nil
		case "<=":
			return func(d int) bool { return d <= n }, nil
		case ">":
			return func(d int) bool { return d > n }, nil
		case ">=":
			return func(d int) bool { return d >= n }, nil
		}
	}
	return nil, fmt.Errorf("%q says nothing of a number of deaths: write 2, '<2', '<=2', '>1' or '>=1'", text)
}

// explained reports whether anything tells why the letter died.
func (l *Letter) explained() bool {
	return l.Fingerprint != deadletter.Unexplained && (l.Class != "" || l.Kind == Recorded)
}
