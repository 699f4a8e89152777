package dlqreplay

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// run is one replay under way.
type run struct {
	o       Options
	held    *Held
	marker  marker
	pacer   *pacer
	backlog *backlog
	tally   *tally
	halt    halt
	began   time.Time

	sent     sentSet
	accepted lastAccepted
	deletes  chan []string
	watch    *watcher

	mu     sync.Mutex
	note   string    // what else the report says
	more   bool      // a stream has not come to its end
	astray []*parcel // their holds had ended when their turn came
}

// Run replays what was chosen, and returns when nothing of it is in our hands any more: sent and deleted,
// given back, or, after Hurry, left to show up by itself. When ctx ends, batches on their way are
// finished and the rest is given back. What goes wrong on the way is the report's; the error is that of
// a run that could not begin, or whose report could not be recorded.
func Run(ctx context.Context, o Options) (*Report, error) {
	if o.Held == nil || o.Journal == nil || o.Judge.To == nil || o.Plan == nil && o.Past == nil && !o.Stream {
		return nil, errors.New("replay: nothing to do: it takes what is held, a journal, a destination and a plan")
	}
	r := newRun(o)
	c, done := r.contexts(ctx)
	defer done()
	r.tally.events.tell(Event{Kind: JournalAt, Path: o.Journal.Path()})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		r.work(c)
	}()
	var report *Report
	select {
	case <-ended:
		if ctx.Err() != nil {
			r.halt.because(Interrupted, "interrupted") // who was to say so may not have come to it
		}
		report = r.finish(c.work) //nolint:contextcheck // its contexts travel in c
	case <-o.Hurry:
		report = r.abandon(ended)
	}
	err := o.Journal.End(report)
	if err != nil {
		err = fmt.Errorf("replay: the run is over, and its end is not in the journal: %w", err)
	}
	r.tally.events.tell(Event{Kind: Ended, Report: report})
	return report, err
}

func newRun(o Options) *run {
	t := newTally(&o)
	if o.Pace.Loops <= 0 {
		o.Pace.Loops = defaultLoops
	}
	r := &run{
		o: o, held: o.Held, began: time.Now(), tally: t, more: o.Stream,
		marker: marker{o.ReplayID, o.By}, pacer: newPacer(o.Pace),
		backlog: newBacklog(o.Pace.MaxBacklog, t.events),
		deletes: make(chan []string, 4*o.Pace.Loops),
	}
	r.watch = newWatcher(r)
	return r
}

// contexts makes the contexts of the run; done ends them.
func (r *run) contexts(ctx context.Context) (c contexts, done func()) {
	var stop, cut context.CancelFunc
	c.caller = ctx
	c.feed, stop = context.WithCancel(ctx)
	c.work, cut = context.WithCancel(context.WithoutCancel(ctx))
	r.halt.stop = stop
	unhook := context.AfterFunc(ctx, func() { r.halt.because(Interrupted, "interrupted") })
	quit := make(chan struct{})
	go func() {
		select {
		case <-r.o.Hurry:
			r.halt.because(Interrupted, "interrupted")
			cut()
		case <-quit:
		}
	}()
	return c, func() {
		unhook()
		close(quit)
		stop()
		cut()
	}
}

// work is the run from its first letter to the last return that is awaited.
func (r *run) work(c contexts) {
	var deleters sync.WaitGroup
	for range r.o.Pace.Loops {
		deleters.Go(func() { r.deleter(c) })
	}
	r.phases(c)
	close(r.deletes)
	deleters.Wait()
	r.watch.end()
}

// phases sends the canary and then the rest, and awaits their returns.
func (r *run) phases(c contexts) {
	ps, ok := r.chosen(c)
	if !ok {
		return
	}
	if r.watches(ps) {
		r.watch.begin(c)
	}
	first, others := r.split(ps)
	dead := map[string]bool{}
	if len(first) > 0 {
		r.tally.enter(phaseCanary, r.tally.so().Replayed+len(first))
		r.watch.judging(phaseCanary)
		r.sendAll(c, first, nil, false)
		r.settleCanary(c, first)
		for _, p := range first {
			dead[p.letter.GroupID] = dead[p.letter.GroupID] || !r.sent.has(p.letter.MessageID)
		}
	}
	r.tally.enter(phaseReplay, r.tally.so().Selected)
	r.watch.judging(phaseReplay)
	r.sendAll(c, others, dead, r.o.Stream)
	r.sendAll(c, r.found(), nil, false)
	r.watch.judging("")
	if outcome, _ := r.halt.reason(); outcome == Completed || outcome == Stopped && r.tally.left() == 0 {
		r.settle(c, phaseReplay, func() bool { return false }, func(time.Duration) {})
	}
}

