package ingress

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"time"

	"github.com/stationmaster/worker/deadletter"
	"github.com/stationmaster/worker/internal/snssign"
	"github.com/stationmaster/worker/jobs"
	"github.com/stationmaster/worker/queue"
	"github.com/stationmaster/worker/retry"
)

// sendTimeout bounds the send of a dead letter. Its run's time is nearly over then, SNS's is not.
const sendTimeout = 2 * time.Second

var (
	errPaused = errors.New("the path rests: its job asked for a pause")
	errBusy   = errors.New("all slots are taken")
	// errNoAnswer stands for the answer of a job that ended its goroutine.
	errNoAnswer = errors.New("the job gave no answer")
	errGone     = errors.New("the caller did not wait for the answer")
)

// notify hands a message to its job, or finds out that it has it already.
func (h *Handler) notify(ctx context.Context, p *path, m *snssign.Message, body []byte, arrived time.Time) answer {
	until := arrived.Add(h.o.Timeout)
	d := &queue.Delivery{
		Message:   queue.Message{Body: string(body)},
		MessageID: m.MessageID, Receives: 1, Sent: m.Sent, FirstReceived: arrived, Received: arrived, Deadline: until,
	}
	r, mine, isDone := p.memory.admit(m.MessageID)
	if !mine {
		p.Hooks.duplicate(ctx, d)
	}
	switch {
	case isDone:
		return done
	case mine:
		r.dead = p.topics[m.TopicARN].DeadLetters
		if no := h.begin(ctx, p, r, d); no != nil {
			p.memory.end(r, *no)
			return *no
		}
	}
	// The job may ignore its end: SNS is answered in time all the same, and its next try finds the run
	// that still goes on.
	timer := time.NewTimer(time.Until(until) + endGrace)
	defer timer.Stop()
	select {
	case <-r.over:
		return r.answer
	case <-timer.C:
		return again(ErrTimeout)
	case <-ctx.Done():
		return again(errGone) // the job goes on: half done helps nobody
	}
}

// begin starts the run, or says why it cannot.
func (h *Handler) begin(ctx context.Context, p *path, r *run, d *queue.Delivery) *answer {
	no := func(err error) *answer { a := again(err); return &a }
	if !p.pausedUntil().IsZero() {
		return no(errPaused)
	}
	// Not for long: what waits holds its body, and a job wants time as well.
	waiting, stop := context.WithTimeout(ctx, h.o.Timeout/4)
	defer stop()
	if !p.acquire(waiting) {
		return no(errBusy)
	}
	if !time.Now().Before(d.Deadline) { // a slow body, a slow certificate: nobody waits for the job any more
		<-p.slots
		return no(ErrTimeout)
	}
	base, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	r.cancel = cancel
	if !h.enter(r) {
		cancel(nil)
		<-p.slots
		return no(errDraining)
	}
	p.memory.count(r)
	d.Receives = r.attempt
	go func() {
		a := again(errNoAnswer)
		defer func() { // also when a job has ended its goroutine, or a hook has panicked
			if v := recover(); v != nil {
				a = again(fmt.Errorf("panic: %v", v))
			}
			cancel(nil)
			<-p.slots
			p.memory.end(r, a)
			h.leave(r, a)
		}()
		a = h.run(base, p, r, d)
	}()
	return nil
}

// enter lets the drain know of a run; false when it has begun.
func (h *Handler) enter(r *run) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.draining {
		return false
	}
	h.runs[r] = struct{}{}
	return true
}

func (h *Handler) leave(r *run, a answer) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.runs, r)
	if h.draining {
		h.report.Finished++
		if a.deadLettered {
			h.report.DeadLettered++
		}
	}
	h.settleIdle()
}

