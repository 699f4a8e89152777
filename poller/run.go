package poller

import (
	"context"
	"errors"
	"maps"
	"time"

	"github.com/stationmaster/worker/deadletter"
	"github.com/stationmaster/worker/jobs"
	"github.com/stationmaster/worker/queue"
	"github.com/stationmaster/worker/retry"
)

// try is one delivery in one run.
type try struct {
	it  *item
	d   *queue.Delivery
	ctx context.Context // the job's, with what the Started hook put in
}

// run calls the job once and settles what it answered. It returns the items that came back past
// their lease while the job ran, and that must run again.
func (p *Poller) run(c contexts, instance *jobs.Instance, items []*item) (again []*item) {
	if !p.isFree(items) {
		over, why := p.clear(c, items)
		if why != "" {
			p.goBack(c, items, why)
			return nil
		}
		defer over()
	}
	base, cancel := context.WithCancelCause(c.settle) // cancelRuns ends it with the handle context
	defer cancel(nil)
	r := &run{cancel: cancel}
	ctx := base
	if limit := p.timeout(instance); limit > 0 {
		r.endBy = time.Now().Add(limit)
		var end context.CancelFunc
		ctx, end = context.WithDeadlineCause(base, r.endBy, ErrTimeout)
		defer end()
	}
	attempts, infos := p.starting(ctx, c, r, items)
	if len(attempts) == 0 {
		p.noProbe(items[0].probe)
		return nil
	}
	if len(attempts) == 1 {
		ctx = attempts[0].ctx
	}
	p.busy.Add(int64(len(attempts)))
	began, returned := time.Now(), false
	defer func() {
		if returned {
			return
		}
		// The job has ended this goroutine, and nothing stops that: what is left to do is done now.
		for _, it := range p.finishAll(ctx, c, attempts, queue.Each(&jobs.GoexitError{}, len(attempts)), time.Since(began)) {
			p.release(c, it)
		}
	}()
	errs := instance.Run(ctx, infos)
	returned = true
	return p.finishAll(ctx, c, attempts, errs, time.Since(began))
}

// finishAll judges the answers of a run, and returns the items that must run again.
func (p *Poller) finishAll(ctx context.Context, c contexts, attempts []try, errs []error, took time.Duration) (again []*item) {
	if p.ahead != nil {
		p.ahead.ran(took)
	}
	cause := context.Cause(ctx)
	p.busy.Add(-int64(len(attempts)))
	for i, a := range attempts {
		if p.finish(c, a, cause, queue.At(errs, i), took) {
			again = append(again, a.it)
		}
	}
	return again
}

func (p *Poller) timeout(instance *jobs.Instance) time.Duration {
	if p.o.Timeout > 0 {
		return p.o.Timeout
	}
	return instance.Timeout()
}

// starting binds the items to their run; one whose lease is nearly over goes back untouched.
func (p *Poller) starting(ctx context.Context, c contexts, r *run, items []*item) ([]try, []*jobs.Info) {
	attempts := make([]try, 0, len(items))
	infos := make([]*jobs.Info, 0, len(items))
	for _, it := range items {
		d, ok := p.ledger.start(it, r)
		if !ok {
			p.ledger.end(it)
			p.untouched(c, d, WhyLeaseShort)
			p.release(c, it)
			continue
		}
		attempts = append(attempts, try{it: it, d: d, ctx: p.o.Hooks.started(ctx, d, it.info)})
		infos = append(infos, it.info)
	}
	if c.handle.Err() != nil { // before the ledger knew of this run
		r.cancel(context.Cause(c.handle)) //nolint:contextcheck // its contexts travel in c
	}
	return attempts, infos
}

