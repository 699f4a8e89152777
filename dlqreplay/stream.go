package dlqreplay

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/stationmaster/worker/internal/pause"
	"github.com/stationmaster/worker/queue"
)

// mostBack is how many letters a stream holds back that it does not send: SQS hands out no more than it
// does, and what is given back would be handed out again.
const mostBack = 100_000

// stream receives what could not be held from the beginning, and feeds what is chosen of it. What is not
// is held back to the end, and so is whatever died after the run began: the run would never end otherwise.
type stream struct {
	r *run
	f *feed

	choosing sync.Mutex
	chosen   *matcher
	judging  judging

	mu    sync.Mutex
	quiet int
	news  time.Time // when something came last
	back  int       // held back
	late  int       // of them, because they died after the run began, by the clocks of those who say so
	over  bool
	cut   bool // before the end of the queue
}

// stream runs a stream until its queue is empty.
func (r *run) stream(c contexts, f *feed) {
	now := time.Now()
	chosen, err := r.o.Filter.compile(now)
	if err != nil {
		r.fail(fmt.Errorf("filter: %w", err))
		return
	}
	s := &stream{r: r, f: f, chosen: chosen, judging: judging{Judge: r.o.Judge}, news: now}
	early := r.watch.opens(s)
	defer r.watch.closes()
	s.reconsider(c)
	for _, l := range early {
		if !s.take(c, r.held.candidate(l), false) {
			s.holdBack()
		}
	}
	var all sync.WaitGroup
	for range r.o.Pace.Loops {
		all.Go(func() { s.loop(c) })
	}
	all.Wait()
	if s.late > 0 {
		r.remark(fmt.Sprintf("%d stay that died after the run began, or say so", s.late))
	}
	if c.feed.Err() == nil && !s.cut {
		r.mu.Lock()
		r.more = false
		r.mu.Unlock()
	}
}

// loop receives while there is room for what comes.
func (s *stream) loop(c contexts) {
	receiver := &receiver{dlq: s.r.held.dlq}
	for wait := firstWait; ; {
		s.f.idle(c.feed, s.room())
		if c.feed.Err() != nil || s.ended() {
			return
		}
		ds, err := receiver.receive(c.work, queue.MaxBatch)
		for i := range ds {
			s.r.watch.see(c, &ds[i], true)
		}
		switch {
		case len(ds) > 0:
			s.came()
			wait = firstWait
		case err == nil:
			s.silent(c)
		case forGood(err):
			s.r.fail(err)
			return
		default:
			s.r.tally.events.tellOften(Event{Kind: Retrying, Err: err.Error()})
			if pause.For(c.feed, wait) != nil {
				return
			}
			wait = min(2*wait, longestWait)
		}
	}
}

// room is how many may wait for their turn when more is received.
func (s *stream) room() int { return 4 * queue.MaxBatch * s.r.o.Pace.Loops }

func (s *stream) ended() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.over
}

func (s *stream) came() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.quiet, s.news = 0, time.Now()
}

// silent decides whether silence is the end: several receives that brought nothing, nothing on its way
// that could hide the rest of its group, and a count that says so, or has had time to.
func (s *stream) silent(c contexts) {
	s.mu.Lock()
	s.quiet++
	enough := s.quiet >= quietReceives
	s.mu.Unlock()
	if !enough {
		return
	}
	s.f.idle(c.feed, 0)
	s.r.undeleted(c, s.r.held.dlq.FIFO)
	now, err := s.r.held.dlq.Counts(c.work)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.quiet < quietReceives {
		return
	}
	switch {
	case s.over:
	case err == nil && now.Visible == 0:
		s.over = true
	case time.Since(s.news) <= countsSettle:
	case err != nil:
		s.over, s.cut = true, true
		s.r.remark(fmt.Sprintf("nobody can say whether there are more: %v", err))
	default:
		s.over, s.cut = true, true
		s.r.remark(fmt.Sprintf("about %d were not handed out: they are behind others of their group that stay, or came meanwhile", now.Visible))
	}
}