// run calls the job once and turns what it answers into what SNS is told.
func (h *Handler) run(base context.Context, p *path, r *run, d *queue.Delivery) answer {
	until := d.Deadline
	if limit := p.Job.Timeout(); limit > 0 {
		if own := time.Now().Add(limit); own.Before(until) {
			until = own
		}
	}
	ctx, end := context.WithDeadlineCause(base, until, ErrTimeout)
	defer end()
	info := jobs.Read(d)
	info.Job, info.Queue = p.Job.Name(), p.Path.Path
	ctx = p.Hooks.started(ctx, d, info)
	began := time.Now()
	err := early(info)
	if err == nil {
		err = queue.At(p.Job.Run(ctx, []*jobs.Info{info}), 0)
	}
	o := Outcome{Err: err, Took: time.Since(began), Attempt: r.attempt}
	switch cause := context.Cause(ctx); {
	case err == nil:
		o.Decision = retry.Decision{Action: retry.Done, Spends: true}
	case retry.IsNever(err): // the verdict stands, whatever else ended the run
		o.Decision = decide(err)
	case errors.Is(cause, ErrTimeout):
		o.Err = &timeoutError{err: err}
		o.Decision = decide(o.Err)
	case cause != nil:
		o.Interrupted = true
	default:
		o.Decision = decide(err)
	}
	p.Hooks.finished(ctx, d, info, o)
	return h.settle(ctx, p, r, d, info, o)
}

// decide classes an error. How often SNS tries is its delivery policy's business.
func decide(err error) retry.Decision {
	return retry.Policy{Attempts: math.MaxInt}.Decide(retry.Failure{Err: err, Attempt: 1, Now: time.Now()}, 0)
}

func (h *Handler) settle(ctx context.Context, p *path, r *run, d *queue.Delivery, info *jobs.Info, o Outcome) answer {
	failed := answer{status: http.StatusServiceUnavailable, err: o.Err, told: true}
	switch o.Decision.Action {
	case retry.Rest:
		p.pause(o.Decision.Until)
		return failed
	case retry.DeadLetter:
		err := h.deadLetter(context.WithoutCancel(ctx), p, r.dead, d, info, o.Err)
		p.Hooks.deadLettered(ctx, d, err)
		if err != nil {
			return failed
		}
		return answer{status: http.StatusOK, deadLettered: true}
	case retry.Again, retry.Done:
	}
	if o.Err != nil {
		return failed
	}
	return done
}

// deadLetter sends the message as SNS would have left it, its envelope, with the reason beside it.
func (h *Handler) deadLetter(ctx context.Context, p *path, to queue.Sender, d *queue.Delivery, info *jobs.Info, err error) error {
	m := d.Message
	record := deadletter.New(d, deadletter.Death{Job: info.Job, Queue: p.Path.Path, Build: h.o.Build, Host: h.o.Host, Now: time.Now()}, err)
	if err := record.Write(&m); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	return sendDeadLetter(ctx, to, m)
}

// early refuses a delivery that must not start yet. Nothing can keep it back: SNS would try again by a
// policy that ends long before most delays do, and lay it down without a reason. As a dead letter it is
// safe and explained, and its replay runs at once.
func early(info *jobs.Info) error {
	if now := time.Now(); queue.Early(info.NotBefore, now) {
		return retry.Never(&earlyError{left: info.NotBefore.Sub(now).Round(time.Second)})
	}
	return nil
}

// earlyError is the reason of a delivery that came before its time.
type earlyError struct{ left time.Duration }

func (e *earlyError) Error() string {
	return fmt.Sprintf("delay %v: an HTTP delivery cannot wait: subscribe a queue to the topic, or publish without a delay", e.left)
}

// Class names the failure in a dead letter's record.
func (e *earlyError) Class() string { return "delay_over_http" }

// timeoutError is the failure of an attempt that ran into its timeout.
type timeoutError struct{ err error }

func (e *timeoutError) Error() string   { return fmt.Sprintf("%v: %v", ErrTimeout, e.err) }
func (e *timeoutError) Unwrap() []error { return []error{ErrTimeout, e.err} }

// Class names the failure in a dead letter's record.
func (e *timeoutError) Class() string { return "timeout" }
