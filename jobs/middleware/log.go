package middleware

import (
	"context"
	"log/slog"
	"time"

	"github.com/stationmaster/worker/deadletter"
	"github.com/stationmaster/worker/jobs"
	"github.com/stationmaster/worker/queue"
)

// longestID is the longest id that is logged: AWS's are 36 bytes, a producer may write anything.
const longestID = 100

// Log writes a record at level info for each message when its job has answered, to the logger that the
// worker lends (jobs.Log), and at level debug one when it starts. A failure is told with its class, its
// fingerprint and its reason as a failure record has them; that the whole attempt was out of time only the
// worker can say. The worker by itself logs what becomes of failures, at level warn or error, so that
// those are not counted twice by their level, and at level debug what is done.
//
// The keys are queue, id (the message's stable id), receive_count, attempt, group_id, batch (how many
// messages came together, when it was more than one), answer (done, error, after, never, pause, or
// interrupted by a drain or a lost lease), elapsed (of the whole call), and err, class and fingerprint of a
// failure. Bodies, attributes and subjects are
// never logged.
func Log() jobs.Middleware {
	return func(next jobs.Call) jobs.Call {
		return func(ctx context.Context, ms []*jobs.Info) []error {
			log := jobs.Log(ctx)
			if !log.Enabled(ctx, slog.LevelInfo) {
				return next(ctx, ms)
			}
			if log.Enabled(ctx, slog.LevelDebug) {
				for _, m := range ms {
					log.LogAttrs(ctx, slog.LevelDebug, "job starts", message(m, len(ms))...)
				}
			}
			began := time.Now()
			return observed(ctx, ms, next, func(errs []error) {
				elapsed := time.Since(began)
				for i, m := range ms {
					answered(ctx, log, m, len(ms), queue.At(errs, i), elapsed)
				}
			})
		}
	}
}

func answered(ctx context.Context, log *slog.Logger, m *jobs.Info, batch int, err error, elapsed time.Duration) {
	answer := outcome(ctx, err)
	attrs := append(message(m, batch), slog.String("answer", answer), slog.Duration("elapsed", elapsed))
	if failed(answer) {
		class, reason := deadletter.Class(err), deadletter.Reason(err, m.Raw)
		attrs = append(attrs, slog.String("err", reason), slog.String("class", class),
			slog.String("fingerprint", deadletter.Fingerprint(m.Job, class, reason)))
	}
	log.LogAttrs(ctx, slog.LevelInfo, "job answered", attrs...)
}

// message names one message of a call.
func message(m *jobs.Info, batch int) []slog.Attr {
	attrs := make([]slog.Attr, 0, 10)
	attrs = append(attrs, slog.String("queue", m.Queue))
	if m.ID != "" && len(m.ID) <= longestID {
		attrs = append(attrs, slog.String("id", m.ID))
	}
	attrs = append(attrs, slog.Int("receive_count", m.Receives), slog.Int("attempt", m.Attempt))
	if m.GroupID != "" {
		attrs = append(attrs, slog.String("group_id", m.GroupID))
	}
	if batch > 1 {
		attrs = append(attrs, slog.Int("batch", batch))
	}
	return attrs
}

// call names the first message of a call, and how many there are.
func call(ms []*jobs.Info) []slog.Attr {
	if len(ms) == 0 {
		return nil
	}
	return message(ms[0], len(ms))
}
