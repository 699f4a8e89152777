package dlqreplay_test

import (
	"context"
	"errors"
	"slices"
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

// same compares two sets of ids.
func same(t *testing.T, want, got []string) {
	t.Helper()
	want, got = slices.Sorted(slices.Values(want)), slices.Sorted(slices.Values(got))
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("ids (-want +got):\n%s", diff)
	}
}

func TestScanHoldsEveryLetterOnceAndGivesAllBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		y := newYard(t, "orders-dlq", localaws.Nasty{})
		sent := y.sendPlain(537)
		h := y.scan(nil)
		same(t, sent, ids(h.Letters()))
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

func TestAnEmptyQueueIsScannedInASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		y := newYard(t, "orders-dlq", localaws.Nasty{})
		h := y.scan(nil)
		defer h.Release(t.Context(), nil)
		p := y.plan(h, nil, dlqreplay.Judge{})
		if !p.Complete || p.Scanned != 0 || p.Took > 2*time.Second {
			t.Errorf("complete %v, scanned %d, in %s", p.Complete, p.Scanned, p.Took)
		}
	})
}

// Counts are a minute old, polls overtake, receives miss messages.
func TestScanFindsEverythingOnTheNastiestServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		y := newYard(t, "orders-dlq", localaws.Nastiest(7))
		sent := y.sendPlain(300)
		h := y.scan(nil)
		defer h.Release(t.Context(), nil)
		same(t, sent, ids(h.Letters()))
		if p := y.plan(h, nil, dlqreplay.Judge{}); !p.Complete {
			t.Errorf("not complete: %s", p.Why)
		}
	})
}

func TestArrivalsDuringTheScanDoNotKeepItFromEnding(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		y := newYard(t, "orders-dlq", localaws.Nasty{})
		sent := y.sendPlain(120)
		ctx, stop := context.WithCancel(t.Context())
		over := make(chan struct{})
		go func() { // three letters a second
			defer close(over)
			for ctx.Err() == nil {
				if _, errs := y.q.Send(ctx, []queue.Message{{Body: "late"}}); errs != nil && ctx.Err() == nil {
					t.Error(errs)
				}
				select {
				case <-ctx.Done():
				case <-time.After(333 * time.Millisecond):
				}
			}
		}()
		h := y.scan(nil)
		stop()
		<-over
		defer h.Release(t.Context(), nil)
		p := y.plan(h, nil, dlqreplay.Judge{})
		if !p.Complete || p.Took > time.Minute {
			t.Errorf("complete %v (%s), in %s", p.Complete, p.Why, p.Took)
		}
		held := ids(h.Letters())
		for _, id := range sent {
			if !slices.Contains(held, id) {
				t.Errorf("%s was there at the start and is not held", id)
			}
		}
		if len(held) != len(slices.Compact(slices.Sorted(slices.Values(held)))) {
			t.Error("a letter is held twice")
		}
	})
}

func TestSilenceAtTheCapOfMessagesInFlightIsNotTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		y := newYard(t, "orders-dlq", localaws.Nasty{})
		y.sendPlain(80)
		var handed atomic.Int64
		y.dlq.Queue = &source{Source: y.q, receive: func(n int, next func(int) ([]queue.Delivery, error)) ([]queue.Delivery, error) {
			if handed.Add(int64(n)) > 50 {
				<-time.After(time.Second)
				return nil, nil
			}
			return next(n)
		}}
		y.dlq.Counts = func(ctx context.Context) (dlqreplay.Counts, error) {
			c, err := y.counts(ctx)
			if c.InFlight > 0 {
				c.InFlight += 119_950 // somebody else's
			}
			return c, err
		}
		h := y.scan(nil)
		p := y.plan(h, nil, dlqreplay.Judge{})
		if p.Complete || p.Scanned != 50 || !strings.Contains(p.Why, "120000 are in flight") {
			t.Errorf("complete %v, scanned %d, why %q", p.Complete, p.Scanned, p.Why)
		}
		h.Release(t.Context(), nil)
		y.holds(80, 0)
	})
}

