package poller_test

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stationmaster/worker/deadletter"
	"github.com/stationmaster/worker/jobs"
	"github.com/stationmaster/worker/localaws"
	"github.com/stationmaster/worker/poller"
	"github.com/stationmaster/worker/queue"
	"github.com/stationmaster/worker/retry"
)

func TestL02SettlesOutliveTheSignal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStation(t, false)
		r := start(t, func(ctx context.Context, m *jobs.Message[string]) error {
			<-ctx.Done() // all contexts of the caller have ended by now
			if m.Body == "done" {
				return nil
			}
			return ctx.Err()
		}, s.on)
		s.send(`"done"`, `"cut"`)
		pass(time.Second)
		r.stop()
		synctest.Wait()
		r.kill(poller.ErrDrain)
		report := <-r.done
		equal(t, "released", report.Released, 1)
		s.holds(1, 0)
	})
}

func TestL08BatchIDsArePositions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStation(t, false)
		r := start(t, func(_ context.Context, m *jobs.Message[string]) error {
			if m.Attempt == 1 {
				return retry.After(errBoom, time.Second)
			}
			return nil
		}, s.and(func(o *poller.Options) { o.Slots = 20 }))
		s.send(numbers(40)...)
		pass(10 * time.Second)
		r.drain()
		s.holds(0, 0)
		for _, seen := range append(s.requests(deleteAction), s.requests(changeAction)...) {
			for i, id := range seen.entries {
				equal(t, "id of entry", id, fmt.Sprint(i))
			}
		}
		// Two receipts of one message in one batch would break a request whose ids are MessageIds.
		s.send(`"twice"`)
		ds, err := s.q.Receive(t.Context(), 1, time.Second)
		if err != nil || len(ds) != 1 {
			t.Fatal(ds, err)
		}
		if errs := s.q.Delete(t.Context(), []queue.ReceiptHandle{ds[0].Handle, ds[0].Handle}); errs != nil {
			t.Errorf("one message twice in a batch: %v", errs)
		}
	})
}

func TestL09FailedEntriesAreRepeatedAndTheGoodOnesAreNot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStation(t, false)
		var runs, spoiled atomic.Int32
		s.spoil(deleteAction, func(r *localaws.Request) *localaws.Fault {
			if len(r.Entries) > 3 && spoiled.CompareAndSwap(0, 1) {
				return &localaws.Fault{Entries: map[string]string{"1": "InternalError", "3": "ThrottlingException"}}
			}
			return nil
		})
		r := start(t, func(context.Context, *jobs.Message[string]) error { runs.Add(1); <-time.After(time.Second); return nil },
			s.and(func(o *poller.Options) { o.Slots = 10 }))
		s.send(numbers(10)...)
		pass(20 * time.Second)
		r.drain()
		s.holds(0, 0)
		equal(t, "spoiled", spoiled.Load(), 1)
		equal(t, "runs", runs.Load(), 10)
		sent := 0
		for _, seen := range s.requests(deleteAction) {
			sent += len(seen.entries)
		}
		equal(t, "entries sent", sent, 12)
	})
}

func TestL10DoneButNotDeletedIsDeletedWhenItComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStation(t, false)
		var runs atomic.Int32
		r := start(t, func(context.Context, *jobs.Message[string]) error { runs.Add(1); return nil }, s.on)
		stop := s.fails(deleteAction, down)
		s.send(`"x"`)
		pass(29 * time.Second) // the message comes back at 30 s
		stop()
		pass(2 * time.Minute)
		r.drain()
		equal(t, "runs", runs.Load(), 1)
		s.holds(0, 0)
	})
}

func TestL10DeadLetteredButNotDeletedIsNotDeadLetteredAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStation(t, false)
		var runs atomic.Int32
		r := start(t, func(context.Context, *jobs.Message[string]) error { runs.Add(1); return retry.Never(errBoom) }, s.on)
		stop := s.fails(deleteAction, denied)
		s.send(`"x"`)
		pass(29 * time.Second)
		stop()
		pass(2 * time.Minute)
		r.drain()
		equal(t, "runs", runs.Load(), 1)
		equal(t, "dead letters", len(s.dead()), 1)
		s.holds(0, 0)
	})
}

func TestL11FailingDeletesSlowTheReceives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStation(t, false)
		var runs atomic.Int32
		r := start(t, func(context.Context, *jobs.Message[string]) error { runs.Add(1); return nil },
			s.and(func(o *poller.Options) { o.Slots = 5 }))
		stop := s.fails(deleteAction, denied) // an answer at once
		s.send(numbers(1000)...)
		pass(20 * time.Second)
		if n := runs.Load(); n > 60 {
			t.Errorf("%d runs with 5 slots while no delete is accepted, want a bounded few", n)
		}
		stop()
		pass(5 * time.Minute)
		r.drain()
		s.holds(0, 0)
		equal(t, "runs", runs.Load(), 1000)
	})
}

func TestL12ADeleteDoesNotWaitForATimer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStation(t, false)
		r := start(t, takes(0), s.on)
		synctest.Wait()
		var sent []time.Time
		for range 20 { // a trickle, whose batches never fill
			s.send(`"x"`)
			sent = append(sent, time.Now())
			pass(5 * time.Second)
		}
		r.drain()
		deletes := s.requests(deleteAction)
		equal(t, "deletes", len(deletes), len(sent))
		for i, d := range deletes {
			if late := d.at.Sub(sent[i]); late > 100*time.Millisecond {
				t.Errorf("delete %d left %v after its job had ended", i, late)
			}
		}
	})
}

