package poller

import (
	"context"
	crand "crypto/rand"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/stationmaster/worker/internal/pause"
	"github.com/stationmaster/worker/queue"
)

const (
	// maxReceivers bounds the adaptive receive loops of one queue.
	maxReceivers = 32
	// maxSettles bounds the settling requests of one kind in flight: pinned receive loops can be more
	// than the adaptive ones, and their messages must leave as fast as they come.
	maxSettles = 128
	minBackoff = 500 * time.Millisecond
	maxBackoff = 30 * time.Second
)

// loop receives until the receive context ends. Nothing else stops it, save that a spare loop of
// an adaptive poller ends itself when there is too little to do.
func (p *Poller) loop(c contexts) {
	full, failures := false, 0
	var attempt attempt
	for p.gate(c.receive) {
		most, probe, err := p.most(c.receive)
		if err != nil {
			break
		}
		n, err := p.slots.acquire(c.receive, most, full)
		if err != nil {
			break
		}
		if p.rests(probe) { // since it passed the gate
			p.slots.release(n)
			p.noProbe(probe)
			continue
		}
		got, err := p.receive(c, n, probe, &attempt)
		if err != nil {
			failures++
			full = false
			if attempt.id == "" && p.shrink() { // a lost answer must be asked for again
				return
			}
			p.backOff(c.receive, err, failures)
			continue
		}
		failures = 0
		full = got == n
		if p.ahead != nil {
			p.slots.resize(p.o.Slots + p.ahead.received(full))
		}
		switch {
		case full:
			p.grow(c)
		case got == 0 && p.shrink():
			return
		}
	}
	p.loops.Add(-1)
}

// receive does one receive and starts what it brought. The n slots are the caller's; what does
// not start is freed here.
func (p *Poller) receive(c contexts, n int, probe uint64, a *attempt) (got int, err error) {
	started := 0
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("receive %s: panic: %v", p.o.Name, v)
			p.o.Hooks.note(c.settle, nil, Recovered, err)
		}
		p.slots.release(n - started)
	}()
	began := time.Now()
	p.openUntil.Store(began.Add(p.o.Wait).UnixNano())
	p.polls.Add(1)
	ds, err := p.ask(c.polls, n, a)
	p.polls.Add(-1)
	if err != nil && c.polls.Err() != nil {
		err = nil // cut on purpose
	}
	p.polled(err)
	p.o.Hooks.received(c.settle, n, len(ds), time.Since(began), err)
	if len(ds) > 0 {
		p.dispatch(c, ds, probe, &started)
	}
	if started == 0 {
		p.noProbe(probe)
	}
	return len(ds), err
}

// attempt names one receive of a FIFO queue, so that its answer can be asked for again.
type attempt struct {
	id    string
	began time.Time
}

// attemptFor is how long SQS remembers an answer, less what the last request may take. Source:
// ReceiveRequestAttemptId of ReceiveMessage, SQS API reference.
const attemptFor = 4 * time.Minute

// ask receives. On a FIFO queue it goes on with the attempt whose answer got lost.
func (p *Poller) ask(polls context.Context, n int, a *attempt) ([]queue.Delivery, error) {
	r, ok := p.o.Receiver.(queue.Repeater)
	if !p.o.FIFO || !ok {
		return p.o.Receiver.Receive(polls, n, p.o.Wait)
	}
	if a.id == "" || time.Since(a.began) > attemptFor {
		*a = attempt{id: crand.Text(), began: time.Now()}
	}
	ds, err := r.ReceiveAs(polls, a.id, n, p.o.Wait)
	if err == nil || len(ds) > 0 || answered(err) {
		a.id = ""
	}
	return ds, err
}

// answered reports whether an error is SQS's own answer: then nothing was handed out.
func answered(err error) bool {
	for _, class := range []error{queue.ErrThrottled, queue.ErrNotFound, queue.ErrDenied, queue.ErrCredentials, queue.ErrRejected} {
		if errors.Is(err, class) {
			return true
		}
	}
	return false
}

// grow starts another loop while receives come back full and slots are free for it.
func (p *Poller) grow(c contexts) {
	if p.o.Receivers > 0 || p.slots.available() == 0 {
		return
	}
	limit := int32(min(maxReceivers, (p.capacity+queue.MaxBatch-1)/queue.MaxBatch))
	for {
		n := p.loops.Load()
		if n >= limit {
			return
		}
		if p.loops.CompareAndSwap(n, n+1) {
			c.group.Go(func() error { p.loop(c); return nil })
			return
		}
	}
}

// shrink reports whether the calling loop should end: it is not the last one, and their number is
// not pinned.
func (p *Poller) shrink() bool {
	if p.o.Receivers > 0 {
		return false
	}
	for {
		n := p.loops.Load()
		if n <= 1 {
			return false
		}
		if p.loops.CompareAndSwap(n, n-1) {
			return true
		}
	}
}

// gate waits while the queue is paused and while a delivery of it waits for the budget: another
// poll would only bring more to wait. False when the receive context has ended.
func (p *Poller) gate(receive context.Context) bool {
	for {
		until, changed := p.pauseEnds()
		rest := time.Until(until)
		if rest <= 0 {
			break
		}
		timer := time.NewTimer(rest)
		select {
		case <-timer.C:
		case <-changed:
		case <-receive.Done():
			timer.Stop()
			return false
		}
		timer.Stop()
	}
	if p.breaker != nil {
		p.breaker.over()
	}
	if p.share != nil {
		p.held.Add(1)
		select {
		case <-p.share.waiting.empty():
		case <-receive.Done():
		}
		p.held.Add(-1)
	}
	return receive.Err() == nil
}

// rests reports whether the gate is shut.
func (p *Poller) rests(probe uint64) bool {
	return p.waits(probe) || p.share != nil && p.share.waiting.count() > 0
}

// waits reports whether nothing may start now, or only a probe of the breaker and this is none.
func (p *Poller) waits(probe uint64) bool {
	return p.isPaused() || p.breaker != nil && p.breaker.refuses(probe)
}

// most is what the next receive may ask for at most, and which probe of the breaker it is.
func (p *Poller) most(receive context.Context) (n int, probe uint64, err error) {
	n = queue.MaxBatch
	if p.o.FIFO {
		n = p.lanes.ask()
	}
	if p.limiter != nil { // what may not start for a second is better off in the queue
		n = min(n, p.limiter.Burst())
	}
	if p.breaker == nil {
		return n, 0, nil
	}
	p.held.Add(1)
	defer p.held.Add(-1)
	return p.breaker.enter(receive, n, 2*p.o.Visibility)
}

// backOff waits after a failed receive: longer for what does not mend itself in seconds, with
// jitter, so that a fleet does not come back as one.
func (p *Poller) backOff(receive context.Context, err error, failures int) {
	first := minBackoff
	if errors.Is(err, queue.ErrCredentials) || errors.Is(err, queue.ErrDenied) || errors.Is(err, queue.ErrNotFound) {
		first = 4 * time.Second
	}
	d := min(maxBackoff, first<<min(failures-1, 10))
	_ = pause.For(receive, d/2+rand.N(d/2)) // its end is noticed by who asked
}
