package publish

import (
	"context"
	"fmt"
	"sync"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/stationmaster/worker/queue"
)

const maxLinger = time.Second

// gather is what waits for company, by topic.
type gather struct {
	mu   sync.Mutex
	open map[string]*party
}

// party are the callers who will share a request.
type party struct {
	d       *destination
	callers []*caller
}

// caller waits for the answer to his message.
type caller struct {
	ctx      context.Context //nolint:containedctx // his trace, for a request that is made for others too
	m        queue.Message
	answered chan answer
	// gone: he has given up before the request was made. left: it is being made. Under gather.mu.
	gone, left bool
}

// gathered publishes m with those of others who do at the same time.
func (c *Client) gathered(ctx context.Context, d *destination, m queue.Message) (string, error) {
	if err := d.check(&m); err != nil {
		return "", err
	}
	if ctx.Err() != nil {
		return "", fmt.Errorf("%s: not sent: %w", d.where(), context.Cause(ctx))
	}
	one := &caller{ctx: ctx, m: m, answered: make(chan answer, 1)}
	c.join(d, one) //nolint:contextcheck // the request is made for others too, and takes its context from them
	select {
	case a := <-one.answered:
		return a.id, a.err
	case <-ctx.Done():
	}
	c.gather.mu.Lock()
	defer c.gather.mu.Unlock()
	if one.left {
		return "", fmt.Errorf("%s: %w: it may have been published: %w", d.where(), queue.ErrUnanswered, context.Cause(ctx))
	}
	one.gone = true
	return "", fmt.Errorf("%s: not sent: %w", d.where(), context.Cause(ctx))
}

// join adds a caller to the party of his topic, which leaves when it is full or has lingered.
func (c *Client) join(d *destination, one *caller) {
	g := &c.gather
	g.mu.Lock()
	defer g.mu.Unlock()
	p := g.open[d.key]
	if p == nil {
		p = &party{d: d}
		if g.open == nil {
			g.open = map[string]*party{}
		}
		g.open[d.key] = p
		time.AfterFunc(min(c.o.Linger, maxLinger), func() { c.leave(p) })
	}
	p.callers = append(p.callers, one)
	if len(p.callers) == queue.MaxBatch {
		delete(g.open, d.key)
		go c.leave(p)
	}
}

// leave makes the request of a party, once.
func (c *Client) leave(p *party) {
	g := &c.gather
	g.mu.Lock()
	if g.open[p.d.key] == p {
		delete(g.open, p.d.key)
	}
	var callers []*caller
	for _, one := range p.callers {
		if !one.gone {
			one.left = true
			callers = append(callers, one)
		}
	}
	p.callers = nil
	g.mu.Unlock()
	if len(callers) == 0 {
		return
	}
	ms, from := make([]queue.Message, len(callers)), make([]context.Context, len(callers))
	for i, one := range callers {
		ms[i], from[i] = one.m, one.ctx
	}
	// Nobody's end is the end of the others; the request has its own bound.
	ctx := trace.ContextWithSpanContext(context.WithoutCancel(callers[0].ctx), trace.SpanContext{})
	ids, errs := c.batch(ctx, p.d, ms, from)
	for i, one := range callers {
		one.answered <- answer{ids[i], queue.At(errs, i)}
	}
}
