package dlqreplay_test

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stationmaster/worker/dlqreplay"
	"github.com/stationmaster/worker/localaws"
	"github.com/stationmaster/worker/queue"
)

// sendGroups sends letters 0 to n-1 of each group, the groups by turns.
func (y *yard) sendGroups(n int, groups ...string) {
	y.t.Helper()
	for i := range n {
		for _, g := range groups {
			y.send(queue.Message{Body: fmt.Sprintf("%s%d", g, i), GroupID: g, DeduplicationID: fmt.Sprintf("%s%d", g, i)})
		}
		<-time.After(time.Second)
	}
}

func bodies(t *testing.T, h *dlqreplay.Held) (all []string) {
	t.Helper()
	for _, l := range h.Letters() {
		m, err := h.Message(l)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, m.Body)
	}
	return all
}

func TestAFIFOScanSeesTheHeadOfEachGroupInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		y := newYard(t, "orders-dlq.fifo", localaws.Nasty{})
		y.sendGroups(3, "a", "b")
		y.sendGroups(25, "c")
		h := y.scan(nil)
		// One receive brings ten, and what it brings of a group keeps the rest of it back.
		want := []string{"a0", "a1", "a2", "b0", "b1", "b2", "c0", "c1", "c2", "c3"}
		if diff := cmp.Diff(want, bodies(t, h)); diff != "" {
			t.Errorf("held (-want +got):\n%s", diff)
		}
		p := y.plan(h, nil, dlqreplay.Judge{})
		if p.Complete || p.MessageGroups != 3 || p.Total != 31 || !strings.Contains(p.Why, "10 of 31 in 3 groups") {
			t.Errorf("complete %v, %d groups, total %d, why %q", p.Complete, p.MessageGroups, p.Total, p.Why)
		}
		if back := h.Release(t.Context(), nil); back.Released != 10 {
			t.Errorf("given back: %+v", back)
		}
		y.holds(31, 0)
		again := y.scan(nil) // in the same order
		if diff := cmp.Diff(want, bodies(t, again)); diff != "" {
			t.Errorf("held again (-want +got):\n%s", diff)
		}
		again.Release(t.Context(), nil)
	})
}

func TestAShortFIFOQueueIsSeenWhole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		y := newYard(t, "orders-dlq.fifo", localaws.Nasty{})
		y.sendGroups(5, "a", "b", "c", "d")
		h := y.scan(nil)
		defer h.Release(t.Context(), nil)
		if p := y.plan(h, nil, dlqreplay.Judge{}); !p.Complete || p.Scanned != 20 || p.MessageGroups != 4 || p.Took > 3*time.Second {
			t.Errorf("complete %v (%s), scanned %d in %d groups, in %s", p.Complete, p.Why, p.Scanned, p.MessageGroups, p.Took)
		}
	})
}

// A lost answer would hide its groups for the whole hold; it is asked for again.
func TestALostAnswerOfAFIFOQueueIsAskedForAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		y := newYard(t, "orders-dlq.fifo", localaws.Nasty{})
		y.sendGroups(5, "a", "b", "c", "d")
		var n atomic.Int64
		defer y.server.Control("ReceiveMessage", func(*localaws.Request) *localaws.Fault {
			if n.Add(1) <= 2 {
				return &localaws.Fault{Lose: true}
			}
			return nil
		})()
		h := y.scan(nil)
		defer h.Release(t.Context(), nil)
		if p := y.plan(h, nil, dlqreplay.Judge{}); !p.Complete || p.Scanned != 20 {
			t.Errorf("complete %v (%s), scanned %d", p.Complete, p.Why, p.Scanned)
		}
	})
}

// New groups keep coming, and what is behind the heads stays counted: the scan ends all the same.
func TestAFIFOScanEndsWhileNewGroupsCome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		y := newYard(t, "orders-dlq.fifo", localaws.Nasty{})
		y.sendGroups(25, "a", "b")
		ctx, stop := context.WithCancel(t.Context())
		over := make(chan struct{})
		go func() {
			defer close(over)
			for i := 0; ctx.Err() == nil; i++ {
				id := fmt.Sprint("new", i)
				if _, errs := y.q.Send(ctx, []queue.Message{{Body: id, GroupID: id, DeduplicationID: id}}); errs != nil && ctx.Err() == nil {
					t.Error(errs)
				}
				select {
				case <-ctx.Done():
				case <-time.After(300 * time.Millisecond):
				}
			}
		}()
		h := y.scan(nil)
		stop()
		<-over
		defer h.Release(t.Context(), nil)
		if p := y.plan(h, nil, dlqreplay.Judge{}); p.Took > time.Minute || p.Scanned < 20 {
			t.Errorf("scanned %d in %s, why %q", p.Scanned, p.Took, p.Why)
		}
	})
}
