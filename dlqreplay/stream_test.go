package dlqreplay_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stationmaster/worker/dlqreplay"
	"github.com/stationmaster/worker/queue"
)

// streaming holds at most 100 letters, and goes on behind them.
func (d *depot) streaming(f dlqreplay.Filter) dlqreplay.Options {
	d.t.Helper()
	o := d.begin()
	o.Held.Release(d.t.Context(), nil)
	o.Held = d.scan(func(s *dlqreplay.ScanOptions) { s.Budget = 100 })
	o.Filter, o.Stream = f, true
	o.Plan = d.plan(o.Held, f, d.judge())
	return o
}

func TestAStreamGoesBeyondWhatCanBeHeld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDepot(t, "work")
		d.sendPlain(3000)
		o := d.streaming(nil)
		if len(o.Plan.Selected) != 100 {
			t.Fatalf("%d are held", len(o.Plan.Selected))
		}
		r := d.run(o)
		if !r.Whole() || r.Selected != 3000 {
			t.Errorf("%+v", r)
		}
		d.conserved(3000, 0)
		d.holds(0, 0)
	})
}

// While a canary settles, the watch sees what nobody holds. It is held then, and has to be sent.
func TestWhatTheWatchSeesBeforeAStreamIsSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDepot(t, "work")
		d.sendPlain(3000)
		o := d.streaming(nil)
		o.Pace.Canary, o.Pace.Settle = 5, 10*time.Second
		r := d.run(o)
		if !r.Whole() || r.Selected != 3000 || r.Released != 0 {
			t.Errorf("%+v", r)
		}
		d.conserved(3000, 0)
		d.holds(0, 0)
	})
}

func TestAStreamChoosesOneByOneAndHoldsTheRestBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDepot(t, "work")
		d.sendPlain(1000)
		o := d.streaming(dlqreplay.Filter{{Key: "where", Value: ".body.n % 10 == 3"}})
		r := d.run(o)
		if !r.Whole() || r.Selected != 100 || r.Released != 900 {
			t.Errorf("%+v", r)
		}
		d.holds(900, 0)
		for _, m := range d.all(d.workURL) {
			if !strings.HasSuffix(m.Body, "3}") {
				t.Fatalf("%s was replayed", m.Body)
			}
		}
	})
}

// A stream whose messages die at once would feed itself.
func TestAStreamDoesNotReplayItsOwnReturns(t *testing.T) {
	for _, marks := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			d := newDepot(t, "work")
			d.to.Marks = marks
			d.sendPlain(500)
			o := d.streaming(nil)
			o.Pace.Rate = 100
			stop := d.worker(always)
			r := d.run(o)
			<-time.After(10 * time.Second)
			stop()
			if r.Outcome != dlqreplay.Completed || r.Replayed != 500 {
				t.Errorf("marked %v: %+v", marks, r)
			}
			if marks && r.Returned == 0 {
				t.Errorf("no return was recognised: %+v", r)
			}
			d.conserved(500, 0)
		})
	}
}

func TestAStreamCountsWhatMayNotBeReplayed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDepot(t, "work")
		d.sendPlain(500)
		o := d.streaming(nil)
		o.Judge.Check = func(_ *dlqreplay.Letter, m *queue.Message) error {
			if strings.HasSuffix(m.Body, "7}") {
				return fmt.Errorf("webp is not supported")
			}
			return nil
		}
		o.Plan = d.plan(o.Held, nil, o.Judge)
		skipped := 0
		for _, s := range o.Plan.Skipped {
			skipped += s.Count
		}
		r := d.run(o)
		if r.Replayed != 450 || r.Skipped+skipped != 50 {
			t.Errorf("the plan skipped %d, %+v", skipped, r)
		}
		d.holds(50, 0)
	})
}
