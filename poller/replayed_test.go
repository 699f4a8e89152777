package poller_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stationmaster/worker/deadletter"
	"github.com/stationmaster/worker/jobs"
	"github.com/stationmaster/worker/poller"
	"github.com/stationmaster/worker/queue"
	"github.com/stationmaster/worker/retry"
)

// with puts a record on a message of a fake queue.
func with(t *testing.T, r deadletter.Record) func(*fakeMessage) {
	return func(m *fakeMessage) {
		if err := r.Write(&m.m); err != nil {
			t.Error(err)
		}
	}
}

func dead(deaths int) deadletter.Record {
	return deadletter.Record{
		V: 1, ID: "job-1", Deaths: deaths, Class: "timeout", Fingerprint: "abcdef",
		FirstReceived: time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC),
	}
}

func TestAReplayedMessageThatDiesAgainCountsItsDeaths(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		by := deadletter.Replay{ID: "r-1", By: "ada", FromID: "old"}
		r := start(t, func(context.Context, *jobs.Message[string]) error { return retry.Never(errBoom) }, nil)
		r.q.set(func(q *fakeQueue) {
			m := &fakeMessage{id: "new", m: queue.Message{Body: `"x"`}, visible: time.Now()}
			with(t, dead(2).Replayed(by))(m)
			q.messages = append(q.messages, m)
		})
		pass(time.Minute)
		r.drain()
		sent := r.dead.all()
		if len(sent) != 1 {
			t.Fatalf("%d dead letters, want 1", len(sent))
		}
		got, ok := deadletter.Read(&sent[0])
		equal(t, "read", ok, true)
		equal(t, "failed", got.Failed(), true)
		equal(t, "id", got.ID, "job-1")
		equal(t, "origin id", got.OriginID, "new")
		equal(t, "deaths", got.Deaths, 3)
		equal(t, "first received", got.FirstReceived, dead(2).FirstReceived)
		if diff := cmp.Diff(&by, got.Replay); diff != "" {
			t.Error(diff)
		}
	})
}

// TestAMarkExplainsNoReceives: what takes a worker down with it does so after a replay too.
func TestAMarkExplainsNoReceives(t *testing.T) {
	for name, row := range map[string]struct {
		record   deadletter.Record
		suspects int
	}{
		"a mark":          {dead(1).Replayed(deadletter.Replay{ID: "r-1"}), 1},
		"a producer's id": {deadletter.Record{V: 1, ID: "job-1"}, 1},
		"a dead letter":   {dead(1), 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := start(t, func(context.Context, *jobs.Message[string]) error { return nil },
					func(o *poller.Options) { o.Suspects, o.SuspectAfter = poller.NewLane(), 5 })
				r.q.set(func(q *fakeQueue) {
					m := &fakeMessage{id: "new", m: queue.Message{Body: `"x"`}, visible: time.Now(), receives: 7}
					with(t, row.record)(m)
					q.messages = append(q.messages, m)
				})
				pass(time.Minute)
				r.drain()
				equal(t, "named", r.noted(poller.Suspect), row.suspects)
				equal(t, "deleted", len(r.q.deleted), 1)
			})
		})
	}
}
