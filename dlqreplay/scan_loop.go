package dlqreplay

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/stationmaster/worker/queue"
)

// loop receives until the scan is over. The end of ctx ends it between two receives, never in one; only
// the end of polls cuts one.
func (s *scan) loop(ctx, polls context.Context) {
	from, failures := &receiver{dlq: s.o.DLQ}, 0
	for {
		n, news := s.reserve(ctx)
		if n == 0 {
			return
		}
		ds, err := from.receive(polls, n)
		s.took(ds, n, news, err)
		switch {
		case err == nil:
			failures = 0
			s.judge(ctx)
		case forGood(err):
			s.end("", err)
		default:
			failures++
			s.refused(ctx, err, failures)
		}
	}
}

// reserve returns how many letters the next receive may bring; 0 ends the loop.
func (s *scan) reserve(ctx context.Context) (n, news int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over || ctx.Err() != nil {
		return 0, 0
	}
	n = min(queue.MaxBatch, s.o.Budget-s.held.count()-s.asked)
	if n <= 0 {
		return 0, 0
	}
	s.asked += n
	return n, s.news
}

// answered reports whether an error is SQS's own answer: then nothing was handed out.
func answered(err error) bool { return forGood(err) || errors.Is(err, queue.ErrThrottled) }

// took keeps account of a receive that was allowed n letters and began after so many news.
func (s *scan) took(ds []queue.Delivery, n, news int, err error) {
	fresh := 0
	var fault error
	for i := range ds {
		is, err := s.held.add(&ds[i])
		if is {
			fresh++
		}
		if err != nil {
			fault = err
		}
	}
	s.mu.Lock()
	s.asked -= n
	s.twice += len(ds) - fresh
	switch {
	case len(ds) > 0:
		s.news++
		s.quiet, s.doubt = 0, time.Time{}
	case err == nil && news == s.news:
		s.quiet++
	}
	if err == nil || len(ds) > 0 {
		s.answered = time.Now()
	}
	if err != nil && !answered(err) {
		s.unanswered++
	}
	if len(ds) == n {
		s.full = time.Now()
	}
	for i := range ds {
		delete(s.wanted, ds[i].MessageID)
	}
	all := len(s.o.Only) > 0 && len(s.wanted) == 0
	round := s.twice > mostTwice+s.held.count()
	s.mu.Unlock()
	switch {
	case fault != nil:
		s.end("", fault)
	case round:
		s.end("letters come again while they are held: their holds are not extended", nil)
	case all:
		s.end("the letters that were asked for are found", nil)
	}
	if fresh > 0 {
		s.events.tellOften(Event{Kind: Scanning, Done: s.held.count(), Total: int(max(s.start.Visible, int64(s.held.count())))})
	}
}

// refused waits after an error that may pass by itself.
func (s *scan) refused(ctx context.Context, err error, failures int) {
	if ctx.Err() == nil { // else it is the end, and not tried again
		s.events.tellOften(Event{Kind: Retrying, Err: err.Error()})
	}
	s.mu.Lock()
	since := time.Since(s.answered)
	s.mu.Unlock()
	if since > giveUp {
		s.end("", fmt.Errorf("no receive has succeeded for %s: %w", giveUp, err))
		return
	}
	// At the cap of messages in flight a short poll is refused, and any other may be.
	if errors.Is(err, queue.ErrThrottled) && failures > 2 {
		if now, err := s.now(ctx); err == nil && now.InFlight >= nearCap {
			s.end(capped(now), nil)
			return
		}
	}
	wait := min(firstWait<<min(failures, 8), 20*time.Second)
	idle(ctx, wait/2+rand.N(wait/2+1), nil)
}

// now reads the counts once.
func (s *scan) now(ctx context.Context) (Counts, error) {
	if s.o.DLQ.Counts == nil {
		return Counts{}, nil
	}
	return s.o.DLQ.Counts(ctx)
}

func capped(now Counts) string {
	return fmt.Sprintf("SQS hands out about 120,000 messages of a queue at once, and %d are in flight", now.InFlight)
}

// judge decides whether silence is the end. It never is by itself: SQS may miss messages, and says
// nothing at the cap of those in flight. But counts may be a minute old.
func (s *scan) judge(ctx context.Context) {
	s.mu.Lock()
	quiet := s.quiet >= quietReceives
	if s.judging || s.over || !quiet && !s.trickles() {
		s.mu.Unlock()
		return
	}
	s.judging = true
	s.mu.Unlock()
	now, err := s.now(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.judging, s.quiet, s.looked = false, 0, time.Now()
	switch {
	case s.over:
	case forGood(err):
		s.over, s.err = true, err
	case err != nil:
		s.doubts(now, countsSettle, err)
	case s.o.DLQ.FIFO:
		s.endFIFO(now, !quiet)
	case quiet:
		s.endQuiet(now)
	default:
		s.endTrickle(now)
	}
}

// endQuiet ends the scan of a queue that is silent, if the counts agree. s.mu is held.
func (s *scan) endQuiet(now Counts) {
	held := int64(s.held.count())
	switch {
	case now.InFlight >= nearCap && now.Visible > 0:
		s.over, s.why = true, capped(now)
	case now.Visible == 0, now.InFlight < held && held >= s.start.Visible: // the second: they are old
		s.over = true
		s.complete, s.why = s.whole(now)
	default:
		s.doubts(now, countsSettle, nil)
	}
}

// trickles reports that letters go on coming, but for a while no receive has been full, and that it is
// time to look at the counts again. s.mu is held.
func (s *scan) trickles() bool {
	return s.news > 0 && time.Since(later(s.full, later(s.began, s.looked))) >= trickle
}

// endTrickle ends the scan of a queue that has been emptied, and into which letters keep falling: what was
// there when it began is held. s.mu is held.
func (s *scan) endTrickle(now Counts) {
	emptied := now.Visible < int64(queue.MaxBatch*s.o.Loops)
	settled := int64(s.held.count()) >= s.start.Visible || time.Since(later(s.full, s.began)) > countsSettle
	if emptied && settled {
		s.over = true
		s.complete, s.why = s.whole(now)
	}
}

// whole tells whether everything was handed to us. What an answer that was lost brought is hidden, and
// nobody has it. s.mu is held.
func (s *scan) whole(now Counts) (complete bool, why string) {
	if missing := now.InFlight - int64(s.held.count()) - s.start.InFlight; s.unanswered > 0 && missing > 0 {
		return false, fmt.Sprintf("%d more are hidden, for %s at most: the answers that brought them were lost", missing, s.o.DLQ.Hold)
	}
	return true, ""
}

// doubts ends the scan when silence and counts have contradicted each other for so long. s.mu is held.
func (s *scan) doubts(now Counts, patience time.Duration, err error) {
	if s.doubt.IsZero() {
		s.doubt = time.Now()
	}
	if time.Since(s.doubt) < patience {
		return
	}
	s.over = true
	s.why = fmt.Sprintf("SQS counts %d more, and has not handed them out for %s", now.Visible, patience)
	if err != nil {
		s.why = fmt.Sprintf("nobody can say whether there are more: %v", err)
	}
}
