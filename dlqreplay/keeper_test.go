package dlqreplay_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stationmaster/worker/dlqreplay"
	"github.com/stationmaster/worker/localaws"
	"github.com/stationmaster/worker/queue"
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

// settler is a queue that only settles, and writes down what it was asked.
type settler struct {
	mu      sync.Mutex
	hidden  []hiding
	deleted [][]queue.ReceiptHandle
	hide    func(handles []queue.ReceiptHandle, visible []time.Duration) []error
	delete  func(handles []queue.ReceiptHandle) []error
}

type hiding struct {
	after   time.Duration
	handles []queue.ReceiptHandle
	visible []time.Duration
}

func (s *settler) ChangeVisibility(_ context.Context, handles []queue.ReceiptHandle, visible []time.Duration) []error {
	s.mu.Lock()
	s.hidden = append(s.hidden, hiding{time.Since(start), handles, visible})
	s.mu.Unlock()
	if s.hide == nil {
		return nil
	}
	return s.hide(handles, visible)
}

func (s *settler) Delete(_ context.Context, handles []queue.ReceiptHandle) []error {
	s.mu.Lock()
	s.deleted = append(s.deleted, handles)
	s.mu.Unlock()
	if s.delete == nil {
		return nil
	}
	return s.delete(handles)
}

// asked are the requests so far that hide messages.
func (s *settler) asked() []hiding {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]hiding(nil), s.hidden...)
}

// start is when every bubble of synctest begins.
var start = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

func delivery(id, group string, hold time.Duration) *queue.Delivery {
	return &queue.Delivery{
		Message: queue.Message{Body: id, GroupID: group}, MessageID: id, Handle: queue.ReceiptHandle("receipt-" + id),
		Received: time.Now(), Deadline: time.Now().Add(hold - time.Second),
	}
}

// Half of the hold is never over before it is extended, ten at a time.
func TestExtensionsComeBeforeHalfOfTheHold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &settler{}
		k := dlqreplay.Keep(t.Context(), s, 2*time.Minute, false)
		for i := range 25 {
			k.Add(delivery(fmt.Sprint(i), "", 2*time.Minute))
		}
		<-time.After(time.Minute)
		k.Stop()
		asked := s.asked()
		if len(asked) != 3 {
			t.Fatalf("%d requests for 25 letters: %+v", len(asked), asked)
		}
		for _, h := range asked {
			if h.after > time.Minute || len(h.handles) > queue.MaxBatch || h.visible[0] != 2*time.Minute {
				t.Errorf("after %s: %d for %s", h.after, len(h.handles), h.visible[0])
			}
		}
	})
}

func TestAnEntryThatFailsIsExtendedAgainWhileItsHoldLasts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var failures atomic.Int64
		s := &settler{hide: func(handles []queue.ReceiptHandle, _ []time.Duration) []error {
			errs := make([]error, len(handles))
			for i, h := range handles {
				if h == "receipt-3" && failures.Add(1) < 20 {
					errs[i] = queue.ErrThrottled
				}
			}
			return errs
		}}
		k := dlqreplay.Keep(t.Context(), s, 2*time.Minute, false)
		for i := range 5 {
			k.Add(delivery(fmt.Sprint(i), "", 2*time.Minute))
		}
		<-time.After(10 * time.Minute)
		if held, lost := k.Counts(); held != 5 || lost != 0 {
			t.Errorf("%d held, %d lost after %d failures", held, lost, failures.Load())
		}
		k.Stop()
	})
}

// After a hold has ended, somebody else may have the message: nothing changes its visibility any more.
func TestNothingChangesVisibilityAfterTheHold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &settler{hide: func(handles []queue.ReceiptHandle, _ []time.Duration) []error {
			return queue.Each(errors.New("503"), len(handles))
		}}
		k := dlqreplay.Keep(t.Context(), s, 2*time.Minute, false)
		k.Add(delivery("a", "", 2*time.Minute))
		<-time.After(5 * time.Minute)
		if _, ok := k.Receipt("a"); ok {
			t.Error("still held")
		}
		if back := k.Release(t.Context(), nil, "a"); back != (dlqreplay.Handback{Gone: 1}) {
			t.Errorf("given back: %+v", back)
		}
		k.Stop()
		asked := s.asked()
		if len(asked) < 5 {
			t.Errorf("%d tries", len(asked))
		}
		for _, h := range asked {
			if h.after >= 2*time.Minute-time.Second {
				t.Errorf("asked after %s", h.after)
			}
		}
	})
}

func TestALostLeaseIsNotExtendedAgainUntilTheLetterComesAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &settler{hide: func(handles []queue.ReceiptHandle, _ []time.Duration) []error {
			if handles[0] == "receipt-a" {
				return queue.Each(queue.ErrLeaseLost, len(handles))
			}
			return nil
		}}
		k := dlqreplay.Keep(t.Context(), s, 2*time.Minute, false)
		k.Add(delivery("a", "", 2*time.Minute))
		<-time.After(100 * time.Second)
		if held, lost := k.Counts(); held != 0 || lost != 1 || len(s.asked()) != 1 {
			t.Errorf("%d held, %d lost, %d requests", held, lost, len(s.asked()))
		}
		anew := delivery("a", "", 2*time.Minute)
		anew.Handle = "newer"
		if k.Add(anew) {
			t.Error("taken for a new letter")
		}
		<-time.After(10 * time.Minute)
		if h, ok := k.Receipt("a"); !ok || h != "newer" {
			t.Errorf("receipt %q, %v", h, ok)
		}
		k.Stop()
	})
}

