package telemetry_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stationmaster/worker/internal/telemetry"
	"github.com/stationmaster/worker/jobs"
	"github.com/stationmaster/worker/poller"
	"github.com/stationmaster/worker/queue"
)

func TestLiveTellsWhatStandsStill(t *testing.T) {
	ago := func(d time.Duration) time.Time { return start.Add(time.Hour - d) }
	for _, tt := range []struct {
		name  string
		state poller.State
		want  time.Duration // for how long it stands still; 0: it does not
	}{
		{"just polled", poller.State{State: "polling", LastPoll: ago(time.Second)}, 0},
		{"no poll for long", poller.State{State: "polling", LastPoll: ago(91 * time.Second)}, 91 * time.Second},
		{"no poll for a while", poller.State{State: "polling", LastPoll: ago(90 * time.Second)}, 0},
		{"none at all", poller.State{State: "polling"}, time.Hour},
		{"backing off, since AWS is down", poller.State{State: "backing off", LastPoll: ago(59 * time.Second), Err: errors.New("no route")}, 0},
		{"backing off, and stuck", poller.State{State: "backing off", LastPoll: ago(2 * time.Minute), Err: errors.New("no route")}, 2 * time.Minute},
		{"every slot is taken for an hour", poller.State{State: "polling", LastPoll: ago(time.Hour), Busy: 4, Full: true}, 0},
		{"paused for an hour", poller.State{State: "paused", LastPoll: ago(time.Hour)}, 0},
		{"the first poll after a pause of an hour", poller.State{State: "polling", LastPoll: ago(time.Hour), PollEnds: ago(-20 * time.Second)}, 0},
		{"the first poll of a queue that was missing for an hour", poller.State{State: "polling", PollEnds: ago(-20 * time.Second)}, 0},
		{"a poll that is a little late", poller.State{State: "polling", LastPoll: ago(2 * time.Minute), PollEnds: ago(time.Minute)}, 0},
		{"a poll that never ends", poller.State{State: "polling", LastPoll: ago(3 * time.Minute), PollEnds: ago(2 * time.Minute)}, 2 * time.Minute},
		{"one that never ends beside others that do", poller.State{State: "polling", LastPoll: ago(time.Second), PollEnds: ago(2 * time.Minute)}, 0},
		{"one that never ends while every slot is taken", poller.State{State: "polling", LastPoll: ago(3 * time.Minute), PollEnds: ago(2 * time.Minute), Full: true}, 2 * time.Minute},
		{"draining", poller.State{State: "draining", LastPoll: ago(time.Hour)}, 0},
		{"stopped", poller.State{State: "stopped", LastPoll: ago(time.Hour)}, 0},
		{"starting", poller.State{State: "starting"}, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := newKit(t)
				<-time.After(time.Hour)
				attached(k.email(), tt.state)
				status, body := k.get(t, "/livez")
				if tt.want == 0 {
					if status != http.StatusOK || body != "ok\n" {
						t.Errorf("%d %s", status, body)
					}
					return
				}
				if want := "queue email: no poll completed for " + tt.want.String() + "\n"; status != http.StatusServiceUnavailable || body != want {
					t.Errorf("%d %q, want %q", status, body, want)
				}
			})
		})
	}
}

// TestBetweenAPauseAndItsNextPollAQueueIsLive: the last poll is long ago, and none is open yet.
func TestBetweenAPauseAndItsNextPollAQueueIsLive(t *testing.T) {
	for _, resting := range []poller.State{{State: "paused"}, {State: "polling", Full: true, Busy: 4}} {
		synctest.Test(t, func(t *testing.T) {
			k := newKit(t)
			s := source{state: resting}
			s.attach(k.email())
			<-time.After(time.Hour)
			for _, step := range []struct {
				state  poller.State
				after  time.Duration
				status int
			}{
				{resting, 0, http.StatusOK},
				{poller.State{State: "polling"}, 0, http.StatusOK},
				{poller.State{State: "polling"}, 90 * time.Second, http.StatusOK},
				{poller.State{State: "polling"}, time.Second, http.StatusServiceUnavailable},
			} {
				<-time.After(step.after)
				s.state = step.state
				if status, body := k.get(t, "/livez"); status != step.status {
					t.Errorf("after %s: %d %s", time.Since(start), status, body)
				}
			}
		})
	}
}

func TestAQueueThatCannotBeOpenedIsNoReasonToRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKit(t)
		k.email().Fail(errors.New("find queue email: not found"))
		<-time.After(24 * time.Hour)
		if status, body := k.get(t, "/livez"); status != http.StatusOK {
			t.Errorf("%d %s", status, body)
		}
	})
}