func TestABudgetIsNotExceeded(t *testing.T) {
	for _, row := range []struct {
		budget, held int
		complete     bool
	}{{37, 37, false}, {100, 100, true}, {3, 3, false}} {
		synctest.Test(t, func(t *testing.T) {
			y := newYard(t, "orders-dlq", localaws.Nasty{})
			y.sendPlain(100)
			h := y.scan(func(o *dlqreplay.ScanOptions) { o.Budget = row.budget })
			p := y.plan(h, nil, dlqreplay.Judge{})
			if p.Scanned != row.held || p.Complete != row.complete || p.Total != 100 || p.Complete == (p.Why != "") {
				t.Errorf("budget %d: scanned %d of %d, complete %v, why %q", row.budget, p.Scanned, p.Total, p.Complete, p.Why)
			}
			y.holds(int64(100-row.held), int64(row.held))
			h.Release(t.Context(), nil)
			y.holds(100, 0)
		})
	}
}

func TestEmptyAnswersAreNotTheEndWhileTheCountsSayThatThereIsMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		y := newYard(t, "orders-dlq", localaws.Nasty{})
		sent := y.sendPlain(90)
		var asked atomic.Int64
		y.dlq.Queue = &source{Source: y.q, receive: func(n int, next func(int) ([]queue.Delivery, error)) ([]queue.Delivery, error) {
			if a := asked.Add(1); a <= 12 || a%3 != 0 {
				<-time.After(time.Second)
				return nil, nil
			}
			return next(n)
		}}
		h := y.scan(nil)
		defer h.Release(t.Context(), nil)
		same(t, sent, ids(h.Letters()))
	})
}

func TestAScanDoesNotWaitForeverForWhatIsOnlyCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		y := newYard(t, "orders-dlq", localaws.Nasty{})
		y.sendPlain(20)
		y.dlq.Counts = func(ctx context.Context) (dlqreplay.Counts, error) {
			c, err := y.counts(ctx)
			c.Visible += 5
			return c, err
		}
		h := y.scan(nil)
		defer h.Release(t.Context(), nil)
		p := y.plan(h, nil, dlqreplay.Judge{})
		if p.Complete || p.Scanned != 20 || !strings.Contains(p.Why, "SQS counts 5 more") || p.Took > 2*time.Minute {
			t.Errorf("complete %v, scanned %d, why %q, in %s", p.Complete, p.Scanned, p.Why, p.Took)
		}
	})
}

func TestThrottlesAndPassingErrorsAreTriedAgain(t *testing.T) {
	for name, fault := range map[string]localaws.Fault{
		"throttled":  {Status: 403, Code: "RequestThrottled", Message: "slow down"},
		"over limit": {Status: 403, Code: "OverLimit", Message: "too many"},
		"a failure":  {Status: 500, Code: "InternalFailure"},
		"cut":        {Cut: true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				y := newYard(t, "orders-dlq", localaws.Nasty{})
				sent := y.sendPlain(200)
				var n atomic.Int64
				defer y.server.Control("ReceiveMessage", func(*localaws.Request) *localaws.Fault {
					if n.Add(1)%2 == 1 {
						return &fault
					}
					return nil
				})()
				h := y.scan(nil)
				defer h.Release(t.Context(), nil)
				same(t, sent, ids(h.Letters()))
				if len(y.told(dlqreplay.Retrying)) == 0 {
					t.Error("nobody was told")
				}
				if p := y.plan(h, nil, dlqreplay.Judge{}); !p.Complete {
					t.Errorf("not complete: %s", p.Why)
				}
			})
		})
	}
}

func TestLettersOfALostAnswerAreSaidToBeHidden(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		y := newYard(t, "orders-dlq", localaws.Nasty{})
		y.sendPlain(60)
		var n atomic.Int64
		defer y.server.Control("ReceiveMessage", func(*localaws.Request) *localaws.Fault {
			if n.Add(1) == 2 {
				return &localaws.Fault{Lose: true}
			}
			return nil
		})()
		// One loop: of several, the one whose answer is lost may come when the others have emptied the queue.
		h := y.scan(func(o *dlqreplay.ScanOptions) { o.Loops = 1 })
		defer h.Release(t.Context(), nil)
		p := y.plan(h, nil, dlqreplay.Judge{})
		if p.Complete || p.Scanned != 50 || !strings.Contains(p.Why, "10 more are hidden, for 2m0s at most") {
			t.Errorf("complete %v, scanned %d, why %q", p.Complete, p.Scanned, p.Why)
		}
	})
}

