package telemetry_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stationmaster/worker/deadletter"
	"github.com/stationmaster/worker/internal/telemetry"
	"github.com/stationmaster/worker/jobs"
	"github.com/stationmaster/worker/poller"
	"github.com/stationmaster/worker/queue"
	"github.com/stationmaster/worker/retry"
)

// errAda is the error of a job that quotes its message, and fingerprint that of the dead letter.
var (
	errAda      = errors.New("no mailbox for ada@example.com")
	fingerprint = deadletter.Fingerprint("mail", "error", "no mailbox for <body>")
)

// about is a record with what every record of the queue has.
func about(level, msg string, more map[string]any) map[string]any {
	r := map[string]any{"level": level, "msg": msg, "queue": "email", "job": "mail"}
	maps.Copy(r, more)
	return r
}

// of is about with what every record of a delivery has.
func of(level, msg string, more map[string]any) map[string]any {
	r := about(level, msg, map[string]any{"message_id": "m-1", "receive_count": 2.0})
	maps.Copy(r, more)
	return r
}

func TestHooksWriteOneRecordForWhatAnOperatorWantsToKnow(t *testing.T) {
	const took = 1500 * time.Millisecond
	until := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	finish := func(o poller.Outcome) func(*testing.T, poller.Hooks) {
		return func(t *testing.T, h poller.Hooks) {
			o.Took, o.Attempt = took, 1
			h.Finished(t.Context(), delivery(), &jobs.Info{Job: "mail"}, o)
		}
	}
	settle := func(did poller.Settlement, err error) func(*testing.T, poller.Hooks) {
		return func(t *testing.T, h poller.Hooks) { h.Settled(t.Context(), delivery(), did, err) }
	}
	note := func(what poller.Note, err error) func(*testing.T, poller.Hooks) {
		return func(t *testing.T, h poller.Hooks) { h.Note(t.Context(), delivery(), what, err) }
	}
	failed := map[string]any{"elapsed": float64(took), "attempt": 1.0, "err": "no mailbox for <body>", "class": "error", "fingerprint": fingerprint}
	and := func(more map[string]any) map[string]any {
		all := maps.Clone(failed)
		maps.Copy(all, more)
		return all
	}
	reset := errors.New("connection reset")
	for _, tt := range []struct {
		name string
		hook func(*testing.T, poller.Hooks)
		want []map[string]any
	}{
		{"received", func(t *testing.T, h poller.Hooks) { h.Received(t.Context(), 10, 3, took, nil) }, nil},
		{"receive failed, and works again", func(t *testing.T, h poller.Hooks) {
			for _, err := range []error{reset, reset, nil, nil} {
				h.Received(t.Context(), 10, 0, took, err)
			}
		}, []map[string]any{
			about("WARN", "receive failed: polling goes on", map[string]any{"err": "connection reset"}),
			about("WARN", "receive failed: polling goes on", map[string]any{"err": "connection reset"}),
			about("INFO", "receive works again", nil),
		}},
		{"done", finish(poller.Outcome{}), []map[string]any{of("DEBUG", "job done", map[string]any{"elapsed": float64(took)})}},
		{
			"retried", finish(poller.Outcome{Err: errAda, Decision: retry.Decision{Action: retry.Again, Delay: 2 * time.Second, Spends: true}}),
			[]map[string]any{of("WARN", "job failed: the message comes back", and(map[string]any{"delay": float64(2 * time.Second)}))},
		},
		{
			"later", finish(poller.Outcome{Err: retry.After(nil, time.Minute), Decision: retry.Decision{Action: retry.Again, Delay: time.Minute}}),
			[]map[string]any{of("INFO", "job asked for another time: the message comes back", map[string]any{"elapsed": float64(took), "delay": float64(time.Minute)})},
		},
		{
			"rested", finish(poller.Outcome{Err: errAda, Decision: retry.Decision{Action: retry.Rest, Until: until}}),
			[]map[string]any{of("WARN", "job asked for a pause: the queue rests here", and(map[string]any{"until": "2026-01-02T03:04:05Z"}))},
		},
		{
			"died", finish(poller.Outcome{Err: errAda, Decision: retry.Decision{Action: retry.DeadLetter}}),
			[]map[string]any{of("ERROR", "job failed for good: the message goes to the dead-letter queue", failed)},
		},
		{
			"died, and came by a topic", func(t *testing.T, h poller.Hooks) {
				o := poller.Outcome{Err: errAda, Took: took, Attempt: 1, Decision: retry.Decision{Action: retry.DeadLetter}}
				h.Finished(t.Context(), delivery(), &jobs.Info{Job: "mail", ID: "what-publish-printed"}, o)
				h.Finished(t.Context(), delivery(), &jobs.Info{Job: "mail", ID: "m-1"}, o)
				h.Finished(t.Context(), delivery(), &jobs.Info{Job: "mail", ID: strings.Repeat("x", 101)}, o)
			},
			[]map[string]any{
				of("ERROR", "job failed for good: the message goes to the dead-letter queue", and(map[string]any{"id": "what-publish-printed"})),
				of("ERROR", "job failed for good: the message goes to the dead-letter queue", failed),
				of("ERROR", "job failed for good: the message goes to the dead-letter queue", failed),
			},
		},
		{
			"panicked", finish(poller.Outcome{Err: &jobs.PanicError{Value: "boom", Stack: []byte("goroutine 1")}, Decision: retry.Decision{Action: retry.Again, Spends: true}}),
			[]map[string]any{of("WARN", "job failed: the message comes back", map[string]any{
				"elapsed": float64(took), "attempt": 1.0, "err": "panic: boom", "class": "panic", "fingerprint": deadletter.Fingerprint("mail", "panic", "panic: boom"), "delay": 0.0, "stack": "goroutine 1",
			})},
		},
		{
			"returned", finish(poller.Outcome{Err: context.Canceled, Returned: poller.WhyDrain}),
			[]map[string]any{of("INFO", "job interrupted: the message comes back", map[string]any{"elapsed": float64(took), "reason": "drain"})},
		},
		{"deleted", settle(poller.Deleted, nil), nil},
		{"hidden", settle(poller.Hidden, nil), nil},
		{"released", settle(poller.Released, nil), nil},
		{"dead-lettered", settle(poller.DeadLettered, nil), []map[string]any{of("INFO", "dead-lettered", nil)}},
		{"settle failed", settle(poller.Released, reset), []map[string]any{of("WARN", "settle failed", map[string]any{"settlement": "released", "err": "connection reset"})}},
		{"extended", func(t *testing.T, h poller.Hooks) { h.Extended(t.Context(), 3, nil) }, nil},
		{"extended in part", func(t *testing.T, h poller.Hooks) {
			h.Extended(t.Context(), 5, errors.Join(reset, reset, errors.New("no")))
		}, []map[string]any{about("WARN", "extend visibility failed: it is tried again while the lease lasts", map[string]any{"failed": 3.0, "err": "connection reset; no"})}},
		{"not extended", func(t *testing.T, h poller.Hooks) { h.Extended(t.Context(), 1, reset) }, []map[string]any{
			about("WARN", "extend visibility failed: it is tried again while the lease lasts", map[string]any{"failed": 1.0, "err": "connection reset"}),
		}},
		{"a note", note(poller.LeaseLost, reset), []map[string]any{of("WARN", "lease lost", map[string]any{"err": "connection reset"})}},
		{"a note for the curious", note(poller.Adopted, nil), []map[string]any{of("DEBUG", "adopted", nil)}},
		{"a note by the way", note(poller.AlreadyDone, nil), []map[string]any{of("INFO", "already done", nil)}},
		{"a note that hurts", note(poller.NotDeadLettered, reset), []map[string]any{of("ERROR", "not dead-lettered", map[string]any{"err": "connection reset"})}},
		{"a note of no delivery", func(t *testing.T, h poller.Hooks) { h.Note(t.Context(), nil, poller.BreakerOpened, nil) }, []map[string]any{about("WARN", "breaker opened", nil)}},
		{"returned untouched", func(t *testing.T, h poller.Hooks) { h.Returned(t.Context(), delivery(), poller.WhyPaused) }, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			k := newKit(t)
			tt.hook(t, k.email().Hooks())
			want := tt.want
			if want == nil {
				want = []map[string]any{}
			}
			if diff := cmp.Diff(want, k.book.Take(t)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestARecordNamesTheGroupAndTheJobOfTheMessage(t *testing.T) {
	k := newKit(t)
	q := k.Queue(telemetry.QueueOptions{Name: "email.fifo", Job: "leave,mail", Slots: 1})
	d := delivery()
	d.GroupID = "ada"
	o := poller.Outcome{Err: errAda, Decision: retry.Decision{Action: retry.DeadLetter}}
	q.Hooks().Finished(t.Context(), d, &jobs.Info{Job: "mail"}, o)
	q.Hooks().Finished(t.Context(), d, &jobs.Info{}, o)
	records := k.book.Take(t)
	if len(records) != 2 {
		t.Fatal(records)
	}
	// The fingerprint is that of the dead letter, and so of the job that failed.
	for i, want := range []map[string]any{
		{"queue": "email.fifo", "job": "mail", "group_id": "ada", "fingerprint": fingerprint},
		{"queue": "email.fifo", "job": "leave,mail", "group_id": "ada", "fingerprint": records[1]["fingerprint"]},
	} {
		for key, v := range want {
			if records[i][key] != v {
				t.Errorf("record %d: %s is %v, want %v", i, key, records[i][key], v)
			}
		}
	}
	if records[0]["fingerprint"] == records[1]["fingerprint"] {
		t.Error("two jobs have one fingerprint")
	}
}

func TestWithoutALoggerAndAnSDKTheCountersCount(t *testing.T) {
	silent, err := telemetry.New(telemetry.Options{})
	if err != nil {
		t.Fatal(err)
	}
	q := silent.Queue(telemetry.QueueOptions{Name: "email", Job: "mail", Slots: 1})
	h := q.Hooks()
	ctx := h.Started(t.Context(), delivery(), &jobs.Info{})
	h.Finished(ctx, delivery(), &jobs.Info{}, poller.Outcome{Err: errAda, Decision: retry.Decision{Action: retry.Again, Spends: true}})
	if got := q.Counters().Retried; got != 1 {
		t.Errorf("%d retried", got)
	}
}

func TestCountersAndMetricsCountByOutcome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKit(t)
		q := k.email()
		h := q.Hooks()
		h.Received(t.Context(), 10, 7, time.Second, nil)
		h.Received(t.Context(), 10, 2, time.Second, errors.New("1 of 3 messages do not match their MD5"))
		h.Received(t.Context(), 10, 0, time.Second, errors.New("no"))
		for outcome, o := range map[string]poller.Outcome{
			"done":    {},
			"later":   {Err: retry.After(nil, 0), Decision: retry.Decision{Action: retry.Again}},
			"retried": {Err: errAda, Decision: retry.Decision{Action: retry.Again, Spends: true}},
			"rested":  {Err: errAda, Decision: retry.Decision{Action: retry.Rest}},
			"died":    {Err: errAda, Decision: retry.Decision{Action: retry.DeadLetter, Spends: true}},
			"drained": {Err: errAda, Returned: poller.WhyDrain},
		} {
			o.Took = 2 * time.Second
			if outcome == "done" {
				o.Took = 5 * time.Second
			}
			h.Finished(h.Started(t.Context(), delivery(), &jobs.Info{}), delivery(), &jobs.Info{}, o)
		}
		for did, n := range map[poller.Settlement]int{poller.Deleted: 5, poller.Released: 3, poller.DeadLettered: 2, poller.Hidden: 4} {
			for range n {
				h.Settled(t.Context(), delivery(), did, nil)
			}
			h.Settled(t.Context(), delivery(), did, errors.New("no"))
		}
		h.Extended(t.Context(), 10, nil)
		h.Extended(t.Context(), 4, errors.Join(queue.Each(errors.New("no"), 3)...))
		h.Extended(t.Context(), 1, errors.New("no"))
		for what, n := range map[poller.Note]int{poller.LeaseLost: 2, poller.Uncertain: 1, poller.NotDeleted: 3, poller.Adopted: 9} {
			for range n {
				h.Note(t.Context(), delivery(), what, nil)
			}
		}
		h.Returned(t.Context(), delivery(), poller.WhyPaused)
		h.Returned(t.Context(), delivery(), poller.WhyPaused)
		h.Returned(t.Context(), delivery(), poller.WhyDrain)
		if diff := cmp.Diff(telemetry.Counters{
			Received: 9, Done: 1, Deleted: 5, Retried: 2, DeadLettered: 2, LeaseLost: 2, Released: 3, Extended: 11, Uncertain: 1, NotDeleted: 3,
			Returned: map[string]int64{"paused": 2, "drain": 1},
		}, q.Counters()); diff != "" {
			t.Error(diff)
		}
		const on = "messaging.destination.name=email messaging.operation.name="
		process := func(outcome, kind string) string {
			if kind != "" {
				kind = "error.type=" + kind + " "
			}
			return "messaging.process.duration " + kind + on + "process messaging.system=aws_sqs worker.job=mail worker.outcome=" + outcome
		}
		if diff := cmp.Diff(map[string]float64{
			"messaging.client.consumed.messages " + on + "receive messaging.system=aws_sqs": 9,
			"worker.receive.errors " + on + "receive messaging.system=aws_sqs":              2,
			"worker.lease.extensions " + on + "receive messaging.system=aws_sqs":            11,
			"worker.dwell " + on + "receive messaging.system=aws_sqs":                       18, // six times three seconds
			process("done", ""): 5, process("later", ""): 2, process("returned", ""): 2, process("retried", "retried"): 2,
			process("rested", "rested"): 2, process("dead_lettered", "dead_lettered"): 2,
		}, k.measured(t)); diff != "" {
			t.Error(diff)
		}
	})
}

func TestEmptyPollsAreCountedInARow(t *testing.T) {
	k := newKit(t)
	q := k.email()
	h := q.Hooks()
	for i, step := range []struct {
		got  int
		err  error
		want int
	}{{0, nil, 1}, {0, nil, 2}, {3, nil, 0}, {0, nil, 1}, {0, errAda, 0}, {0, nil, 1}} {
		h.Received(t.Context(), 10, step.got, 0, step.err)
		if got := q.EmptyPolls(); got != step.want {
			t.Errorf("step %d: %d in a row, want %d", i, got, step.want)
		}
	}
}

func TestHooksMayBeCalledByManyAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKit(t)
		q := k.email()
		h := q.Hooks()
		for i := range 8 {
			go func() {
				for range 100 {
					h.Received(t.Context(), 1, 1, 0, nil)
					ctx := h.Started(t.Context(), delivery(), &jobs.Info{})
					h.Finished(ctx, delivery(), &jobs.Info{Job: fmt.Sprint("job", i%2)}, poller.Outcome{Err: errAda, Decision: retry.Decision{Spends: true, Action: retry.Again}})
					h.Settled(ctx, delivery(), poller.Deleted, nil)
					h.Returned(ctx, delivery(), poller.WhyDrain)
				}
			}()
			go k.Status(t.Context())
		}
		synctest.Wait()
		if got := q.Counters(); got.Received != 800 || got.Retried != 800 || got.Deleted != 800 || got.Returned["drain"] != 800 {
			t.Errorf("counters %+v", got)
		}
	})
}
