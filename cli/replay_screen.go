package cli

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/stationmaster/worker/dlqreplay"
)

const (
	// lineEvery is how often progress is told where no bar can be drawn.
	lineEvery = 5 * time.Second
	barCells  = 27
)

// screen tells what a replay is doing: what stays said on out; what moves on a line of live that is
// drawn again and again, or every five seconds on out where live is no terminal.
type screen struct {
	out, live io.Writer
	bar       bool // live is a terminal
	quiet     bool
	json      func(v any) error // not nil: events go there, and nothing else
	width     int
	verb      string          // replay, discard, import, export
	dlq       string          // its name
	known     map[string]bool // fingerprints of the plan: others are new

	mu     sync.Mutex
	phase  dlqreplay.EventKind
	canary int       // how many were sent as one
	moving string    // the last state of the line that moves
	drawn  int       // how wide the line on the terminal is
	said   time.Time // when a moving line was last told
	told   string    // which moving line that was
	warned time.Time
	causes map[string]bool // of returns that were told
}

// event tells one event.
func (c *screen) event(e dlqreplay.Event) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.json != nil {
		_ = c.json(e) // nobody reads
		return
	}
	if c.quiet {
		return
	}
	switch e.Kind {
	case dlqreplay.Scanning, dlqreplay.Waiting, dlqreplay.Canary, dlqreplay.Settling, dlqreplay.Replaying,
		dlqreplay.Finishing, dlqreplay.MoveTask, dlqreplay.Exporting:
		c.move(e)
	case dlqreplay.JournalAt:
		c.say("journal "+e.Path, false)
	case dlqreplay.Returned:
		c.returned(e)
	case dlqreplay.Pausing:
		c.say(line("pausing", fmt.Sprintf("%d wait in the destination (--max-backlog)", e.Backlog), c.width), false)
	case dlqreplay.Resuming:
		c.say(line("resuming", fmt.Sprintf("%d wait in the destination", e.Backlog), c.width), false)
	case dlqreplay.Retrying:
		if e.At.Sub(c.warned) >= lineEvery {
			c.warned = e.At
			c.say(line("retrying", clean(e.Err), c.width), false)
		}
	case dlqreplay.Unobserved:
		c.say(line("unseen", clean(e.Why), c.width), false)
	case dlqreplay.Scanned, dlqreplay.Stopping, dlqreplay.Released, dlqreplay.Ended:
		// The plan and the report say it.
	default:
	}
}

// move tells a state that changes.
func (c *screen) move(e dlqreplay.Event) {
	if settles(c.phase) && !settles(e.Kind) {
		c.keep()
	}
	c.phase = e.Kind
	c.moving = c.state(e)
	if c.bar {
		c.draw(c.moving)
		return
	}
	label := string(e.Kind)
	if e.Kind == dlqreplay.Scanning && c.told != label { // most scans are shorter than a line is worth
		c.said, c.told = e.At, label
		return
	}
	if e.At.Sub(c.said) < lineEvery && c.told == label && (e.Total == 0 || e.Done != e.Total || e.Kind == dlqreplay.Settling) {
		return
	}
	if c.told == c.moving {
		return
	}
	c.said, c.told = e.At, label
	fmt.Fprintln(c.out, c.moving)
}

// settles are the phases whose last state stays on the screen.
func settles(k dlqreplay.EventKind) bool { return k == dlqreplay.Canary || k == dlqreplay.Settling }

// keep leaves the last state of the moving line where it is.
func (c *screen) keep() {
	if c.bar && c.moving != "" {
		c.erase()
		fmt.Fprintln(c.out, c.moving)
	}
	c.moving = ""
}

