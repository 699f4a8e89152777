package poller

import "sync/atomic"

// maxKept is how many runners stay for another task. Beyond that a new goroutine is cheaper than the
// memory of one that waits.
const maxKept = 64

// runners are the goroutines that run jobs. They stay for a while, because a new one would grow its
// stack anew through the whole engine for every message.
type runners struct {
	next chan func()
	kept atomic.Int32
	end  chan struct{}
}

func newRunners() *runners { return &runners{next: make(chan func()), end: make(chan struct{})} }

// do runs task at once, on a goroutine of its own.
func (r *runners) do(task func()) {
	select {
	case r.next <- task:
	default:
		go r.run(task)
	}
}

func (r *runners) run(task func()) {
	for {
		task()
		if r.kept.Add(1) > maxKept {
			r.kept.Add(-1)
			return
		}
		select {
		case task = <-r.next:
			r.kept.Add(-1)
		case <-r.end:
			return
		}
	}
}

// stop lets those go that wait for a task.
func (r *runners) stop() { close(r.end) }

// cancelRuns tells every job that runs why it shall end. Runs are not children of the handle context:
// to enter each one there and to take it out again would cost more than most jobs do.
func (p *Poller) cancelRuns(why error) {
	for _, it := range p.ledger.running() {
		p.ledger.cancel(it, why)
	}
}