// finish judges one answer. It reports whether the item must run again.
func (p *Poller) finish(c contexts, a try, cause, err error, took time.Duration) (again bool) {
	redelivered, lost := p.ledger.end(a.it)
	draining := c.handle.Err() != nil
	o := Outcome{Err: err, Took: took, Attempt: a.it.attempt}
	report := func(returned Why) {
		o.Returned = returned
		p.o.Hooks.finished(a.ctx, a.d, a.it.info, o)
		if returned != "" {
			p.untouched(c, a.d, returned)
		}
	}
	p.judged(c, a.it.probe, cause, err)
	switch {
	case err == nil:
		o.Decision = retry.Decision{Action: retry.Done, Spends: true}
		p.count(func(r *Report) { r.Finished++ })
		report("")
		p.remove(c, a.it)
		return false
	case retry.IsNever(err) && !lost: // the verdict stands, whatever else ended the run
	case draining:
		report(WhyDrain)
		if !lost || redelivered != nil {
			p.release(c, a.it)
		} else {
			p.drop(c, a)
		}
		return false
	case redelivered != nil:
		report(WhyLeaseLost)
		p.read(a.it, redelivered)
		return true
	case lost:
		// Another worker may have it by now; nothing changes its visibility any more.
		report(WhyLeaseLost)
		p.drop(c, a)
		return false
	case errors.Is(cause, ErrLeaseLost): // of another message in the same batch
		report(WhyBatchLost)
		p.hide(c, a.it, retry.MinRest)
		return false
	case errors.Is(cause, ErrTimeout):
		o.Err = &timeoutError{err: err}
	}
	p.count(func(r *Report) { r.Finished++ })
	p.failed(c, a, &o, report)
	return false
}

// failed does what the retry policy says.
func (p *Poller) failed(c contexts, a try, o *Outcome, report func(Why)) {
	now := time.Now()
	o.Decision = p.o.Retry.Decide(retry.Failure{
		Err: o.Err, Attempt: o.Attempt, Held: now.Sub(a.d.Received), Now: now,
	}, p.o.Random())
	report("")
	switch o.Decision.Action {
	case retry.DeadLetter:
		p.deadLetter(c, a.it, a.d, o.Err)
	case retry.Rest:
		p.untouched(c, a.d, WhyPauseAsked)
		p.pause(o.Decision.Until, ByJob)
		p.hide(c, a.it, o.Decision.Delay)
	case retry.Again, retry.Done:
		if !o.Decision.Spends {
			p.untouched(c, a.d, WhyLater)
		}
		p.hide(c, a.it, o.Decision.Delay)
	}
}

// drop leaves an item to SQS without another word, unless it has just come back: then it is given
// back, or it would be taken for held ever after.
func (p *Poller) drop(c contexts, a try) {
	a.it.back = true
	p.ledger.endBeats(a.it)
	if _, newest := p.ledger.forget(a.it, a.d.Handle); !newest {
		p.release(c, a.it)
	}
}

// deadLetter sends the message with its reason to the dead-letter queue and deletes it once that
// has been accepted. Otherwise it is hidden for long: the redrive policy is the net.
func (p *Poller) deadLetter(c contexts, it *item, d *queue.Delivery, err error) {
	p.unsettled.add(1) // a flush waits for it
	defer p.unsettled.add(-1)
	sendErr := p.sendDeadLetter(c.settle, it, d, err)
	if sendErr != nil {
		p.o.Hooks.note(c.settle, d, NotDeadLettered, sendErr)
		p.hide(c, it, retry.Cap(max(p.o.Retry.Max, retry.MinRest), time.Since(d.Received)))
		return
	}
	p.o.Hooks.settled(c.settle, d, DeadLettered, nil)
	p.count(func(r *Report) { r.DeadLettered++ })
	p.remove(c, it)
}

var errNoDeadLetters = errors.New("queue has no dead-letter queue: set one in its redrive policy")

func (p *Poller) sendDeadLetter(ctx context.Context, it *item, d *queue.Delivery, err error) error {
	if p.o.DeadLetters == nil {
		return errNoDeadLetters
	}
	job := it.info.Job
	if job == "" {
		job = p.o.Job
	}
	m := d.Message
	m.Attributes = maps.Clone(d.Attributes)
	record := deadletter.New(d, deadletter.Death{Job: job, Queue: p.o.Name, Build: p.o.Build, Host: p.o.Host, Now: time.Now()}, err)
	if err := record.Write(&m); err != nil {
		return err
	}
	if p.o.FIFO { // as SQS's own redrive does
		m.DeduplicationID = d.MessageID
	}
	ctx, cancel := context.WithTimeout(ctx, settleTimeout)
	defer cancel()
	_, errs := p.o.DeadLetters.Send(ctx, []queue.Message{m})
	return queue.At(errs, 0)
}