// receiver is an SQS of which the tests say what a receive does.
type receiver func(ctx context.Context, wait time.Duration) ([]queue.Delivery, error)

func (r receiver) Receive(ctx context.Context, _ int, wait time.Duration) ([]queue.Delivery, error) {
	return r(ctx, wait)
}

type settler struct{}

func (settler) Delete(context.Context, []queue.ReceiptHandle) []error { return nil }

func (settler) ChangeVisibility(context.Context, []queue.ReceiptHandle, []time.Duration) []error {
	return nil
}

// worst runs a real poller over an SQS for a while, probes it each ten seconds, and returns how many
// probes failed.
func worst(t *testing.T, r receiver, handle func(context.Context) error, during func(*poller.Poller)) (failed int) {
	t.Helper()
	k := newKit(t)
	registry := jobs.NewRegistry()
	jobs.AddTo(registry, "mail", func(ctx context.Context, _ *jobs.Message[map[string]any]) error { return handle(ctx) })
	definition, _ := registry.Lookup("mail")
	instance, err := definition.Open(t.Context(), func(any) error { return nil }, &jobs.Env{})
	if err != nil {
		t.Fatal(err)
	}
	q := k.email()
	p, err := poller.New(poller.Options{
		Name: "email", Receiver: r, Settler: settler{}, Slots: 1, Job: "mail", CutPolls: true,
		Route: func(*jobs.Info) (*jobs.Instance, bool) { return instance, true }, Hooks: q.Hooks(),
	})
	if err != nil {
		t.Fatal(err)
	}
	q.Attach(telemetry.Source{
		State: p.State, Requests: func() int64 { return 0 }, Counts: func(context.Context) (a, b int64, err error) { return 0, 0, nil },
	})
	receive, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); p.Run(receive, t.Context()) }()
	if during != nil {
		go during(p)
	}
	for range 6 * 30 { // half an hour
		<-time.After(10 * time.Second)
		if status, _ := k.get(t, "/livez"); status != http.StatusOK {
			failed++
		}
	}
	stop()
	p.Hurry()
	<-ended
	return failed
}

// empty is a long poll that brings nothing.
func empty(ctx context.Context, wait time.Duration) ([]queue.Delivery, error) {
	select {
	case <-time.After(wait):
		return nil, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func TestARealPollerIsLiveWhileItDoesItsWork(t *testing.T) {
	nothing := func(context.Context) error { return nil }
	long := func(ctx context.Context) error {
		select {
		case <-time.After(10 * time.Minute):
		case <-ctx.Done():
		}
		return nil
	}
	for _, tt := range []struct {
		name   string
		r      receiver
		handle func(context.Context) error
		during func(*poller.Poller)
		fails  bool
	}{
		{"idle", empty, nothing, nil, false},
		{"AWS is down", func(context.Context, time.Duration) ([]queue.Delivery, error) {
			return nil, errors.New("connection refused")
		}, nothing, nil, false},
		{"credentials have expired, slowly", func(ctx context.Context, _ time.Duration) ([]queue.Delivery, error) {
			_, err := empty(ctx, 30*time.Second)
			return nil, errors.Join(queue.ErrCredentials, err)
		}, nothing, nil, false},
		{"every slot is taken by a long job", func(ctx context.Context, wait time.Duration) ([]queue.Delivery, error) {
			d := delivery()
			d.Deadline = time.Now().Add(30 * time.Second)
			return []queue.Delivery{*d}, nil
		}, long, nil, false},
		{"paused, and resumed", empty, nothing, func(p *poller.Poller) {
			for range 3 {
				p.Pause(time.Now().Add(8 * time.Minute))
				<-time.After(9 * time.Minute)
			}
		}, false},
		{"a poll that never ends", func(ctx context.Context, _ time.Duration) ([]queue.Delivery, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}, nothing, nil, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				if failed := worst(t, tt.r, tt.handle, tt.during); failed > 0 != tt.fails {
					t.Errorf("%d of 180 probes failed", failed)
				}
			})
		})
	}
}

func TestTheAnswerOfLiveIsForPeople(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKit(t)
		for _, name := range []string{"a", "b", "c"} {
			q := k.Queue(telemetry.QueueOptions{Name: name})
			if name != "b" {
				attached(q, poller.State{State: "polling"})
			}
		}
		<-time.After(2*time.Minute + 400*time.Millisecond)
		if _, body := k.get(t, "/livez"); strings.Count(body, "\n") != 2 || body != "queue a: no poll completed for 2m0s\nqueue c: no poll completed for 2m0s\n" {
			t.Errorf("%s", body)
		}
	})
}
