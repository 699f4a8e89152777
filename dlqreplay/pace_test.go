package dlqreplay_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stationmaster/worker/dlqreplay"
	"github.com/stationmaster/worker/queue"
)

// clocked notes when each message was taken.
type clocked struct {
	dlqreplay.Taker
	began time.Time
	mu    sync.Mutex
	at    []time.Duration
}

func (c *clocked) Take(ctx context.Context, ls []*dlqreplay.Letter, ms []queue.Message) ([]string, []error) {
	c.mu.Lock()
	for range ms {
		c.at = append(c.at, time.Since(c.began))
	}
	c.mu.Unlock()
	return c.Taker.Take(ctx, ls, ms)
}

// within counts what was taken from one time to another.
func (c *clocked) within(from, to time.Duration) (n int) {
	for _, at := range c.at {
		if at >= from && at < to {
			n++
		}
	}
	return n
}

func TestTheRateIsKept(t *testing.T) {
	for _, rate := range []float64{0.5, 3, 50, float64(hundredThousand) / 200} {
		synctest.Test(t, func(t *testing.T) {
			d := newDepot(t, "work")
			n := int(rate * 10)
			d.sendPlain(n + 1)
			o := d.begin()
			c := &clocked{Taker: d.to.Taker, began: time.Now()}
			d.to.Taker, o.Pace.Rate = c, rate
			if r := d.run(o); !r.Whole() {
				t.Errorf("%+v", r)
			}
			for s := range 10 {
				from := time.Duration(s) * time.Second
				if got := c.within(from, from+time.Second); float64(got) > rate+10 {
					t.Errorf("at %v/s: %d in second %d", rate, got, s)
				}
			}
			if took := c.at[len(c.at)-1]; took < 8*time.Second || took > 12*time.Second {
				t.Errorf("at %v/s %d took %s", rate, n, took)
			}
		})
	}
}

func TestARampBeginsSlowly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDepot(t, "work")
		d.sendPlain(700)
		o := d.begin()
		c := &clocked{Taker: d.to.Taker, began: time.Now()}
		d.to.Taker, o.Pace.Rate, o.Pace.Ramp = c, 50, true
		if r := d.run(o); !r.Whole() {
			t.Errorf("%+v", r)
		}
		for i, want := range []int{10, 20, 50, 100, 200, 320} { // 1, 2, 5, 10, 20, 50 a second
			from := time.Duration(i) * dlqreplay.RampStep
			got := c.within(from, from+dlqreplay.RampStep)
			if got < want-want/4-1 || got > want+want/4+10 {
				t.Errorf("step %d: %d were sent, want about %d", i, got, want)
			}
		}
	})
}

func TestABacklogPausesTheRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDepot(t, "work")
		d.sendPlain(500)
		o := d.begin()
		o.Pace.MaxBacklog = 100
		most := int64(0)
		ctx, cancel := context.WithCancel(t.Context())
		var over sync.WaitGroup
		over.Go(func() { // a slow worker, and a late one
			<-time.After(10 * time.Second)
			for ctx.Err() == nil {
				c, err := d.to.Counts(ctx)
				if err == nil {
					most = max(most, c.Visible)
				}
				ds, err := d.work.Receive(ctx, 10, time.Second)
				if err != nil {
					return
				}
				for i := range ds {
					d.work.Delete(ctx, []queue.ReceiptHandle{ds[i].Handle})
				}
				<-time.After(500 * time.Millisecond)
			}
		})
		r := d.run(o)
		cancel()
		over.Wait()
		if !r.Whole() || most > 100 {
			t.Errorf("up to %d waited, %+v", most, r)
		}
		pauses, goes := d.told(dlqreplay.Pausing), d.told(dlqreplay.Resuming)
		if len(pauses) == 0 || len(goes) == 0 || pauses[0].Backlog <= 90 {
			t.Errorf("%d pauses and %d resumptions are told: %v", len(pauses), len(goes), pauses)
		}
	})
}