func TestWhatSomebodyElseHoldsIsSaid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		y := newYard(t, "orders-dlq", localaws.Nasty{})
		y.sendPlain(30)
		if ds, err := y.q.Receive(t.Context(), 4, time.Second); err != nil || len(ds) != 4 {
			t.Fatal(ds, err)
		}
		h := y.scan(nil)
		defer h.Release(t.Context(), nil)
		if p := y.plan(h, nil, dlqreplay.Judge{}); p.Elsewhere != 4 || p.Scanned != 26 || p.Total != 26 || !p.Complete {
			t.Errorf("elsewhere %d, scanned %d of %d, complete %v", p.Elsewhere, p.Scanned, p.Total, p.Complete)
		}
	})
}

func TestAScanForSomeIdsEndsWhenTheyAreFound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		y := newYard(t, "orders-dlq", localaws.Nasty{})
		sent := y.sendPlain(500)
		h := y.scan(func(o *dlqreplay.ScanOptions) { o.Only, o.Loops = sent[3:5], 1 })
		if h.Get(sent[3]) == nil || h.Get(sent[4]) == nil || len(h.Letters()) > 10 {
			t.Errorf("%d letters, with %v and %v", len(h.Letters()), h.Get(sent[3]), h.Get(sent[4]))
		}
		h.Release(t.Context(), nil)
		y.holds(500, 0)
	})
}

// The first receive that brings the letters cannot be undone by Ctrl-C: its poll is not cut, and what it
// brought goes back.
func TestInterruptedScansGiveEverythingBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		y := newYard(t, "orders-dlq", localaws.Nasty{})
		y.sendPlain(500)
		ctx, cancel := context.WithCancel(t.Context())
		var n atomic.Int64
		defer y.server.Control("ReceiveMessage", func(*localaws.Request) *localaws.Fault {
			if n.Add(1) == 20 {
				cancel()
			}
			return &localaws.Fault{Late: 15 * time.Millisecond}
		})()
		h, err := dlqreplay.Scan(ctx, y.options())
		if h != nil || !errors.Is(err, context.Canceled) {
			t.Fatalf("%v, %v", h, err)
		}
		y.holds(500, 0)
		if told := y.told(dlqreplay.Released); len(told) != 1 || told[0].Done < 190 {
			t.Errorf("told of releases: %+v", told)
		}
	})
}

func TestAnErrorForGoodGivesBackWhatIsHeld(t *testing.T) {
	for name, fault := range map[string]struct {
		localaws.Fault
		class error
	}{
		"denied":      {localaws.Fault{Status: 403, Code: "AccessDenied", Message: "no"}, queue.ErrDenied},
		"credentials": {localaws.Fault{Status: 403, Code: "ExpiredToken", Message: "old"}, queue.ErrCredentials},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				y := newYard(t, "orders-dlq", localaws.Nasty{})
				y.sendPlain(300)
				var n atomic.Int64
				defer y.server.Control("ReceiveMessage", func(*localaws.Request) *localaws.Fault {
					if n.Add(1) > 9 {
						return &fault.Fault
					}
					return nil
				})()
				_, err := dlqreplay.Scan(t.Context(), y.options())
				if !errors.Is(err, fault.class) || !strings.HasPrefix(err.Error(), "scan orders-dlq: receive from orders-dlq: ") {
					t.Errorf("error: %v", err)
				}
				y.holds(300, 0)
			})
		})
	}
}

func TestTheErrorSaysWhatStaysHidden(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		y := newYard(t, "orders-dlq", localaws.Nasty{})
		y.sendPlain(40)
		defer y.server.Control("ChangeMessageVisibilityBatch", func(*localaws.Request) *localaws.Fault {
			return &localaws.Fault{Status: 403, Code: "AccessDenied", Message: "no"}
		})()
		var n atomic.Int64
		defer y.server.Control("ReceiveMessage", func(*localaws.Request) *localaws.Fault {
			if n.Add(1) > 2 {
				return &localaws.Fault{Status: 403, Code: "AccessDenied", Message: "no"}
			}
			return nil
		})()
		_, err := dlqreplay.Scan(t.Context(), y.options())
		if err == nil || !strings.Contains(err.Error(), "20 letters could not be given back and stay hidden until ") {
			t.Errorf("error: %v", err)
		}
		<-time.After(holdFor)
		y.holds(40, 0)
	})
}

