package poller

import (
	"sync"
	"time"

	"github.com/stationmaster/worker/queue"
)

const (
	// maxLinger is the longest that an entry waits for others to share its request.
	maxLinger = 100 * time.Millisecond
	// minLinger is the shortest wait worth its name: entries that follow each other within
	// microseconds pause for longer whenever the machine is busy with something else.
	minLinger = 2 * time.Millisecond
)

// batcher gathers entries into requests of ten. It lingers only as long as the pace of what comes
// in makes a fuller batch likely, and not at all once hurried.
type batcher[E any] struct {
	in    chan E
	flush func([]E)
	// ready hands batches to the flushers, of which there are at most so many as requests may be in
	// flight. They stay, because a new goroutine would grow its stack anew through the whole SDK.
	ready    chan []E
	flushers int

	// patient tells whether an entry may wait for others. One that may not takes along what is there.
	patient func(E) bool

	hurried chan struct{}
	hurry   sync.Once
	closed  chan struct{}
	close   sync.Once
	flying  sync.WaitGroup
	done    chan struct{}
}

// newBatcher starts a batcher whose buffer holds room entries; a put beyond it waits.
func newBatcher[E any](room, requests int, patient func(E) bool, flush func([]E)) *batcher[E] {
	b := &batcher[E]{
		in:       make(chan E, room),
		flush:    flush,
		ready:    make(chan []E),
		flushers: requests,
		patient:  patient,
		hurried:  make(chan struct{}),
		closed:   make(chan struct{}),
		done:     make(chan struct{}),
	}
	go b.gather()
	return b
}

// put hands over an entry; false when the batcher has been stopped.
func (b *batcher[E]) put(e E) bool {
	select {
	case <-b.closed:
		return false
	default:
	}
	select {
	case b.in <- e:
		return true
	case <-b.closed:
		return false
	}
}

// rush ends all lingering: the worker drains.
func (b *batcher[E]) rush() { b.hurry.Do(func() { close(b.hurried) }) }

// stop lets what was put be flushed and then ends. Entries put meanwhile are refused.
func (b *batcher[E]) stop() {
	b.rush()
	b.close.Do(func() { close(b.closed) })
	<-b.done
}

func (b *batcher[E]) gather() {
	defer close(b.done)
	defer b.flying.Wait()
	defer close(b.ready)
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	pace := newPace()
	for {
		first, ok := b.next()
		if !ok {
			return
		}
		batch := append(make([]E, 0, queue.MaxBatch), first)
		pace.tick(time.Now(), 1)
		batch = b.fill(batch, pace, timer)
		select {
		case b.ready <- batch:
			continue
		default:
		}
		if b.flushers > 0 {
			b.flushers--
			b.flying.Go(b.flushAll)
		}
		b.ready <- batch
	}
}

// flushAll is one flusher.
func (b *batcher[E]) flushAll() {
	for batch := range b.ready {
		b.flush(batch)
	}
}

// next waits for an entry; false when stopped and empty.
func (b *batcher[E]) next() (e E, ok bool) {
	select {
	case e = <-b.in:
		return e, true
	default:
	}
	select {
	case e = <-b.in:
		return e, true
	case <-b.closed:
		select {
		case e = <-b.in:
			return e, true
		default:
			return e, false
		}
	}
}

func (b *batcher[E]) fill(batch []E, pace *pace, timer *time.Timer) []E {
	patient, armed := b.patient(batch[0]), false
	add := func(e E) {
		batch = append(batch, e)
		patient = patient && b.patient(e)
	}
	for len(batch) < queue.MaxBatch {
		select {
		case e := <-b.in:
			add(e)
			continue
		default:
		}
		if !patient {
			break
		}
		if !armed {
			timer.Reset(pace.linger(queue.MaxBatch - 1))
			armed = true
		}
		select {
		case e := <-b.in:
			add(e)
		case <-timer.C:
			patient = false
		case <-b.hurried:
			patient = false
		}
	}
	pace.tick(time.Now(), len(batch)-1)
	return batch
}

// pace estimates the gap between entries.
type pace struct {
	last time.Time
	gap  time.Duration
}

func newPace() *pace { return &pace{gap: time.Second} }

// tick counts n entries since the last tick.
func (p *pace) tick(now time.Time, n int) {
	if n <= 0 {
		return
	}
	if !p.last.IsZero() {
		gap := min(now.Sub(p.last)/time.Duration(n), time.Second)
		if gap < p.gap { // a burst is taken up at once, its end slowly
			p.gap = (p.gap + 3*gap) / 4
		} else {
			p.gap = (p.gap + gap) / 2
		}
	}
	p.last = now
}

// linger is how long to wait for n more: nothing when not even one is likely to come in time.
func (p *pace) linger(n int) time.Duration {
	if p.gap > maxLinger {
		return 0
	}
	return min(maxLinger, max(minLinger, 2*p.gap*time.Duration(n)))
}