// One receipt can be held for twelve hours, and asking for more is an error.
func TestNoExtensionGoesBeyondTwelveHours(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &settler{}
		k := dlqreplay.Keep(t.Context(), s, 15*time.Minute, false)
		k.Add(delivery("a", "", 15*time.Minute))
		<-time.After(11*time.Hour + 55*time.Minute)
		if _, ok := k.Receipt("a"); !ok {
			t.Error("not held for twelve hours")
		}
		<-time.After(10 * time.Minute)
		if _, ok := k.Receipt("a"); ok {
			t.Error("held for more than twelve hours")
		}
		k.Stop()
		for _, h := range s.asked() {
			if h.after+h.visible[0] > queue.MaxHeld {
				t.Errorf("after %s: for %s", h.after, h.visible[0])
			}
		}
	})
}

// An extension under way, answered late, must not hide again what is released.
func TestAReleaseWaitsForTheExtensionUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		y := newYard(t, "orders-dlq", localaws.Nasty{})
		y.sendPlain(10)
		y.dlq.Queue = &source{Source: y.q, hide: func(_ []queue.ReceiptHandle, visible []time.Duration, next func() []error) []error {
			if visible[0] > 0 {
				<-time.After(3 * time.Second) // the extension, on its way
			}
			return next()
		}}
		h := y.scan(nil)
		<-time.After(holdFor/2 - 4*time.Second) // it is under way
		if back := h.Release(t.Context(), nil); back.Released != 10 {
			t.Errorf("given back: %+v", back)
		}
		y.holds(10, 0)
	})
}

func TestDeletesAreTriedAgainWithTheCurrentReceipt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var k dlqreplay.Keeper
		var tries atomic.Int64
		s := &settler{}
		s.delete = func(handles []queue.ReceiptHandle) []error {
			errs := make([]error, len(handles))
			for i, h := range handles {
				switch {
				case h == "receipt-throttled" && tries.Add(1) < 4:
					errs[i] = queue.ErrThrottled
				case h == "receipt-anew":
					errs[i] = queue.ErrLeaseLost
					d := delivery("anew", "", 2*time.Minute)
					d.Handle = "newer"
					k.Add(d)
				case h == "receipt-denied":
					errs[i] = queue.ErrDenied
				}
			}
			return errs
		}
		k = dlqreplay.Keep(t.Context(), s, 2*time.Minute, false)
		for _, id := range []string{"plain", "throttled", "anew", "denied"} {
			k.Add(delivery(id, "", 2*time.Minute))
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel() // the operator's Ctrl-C
		errs := k.Delete(ctx, "plain", "throttled", "anew", "denied", "never held")
		for i, want := range []error{nil, nil, nil, queue.ErrDenied} {
			if err := queue.At(errs, i); !errors.Is(err, want) {
				t.Errorf("%d: %v, want %v", i, err, want)
			}
		}
		if queue.At(errs, 4) == nil {
			t.Error("a letter that was never held is said to be deleted")
		}
		if held, _ := k.Counts(); held != 1 {
			t.Errorf("%d held, want the one that could not be deleted", held)
		}
		k.Stop()
	})
}

func TestALateDeleteIsTriedAndNotTrusted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &settler{hide: func(handles []queue.ReceiptHandle, _ []time.Duration) []error {
			return queue.Each(queue.ErrDenied, len(handles))
		}}
		k := dlqreplay.Keep(t.Context(), s, 2*time.Minute, false)
		k.Add(delivery("a", "", 2*time.Minute))
		<-time.After(3 * time.Minute)
		if errs := k.Delete(t.Context(), "a"); !errors.Is(queue.At(errs, 0), queue.ErrLeaseLost) || len(s.deleted) != 1 {
			t.Errorf("%v after %d tries", errs, len(s.deleted))
		}
		k.Stop()
	})
}

// Of a FIFO group the last goes first, and two of one group are never in one request.
func TestFIFOGroupsAreReleasedLastToFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &settler{}
		k := dlqreplay.Keep(t.Context(), s, 2*time.Minute, true)
		all := []string{"a1", "a2", "b1", "a3", "c1", "b2"}
		for _, id := range all {
			k.Add(delivery(id, id[:1], 2*time.Minute))
		}
		if back := k.Release(t.Context(), nil, all...); back.Released != 6 {
			t.Errorf("given back: %+v", back)
		}
		k.Stop()
		var got [][]queue.ReceiptHandle
		for _, h := range s.asked() {
			got = append(got, h.handles)
		}
		want := [][]queue.ReceiptHandle{{"receipt-b2", "receipt-c1", "receipt-a3"}, {"receipt-b1", "receipt-a2"}, {"receipt-a1"}}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("requests (-want +got):\n%s", diff)
		}
	})
}

// What cannot be given back comes back by itself, and the report says when; hurry says so at once.
func TestWhatCannotBeGivenBackIsHidden(t *testing.T) {
	for _, hurry := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			s := &settler{hide: func(handles []queue.ReceiptHandle, _ []time.Duration) []error {
				<-time.After(time.Second)
				return queue.Each(queue.ErrThrottled, len(handles))
			}}
			k := dlqreplay.Keep(t.Context(), s, 2*time.Minute, false)
			var all []string
			for i := range 400 {
				all = append(all, fmt.Sprint(i))
				k.Add(delivery(all[i], "", 2*time.Minute))
			}
			var quick chan struct{}
			if hurry {
				quick = make(chan struct{})
				close(quick)
			}
			began := time.Now()
			back := k.Release(t.Context(), quick, all...)
			if want := (dlqreplay.Handback{Hidden: 400, HiddenUntil: began.Add(2 * time.Minute)}); back != want {
				t.Errorf("given back: %+v, want %+v", back, want)
			}
			if took := time.Since(began); hurry && took > 0 || took > time.Minute {
				t.Errorf("took %s", took)
			}
			k.Stop()
		})
	}
}