func TestAQueueThatIsDeletedMeanwhileEndsTheScan(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		y := newYard(t, "orders-dlq", localaws.Nasty{})
		y.sendPlain(100)
		var n atomic.Int64
		y.dlq.Queue = &source{Source: y.q, receive: func(n1 int, next func(int) ([]queue.Delivery, error)) ([]queue.Delivery, error) {
			if n.Add(1) == 5 {
				return nil, queue.ErrNotFound
			}
			return next(n1)
		}}
		if _, err := dlqreplay.Scan(t.Context(), y.options()); !errors.Is(err, queue.ErrNotFound) {
			t.Errorf("error: %v", err)
		}
		y.holds(100, 0)
	})
}

func TestAScanGivesUpWhenNothingSucceeds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		y := newYard(t, "orders-dlq", localaws.Nasty{})
		defer y.server.Control("ReceiveMessage", func(*localaws.Request) *localaws.Fault { return &localaws.Fault{Cut: true} })()
		began := time.Now()
		_, err := dlqreplay.Scan(t.Context(), y.options())
		if err == nil || !strings.Contains(err.Error(), "no receive has succeeded for 3m0s") || time.Since(began) > 5*time.Minute {
			t.Errorf("after %s: %v", time.Since(began), err)
		}
	})
}

// Nobody may extend holds, and reading is slow: the letters come again. That must not go round for ever.
func TestLettersWhoseHoldsGetLostDoNotGoRoundForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		y := newYard(t, "orders-dlq", localaws.Nasty{})
		y.sendPlain(150)
		defer y.server.Control("ChangeMessageVisibilityBatch", func(*localaws.Request) *localaws.Fault {
			return &localaws.Fault{Status: 403, Code: "AccessDenied", Message: "no"}
		})()
		y.dlq.Queue = &source{Source: y.q, receive: func(_ int, next func(int) ([]queue.Delivery, error)) ([]queue.Delivery, error) {
			<-time.After(10 * time.Second)
			return next(1)
		}}
		h := y.scan(func(o *dlqreplay.ScanOptions) { o.Loops = 1 })
		defer h.Release(t.Context(), nil)
		p := y.plan(h, nil, dlqreplay.Judge{})
		if p.Complete || !strings.Contains(p.Why, "come again") {
			t.Errorf("complete %v, why %q", p.Complete, p.Why)
		}
		if h.Lost() == 0 {
			t.Error("nothing is said to be lost")
		}
	})
}

// SQS delivers a letter twice: there is one letter, and the newer receipt counts.
func TestASecondDeliveryReplacesTheReceipt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		y := newYard(t, "orders-dlq", localaws.Nasty{})
		sent := y.sendPlain(3)
		var once atomic.Bool
		y.dlq.Queue = &source{Source: y.q, receive: func(n int, next func(int) ([]queue.Delivery, error)) ([]queue.Delivery, error) {
			ds, err := next(n)
			if len(ds) > 0 && once.CompareAndSwap(false, true) {
				handles := []queue.ReceiptHandle{ds[0].Handle}
				if errs := y.q.ChangeVisibility(context.WithoutCancel(t.Context()), handles, make([]time.Duration, 1)); errs != nil {
					t.Error(errs)
				}
			}
			return ds, err
		}}
		h := y.scan(func(o *dlqreplay.ScanOptions) { o.Loops = 1 })
		same(t, sent, ids(h.Letters()))
		if errs := dlqreplay.KeeperOf(h).Delete(t.Context(), sent...); errs != nil {
			t.Error(errs)
		}
		y.holds(0, 0)
		h.Release(t.Context(), nil)
	})
}

// The second Ctrl-C: nothing is waited for.
func TestHurryCutsAnInterruptedScanShort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		y := newYard(t, "orders-dlq", localaws.Nasty{})
		y.sendPlain(100)
		ctx, cancel := context.WithCancel(t.Context())
		hurry := make(chan struct{})
		defer y.server.Control("ReceiveMessage", func(*localaws.Request) *localaws.Fault {
			return &localaws.Fault{Late: 10 * time.Second}
		})()
		began := time.Now()
		time.AfterFunc(3*time.Second, cancel)
		time.AfterFunc(4*time.Second, func() { close(hurry) })
		o := y.options()
		o.Hurry = hurry
		_, err := dlqreplay.Scan(ctx, o)
		if took := time.Since(began); !errors.Is(err, context.Canceled) || took > 5*time.Second {
			t.Errorf("after %s: %v", took, err)
		}
		<-time.After(holdFor)
		y.holds(100, 0)
	})
}
