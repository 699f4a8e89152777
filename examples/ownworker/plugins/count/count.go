// Package count is the job "count": it counts the orders that this process has seen, in its log. Nobody
// imports it: it is built as a plugin, worker jobs build ./plugins/count.
package count

import (
	"context"
	"log/slog"
	"sync/atomic"

	"github.com/stationmaster/worker/jobs"
)

// Order is the body of a message: whatever is in it.
type Order map[string]any

// Count is the job.
type Count struct {
	log  *slog.Logger
	seen atomic.Int64
}

func init() { jobs.RegisterJob("count", func() *Count { return &Count{} }) }

// Provision takes what the worker lends.
func (c *Count) Provision(_ context.Context, env *jobs.Env) error {
	c.log = env.Log
	return nil
}

// Handle counts one order. One that is delivered twice is counted twice.
func (c *Count) Handle(ctx context.Context, _ *jobs.Message[Order]) error {
	c.log.InfoContext(ctx, "orders", slog.Int64("count", c.seen.Add(1)))
	return nil
}
