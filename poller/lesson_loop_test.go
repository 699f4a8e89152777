package poller_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/stationmaster/worker/internal/awsapi"
	"github.com/stationmaster/worker/jobs"
	"github.com/stationmaster/worker/localaws"
	"github.com/stationmaster/worker/poller"
	"github.com/stationmaster/worker/queue"
)

func TestL01AnOpenPollIsNotCutAndWhatItBringsGoesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStation(t, false)
		var runs atomic.Int32
		r := start(t, func(context.Context, *jobs.Message[string]) error { runs.Add(1); return nil }, s.on)
		pass(5 * time.Second)
		r.stop()
		pass(5 * time.Second)
		equal(t, "state", r.p.State().State, "draining")
		s.send(`"late"`)
		report := <-r.done
		equal(t, "runs", runs.Load(), 0)
		equal(t, "released", report.Released, 1)
		equal(t, "receives", len(s.requests(receiveAction)), 1)
		s.holds(1, 0)
	})
}

func TestL18TheLoopNeitherDiesNorSpins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStation(t, false)
		faults := []localaws.Fault{
			{Status: 400, Code: "RequestThrottled"},
			denied, down,
			{Lose: true},
			{Status: 502},
			{Status: 400, Code: "AWS.SimpleQueueService.NonExistentQueue"},
			{Status: 403, Code: "ExpiredToken"},
			{CorruptMD5: true},
		}
		var n atomic.Int32
		stop := s.spoil(receiveAction, func(*localaws.Request) *localaws.Fault {
			return &faults[int(n.Add(1))%len(faults)]
		})
		var handled atomic.Int32
		r := start(t, func(context.Context, *jobs.Message[string]) error { handled.Add(1); return nil },
			s.and(func(o *poller.Options) { o.Slots = 100 }))
		s.send(`"x"`)
		pass(20 * time.Minute)
		if receives := len(s.requests(receiveAction)); receives < 40 || receives > 120 {
			t.Errorf("%d receives in 20 minutes of faults, want one in 10 to 30 seconds", receives)
		}
		if since := time.Since(r.p.State().LastPoll); since > time.Minute {
			t.Errorf("the last poll was completed %v ago", since)
		}
		stop()
		pass(time.Minute)
		equal(t, "handled", handled.Load(), 1)
		equal(t, "state", r.p.State().State, "polling")
		r.drain()
	})
}

func TestL19AReceiveAsksForNoMoreThanCanStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStation(t, false)
		var running atomic.Int32
		r := start(t, func(_ context.Context, m *jobs.Message[string]) error {
			running.Add(1)
			defer running.Add(-1)
			<-time.After(time.Duration(1+m.Sent.UnixNano()%7) * time.Second)
			return nil
		}, s.and(func(o *poller.Options) { o.Slots = 7 }))
		s.spoil(receiveAction, func(seen *localaws.Request) *localaws.Fault {
			if busy := running.Load(); busy >= 7 {
				t.Errorf("a receive left although %d of 7 slots work", busy)
			}
			return nil
		})
		s.send(numbers(60)...)
		pass(500 * time.Millisecond) // jobs end at whole seconds, their deletes leave soon after
		for range 20 {
			pass(time.Second)
			if _, held := s.counts(); held > 7 {
				t.Errorf("%d messages held with 7 slots", held)
			}
		}
		pass(5 * time.Minute)
		r.drain()
		s.holds(0, 0)
	})
}

func TestL19UnderLoadReceivesAreFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStation(t, false)
		r := start(t, takes(time.Millisecond), s.and(func(o *poller.Options) { o.Slots = 40 }))
		s.send(numbers(1000)...)
		pass(time.Minute)
		r.drain()
		s.holds(0, 0)
		if n := len(s.requests(receiveAction)); n > 115 {
			t.Errorf("%d receives for 1000 messages, want about a hundred", n)
		}
	})
}

func TestL19TheReceiveLoopsGrowUnderLoadAndShrinkWithoutIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStation(t, false)
		s.spoil(receiveAction, func(*localaws.Request) *localaws.Fault {
			return &localaws.Fault{Delay: 15 * time.Millisecond} // a round trip
		})
		r := start(t, takes(20*time.Millisecond), s.and(func(o *poller.Options) { o.Slots = 100 }))
		synctest.Wait()
		equal(t, "receive loops at first", r.p.State().Receivers, 1)
		s.send(numbers(3000)...)
		pass(500 * time.Millisecond)
		if n := r.p.State().Receivers; n < 4 || n > 10 {
			t.Errorf("%d receive loops under load with 100 slots, want several and at most 10", n)
		}
		pass(2 * time.Minute)
		equal(t, "receive loops when idle", r.p.State().Receivers, 1)
		r.drain()
		s.holds(0, 0)
	})
}

func TestL21ATimeoutCancelsAndADeafJobIsReportedAndNeverRunTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStation(t, false)
		causes := make(chan error, 1)
		var runs, running atomic.Int32
		r := start(t, func(ctx context.Context, _ *jobs.Message[string]) error {
			if running.Add(1) > 1 {
				t.Error("two runs at once")
			}
			defer running.Add(-1)
			if runs.Add(1) > 1 {
				return nil
			}
			<-ctx.Done()
			causes <- context.Cause(ctx)
			<-time.After(3 * time.Minute) // deaf
			return ctx.Err()
		}, s.and(func(o *poller.Options) { o.Timeout = 5 * time.Second }))
		s.send(`"x"`)
		pass(6 * time.Second)
		equal(t, "cause", <-causes, poller.ErrTimeout)
		pass(2 * time.Minute)
		equal(t, "reported", r.noted(poller.IgnoresEnd), 1)
		equal(t, "busy", r.p.State().Busy, 1) // it keeps its slot
		s.holds(0, 1)                         // and its lease
		pass(5 * time.Minute)
		r.drain()
		equal(t, "runs", runs.Load(), 2)
		s.holds(0, 0)
	})
}

