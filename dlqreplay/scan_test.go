package dlqreplay_test

import (
	"slices"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/stationmaster/worker/dlqreplay"
	"github.com/stationmaster/worker/localaws"
)

func TestScanHoldsEveryLetterOnceAndGivesAllBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		y := newYard(t, "orders-dlq", localaws.Nasty{})
		sent := y.sendPlain(537)
		h := y.scan(nil)
		got := ids(h.Letters())
		slices.Sort(got)
		slices.Sort(sent)
		if diff := cmp.Diff(sent, got); diff != "" {
			t.Errorf("held (-want +got):\n%s", diff)
		}
		for _, l := range h.Letters() {
			if l.Receives != 1 {
				t.Fatalf("%s was received %d times", l.MessageID, l.Receives)
			}
		}
		y.holds(0, 537)
		p := y.plan(h, nil, dlqreplay.Judge{})
		if !p.Complete || p.Scanned != 537 || p.Total != 537 || len(p.Selected) != 537 {
			t.Errorf("plan: complete %v (%s), scanned %d of %d, selected %d", p.Complete, p.Why, p.Scanned, p.Total, len(p.Selected))
		}
		back := h.Release(t.Context(), nil)
		if back.Released != 537 || back.Hidden != 0 || back.Gone != 0 {
			t.Errorf("given back: %+v", back)
		}
		y.holds(537, 0)
	})
}
