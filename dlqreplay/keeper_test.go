package dlqreplay_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stationmaster/worker/dlqreplay"
	"github.com/stationmaster/worker/localaws"
)

func TestHoldsAreExtendedForAnHour(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		y := newYard(t, "orders-dlq", localaws.Nasty{})
		sent := y.sendPlain(25)
		h := y.scan(nil)
		for range 60 {
			<-time.After(time.Minute)
			y.holds(0, 25)
		}
		k := dlqreplay.KeeperOf(h)
		if held, lost := k.Counts(); held != 25 || lost != 0 {
			t.Errorf("%d held, %d lost", held, lost)
		}
		if errs := k.Delete(t.Context(), sent[:12]...); errs != nil {
			t.Error(errs)
		}
		y.holds(0, 13)
		if _, held := k.Receipt(sent[0]); held {
			t.Error("a deleted letter is held")
		}
		if n, until := k.Hidden(); n != 13 || time.Until(until) > holdFor || time.Until(until) < holdFor/2 {
			t.Errorf("%d hidden until in %s", n, time.Until(until))
		}
		if back := h.Release(t.Context(), nil); back.Released != 13 {
			t.Errorf("given back: %+v", back)
		}
		y.holds(13, 0)
	})
}