// undeleted waits until what was sent is deleted, where the next of its group shows only then.
func (r *run) undeleted(c contexts, waits bool) {
	for waits && c.feed.Err() == nil && len(r.deletes) > 0 {
		if pause.For(c.feed, firstWait) != nil {
			return
		}
	}
}

// reconsider chooses of what is held, in a resumed run: the run that was killed had not come to it.
func (s *stream) reconsider(c contexts) {
	past := s.r.o.Past
	if past == nil {
		return
	}
	for _, l := range s.r.held.Letters() {
		if past.State(l.MessageID) == NotChosen && !replayedBy(l, s.r.o.ReplayID) {
			s.take(c, s.r.held.candidate(l), false)
		}
	}
}

// offer takes a letter that was not held before, to send it or to hold it back. What is not sent soon is
// put on the shelf. A nil stream takes nothing.
func (s *stream) offer(c contexts, d *queue.Delivery, soon bool) bool {
	if s == nil || c.feed.Err() != nil {
		return false
	}
	l := &candidate{Letter: s.r.held.says.letter(d), message: &d.Message}
	if !soon {
		if err := s.r.held.shelf.keep(l.MessageID, d.Message); err != nil {
			s.r.fail(err)
			return false
		}
	}
	if !s.take(c, l, soon) {
		s.holdBack()
	}
	return true
}

// take sends a letter that is chosen. What is not closes its group.
func (s *stream) take(c contexts, l *candidate, kept bool) bool {
	r := s.r
	p, err := s.choose(c, l)
	switch {
	case err != nil:
		r.fail(err)
	case p != nil:
		if kept {
			p.message, p.kept = *l.message, true
		}
		r.tally.count(func(t *Report) { t.Selected++ })
		if s.f.put(p) {
			return true
		}
		r.tally.count(func(t *Report) { t.Selected-- })
	case !r.o.BreakOrder && l.GroupID != "":
		s.f.shut(l.GroupID)
	}
	return false
}

// holdBack counts a letter that stays.
func (s *stream) holdBack() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.back++; s.back == mostBack {
		s.over, s.cut = true, true
		s.r.remark(fmt.Sprintf("%d letters that were not chosen are held, and SQS hands out no more; run again for what is behind them", s.back))
	}
}

// choose makes a parcel of a letter that the filter matches and that may be replayed.
func (s *stream) choose(c contexts, l *candidate) (*parcel, error) {
	r := s.r
	if began := r.frozen(); !l.Sent.Before(began) || !l.Died().Before(began) {
		s.mu.Lock()
		s.late++
		s.mu.Unlock()
		return nil, nil //nolint:nilnil // it died while the run was on
	}
	if limit := r.o.Judge.Limit; limit > 0 && r.tally.so().Selected >= limit {
		return nil, nil //nolint:nilnil // there are enough
	}
	s.choosing.Lock()
	defer s.choosing.Unlock()
	matched, err := s.chosen.match(c.work, l)
	if err != nil && !errors.Is(err, errUnjudged) {
		return nil, err
	}
	if !matched {
		return nil, nil //nolint:nilnil // it was not chosen
	}
	v, err := s.judging.judge(l)
	if err != nil {
		return nil, err
	}
	if v.skip != "" || v.to == nil {
		r.tally.count(func(t *Report) { t.Skipped++ })
		return nil, nil //nolint:nilnil // it may not be replayed
	}
	p := &parcel{letter: l.Letter, to: v.to}
	if past := r.o.Past; past != nil {
		r.recall(p, past.State(l.MessageID))
	}
	return p, nil
}

// frozen is when what is replayed was fixed: what dies later is not of this run. SQS's times are whole
// milliseconds.
func (r *run) frozen() time.Time {
	at := r.began
	if r.o.Past != nil {
		at = r.o.Past.Header.Started
	}
	return at.Truncate(time.Millisecond)
}