func TestL22AJobThatADrainCutsHasNotFailed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStation(t, false)
		var outcomes []poller.Outcome
		var mu sync.Mutex
		r := start(t, func(ctx context.Context, _ *jobs.Message[string]) error {
			<-ctx.Done()
			if !errors.Is(context.Cause(ctx), poller.ErrDrain) {
				t.Errorf("cause %v", context.Cause(ctx))
			}
			return ctx.Err()
		}, s.and(func(o *poller.Options) {
			o.Retry.Attempts = 1 // a failure would be the last
			o.Hooks.Finished = func(_ context.Context, _ *queue.Delivery, _ *jobs.Info, out poller.Outcome) {
				mu.Lock()
				defer mu.Unlock()
				outcomes = append(outcomes, out)
			}
		}))
		s.send(`"x"`)
		pass(time.Second)
		r.stop()
		pass(5 * time.Second)
		r.kill(poller.ErrDrain)
		report := <-r.done
		if len(outcomes) != 1 || outcomes[0].Returned != poller.WhyDrain {
			t.Errorf("outcomes %+v, want one return for the drain", outcomes)
		}
		equal(t, "released", report.Released, 1)
		equal(t, "dead letters", len(s.dead()), 0)
		s.holds(1, 0) // at once, for whoever comes next
	})
}

func TestL23AStopIsBoundedAndMayBeRepeated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStation(t, false)
		r := start(t, func(context.Context, *jobs.Message[string]) error {
			<-time.After(time.Hour) // deaf
			return nil
		}, s.on)
		s.send(`"x"`)
		pass(time.Second)
		began := time.Now()
		r.stop()
		r.stop()
		pass(time.Second)
		r.p.Hurry()
		r.p.Hurry()
		r.kill(poller.ErrDrain)
		r.kill(errBoom)
		report := <-r.done
		if took := time.Since(began); took > 15*time.Second {
			t.Errorf("stopped after %v", took)
		}
		equal(t, "abandoned", report.Abandoned, 1)
		pass(11 * time.Second)
		s.holds(1, 0) // its short lease has ended
		pass(2 * time.Hour)
	})
}

// Long polls that wait must not keep a delete waiting, and neither may open a connection each time.
func TestL24PollsAndDeletesHaveConnectionsOfTheirOwn(t *testing.T) {
	const polls, deletes = 40, 60
	var opened, arrived atomic.Int32
	local := localaws.New(localaws.Options{})
	all := make(chan struct{})
	local.Control(receiveAction, func(*localaws.Request) *localaws.Fault {
		if arrived.Add(1) == polls {
			close(all)
		}
		return nil
	})
	server := httptest.NewUnstartedServer(local)
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			opened.Add(1)
		}
	}
	server.Start()
	defer server.Close()
	api := awsapi.New(aws.Config{
		Region: "us-east-1", BaseEndpoint: &server.URL, Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""),
	}, awsapi.Options{Conns: polls})
	full, err := api.CreateQueue(t.Context(), "full", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	idle, err := api.CreateQueue(t.Context(), "idle", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var open atomic.Int32
	var waiting sync.WaitGroup
	for range polls {
		waiting.Go(func() {
			open.Add(1)
			defer open.Add(-1)
			_, _ = api.Queue(idle, awsapi.QueueOptions{Visibility: lease}).Receive(ctx, 10, 20*time.Second) // it is cut
		})
	}
	<-all
	before := opened.Load()
	q := api.Queue(full, awsapi.QueueOptions{Visibility: lease})
	for range deletes {
		if _, errs := q.Send(ctx, []queue.Message{{Body: "x"}}); errs != nil {
			t.Fatal(errs)
		}
		ds, err := q.Receive(ctx, 1, time.Second)
		if err != nil || len(ds) != 1 {
			t.Fatal(ds, err)
		}
		if errs := q.Delete(ctx, []queue.ReceiptHandle{ds[0].Handle}); errs != nil {
			t.Fatal(errs)
		}
	}
	equal(t, "polls that still wait", open.Load(), polls)
	// Three clients take turns; now and then a request starts before the connection of the last one is
	// back in its pool.
	if n := int(opened.Load() - before); n > deletes/2 {
		t.Errorf("%d connections opened for %d requests in turn", n, 3*deletes)
	}
	cancel()
	waiting.Wait()
}

func TestL28TheLongPollIsTheOnlySleep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStation(t, false)
		var late atomic.Int64
		r := start(t, func(_ context.Context, m *jobs.Message[string]) error {
			late.Store(max(late.Load(), int64(time.Since(m.Sent))))
			return nil
		}, s.on)
		pass(10 * time.Minute)
		equal(t, "receives in ten idle minutes", len(s.requests(receiveAction)), 31)
		equal(t, "other requests", len(s.requests(changeAction))+len(s.requests(deleteAction)), 0)
		for _, seen := range s.requests(receiveAction) {
			if wait, _ := seen.body["WaitTimeSeconds"].(float64); wait != 20 {
				t.Errorf("a receive waits for %v s, want 20", wait)
			}
		}
		for range 10 {
			s.send(`"x"`)
			pass(7300 * time.Millisecond)
		}
		r.drain()
		s.holds(0, 0)
		if d := time.Duration(late.Load()); d > time.Millisecond { // SQS tells the time in milliseconds
			t.Errorf("a message waited for %v although a poll was open", d)
		}
	})
}
