package worker

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stationmaster/worker/queue"
)

// This test sees what a caller would have to wait half a minute for.

// shelf is a dead-letter queue that counts what it takes.
type shelf struct {
	taken int
	gone  bool
}

func (s *shelf) Send(_ context.Context, ms []queue.Message) (ids []string, errs []error) {
	if s.gone {
		return make([]string, len(ms)), queue.Each(queue.ErrNotFound, len(ms))
	}
	s.taken += len(ms)
	return make([]string, len(ms)), nil
}

func TestADeadLetterQueueThatComesLaterIsFound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		looks := 0
		var there *shelf
		d := &deadLetters{err: errNoDLQ, looked: time.Now(), look: func(context.Context) (queue.Sender, error) {
			looks++
			if there == nil {
				return nil, errNoDLQ
			}
			return there, nil
		}}
		send := func(want error) {
			t.Helper()
			ids, errs := d.Send(t.Context(), []queue.Message{{}, {}})
			if len(ids) != 2 || !errors.Is(queue.At(errs, 0), want) || !errors.Is(queue.At(errs, 1), want) {
				t.Fatalf("ids %q, errs %v, want %v", ids, errs, want)
			}
		}
		for range 3 {
			send(errNoDLQ)
		}
		if looks != 0 {
			t.Errorf("looked %d times within %v of the start", looks, lookAgain)
		}
		<-time.After(lookAgain)
		send(errNoDLQ)
		there = &shelf{}
		send(errNoDLQ)
		if looks != 1 {
			t.Errorf("looked %d times, want 1", looks)
		}
		<-time.After(lookAgain)
		send(nil)
		send(nil)
		if looks != 2 || there.taken != 4 {
			t.Errorf("looked %d times, sent %d, want 2 and 4", looks, there.taken)
		}
		there.gone = true
		send(queue.ErrNotFound)
		there = &shelf{} // made anew
		send(nil)
		if looks != 3 || there.taken != 2 {
			t.Errorf("looked %d times, sent %d, want 3 and 2", looks, there.taken)
		}
	})
}
