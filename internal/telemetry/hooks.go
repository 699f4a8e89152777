package telemetry

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/stationmaster/worker/deadletter"
	"github.com/stationmaster/worker/jobs"
	"github.com/stationmaster/worker/poller"
	"github.com/stationmaster/worker/queue"
	"github.com/stationmaster/worker/retry"
)

// Hooks are what the queue's poller calls.
func (q *Queue) Hooks() poller.Hooks {
	return poller.Hooks{
		Received: q.received,
		Started:  q.started,
		Finished: q.finished,
		Settled:  q.settled,
		Extended: q.extended,
		Returned: q.returned,
		Note:     q.note,
	}
}

func (q *Queue) received(ctx context.Context, _, got int, _ time.Duration, err error) {
	q.count.received.Add(int64(got))
	if err != nil {
		q.consecutive.empty.Store(0)
		q.consecutive.failed.Add(1)
		q.t.instruments.receiveErrors.Add(ctx, 1, q.attributes.queue)
		q.log.LogAttrs(ctx, slog.LevelWarn, "receive failed: polling goes on", slog.Any("err", err))
		return
	}
	if failed := q.consecutive.failed.Swap(0); failed > 0 {
		q.log.LogAttrs(ctx, slog.LevelInfo, "receive works again")
	}
	if got > 0 {
		q.consecutive.empty.Store(0)
		q.t.instruments.received.Add(ctx, int64(got), q.attributes.queue)
	} else {
		q.consecutive.empty.Add(1)
	}
}

func (q *Queue) started(ctx context.Context, d *queue.Delivery, info *jobs.Info) context.Context {
	if !d.Sent.IsZero() {
		q.t.instruments.dwell.Record(ctx, max(0, time.Since(d.Sent)).Seconds(), q.attributes.queue)
	}
	return q.startSpan(ctx, d, info)
}

func (q *Queue) finished(ctx context.Context, d *queue.Delivery, _ *jobs.Info, o poller.Outcome) {
	outcome := outcomeOf(o)
	endSpan(ctx, outcome, o)
	q.t.instruments.process.Record(ctx, o.Took.Seconds(), q.attributes.outcome(outcome))
	switch outcome {
	case done:
		q.count.done.Add(1)
		if q.log.Enabled(ctx, slog.LevelDebug) {
			q.log.LogAttrs(ctx, slog.LevelDebug, "job done", delivery(d, slog.Duration("elapsed", o.Took))...)
		}
	case retried:
		q.count.retried.Add(1)
		q.log.LogAttrs(ctx, slog.LevelWarn, "job failed: the message comes back",
			q.failure(d, o, slog.Duration("delay", o.Decision.Delay.Round(time.Millisecond)))...)
	case rested:
		q.count.retried.Add(1)
		q.log.LogAttrs(ctx, slog.LevelWarn, "job asked for a pause: the queue rests here",
			q.failure(d, o, slog.Time("until", o.Decision.Until))...)
	case died:
		q.log.LogAttrs(ctx, slog.LevelError, "job failed for good: the message goes to the dead-letter queue", q.failure(d, o)...)
	case returned:
		q.log.LogAttrs(ctx, slog.LevelInfo, "job interrupted: the message comes back",
			delivery(d, slog.Duration("elapsed", o.Took), slog.String("reason", string(o.Returned)))...)
	}
}

// failure describes a failed run: which delivery, for how long, why, and the class and fingerprint
// by which a dead letter of the same failure is found.
func (q *Queue) failure(d *queue.Delivery, o poller.Outcome, more ...slog.Attr) []slog.Attr {
	record := deadletter.New(d, deadletter.Death{Job: q.o.Job, Queue: q.o.Name, Now: time.Now()}, o.Err)
	attrs := delivery(d, slog.Int("attempt", o.Attempt), slog.Duration("elapsed", o.Took), slog.Any("err", o.Err),
		slog.String("class", record.Class), slog.String("fingerprint", record.Fingerprint))
	attrs = append(attrs, more...)
	if p, ok := errors.AsType[*jobs.PanicError](o.Err); ok {
		attrs = append(attrs, slog.String("stack", string(p.Stack)))
	}
	return attrs
}

// delivery names one delivery.
func delivery(d *queue.Delivery, more ...slog.Attr) []slog.Attr {
	attrs := make([]slog.Attr, 0, 4+len(more))
	attrs = append(attrs, slog.String("message_id", d.MessageID), slog.Int("receive_count", d.Receives))
	if d.GroupID != "" {
		attrs = append(attrs, slog.String("group_id", d.GroupID))
	}
	return append(attrs, more...)
}

func (q *Queue) settled(ctx context.Context, d *queue.Delivery, did poller.Settlement, err error) {
	if err != nil {
		q.log.LogAttrs(ctx, slog.LevelWarn, "settle failed", delivery(d, slog.String("settlement", did.String()), slog.Any("err", err))...)
		return
	}
	switch did {
	case poller.Deleted:
		q.count.deleted.Add(1)
	case poller.Released:
		q.count.released.Add(1)
	case poller.DeadLettered:
		q.count.deadLettered.Add(1)
		q.log.LogAttrs(ctx, slog.LevelInfo, "dead-lettered", delivery(d)...)
	case poller.Hidden:
	}
}

func (q *Queue) extended(ctx context.Context, n int, err error) {
	q.count.extended.Add(int64(n))
	q.t.instruments.extensions.Add(ctx, int64(n), q.attributes.queue)
	if err != nil {
		q.log.LogAttrs(ctx, slog.LevelWarn, "extend visibility failed: it is tried again while the lease lasts", slog.Any("err", err))
	}
}

// returned counts what went back without an attempt, by reason: the difference between receives and
// attempts, and what a worker that makes no headway does instead.
func (q *Queue) returned(_ context.Context, _ *queue.Delivery, why poller.Why) {
	q.count.returned.add(string(why))
}

// levels of the notes; what is not named is a warning.
var levels = map[poller.Note]slog.Level{
	poller.Adopted:         slog.LevelDebug,
	poller.AlreadyDone:     slog.LevelInfo,
	poller.NotDeadLettered: slog.LevelError,
	poller.Recovered:       slog.LevelError,
	poller.NotExtendable:   slog.LevelError,
}

func (q *Queue) note(ctx context.Context, d *queue.Delivery, what poller.Note, err error) {
	switch what {
	case poller.LeaseLost:
		q.count.leaseLost.Add(1)
	case poller.Uncertain:
		q.count.uncertain.Add(1)
	case poller.NotDeleted:
		q.count.notDeleted.Add(1)
	default:
	}
	level, named := levels[what]
	if !named {
		level = slog.LevelWarn
	}
	var attrs []slog.Attr
	if err != nil {
		attrs = append(attrs, slog.Any("err", err))
	}
	if d != nil {
		attrs = delivery(d, attrs...)
	}
	q.log.LogAttrs(ctx, level, string(what), attrs...) //nolint:sloglint // the notes are constants of package poller
}

// Outcomes, as they appear in metrics and spans.
const (
	done     = "done"
	retried  = "retried"
	rested   = "rested"
	died     = "dead_lettered"
	returned = "returned"
)

func outcomeOf(o poller.Outcome) string {
	switch {
	case o.Returned != "":
		return returned
	case o.Err == nil:
		return done
	case o.Decision.Action == retry.DeadLetter:
		return died
	case o.Decision.Action == retry.Rest:
		return rested
	}
	return retried
}
