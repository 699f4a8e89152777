package cli

import (
	"strings"
	"testing"
	"testing/synctest"
)

// The whole story: orders die, a plan says why, a replay before the fix is stopped by its canary, and one
// after it brings them all home.
func TestTheWholeStory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStory(t)
		s.die("orders", append(numberedOrders(60), `{"n":"many"}`, `{"n":"none"}`)...)
		s.lies("orders-dlq", 62)

		plan := s.replay(ExitDone, "orders")
		t.Log("\n" + plan)
		has(t, plan, "orders-dlq  →  orders", "standard · 62 messages · scanned 62 in ",
			"     60  ship  smtp: 535 authentication failed", "60 pass on this build (v1.9.2) · 2 ship still fail: ",
			"62 recorded, all first", "Would replay 60 to orders: canary 5, then 50/s, about 1s with 2m to settle. Nothing sent.",
			"Next:  worker replay-dlq orders --config ", " --group ")
		s.lies("orders-dlq", 62)

		s.broken.Store(true)
		stop := s.work()
		stopped := s.replay(exitStopped, "orders", "--not-class", "decode", "--go", "--yes")
		t.Log("\n" + stopped)
		has(t, stopped, "Stopped. 5 of 60 sent, 55 untouched and released.", "returned from build v1.9.2", "smtp: 535 authentication failed",
			"worker replay-dlq resume r-")
		s.lies("orders-dlq", 62)

		s.broken.Store(false)
		done := s.replay(exitLeft, "orders", "--go", "--yes")
		t.Log("\n" + done)
		has(t, done, "60 replayed · 0 failed · 0 returned in 2m · 0 ambiguous", "2 in orders-dlq · 2 of them matched and were skipped")
		s.lies("orders-dlq", 2)
		s.lies("orders", 0)
		stop()
		if n := s.shipped.Load(); n != 60 {
			t.Errorf("%d shipped", n)
		}
		history := s.replay(ExitDone, "history")
		t.Log("\n" + history)
		if strings.Count(history, "\n") != 3 {
			t.Errorf("history:\n%s", history)
		}
	})
}
