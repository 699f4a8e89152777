package poller_test

import (
	"context"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stationmaster/worker/deadletter"
	"github.com/stationmaster/worker/jobs"
	"github.com/stationmaster/worker/poller"
)

// TestAJobThatEndsItsGoroutineHasFailed: else its lease would be kept for as long as SQS lets it.
func TestAJobThatEndsItsGoroutineHasFailed(t *testing.T) {
	for name, prefetch := range map[string]int{"plain": 0, "with deliveries held ready": 4} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var runs atomic.Int32
				r := start(t, func(_ context.Context, m *jobs.Message[string]) error {
					runs.Add(1)
					if m.Body == "bad" {
						runtime.Goexit()
					}
					return nil
				}, func(o *poller.Options) { o.Slots, o.Prefetch = 2, prefetch })
				r.q.put(`"bad"`, `"good"`, `"bad"`, `"good"`, `"good"`)
				pass(10 * time.Minute)
				equal(t, "busy", r.p.State().Busy, 0)
				report := r.drain()
				equal(t, "abandoned", report.Abandoned, 0)
				equal(t, "runs", runs.Load(), 3+2*3) // three attempts each
				equal(t, "deleted", len(r.q.deleted), 5)
				sent := r.dead.all()
				equal(t, "dead letters", len(sent), 2)
				for i := range sent {
					record, _ := deadletter.Read(&sent[i])
					equal(t, "class", record.Class, "goexit")
				}
			})
		})
	}
}

func TestAJobThatEndsItsLanesGoroutineStopsItsGroupOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var j journal
		var ended atomic.Bool
		r := start(t, func(_ context.Context, m *jobs.Message[string]) error {
			j.note(m.GroupID, m.Body)
			if m.Body == "a1" && !ended.Swap(true) {
				runtime.Goexit()
			}
			return nil
		}, fifo)
		r.q.putGroup("a", `"a0"`, `"a1"`, `"a2"`, `"a3"`)
		r.q.putGroup("b", `"b0"`, `"b1"`)
		pass(5 * time.Minute)
		report := r.drain()
		equal(t, "abandoned", report.Abandoned, 0)
		if got, want := j.of("a"), []string{"a0", "a1", "a1", "a2", "a3"}; !slices.Equal(got, want) {
			t.Errorf("group a ran %v, want %v", got, want)
		}
		if got, want := j.of("b"), []string{"b0", "b1"}; !slices.Equal(got, want) {
			t.Errorf("group b ran %v, want %v", got, want)
		}
		equal(t, "deleted", len(r.q.deleted), 6)
	})
}
