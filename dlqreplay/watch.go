package dlqreplay

import (
	"fmt"
	"sync"
	"time"

	"github.com/stationmaster/worker/deadletter"
	"github.com/stationmaster/worker/queue"
)

const (
	// mostWatched is how many letters that are not its business a watch holds, to look behind them.
	mostWatched = 10_000
	// grace is for how long more returns of a canary are gathered once there are too many: who reads that it
	// failed wants to know how.
	grace = 10 * time.Second
)

// watcher receives from the dead-letter queue while a run is on, and recognises what the run had sent.
// Whatever it receives it holds until the end, so that it sees everything once.
type watcher struct {
	r    *run
	quit chan struct{}
	once sync.Once
	over sync.WaitGroup
	bad  chan struct{} // closed when too many have returned

	mu       sync.Mutex
	on       bool
	blind    bool
	badOnce  bool
	returned map[string]bool
	others   int
	open     *stream // where letters go that were not held; nil when they go nowhere
	// early are those that came before the stream was open; opened says that it has been.
	early   []*Letter
	opened  bool
	sending string // the phase in which returns stop the run; empty when they do not
	// recorded returns are those that the run's journal has, beyond those that it names.
	recorded int
	base     Report // what had been counted when the run began
}

func newWatcher(r *run) *watcher {
	return &watcher{r: r, quit: make(chan struct{}), bad: make(chan struct{}), returned: map[string]bool{}}
}

// begin starts to watch, where there is something to see.
func (w *watcher) begin(c contexts) {
	w.mu.Lock()
	w.on = true
	w.mu.Unlock()
	w.over.Go(func() { w.loop(c) })
}

// end ends the watch, and waits for the receive that is open: what it brings would stay hidden otherwise.
func (w *watcher) end() {
	w.once.Do(func() { close(w.quit) })
	w.over.Wait()
}

// sees reports whether returns can be seen.
func (w *watcher) sees() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.on && !w.blind
}

// loop receives until the end.
func (w *watcher) loop(c contexts) {
	receiver, ahead := &receiver{dlq: w.r.held.dlq}, 0
	for wait := firstWait; !hurried(w.quit) && c.work.Err() == nil; {
		s := w.stream()
		if s == nil {
			ahead = 0
		} else if ahead >= mostWatched { // it would receive the whole queue before any of it is sent
			s.f.idle(c.feed, s.room())
			ahead = 0
			continue
		}
		ds, err := receiver.receive(c.work, queue.MaxBatch)
		for i := range ds {
			w.see(c, &ds[i], false)
		}
		ahead += len(ds)
		switch {
		case len(ds) > 0, err == nil:
			wait = firstWait
		case forGood(err):
			w.lose(err.Error())
			return
		default:
			if c.work.Err() == nil { // else it is the end, and not tried again
				w.r.tally.events.tellOften(Event{Kind: Retrying, Err: err.Error()})
			}
			idle(c.work, wait, w.quit)
			wait = min(2*wait, longestWait)
		}
		if !w.sees() {
			return
		}
	}
}

// lose says that returns cannot be seen any more.
func (w *watcher) lose(why string) {
	w.mu.Lock()
	first := !w.blind
	w.blind = true
	w.mu.Unlock()
	if first {
		w.r.tally.events.tell(Event{Kind: Unobserved, Why: why})
	}
}

// see judges one delivery. soon: what is to be sent has its turn soon, and its message may stay in memory.
func (w *watcher) see(c contexts, d *queue.Delivery, soon bool) {
	r := w.r
	fresh := r.held.keeper.add(d)
	switch record, ok := deadletter.Read(&d.Message); {
	case r.sent.has(d.MessageID):
		// Its hold had ended before it was deleted, or SQS delivers it twice.
		r.delete(c, []string{d.MessageID})
	case !fresh, r.held.find(d.MessageID) != nil:
		// It went astray and is in our hands again.
	case ok && record.Replay != nil && record.Replay.ID == r.o.ReplayID:
		w.back(r.held.says.letter(d))
	default:
		s, others := w.other(d)
		if s.offer(c, d, soon) {
			return
		}
		if others == mostWatched {
			w.lose(fmt.Sprintf("%d other dead letters came meanwhile: returns are not looked for behind them", others))
		}
	}
}

// other says where a letter goes that is not the watch's business, or counts it. What comes before the
// stream is open is kept for it: held to the end, it would not be sent by anybody.
func (w *watcher) other(d *queue.Delivery) (open *stream, others int) {
	r := w.r
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.open != nil {
		return w.open, 0
	}
	w.others++
	if r.o.Stream && !w.opened {
		l := r.held.says.letter(d)
		if err := r.held.shelf.keep(l.MessageID, d.Message); err != nil {
			r.fail(err)
		}
		w.early = append(w.early, l)
	}
	return nil, w.others
}

// back counts a message that has returned, once.
func (w *watcher) back(l *Letter) {
	record := l.Record
	b := Return{
		MessageID: l.MessageID, FromID: record.Replay.FromID, Job: l.Job, Class: l.Class, Reason: l.Reason,
		Fingerprint: l.Fingerprint, Build: record.Build, Host: record.Host, Died: l.Died(),
	}
	w.mu.Lock()
	known := w.returned[b.MessageID]
	w.returned[b.MessageID] = true
	if past := w.r.o.Past; !known && w.recorded > 0 && past != nil && !b.Died.After(past.Last) {
		w.recorded--
		known = true
	}
	sending, base := w.sending, w.base
	w.mu.Unlock()
	if known {
		return
	}
	returned, sent, left := w.r.tally.returned(b)
	if err := w.r.o.Journal.Returned(b); err != nil {
		w.r.fail(err)
	}
	returned, sent = returned-base.Returned, sent-base.Replayed
	if sending == "" || left <= 0 && w.stream() == nil || !tooMany(returned, sent, w.r.o.Pace.StopOnReturn) {
		return
	}
	if sending == phaseReplay {
		w.r.stopOver(returned, sent, b)
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.badOnce {
		w.badOnce = true
		close(w.bad)
	}
}

// judging says in which phase returns stop the run from now on.
func (w *watcher) judging(phase string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sending = phase
}

// stream is where letters go that were not held before.
func (w *watcher) stream() *stream {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.open
}

// opens sends what was not held before to s, and returns what came before that.
func (w *watcher) opens(s *stream) (early []*Letter) {
	w.mu.Lock()
	defer w.mu.Unlock()
	early, w.early = w.early, nil
	w.open, w.opened = s, true
	return early
}

// closes ends what opens began.
func (w *watcher) closes() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.open = nil
}
