// Package pause waits: for some time, or until nobody waits any more.
package pause

import (
	"context"
	"time"
)

// For waits for d, which may be nothing. The error is the cause of the end of ctx, when that came first.
func For(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return context.Cause(ctx)
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
