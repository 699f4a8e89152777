// Package poller is the engine: for one queue it receives what can start, runs the jobs, keeps
// their leases and settles what they answered.
//
//	receive loops ──▶ dispatch ──▶ runs (one per slot) ──▶ settle: deletes, hides ──▶ SQS
//	     ▲ slots          │             │ leases                 │
//	     └────────────────┴── ledger ◀──┴── beats ───────────────┘
//
// Three contexts keep a stop from losing anything: the receive context ends first (no new
// receives), the handle context at the drain deadline (jobs are cancelled with ErrDrain as cause),
// and what settles runs on neither: its requests have their own deadlines and outlive both.
//
// A message is deleted only after its job succeeded or after its dead letter was accepted. All
// else is left to SQS, which redelivers.
package poller

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"
	"golang.org/x/time/rate"

	"github.com/stationmaster/worker/queue"
)

const (
	// endGrace is how long after the handle context's end a job may take to notice it.
	endGrace = 2 * time.Second
	// flushTimeout bounds the settling of what is left at the end of a drain.
	flushTimeout = 5 * time.Second
	// abandonedLease is the lease left to a message whose job ignored its end: short, so that
	// another worker takes it up soon, but not zero, since its job still runs here.
	abandonedLease = 10 * time.Second
)

// Poller polls one queue. Make it with New; Run it once.
type Poller struct {
	o        Options
	slots    *slots
	capacity int       // deliveries that may be held, prefetched ones included
	ahead    *prefetch // nil: Prefetch is fixed
	ledger   *ledger
	memory   *memory
	delays   delays
	// running caps running jobs apart from slots, when deliveries may be held ready.
	running *semaphore.Weighted
	share   *share
	limiter *rate.Limiter
	breaker *breaker
	lanes   lanes
	runners *runners

	deletes, hides *batcher[*settling]
	runs           tally // runs under way, waiting ones included
	unsettled      tally // outcomes that SQS has not answered
	room           int   // how many of them there may be before runs wait with theirs
	busy           atomic.Int64
	loops          atomic.Int32
	polls          atomic.Int32
	held           atomic.Int32 // loops that wait for the budget or for the breaker's probe
	openUntil      atomic.Int64 // unix ns; when the last opened poll ends at the latest
	flushEnd       atomic.Int64 // unix ns; 0 while not flushing
	cut            atomic.Pointer[context.CancelFunc]
	denied         atomic.Bool // it was told that leases cannot be extended

	mu       sync.Mutex
	state    string
	lastPoll time.Time
	lastErr  error
	paused   time.Time
	pausedBy string
	resumed  chan struct{}
	draining bool
	report   Report
}

// New makes a poller. Its error names every fault of the options at once.
func New(o Options) (*Poller, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	o.fill()
	m, err := newMemory()
	if err != nil {
		return nil, err
	}
	late, err := newDelays()
	if err != nil {
		return nil, err
	}
	p := &Poller{o: o, delays: late, slots: newSlots(o.Slots + max(o.Prefetch, 0)), ledger: newLedger(), memory: m, runners: newRunners(), state: "starting", resumed: make(chan struct{})}
	p.capacity = p.slots.total
	if o.Prefetch == Auto {
		p.ahead = newPrefetch(o.Slots, o.Visibility)
		p.capacity = 2 * o.Slots
	}
	p.room = 2*p.capacity + 3*queue.MaxBatch
	if o.Budget != nil {
		p.share = o.Budget.join(o.Weight)
	}
	if o.Rate > 0 {
		p.limiter = rate.NewLimiter(rate.Limit(o.Rate), max(1, int(o.Rate)))
	}
	if o.Breaker {
		p.breaker = newBreaker()
	}
	if o.Paused {
		p.pause(forever, ByConfiguration)
	}
	if o.Prefetch != 0 {
		p.running = semaphore.NewWeighted(int64(o.Slots))
	}
	return p, nil
}

// contexts are the lives of what a poller does. They travel as arguments, never in the Poller.
type contexts struct {
	receive context.Context // ends: no further receive
	polls   context.Context // ends: the open polls are cut
	handle  context.Context // ends: jobs are cancelled with ErrDrain
	settle  context.Context // never ends; each request has its own deadline
	group   *errgroup.Group // the receive loops
}

// Run polls until the receive context ends, then drains: it waits for the open polls and gives
// back what they bring, lets the jobs go on with their leases kept until the handle context ends,
// cancels them then, and settles what there is to settle. It returns when all that is over; a job
// that ignores its end is abandoned to SQS.
func (p *Poller) Run(receive, handle context.Context) Report {
	c, end := p.open(receive, handle)
	defer end()
	room := p.room + queue.MaxBatch
	requests := min(maxSettles, 1+p.capacity/queue.MaxBatch)
	p.deletes = newBatcher(room, requests, p.mayWait, func(b []*settling) { p.flushDeletes(c.settle, b) })
	p.hides = newBatcher(room, requests, p.mayWait, func(b []*settling) { p.flushHides(c.settle, b) })
	stopBeats, beatsEnded := make(chan struct{}), make(chan struct{})
	go func() { defer close(beatsEnded); p.beats(c.settle, stopBeats) }()

	p.set("polling")
	loops := max(1, p.o.Receivers)
	p.loops.Store(int32(min(loops, 1<<20)))
	for range loops {
		c.group.Go(func() error { p.loop(c); return nil }) //nolint:contextcheck // its contexts travel in c
	}
	select {
	case <-receive.Done():
	case <-handle.Done():
	}
	began := p.drain()
	p.awaitRuns(c)
	p.flush()
	close(stopBeats)
	<-beatsEnded
	p.deletes.stop()
	p.hides.stop()
	p.runners.stop()
	p.count(func(r *Report) { r.Uncertain += p.unsettled.count() }) // never answered
	p.set("stopped")
	p.mu.Lock()
	defer p.mu.Unlock()
	p.report.Took = time.Since(began)
	return p.report
}

func (p *Poller) open(receive, handle context.Context) (c contexts, end func()) {
	settle := context.WithoutCancel(handle)
	polls, cut := context.WithCancel(context.WithoutCancel(receive))
	p.cut.Store(&cut)
	stop := func() bool { return false }
	if p.o.CutPolls {
		stop = context.AfterFunc(receive, cut)
	}
	// A handle context that ends without the receive context ends both.
	receive, endReceive := context.WithCancel(receive)
	stopHandle := context.AfterFunc(handle, func() { endReceive(); cut(); p.cancelRuns(context.Cause(handle)) })
	c = contexts{receive: receive, polls: polls, handle: handle, settle: settle, group: new(errgroup.Group)}
	return c, func() { stop(); stopHandle(); endReceive(); cut() }
}

// Hurry cuts the open polls: the second signal.
func (p *Poller) Hurry() {
	if cut := p.cut.Load(); cut != nil {
		(*cut)()
	}
}

func (p *Poller) set(state string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.state = state
}

// polled records a completed receive.
func (p *Poller) polled(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lastPoll, p.lastErr = time.Now(), err
}

// count changes the report, once the drain has begun.
func (p *Poller) count(change func(*Report)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.draining {
		change(&p.report)
	}
}
