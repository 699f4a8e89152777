package dlqreplay

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/stationmaster/worker/queue"
)

const (
	defaultLoops = 16
	// scanWait is the long poll of a scan: it asks all of SQS's servers, and waits only at the end.
	scanWait = time.Second
	// receiveBound bounds one receive. It is not cut before, since what SQS handed out would stay hidden.
	receiveBound = scanWait + 20*time.Second
	// quietReceives is how many receives must bring nothing, one after the other, before the counts are
	// asked whether that is the end.
	quietReceives = 3
	// countsSettle is for how long counts may be wrong. Source: GetQueueAttributes, SQS API reference,
	// "at least 1 minute".
	countsSettle = 75 * time.Second
	// nearCap is a little less than what SQS hands out of a queue before it goes silent.
	nearCap = 115_000
	// giveUp is for how long a scan goes on while not one receive succeeds.
	giveUp = 3 * time.Minute
	// trickle is for how long a scan goes on with a queue that is as good as empty, but into which letters
	// keep falling.
	trickle = 15 * time.Second
	// mostTwice, and as many as are held, are the deliveries of known letters that a scan takes. SQS may
	// deliver twice; but whose holds get lost would go round for ever.
	mostTwice = 100
)

// ScanOptions say what to scan.
type ScanOptions struct {
	DLQ DLQ
	// Loops is how many receives are made at once; 0 is 16.
	Loops int
	// Budget is the most letters that are held; 0 is MaxHeld.
	Budget int
	// Only are MessageIds: the scan ends when all of them are found. Nil is everything.
	Only []string
	// SpoolDir is where large sets of messages go; empty is the system's folder for temporary files.
	SpoolDir string
	// Undelivered says that the queue is a subscription's: SNS puts into it what it could not deliver.
	Undelivered bool
	// JobOf names the job of a message without a record; nil: nobody knows.
	JobOf func(*Letter, *queue.Message) string
	// Event is told what happens, one event at a time; nil: nobody is.
	Event func(Event)
	// Hurry cuts short what a scan that ctx ended still does: polls that are open, and the release.
	Hurry <-chan struct{}
}

// Scan receives every dead letter of a queue once, and holds it. When ctx ends, or the queue refuses for
// good, it gives back what it holds and returns an error.
func Scan(ctx context.Context, o ScanOptions) (*Held, error) {
	s, err := begin(ctx, o)
	if err != nil {
		return nil, fmt.Errorf("scan %s: %w", o.DLQ.Name, err)
	}
	s.work(ctx)
	err = s.err
	if err == nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("scan %s: %w", o.DLQ.Name, s.undo(ctx, err))
	}
	f := s.found(ctx)
	s.held.finish(f)
	s.events.tell(Event{Kind: Scanned, Done: s.held.count(), Total: int(f.total), Took: f.took})
	return s.held, nil
}

// scan is one scan under way.
type scan struct {
	o      ScanOptions
	held   *Held
	events *teller
	began  time.Time
	start  Counts

	mu sync.Mutex
	// wanted are those of ScanOptions.Only that are not found yet.
	wanted map[string]bool
	// asked is how many letters the open receives may bring.
	asked int
	// news counts the receives that brought something, quiet those that brought nothing since.
	news, quiet int
	// answered is when the last receive succeeded, full when one brought all that it asked for, looked when
	// the counts were read.
	answered, full, looked time.Time
	// doubt is since when the counts have been saying that there is more; judging that they are asked.
	doubt   time.Time
	judging bool
	// unanswered counts receives whose letters, if any, are hidden by nobody's hand.
	unanswered int
	// twice counts deliveries of letters that were known.
	twice int

	over     bool
	complete bool
	why      string
	err      error
}

func begin(ctx context.Context, o ScanOptions) (*scan, error) {
	if o.Loops <= 0 {
		o.Loops = defaultLoops
	}
	if o.Budget <= 0 {
		o.Budget = MaxHeld
	}
	s := &scan{o: o, events: tell(o.Event), began: time.Now(), wanted: map[string]bool{}}
	s.answered = s.began
	for _, id := range o.Only {
		s.wanted[id] = true
	}
	if o.DLQ.Counts != nil {
		var err error
		if s.start, err = s.counts(ctx); err != nil {
			return nil, err
		}
	}
	says := &describing{undelivered: o.Undelivered, jobOf: o.JobOf}
	s.held = newHeld(ctx, o.DLQ, o.SpoolDir, says, s.events)
	return s, nil
}

// counts reads the counts of the queue, and again when that fails for a passing reason.
func (s *scan) counts(ctx context.Context) (Counts, error) {
	for wait := firstWait; ; wait = min(2*wait, longestWait) {
		c, err := s.o.DLQ.Counts(ctx)
		if err == nil || forGood(err) || time.Since(s.began) > giveUp {
			return c, err
		}
		s.events.tellOften(Event{Kind: Retrying, Err: err.Error()})
		if !idle(ctx, wait, nil) {
			return c, context.Cause(ctx)
		}
	}
}

// work runs the loops until the scan is over. A short queue needs few.
func (s *scan) work(ctx context.Context) {
	most := int(min(int64(s.o.Loops), max(quietReceives, s.start.Visible/queue.MaxBatch+1)))
	polls, cancel := unlessHurried(ctx, s.o.Hurry)
	defer cancel()
	var g sync.WaitGroup
	for range most {
		g.Go(func() { s.loop(ctx, polls) })
	}
	g.Wait()
}

// undo gives back what is held, and says in the error what could not be.
func (s *scan) undo(ctx context.Context, err error) error {
	total := s.held.count()
	back := s.held.release(ctx, s.o.Hurry, func(n int) {
		s.events.tellOften(Event{Kind: Finishing, Done: n, Total: total})
	})
	s.events.tell(Event{Kind: Released, Done: back.Released})
	if back.Hidden > 0 {
		return fmt.Errorf("%w; %d letters could not be given back and stay hidden until %s",
			err, back.Hidden, back.HiddenUntil.Format(time.TimeOnly))
	}
	return err
}

func (s *scan) found(ctx context.Context) found {
	held := int64(s.held.count())
	if !s.over { // every loop ended because no more may be held
		now, err := s.now(ctx)
		s.complete = err == nil && (now.Visible == 0 || now.InFlight < held && held >= s.start.Visible)
		if !s.complete {
			s.why = fmt.Sprintf("%d are held, and no more are at once", held)
		}
	}
	return found{
		total: max(s.start.Visible+s.start.Delayed, held), elsewhere: s.start.InFlight,
		complete: s.complete, why: s.why, took: time.Since(s.began),
	}
}

// end ends the scan before its time; the first reason counts.
func (s *scan) end(why string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.over {
		s.over, s.why, s.err = true, why, err
	}
}
