package middleware

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/stationmaster/worker/jobs"
	"github.com/stationmaster/worker/retry"
)

// deafAfter is how long after its end a call may go on before it is reported: as long as a worker gives
// a job beyond the timeout of its queue.
const deafAfter = 10 * time.Second

// Timeout ends the context of each call, of one message or of a batch, after d; with 0 or less it bounds
// nothing. It only ever shortens: the deadline of the attempt, which the queue's timeout or jobs.Timeout
// gives, and the end of a drain or a lease stay what they are, and are not taken for this timeout.
//
// An error that comes when the time is over is of class "timeout", unless package retry marks it or it is
// a panic. A job that is done all the same is done.
//
// A job that ignores its context is waited for. Its slot is taken and its message hidden as long as it
// runs, since a message that is handed back while its job runs would run twice; ten seconds after its end
// the log says so, once. Only a drain leaves it behind.
//
// For one job, jobs.Timeout is mostly the better word: the doctor holds it against the visibility timeout,
// and a queue's own timeout replaces it. This one is for all jobs at once, or for what lies inside of
// another layer.
func Timeout(d time.Duration) jobs.Middleware {
	over := &timeoutError{limit: d}
	return func(next jobs.Call) jobs.Call {
		if d <= 0 {
			return next
		}
		return func(ctx context.Context, ms []*jobs.Info) []error {
			ctx, end := context.WithTimeoutCause(ctx, d, over)
			defer end()
			deaf := time.AfterFunc(d+deafAfter, func() { ignores(ctx, d, ms) })
			defer deaf.Stop()
			errs := next(ctx, ms)
			// Another Timeout, and whatever else ends a context, has a cause of its own.
			if cause := context.Cause(ctx); cause == error(over) { //nolint:errorlint // this very timeout, not one like it
				return late(errs, over)
			}
			return errs
		}
	}
}

// late says of the plain errors that they are the timeout's.
func late(errs []error, over *timeoutError) []error {
	for i, err := range errs {
		_, panicked := errors.AsType[*jobs.PanicError](err)
		_, asks := errors.AsType[*retry.AfterError](err)
		_, said := errors.AsType[*timeoutError](err) // by a Timeout inside, over at the same moment
		if !panicked && !asks && !said && answerOf(err) == plain {
			errs[i] = &timeoutError{limit: over.limit, err: err}
		}
	}
	return errs
}

// ignores reports a call that goes on although its time is over.
func ignores(ctx context.Context, d time.Duration, ms []*jobs.Info) {
	attrs := append(call(ms), slog.Duration("timeout", d))
	jobs.Log(ctx).LogAttrs(ctx, slog.LevelWarn, "job ignores its end: its slot is taken until it returns", attrs...)
}

// timeoutError is the cause of a context that Timeout has ended, and with err what the job answered then.
type timeoutError struct {
	limit time.Duration
	err   error
}

func (e *timeoutError) Error() string {
	text := fmt.Sprintf("job took longer than %v", e.limit)
	if e.err == nil {
		return text
	}
	return text + ": " + e.err.Error()
}

// Unwrap lets errors.Is find context.DeadlineExceeded, and what the job said.
func (e *timeoutError) Unwrap() []error {
	if e.err == nil {
		return []error{context.DeadlineExceeded}
	}
	return []error{context.DeadlineExceeded, e.err}
}

// Class names the failure in a failure record.
func (e *timeoutError) Class() string { return "timeout" }
