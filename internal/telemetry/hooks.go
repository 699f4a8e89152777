package telemetry

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
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
	if got > 0 { // also beside an error, which is then about the rest
		q.count.received.Add(int64(got))
		q.t.instruments.received.Add(ctx, int64(got), q.attributes.queue)
	}
	if err != nil {
		q.consecutive.empty.Store(0)
		q.consecutive.failed.Add(1)
		q.t.instruments.receiveErrors.Add(ctx, 1, q.attributes.queue)
		q.log.LogAttrs(ctx, slog.LevelWarn, "receive failed: polling goes on", slog.Any("err", err))
		return
	}
	if n := q.consecutive.failed.Swap(0); n > 0 {
		q.log.LogAttrs(ctx, slog.LevelInfo, "receive works again")
	}
	if got > 0 {
		q.consecutive.empty.Store(0)
	} else {
		q.consecutive.empty.Add(1)
	}
}

func (q *Queue) started(ctx context.Context, d *queue.Delivery, info *jobs.Info) context.Context {
	if !d.Sent.IsZero() {
		q.t.instruments.dwell.Record(ctx, max(0, d.Received.Sub(d.Sent)).Seconds(), q.attributes.queue)
	}
	return q.startSpan(ctx, d, info)
}

func (q *Queue) finished(ctx context.Context, d *queue.Delivery, info *jobs.Info, o poller.Outcome) {
	outcome := outcomeOf(o)
	var why deadletter.Record
	if failed(outcome) {
		why = deadletter.New(d, deadletter.Death{Job: q.job(info), Queue: q.o.Name, Now: time.Now()}, o.Err)
	}
	endSpan(ctx, outcome, o.Attempt, why.Reason)
	q.t.instruments.process.Record(ctx, o.Took.Seconds(), q.attributes.outcome(outcome))
	log, elapsed := q.logger(info), slog.Duration("elapsed", o.Took)
	switch outcome {
	case done:
		q.count.done.Add(1)
		if log.Enabled(ctx, slog.LevelDebug) {
			log.LogAttrs(ctx, slog.LevelDebug, "job done", delivery(d, info, elapsed)...)
		}
	case later:
		log.LogAttrs(ctx, slog.LevelInfo, "job asked for another time: the message comes back", delivery(d, info, elapsed, delayOf(o))...)
	case retried:
		q.count.retried.Add(1)
		log.LogAttrs(ctx, slog.LevelWarn, "job failed: the message comes back", failure(d, info, o, why, delayOf(o))...)
	case rested:
		q.count.retried.Add(1)
		log.LogAttrs(ctx, slog.LevelWarn, "job asked for a pause: the queue rests here", failure(d, info, o, why, slog.Time("until", o.Decision.Until))...)
	case died:
		log.LogAttrs(ctx, slog.LevelError, "job failed for good: the message goes to the dead-letter queue", failure(d, info, o, why)...)
	case returned:
		log.LogAttrs(ctx, slog.LevelInfo, "job interrupted: the message comes back",
			delivery(d, info, elapsed, slog.String("reason", string(o.Returned)))...)
	}
}

func delayOf(o poller.Outcome) slog.Attr {
	return slog.Duration("delay", o.Decision.Delay.Round(time.Millisecond))
}

// job is the name of the job that had a message, where it has been found; a queue may have several.
func (q *Queue) job(info *jobs.Info) string {
	if info == nil || info.Job == "" {
		return q.o.Job
	}
	return info.Job
}

// logger is the queue's, naming the one job that had the message.
func (q *Queue) logger(info *jobs.Info) *slog.Logger {
	job := q.job(info)
	if job == q.o.Job {
		return q.log
	}
	return q.t.log.With("queue", q.o.Name, "job", job)
}

// failure describes a failed run: which delivery, for how long, why, and the class and fingerprint
// by which a dead letter of the same failure is found. Why is the reason as a template: the error's
// own text may quote the message.
func failure(d *queue.Delivery, info *jobs.Info, o poller.Outcome, why deadletter.Record, more ...slog.Attr) []slog.Attr {
	attrs := delivery(d, info, slog.Int("attempt", o.Attempt), slog.Duration("elapsed", o.Took), slog.String("err", why.Reason),
		slog.String("class", why.Class), slog.String("fingerprint", why.Fingerprint))
	attrs = append(attrs, more...)
	if p, ok := errors.AsType[*jobs.PanicError](o.Err); ok {
		attrs = append(attrs, slog.String("stack", string(p.Stack)))
	}
	return attrs
}

// delivery names one delivery. The queue's own message_id is not what publish printed, where the
// message came by a topic or from a dead-letter queue: then its stable id stands beside it.
func delivery(d *queue.Delivery, info *jobs.Info, more ...slog.Attr) []slog.Attr {
	attrs := make([]slog.Attr, 0, 5+len(more))
	const longest = 100 // AWS's are 36; a sender may write anything
	if info != nil && info.ID != d.MessageID && info.ID != "" && len(info.ID) <= longest {
		attrs = append(attrs, slog.String("id", info.ID))
	}
	attrs = append(attrs, slog.String("message_id", d.MessageID), slog.Int("receive_count", d.Receives))
	if d.GroupID != "" {
		attrs = append(attrs, slog.String("group_id", d.GroupID))
	}
	return append(attrs, more...)
}

func (q *Queue) settled(ctx context.Context, d *queue.Delivery, did poller.Settlement, err error) {
	if err != nil {
		q.log.LogAttrs(ctx, slog.LevelWarn, "settle failed", delivery(d, nil, slog.String("settlement", did.String()), slog.Any("err", err))...)
		return
	}
	switch did {
	case poller.Deleted:
		q.count.deleted.Add(1)
	case poller.Released:
		q.count.released.Add(1)
	case poller.DeadLettered:
		q.count.deadLettered.Add(1)
		q.log.LogAttrs(ctx, slog.LevelInfo, "dead-lettered", delivery(d, nil)...)
	case poller.Hidden:
	}
}

func (q *Queue) extended(ctx context.Context, n int, err error) {
	failures := each(err)
	if extended := int64(n - len(failures)); extended > 0 {
		q.count.extended.Add(extended)
		q.t.instruments.extensions.Add(ctx, extended, q.attributes.queue)
	}
	if err != nil {
		q.log.LogAttrs(ctx, slog.LevelWarn, "extend visibility failed: it is tried again while the lease lasts",
			slog.Int("failed", len(failures)), slog.String("err", distinct(failures)))
	}
}

// each takes a joined error apart: one for each entry that failed.
func each(err error) []error {
	if err == nil {
		return nil
	}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		return joined.Unwrap()
	}
	return []error{err}
}

// distinct says each text once: the entries of a request that failed have one and the same.
func distinct(errs []error) string {
	var texts []string
	for _, err := range errs {
		if text := err.Error(); !slices.Contains(texts, text) {
			texts = append(texts, text)
		}
	}
	return strings.Join(texts, "; ")
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
		attrs = delivery(d, nil, attrs...)
	}
	q.log.LogAttrs(ctx, level, string(what), attrs...) //nolint:sloglint // the notes are constants of package poller
}

// Outcomes, as they appear in metrics and spans.
const (
	done     = "done"
	later    = "later" // nothing failed: the job asked for another time
	retried  = "retried"
	rested   = "rested"
	died     = "dead_lettered"
	returned = "returned"
)

var outcomes = []string{done, later, retried, rested, died, returned}

// failed tells the outcomes of a job that answered with an error.
func failed(outcome string) bool { return outcome == retried || outcome == rested || outcome == died }

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
	case !o.Decision.Spends:
		return later
	}
	return retried
}
