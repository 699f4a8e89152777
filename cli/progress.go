package cli

import (
	"fmt"
	"strings"
	"sync"
	"time"
)

const (
	barWidth = 28
	barEvery = 100 * time.Millisecond
)

// progress is a bar on standard error while somebody watches, and nothing otherwise.
type progress struct {
	s     *state
	what  string
	total int

	mu    sync.Mutex
	done  int
	drawn time.Time
	shown bool
}

func (s *state) progress(what string, total int) *progress {
	return &progress{s: s, what: what, total: total}
}

func (p *progress) step() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.done++
	if p.s.terminal && time.Since(p.drawn) >= barEvery {
		p.draw()
	}
}

func (p *progress) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.done
}

func (p *progress) draw() {
	full := barWidth * p.done / max(p.total, 1)
	fmt.Fprintf(p.s.stderr, "\r  %s %s%s %d/%d", p.what, strings.Repeat("█", full), strings.Repeat("░", barWidth-full), p.done, p.total)
	p.drawn, p.shown = time.Now(), true
}

// end leaves the last state on its line. Only the first call does anything.
func (p *progress) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.shown {
		p.draw()
		fmt.Fprintln(p.s.stderr)
		p.shown = false
	}
}
