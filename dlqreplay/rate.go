package dlqreplay

import (
	"context"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/stationmaster/worker/queue"
)

// pacer says when how much may be sent.
type pacer struct {
	pace    Pace
	limiter *rate.Limiter

	mu      sync.Mutex
	started time.Time // of the first message; the ramp begins there
	now     float64   // the rate of now
	next    time.Time // when that changes
}

func newPacer(p Pace) *pacer {
	return &pacer{pace: p, limiter: rate.NewLimiter(rate.Inf, queue.MaxBatch)}
}

// batch is how many messages the next batch may have: few when they are slow, so that they do not come in
// bursts.
func (p *pacer) batch() int {
	r := p.step(time.Now())
	if r <= 0 {
		return queue.MaxBatch
	}
	return min(max(int(r/5), 1), queue.MaxBatch)
}

// wait waits until n messages may be sent.
func (p *pacer) wait(ctx context.Context, n int) error {
	p.step(time.Now())
	return p.limiter.WaitN(ctx, n)
}

// step goes on to the rate of now, and returns it.
func (p *pacer) step(now time.Time) float64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.started.IsZero() {
		p.started = now
	} else if p.next.IsZero() || now.Before(p.next) {
		return p.now
	}
	r, next := p.pace.rateAt(now.Sub(p.started))
	p.now, p.next = r, time.Time{}
	if next > 0 {
		p.next = p.started.Add(next)
	}
	limit := rate.Inf
	if r > 0 {
		limit = rate.Limit(r)
	}
	p.limiter.SetLimitAt(now, limit)
	p.limiter.SetBurstAt(now, max(min(int(r/5), queue.MaxBatch), 1))
	if r <= 0 {
		p.limiter.SetBurstAt(now, queue.MaxBatch)
	}
	return r
}
