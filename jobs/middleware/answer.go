package middleware

import (
	"context"
	"errors"
	"math"
	"time"

	"github.com/stationmaster/worker/jobs"
	"github.com/stationmaster/worker/queue"
	"github.com/stationmaster/worker/retry"
)

// scope names the spans and the metrics of this package.
const scope = "github.com/stationmaster/worker/jobs/middleware"

// What a job can answer, as it appears in records, spans and metrics: in the words of package retry.
const (
	done  = "done"
	plain = "error"
	after = "after" // nothing failed: the job asked for another time
	never = "never"
	pause = "pause"
	// interrupted: the context was cancelled, by a drain or a lost lease, before the job could answer.
	interrupted = "interrupted"
)

// outcome is what became of one message of a call that had ctx. Who is interrupted has not failed; that no
// attempt can help stays true all the same.
func outcome(ctx context.Context, err error) string {
	answer := answerOf(err)
	if answer != done && answer != never && errors.Is(ctx.Err(), context.Canceled) {
		return interrupted
	}
	return answer
}

// answerOf judges an error as package retry does. How many attempts there are is the queue's business.
func answerOf(err error) string {
	if err == nil {
		return done
	}
	d := retry.Policy{Attempts: math.MaxInt}.Decide(retry.Failure{Err: err, Attempt: 1, Now: time.Now()}, 0)
	switch {
	case d.Action == retry.DeadLetter:
		return never
	case d.Action == retry.Rest:
		return pause
	case !d.Spends:
		return after
	}
	return plain
}

// failed tells the outcomes of a job that could not do its work.
func failed(outcome string) bool { return outcome == plain || outcome == never || outcome == pause }

// observed makes a call and tells end how it ended, once, also when it panics or ends its goroutine.
func observed(ctx context.Context, ms []*jobs.Info, next jobs.Call, end func(errs []error)) []error {
	ended := false
	defer func() {
		if ended {
			return
		}
		v := recover()
		if v == nil {
			end(queue.Each(&jobs.GoexitError{}, len(ms)))
			return
		}
		p := jobs.Recovered(v)
		end(queue.Each(p, len(ms)))
		panic(p) // whoever recovers it finds the stack of the first panic in it
	}()
	errs := next(ctx, ms)
	ended = true
	end(errs)
	return errs
}
