package middleware

import (
	"context"

	"github.com/stationmaster/worker/jobs"
	"github.com/stationmaster/worker/queue"
)

// Recover makes a jobs.PanicError of a panic in what it wraps: the answer for every message of the call.
// The worker does so too, outside of all middleware; with Recover inside of it, middleware sees an answer
// where there was a panic. A goroutine that ends (runtime.Goexit) is not held up.
func Recover() jobs.Middleware {
	return func(next jobs.Call) jobs.Call {
		return func(ctx context.Context, ms []*jobs.Info) (errs []error) {
			defer func() {
				if v := recover(); v != nil {
					errs = queue.Each(jobs.Recovered(v), len(ms))
				}
			}()
			return next(ctx, ms)
		}
	}
}