// watches reports whether returns are to be looked for.
func (r *run) watches(ps []*parcel) bool {
	if r.o.Pace.Settle <= 0 && r.o.Pace.StopOnReturn >= 1 {
		return false
	}
	for _, p := range ps {
		if !p.to.Unchanged {
			return true
		}
	}
	return len(ps) == 0 && r.o.Stream
}

// sendAll sends parcels, and what a stream brings; what is in the groups that are dead stays.
func (r *run) sendAll(c contexts, ps []*parcel, dead map[string]bool, streams bool) {
	if len(ps) == 0 && !streams || c.feed.Err() != nil {
		return
	}
	f := newFeed(r.held.dlq.FIFO && !r.o.BreakOrder)
	for group, is := range dead {
		if is {
			f.shut(group)
		}
	}
	for _, p := range ps {
		f.put(p)
	}
	var all sync.WaitGroup
	for range r.o.Pace.Loops {
		all.Go(func() { r.mover(c, f) })
	}
	if streams {
		r.stream(c, f)
	}
	f.close()
	all.Wait()
}

// lose puts a parcel aside whose hold has ended: it may be handed out to us again.
func (r *run) lose(f *feed, p *parcel) {
	p.unload()
	f.done(p, false)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.astray = append(r.astray, p)
}

// found returns those that went astray and are in our hands again. The others are gone. Where order
// counts, all of them are: what follows them in their group was not sent.
func (r *run) found() (back []*parcel) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, p := range r.astray {
		_, held := r.held.keeper.receipt(p.letter.MessageID)
		if held && (!r.held.dlq.FIFO || r.o.BreakOrder) {
			back = append(back, p)
		} else {
			r.tally.count(func(t *Report) { t.Gone++ })
		}
	}
	r.astray = nil
	return back
}

// finish gives back what is left, and makes the report.
func (r *run) finish(ctx context.Context) *Report {
	undeleted := r.sent.left()
	r.held.keeper.drop(undeleted...)
	total, _ := r.held.keeper.counts()
	outcome, why := r.halt.reason()
	back := r.held.release(ctx, r.o.Hurry, func(n int) {
		if outcome == Interrupted {
			r.tally.events.tellOften(Event{Kind: Finishing, Done: n, Total: total})
		}
	})
	if back.Released > 0 {
		r.tally.events.tell(Event{Kind: Released, Done: back.Released})
	}
	return r.report(outcome, why, len(undeleted), back)
}

// abandon leaves everything as it is. What is held shows up by itself.
func (r *run) abandon(ended <-chan struct{}) *Report {
	undeleted := r.sent.left()
	n, until := r.held.keeper.hidden()
	go func() {
		r.held.keeper.stop()
		<-ended
		_ = r.held.shelf.close() // nobody reads it again
	}()
	outcome, why := r.halt.reason()
	return r.report(outcome, why, len(undeleted), Handback{Hidden: max(n-len(undeleted), 0), HiddenUntil: until})
}

func (r *run) report(outcome Outcome, why string, undeleted int, back Handback) *Report {
	r.mu.Lock()
	note, more := r.note, r.more
	r.mu.Unlock()
	return r.tally.end(func(t *Report) {
		t.Outcome, t.Why, t.More = outcome, why, more
		t.Undeleted, t.Released = undeleted, back.Released
		t.Hidden, t.HiddenUntil = back.Hidden, back.HiddenUntil
		t.Took = time.Since(r.began)
		if whole := t.Selected == t.Replayed+t.Failed+t.Gone && !more; whole && outcome == Stopped {
			t.Outcome, t.Why = Completed, ""
		} else if whole && outcome == Interrupted {
			t.Outcome, t.Why = Completed, "everything was sent; its returns were not awaited to the end"
		}
		t.Why = sentence(t.Why, note)
	})
}

// remark adds to what the report says.
func (r *run) remark(note string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.note = sentence(r.note, note)
}
