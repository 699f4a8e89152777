package dlqreplay

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/stationmaster/worker/deadletter"
	"github.com/stationmaster/worker/queue"
)

// Plan groups what is held by cause, and judges which of the letters that the filter chooses may be
// replayed. It changes nothing.
func (h *Held) Plan(ctx context.Context, f Filter, j Judge, now time.Time) (*Plan, error) {
	f, err := f.Resolved(now)
	if err != nil {
		return nil, fmt.Errorf("filter: %w", err)
	}
	chosen, err := f.compile(now)
	if err != nil {
		return nil, fmt.Errorf("filter: %w", err)
	}
	c := choosing{
		plan: &Plan{
			DLQ: h.dlq.Name, DLQARN: h.dlq.ARN, FIFO: h.dlq.FIFO, Filter: f, Created: now,
			Scanned: len(h.letters), Total: h.found.total, Complete: h.found.complete, Why: h.found.why,
			Took: h.found.took, Elsewhere: h.found.elsewhere, Selected: []string{},
			To: map[string]int{}, Deaths: map[int]int{},
		},
		chosen: chosen, judging: judging{Judge: j}, groups: groups{dlq: &h.dlq}, skips: skips{}, stopped: map[string]bool{},
	}
	if h.dlq.FIFO {
		c.plan.MessageGroups = h.messageGroups()
	}
	for _, l := range h.letters {
		if err := c.choose(ctx, h.candidate(l)); err != nil {
			return nil, fmt.Errorf("plan: %w", err)
		}
	}
	c.plan.Groups, c.plan.Skipped = c.groups.sorted(), c.skips.sorted()
	if c.plan.Unjudged > 0 && c.plan.Unjudged == c.examined {
		return nil, fmt.Errorf("filter: %s: on each of %d dead letters %s (first on %s)",
			f, c.examined, c.plan.UnjudgedWhy, c.plan.UnjudgedExample)
	}
	return c.plan, nil
}

// choosing is a plan in the making.
type choosing struct {
	plan    *Plan
	chosen  *matcher
	judging judging
	groups  groups
	skips   skips
	// stopped are the FIFO groups of which something is not replayed.
	stopped map[string]bool
	// examined letters had an expression tried on them; slow are those on which it took too long.
	examined, slow int
}

// mostSlow is on how many letters an expression may take too long.
const mostSlow = 40

func (c *choosing) choose(ctx context.Context, l *candidate) error {
	matched, err := c.chosen.match(ctx, l)
	if l.view != nil {
		c.examined++
	}
	if errors.Is(err, errSlow) {
		if c.slow++; c.slow >= mostSlow {
			return fmt.Errorf("filter: on %d of %d dead letters %w", c.slow, c.examined, err)
		}
	}
	if errors.Is(err, errUnjudged) {
		if c.plan.Unjudged++; c.plan.Unjudged == 1 {
			c.plan.UnjudgedWhy, c.plan.UnjudgedExample = err.Error(), l.MessageID
		}
	} else if err != nil {
		return err
	}
	selected := false
	if matched {
		if selected, err = c.judge(l); err != nil {
			return err
		}
	}
	if !selected && c.plan.FIFO {
		c.stopped[l.GroupID] = true
	}
	c.groups.add(l.Letter, matched, selected)
	return nil
}

// judge judges a letter that the filter chose.
func (c *choosing) judge(l *candidate) (selected bool, err error) {
	p := c.plan
	p.Matched++
	deaths := l.Deaths()
	if l.Record.V == 0 {
		deaths = 0
	}
	p.Deaths[deaths]++
	if c.judging.Limit > 0 && len(p.Selected) >= c.judging.Limit {
		return false, nil
	}
	v, err := c.judging.judge(l)
	if err != nil {
		return false, err
	}
	if v.checked {
		p.Checked++
	}
	if v.skip == "" && p.FIFO && c.stopped[l.GroupID] && !c.judging.BreakOrder {
		v.skip = SkipGroup
	}
	if v.skip != "" {
		c.skips.add(v.skip, l.Job, v.text)
		return false, nil
	}
	p.Selected = append(p.Selected, l.MessageID)
	p.Bytes += int64(l.Size)
	if v.to != nil {
		p.To[v.to.Name]++
	}
	return true, nil
}

// judging applies a Judge to one letter after the other.
type judging struct {
	Judge
	// told are the texts that errors of Check are shown as.
	told map[string]string
}

// verdict is what may become of a letter.
type verdict struct {
	to      *Destination
	skip    Skip
	text    string
	checked bool
}

// judge says what may become of a letter by itself; what its FIFO group says comes on top. The error is
// that its message cannot be read.
func (j *judging) judge(l *candidate) (v verdict, err error) {
	skip := func(why Skip, text string) {
		if v.skip == "" {
			v.skip, v.text = why, text
		}
	}
	if run, yes := j.Begun[l.MessageID]; yes {
		skip(SkipBegun, run)
	}
	if j.MaxDeaths > 0 && l.Deaths() > j.MaxDeaths {
		skip(SkipExhausted, "")
	}
	if j.Check != nil {
		m, err := l.read()
		if err != nil {
			return v, err
		}
		switch err := j.Check(l.Letter, m); {
		case err == nil:
			v.checked = true
		case !errors.Is(err, ErrUnchecked):
			skip(SkipCheck, j.text(err, m))
		}
	}
	if j.To != nil {
		to, err := j.To(l.Letter)
		if err != nil {
			skip(SkipNowhere, err.Error())
		} else if v.to = to; to != nil {
			fits, err := fits(l, to)
			if err != nil {
				return v, err
			}
			if !fits {
				skip(SkipTooLarge, fmt.Sprintf("%s takes at most %d bytes", to.Name, to.MaxBytes))
			}
		}
	}
	if j.Asks != nil && l.Job != "" && j.Asks(l.Job) {
		skip(SkipAsks, "")
	}
	return v, nil
}

// mostTold bounds the texts that are remembered.
const mostTold = 1000

// text is what an error of Check is shown as: nothing of the message is in it, and it groups.
func (j *judging) text(err error, m *queue.Message) string {
	said := err.Error()
	if text, known := j.told[said]; known {
		return text
	}
	text := deadletter.New(&queue.Delivery{Message: *m}, deadletter.Death{}, err).Reason
	if j.told == nil {
		j.told = map[string]string{}
	}
	if len(j.told) < mostTold {
		j.told[said] = text
	}
	return text
}

// fits reports whether a letter, as it will be sent, is small enough for its destination.
func fits(l *candidate, to *Destination) (bool, error) {
	if to.MaxBytes <= 0 || l.Size <= to.MaxBytes {
		return true, nil
	}
	if to.Unchanged || !l.Record.Failed() {
		return false, nil
	}
	m, err := l.read()
	if err != nil {
		return false, err
	}
	// What it died of is not sent back.
	sent := *m
	if err := l.Record.Replayed(deadletter.Replay{}).Write(&sent); err != nil {
		return false, nil //nolint:nilerr // there is no room
	}
	return sent.Size() <= to.MaxBytes, nil
}
