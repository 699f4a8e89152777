package dlqreplay

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/stationmaster/worker/internal/pause"
)

// backlogPoll is how often a destination is asked how much waits there, at the most.
const backlogPoll = time.Second

// backlog keeps destinations from filling: what may be sent is what was missing to the limit when the
// destination was asked last.
type backlog struct {
	most   int64
	events *teller

	mu    sync.Mutex
	gates map[string]*gate
}

// gate is the account of one destination. Its lock is held while it is asked, since all who come must wait.
type gate struct {
	turn    chan struct{}
	left    int64
	asked   time.Time
	pausing bool
}

func newBacklog(most int64, events *teller) *backlog {
	return &backlog{most: most, events: events, gates: map[string]*gate{}}
}

// wait waits until n messages may be sent to d.
func (b *backlog) wait(ctx context.Context, d *Destination, n int) error {
	if b.most <= 0 || d.Counts == nil {
		return nil
	}
	g := b.gate(d)
	select {
	case g.turn <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-g.turn }()
	need := min(int64(n), b.most)
	for g.left < need || g.pausing {
		if err := pause.For(ctx, time.Until(g.asked.Add(backlogPoll))); err != nil {
			return err
		}
		if err := b.ask(ctx, g, d, need); err != nil {
			return err
		}
	}
	g.left -= int64(n)
	return nil
}

func (b *backlog) gate(d *Destination) *gate {
	b.mu.Lock()
	defer b.mu.Unlock()
	g := b.gates[d.key()]
	if g == nil {
		g = &gate{turn: make(chan struct{}, 1)}
		b.gates[d.key()] = g
	}
	return g
}

// ask asks how much waits. Once a destination is full, a quarter of the limit must have gone before more is
// sent: the run would stop and go with each message otherwise.
// The error says that nobody will ever know.
func (b *backlog) ask(ctx context.Context, g *gate, d *Destination, need int64) error {
	now, err := d.Counts(ctx)
	g.asked = time.Now()
	if forGood(err) {
		return fmt.Errorf("read how much waits in %s: %w", d.Name, err)
	}
	if err != nil {
		b.events.tellOften(Event{Kind: Retrying, Err: err.Error()})
		return nil //nolint:nilerr // it is told, and asked again
	}
	g.left = b.most - now.Visible
	switch {
	case g.pausing && g.left >= max(need, b.most/4):
		g.pausing = false
		b.events.tell(Event{Kind: Resuming, Backlog: now.Visible})
	case !g.pausing && g.left < need:
		g.pausing = true
		b.events.tell(Event{Kind: Pausing, Backlog: now.Visible})
	}
	return nil
}