func TestL12LeasesAreKeptWhileDeletesWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var runs atomic.Int32
		r := start(t, func(context.Context, *jobs.Message[string]) error { runs.Add(1); return nil },
			func(o *poller.Options) { o.Slots = 2 })
		stuck := make(chan struct{})
		r.q.set(func(q *fakeQueue) { q.stuck = stuck })
		r.q.put(numbers(20)...)
		pass(75 * time.Second) // more than two leases
		close(stuck)
		pass(time.Minute)
		r.drain()
		stored, inFlight := r.q.left()
		equal(t, "left", stored+inFlight, 0)
		equal(t, "runs", runs.Load(), 20)
		again := 0
		for _, m := range r.q.messages {
			if m.receives > 1 {
				again++
			}
		}
		if again > 10 { // those whose delete was on its way, a batch at most
			t.Errorf("%d messages came back while their deletes waited here", again)
		}
	})
}

func TestL15ALateDeleteIsTriedAndCountedByTheTypeOfTheQueue(t *testing.T) {
	for _, row := range []struct {
		name      string
		fifo      bool
		uncertain int
		failed    int
	}{{"standard: accepted, uncertain", false, 1, 0}, {"FIFO: refused, a duplicate is certain", true, 0, 1}} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newStation(t, row.fifo)
				var runs atomic.Int32
				r := start(t, func(context.Context, *jobs.Message[string]) error {
					runs.Add(1)
					<-time.After(40 * time.Second) // deaf
					return nil
				}, s.on)
				s.sendGroup(map[bool]string{true: "g"}[row.fifo], `"x"`)
				pass(time.Second)
				stopBeats, stopReceives := s.fails(changeAction, denied), s.fails(receiveAction, down)
				pass(40 * time.Second)
				equal(t, "deletes tried", len(s.requests(deleteAction)), 1)
				equal(t, "uncertain", r.noted(poller.Uncertain), row.uncertain)
				equal(t, "not deleted", r.noted(poller.NotDeleted), row.failed)
				stopBeats()
				stopReceives()
				pass(2 * time.Minute)
				r.drain()
				equal(t, "runs", runs.Load(), 1) // what came back was deleted, not run
				s.holds(0, 0)
			})
		})
	}
}

func TestL16WhatNobodyCanDecodeIsDeadLetteredWithThatReason(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStation(t, false)
		var runs atomic.Int32
		r := start(t, func(context.Context, *jobs.Message[string]) error { runs.Add(1); return nil }, s.on)
		s.send(`{"not":"a string"}`, `no JSON`, `"good"`)
		pass(time.Second)
		r.stop()
		equal(t, "runs", runs.Load(), 1)
		s.holds(0, 0)
		<-r.done
		dead := s.dead()
		equal(t, "dead letters", len(dead), 2)
		for _, d := range dead {
			record, ok := deadletter.Read(&d.Message)
			if !ok || record.Class != "decode" || record.Receives != 1 {
				t.Errorf("dead letter of %s has the record %+v", d.Body, record)
			}
		}
	})
}

func TestL17NeverDeletesOnlyAfterTheDeadLetterWasAccepted(t *testing.T) {
	for _, fifo := range []bool{false, true} {
		t.Run(fmt.Sprint("fifo ", fifo), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newStation(t, fifo)
				s.sendGroup(map[bool]string{true: "g"}[fifo], `"x"`)
				stop := s.fails("SendMessageBatch", denied)
				r := start(t, func(context.Context, *jobs.Message[string]) error { return retry.Never(errBoom) },
					s.and(func(o *poller.Options) { o.Retry.Max = time.Minute }))
				pass(20 * time.Second)
				equal(t, "deletes while the dead letter is refused", len(s.requests(deleteAction)), 0)
				if r.noted(poller.NotDeadLettered) == 0 {
					t.Error("nobody was told")
				}
				stop()
				pass(3 * time.Minute)
				r.drain()
				s.holds(0, 0)
				dead := s.dead()
				if len(dead) != 1 || dead[0].Body != `"x"` {
					t.Fatalf("dead letters %+v, want the message", dead)
				}
				// The record, and the id by which a duplicate of the dead letter would be known.
				if record, ok := deadletter.Read(&dead[0].Message); !ok || record.Reason != "boom" {
					t.Errorf("record %+v", record)
				}
				sends, deletes := s.requests("SendMessageBatch"), s.requests(deleteAction)
				if sends[len(sends)-1].at.After(deletes[0].at) {
					t.Error("deleted before the dead letter was sent")
				}
			})
		})
	}
}

func TestL20ReceivesAreNotAttempts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStation(t, false)
		var back returned
		var tries []string
		r := start(t, func(_ context.Context, m *jobs.Message[string]) error {
			tries = append(tries, fmt.Sprintf("%d of %d", m.Attempt, m.Receives))
			switch len(tries) {
			case 1, 2:
				return retry.After(nil, time.Second)
			case 3:
				return retry.Pause(errBoom, time.Now().Add(time.Minute))
			}
			return retry.After(errBoom, time.Second)
		}, s.and(func(o *poller.Options) { o.Slots = 1; back.hook(o) }))
		s.send(`"x"`)
		pass(10 * time.Minute)
		r.drain()
		want := []string{"1 of 1", "1 of 2", "1 of 3", "1 of 4", "2 of 5", "3 of 6"}
		if !slices.Equal(tries, want) {
			t.Errorf("attempts %v, want %v", tries, want)
		}
		equal(t, "asked for later", back.of(poller.WhyLater), 2)
		equal(t, "asked for a pause", back.of(poller.WhyPauseAsked), 1)
		equal(t, "dead letters", len(s.dead()), 1)
	})
}