// state is the moving line of an event.
func (c *screen) state(e dlqreplay.Event) string {
	of := fmt.Sprint(e.Done)
	if e.Total >= e.Done && e.Total > 0 { // a run that goes on receiving knows no total
		of = fmt.Sprintf("%d/%d", e.Done, e.Total)
	}
	returned := fmt.Sprintf("%d returned", e.Returned)
	switch e.Kind {
	case dlqreplay.Scanning:
		return line("scan", of+" held", c.width)
	case dlqreplay.Waiting:
		return line("wait", fmt.Sprintf("for %s that another run hides%s", count(e.Done, "message"), until(e)), c.width)
	case dlqreplay.Canary:
		c.canary = e.Done
		return line("canary", fmt.Sprintf("%d sent", e.Done), c.width)
	case dlqreplay.Settling:
		left := max(e.Until.Sub(e.At), 0)
		if e.Phase == "canary" {
			return line("canary", fmt.Sprintf("%d sent · settling %s · %s", c.canary, lasting(left.Round(time.Second)), returned), c.width)
		}
		return line("settle", fmt.Sprintf("%s · %s", lasting(left.Round(time.Second)), returned), c.width)
	case dlqreplay.Finishing:
		return line("finish", of+" released", c.width)
	case dlqreplay.MoveTask:
		return line("sqs", of+" moved by SQS's own redrive"+rateOf(e), c.width)
	case dlqreplay.Exporting:
		return line("export", of+" written", c.width)
	default:
	}
	text := of + rateOf(e)
	if e.Rate > 0 && e.Total > e.Done {
		text += fmt.Sprintf("  eta %s", lasting(time.Duration(float64(e.Total-e.Done)/e.Rate*float64(time.Second)).Round(time.Second)))
	}
	if c.watched() {
		text += fmt.Sprintf("   returned %d", e.Returned)
	}
	if e.Backlog > 0 {
		text += fmt.Sprintf("   backlog %d", e.Backlog)
	}
	if c.bar && (c.width == 0 || len(text)+barCells+labelled+2 <= c.width) {
		text = cells(e.Done, e.Total) + "  " + text
	}
	return fit(padded("  "+c.verb, labelled-1)+" "+text, c.width)
}

// watched reports whether anything can come back.
func (c *screen) watched() bool { return c.verb == "replay" || c.verb == "import" }

func rateOf(e dlqreplay.Event) string {
	if e.Rate <= 0 {
		return ""
	}
	return fmt.Sprintf("  %s/s", trimmed(float64(int64(e.Rate*10+0.5))/10))
}

func until(e dlqreplay.Event) string {
	if e.Until.IsZero() {
		return ""
	}
	return fmt.Sprintf(", until %s at most", e.Until.Local().Format(time.TimeOnly))
}

func cells(done, total int) string {
	full := barCells * min(done, total) / max(total, 1)
	return strings.Repeat("█", full) + strings.Repeat("░", barCells-full)
}

// returned tells the first of each cause that comes back.
func (c *screen) returned(e dlqreplay.Event) {
	r := e.Letter
	if r == nil {
		return
	}
	if c.causes == nil {
		c.causes = map[string]bool{}
	}
	cause := r.Fingerprint + r.Class + r.Reason
	if c.causes[cause] {
		return
	}
	c.causes[cause] = true
	group := "group " + clean(r.Fingerprint)
	if !c.known[r.Fingerprint] {
		group = "new " + group
	}
	c.say(line("returned", fmt.Sprintf("%s (%s)", clean(orWord(r.Reason, orWord(r.Class, "it says no reason"))), group), c.width), false)
}

// say prints something that stays, above the line that moves. It is told even if quiet when it must be.
func (c *screen) say(text string, must bool) {
	if c.json != nil || c.quiet && !must {
		return
	}
	c.erase()
	fmt.Fprintln(c.out, text)
	if c.bar && c.moving != "" {
		c.draw(c.moving)
	}
}

// draw draws the moving line over itself. Spaces erase what was longer: no sequence is needed.
func (c *screen) draw(text string) {
	text = fit(strings.ReplaceAll(text, "\n", " "), c.width-1)
	n := utf8.RuneCountInString(text)
	fmt.Fprint(c.live, "\r"+text+strings.Repeat(" ", max(c.drawn-n, 0)))
	c.drawn = max(n, 0)
}

func (c *screen) erase() {
	if c.bar && c.drawn > 0 {
		fmt.Fprint(c.live, "\r"+strings.Repeat(" ", c.drawn)+"\r")
		c.drawn = 0
	}
}

// rest ends the moving line.
func (c *screen) rest() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if settles(c.phase) && c.phase == dlqreplay.Canary {
		c.keep()
	}
	c.erase()
	c.moving, c.phase = "", ""
}

// tell prints text that stays.
func (c *screen) tell(text string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.say(strings.TrimRight(text, "\n"), false)
}

// must prints text that is printed even if quiet.
func (c *screen) must(text string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.say(strings.TrimRight(text, "\n"), true)
}
