package ingress_test

import (
	"context"
	"encoding/json"
	"errors"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stationmaster/worker/deadletter"
	"github.com/stationmaster/worker/ingress"
	"github.com/stationmaster/worker/jobs"
	"github.com/stationmaster/worker/queue"
	"github.com/stationmaster/worker/retry"
)

type message = jobs.Message[json.RawMessage]

var errBoom = errors.New("smtp 451 for ada@example.com")

// answer makes a job that answers always the same.
func answer(err error) func(context.Context, *message) error {
	return func(context.Context, *message) error { return err }
}

func TestWhatAJobAnswersIsWhatSNSIsTold(t *testing.T) {
	for name, row := range map[string]struct {
		does   func(context.Context, *message) error
		status int
	}{
		"nil":                      {answer(nil), 200},
		"an error":                 {answer(errBoom), 503},
		"after":                    {answer(retry.After(errBoom, time.Second)), 503},
		"after, no failure":        {answer(retry.After(nil, time.Second)), 503},
		"pause":                    {func(context.Context, *message) error { return retry.Pause(errBoom, time.Now().Add(time.Minute)) }, 503},
		"a panic":                  {func(context.Context, *message) error { panic("x") }, 503},
		"the end of its goroutine": {func(context.Context, *message) error { runtime.Goexit(); return nil }, 503},
		"never":                    {answer(retry.Never(errBoom)), 200},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				k := newKit(t)
				k.subscribe()
				r, body := k.capture()
				k.job.set(row.does)
				if got := k.serve(r, body); got != row.status {
					t.Errorf("status %d, want %d", got, row.status)
				}
				if len(k.seen.outcomes)+len(k.seen.refusals) != 1 {
					t.Errorf("outcomes %+v, refusals %v", k.seen.outcomes, k.seen.refusals)
				}
			})
		})
	}
}

// TestAHookThatPanicsTakesNoSlotAway.
func TestAHookThatPanicsTakesNoSlotAway(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		k := newKit(t, func(o *ingress.Options) {
			o.Paths[0].Slots = 1
			o.Paths[0].Hooks.Started = func(context.Context, *queue.Delivery, *jobs.Info) context.Context { panic("hook") }
		})
		k.subscribe()
		r, body := k.capture()
		for range 3 {
			if got := k.serve(r, body); got != 503 {
				t.Errorf("status %d", got)
			}
		}
		if s := k.handler.State("/hooks/audit"); s.Busy != 0 || len(k.seen.refusals) != 3 {
			t.Errorf("state %+v, refusals %v", s, k.seen.refusals)
		}
	})
}

// TestNeverIsADeadLetterWithItsRecord: SNS's own would tell nothing.
func TestNeverIsADeadLetterWithItsRecord(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		k := newKit(t)
		k.subscribe()
		k.job.set(answer(retry.Never(errBoom)))
		id := k.publish(`{"email":"ada@example.com"}`)
		synctest.Wait()
		dead := k.received(k.failed())
		if len(dead) != 1 {
			t.Fatalf("%d dead letters", len(dead))
		}
		n, enveloped := queue.ReadNotification(dead[0].Body)
		record, ok := deadletter.Read(&dead[0].Message)
		if !enveloped || n.MessageID != id || !ok {
			t.Fatalf("dead letter %+v", dead[0])
		}
		want := deadletter.Record{
			V: 1, ID: id, Job: "audit", Class: "error", Reason: "smtp 451 for <body>", Fingerprint: record.Fingerprint,
			Origin: "/hooks/audit", OriginID: id, Receives: 1, Deaths: 1, Build: "test", Host: "here",
			Sent: record.Sent, FirstReceived: record.FirstReceived, Died: record.Died,
		}
		if diff := cmp.Diff(want, record); diff != "" || record.Fingerprint == "" || record.Sent.IsZero() || record.FirstReceived.IsZero() {
			t.Error(diff)
		}
		if strings.Contains(dead[0].Attributes[deadletter.Attribute].Text, "ada@") {
			t.Error("the record quotes the message")
		}
		if diff := cmp.Diff([]int{200, 200}, k.answers()); diff != "" { // the confirmation's, and this one
			t.Error(diff)
		}
	})
}

// TestARefusedDeadLetterStaysWithSNS.
func TestARefusedDeadLetterStaysWithSNS(t *testing.T) {
	for name, to := range map[string]queue.Sender{"no queue": nil, "a queue that refuses": refusing{}} {
		inBubble(t, func(t *testing.T) {
			k := newKit(t, func(o *ingress.Options) { o.Paths[0].Topics[0].DeadLetters = to })
			k.subscribe()
			k.job.set(answer(retry.Never(errBoom)))
			r, body := k.capture()
			if got := k.serve(r, body); got != 503 {
				t.Errorf("%s: status %d", name, got)
			}
			if len(k.seen.dead) != 1 || k.seen.dead[0] == nil {
				t.Errorf("%s: told %v", name, k.seen.dead)
			}
			if got := k.serve(r, body); got != 503 || k.job.runs() != 2 {
				t.Errorf("%s: again %d after %d runs", name, got, k.job.runs())
			}
		})
	}
}

type refusing struct{}

func (refusing) Send(_ context.Context, m []queue.Message) ([]string, []error) {
	return make([]string, len(m)), queue.Each(queue.ErrDenied, len(m))
}

// TestTheWholeLine: subscribed bare, confirmed, attached; then a delivery fails, is tried again as the
// delivery policy says, and lands in the subscription's dead-letter queue.
func TestTheWholeLine(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		k := newKit(t)
		k.subscribe()
		k.answers()
		began := time.Now()
		var at []time.Duration
		var attempts []int
		k.job.set(func(_ context.Context, m *message) error {
			at, attempts = append(at, time.Since(began).Round(time.Second)), append(attempts, m.Attempt)
			return errBoom
		})
		id := k.publish(`{"event":"user_invited"}`)
		pass(10 * time.Minute)
		// numRetries 4, exponential from 2 s to 30 s.
		if diff := cmp.Diff([]int{503, 503, 503, 503, 503}, k.answers()); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff([]int{1, 2, 3, 4, 5}, attempts); diff != "" {
			t.Error(diff)
		}
		if len(at) != 5 || at[0] != 0 || at[1] != 2*time.Second || at[4] < 32*time.Second || at[4] > 2*time.Minute {
			t.Errorf("tried at %v", at)
		}
		dead := k.received(k.failed())
		if len(dead) != 1 {
			t.Fatalf("%d dead letters; drops %v", len(dead), k.drops)
		}
		n, _ := queue.ReadNotification(dead[0].Body)
		if n.MessageID != id || n.Message != `{"event":"user_invited"}` || len(dead[0].Attributes) != 0 {
			t.Errorf("dead letter %+v", dead[0].Message)
		}
		k.job.set(nil)
		k.publish(`{}`)
		synctest.Wait()
		if diff := cmp.Diff([]int{200}, k.answers()); diff != "" {
			t.Errorf("the next one: %s", diff)
		}
	})
}

func TestDuplicates(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		k := newKit(t)
		k.subscribe()
		r, body := k.capture()
		_, other := k.capture()
		for range 3 {
			if got := k.serve(r, body); got != 200 {
				t.Errorf("status %d", got)
			}
		}
		if k.job.runs() != 1 || k.seen.duplicates != 2 {
			t.Errorf("%d runs, %d duplicates", k.job.runs(), k.seen.duplicates)
		}
		r.Header.Del("X-Amz-Sns-Message-Id")
		if got := k.serve(r, other); got != 200 || k.job.runs() != 2 {
			t.Errorf("another message: %d, %d runs", got, k.job.runs())
		}
	})
}

// TestADuplicateOfWhatRunsWaitsForItsEnd, and is told what became of it.
func TestADuplicateOfWhatRunsWaitsForItsEnd(t *testing.T) {
	for _, err := range []error{nil, errBoom} {
		inBubble(t, func(t *testing.T) {
			k := newKit(t)
			k.subscribe()
			r, body := k.capture()
			k.job.set(func(context.Context, *message) error { <-time.After(5 * time.Second); return err })
			statuses := make(chan int, 3)
			for range 3 {
				go func() { statuses <- k.serve(r, body) }()
				pass(time.Second)
			}
			want := 200
			if err != nil {
				want = 503
			}
			for range 3 {
				if got := <-statuses; got != want {
					t.Errorf("status %d, want %d", got, want)
				}
			}
			if k.job.runs() != 1 {
				t.Errorf("%d runs", k.job.runs())
			}
		})
	}
}

// TestAJobThatIsTooSlow is cancelled in time for an answer; one that goes on nevertheless is not run
// again beside itself.
func TestAJobThatIsTooSlow(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		k := newKit(t)
		k.subscribe()
		k.job.set(func(ctx context.Context, _ *message) error {
			<-ctx.Done()
			return ctx.Err()
		})
		r, body := k.capture()
		began := time.Now()
		if got, took := k.serve(r, body), time.Since(began); got != 503 || took != 12*time.Second {
			t.Errorf("status %d after %v", got, took)
		}
		if o := k.seen.outcomes[0]; !errors.Is(o.Err, ingress.ErrTimeout) || o.Interrupted {
			t.Errorf("outcome %+v", o)
		}

		k.job.set(func(context.Context, *message) error { <-time.After(20 * time.Second); return nil })
		r, body = k.capture()
		began = time.Now()
		if got, took := k.serve(r, body), time.Since(began); got != 503 || took >= 15*time.Second {
			t.Errorf("status %d after %v", got, took)
		}
		runs := k.job.runs()
		if got, took := k.serve(r, body), time.Since(began); got != 200 || took != 20*time.Second || k.job.runs() != runs {
			t.Errorf("its next try: %d after %v, %d runs", got, took, k.job.runs()-runs)
		}
	})
}

// TestACallerThatGoesDoesNotEndTheJob: SNS's next try finds it done.
func TestACallerThatGoesDoesNotEndTheJob(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		k := newKit(t)
		k.subscribe()
		r, body := k.capture()
		k.job.set(func(ctx context.Context, _ *message) error {
			select {
			case <-time.After(5 * time.Second):
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if got := k.serve(r.WithContext(ctx), body); got != 503 {
			t.Errorf("status %d", got)
		}
		pass(10 * time.Second)
		if got := k.serve(r, body); got != 200 || k.job.runs() != 1 {
			t.Errorf("its next try: %d, %d runs", got, k.job.runs())
		}
	})
}

func TestSlotsBoundWhatRuns(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		k := newKit(t, func(o *ingress.Options) { o.Paths[0].Slots = 2 })
		k.subscribe()
		k.answers()
		running, most := 0, 0
		k.job.set(func(context.Context, *message) error {
			k.mu.Lock()
			running++
			most = max(most, running)
			k.mu.Unlock()
			<-time.After(4 * time.Second)
			k.mu.Lock()
			running--
			k.mu.Unlock()
			return nil
		})
		for range 3 {
			k.publish(`{}`)
		}
		pass(time.Second)
		if s := k.handler.State("/hooks/audit"); s.Busy != 2 || s.State != "serving" {
			t.Errorf("state %+v", s)
		}
		pass(5 * time.Second) // it waits for 3 s, no longer
		if diff := cmp.Diff([]int{503, 200, 200}, k.answers()); diff != "" || most != 2 {
			t.Errorf("%d at once: %s", most, diff)
		}
		pass(time.Minute)
		if diff := cmp.Diff([]int{200}, k.answers()); diff != "" {
			t.Errorf("its next try: %s", diff)
		}
	})
}

func TestAPauseRestsThePath(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		k := newKit(t)
		k.subscribe()
		until := time.Now().Add(time.Minute)
		k.job.set(answer(retry.Pause(errBoom, until)))
		r, body := k.capture()
		k.serve(r, body)
		if s := k.handler.State("/hooks/audit"); s.State != "paused" || !s.PausedUntil.Equal(until) {
			t.Errorf("state %+v", s)
		}
		k.job.set(nil)
		if got := k.serve(r, body); got != 503 || k.job.runs() != 1 {
			t.Errorf("status %d, %d runs", got, k.job.runs())
		}
		pass(time.Minute)
		if got := k.serve(r, body); got != 200 || k.job.runs() != 2 {
			t.Errorf("after it: %d, %d runs", got, k.job.runs())
		}
	})
}

// TestDrain: what runs ends or is cancelled, what comes is left to SNS.
func TestDrain(t *testing.T) {
	for name, row := range map[string]struct {
		takes time.Duration
		deaf  bool
		want  ingress.Report
		after time.Duration
		says  int
	}{
		"a job that ends":             {takes: 3 * time.Second, want: ingress.Report{Finished: 1}, after: 2 * time.Second, says: 200},
		"a job that is cancelled":     {takes: 11 * time.Second, want: ingress.Report{Finished: 1}, after: 5 * time.Second, says: 503},
		"a job that ignores its end":  {takes: 11 * time.Second, deaf: true, want: ingress.Report{Abandoned: 1}, after: 7 * time.Second, says: 200},
		"nothing runs, nothing waits": {takes: 0, want: ingress.Report{}, says: 200},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				k := newKit(t)
				k.subscribe()
				r, body := k.capture()
				late, lateBody := k.capture()
				k.job.set(func(ctx context.Context, _ *message) error {
					done := ctx.Done()
					if row.deaf {
						done = nil
					}
					select {
					case <-time.After(row.takes):
						return nil
					case <-done:
						return context.Cause(ctx)
					}
				})
				says := make(chan int, 1)
				go func() { says <- k.serve(r, body) }()
				pass(time.Second)
				receive, stop := context.WithCancel(t.Context())
				handle, kill := context.WithCancelCause(t.Context())
				began := time.Now()
				go func() { <-time.After(5 * time.Second); kill(ingress.ErrDrain) }()
				stop()
				report := make(chan ingress.Report, 1)
				go func() { report <- k.handler.Run(receive, handle) }()
				synctest.Wait()
				if got := k.serve(late, lateBody); got != 503 {
					t.Errorf("what comes while draining: %d", got)
				}
				if s := k.handler.State("/hooks/audit"); s.State != "draining" {
					t.Errorf("state %+v", s)
				}
				if diff := cmp.Diff(row.want, <-report); diff != "" {
					t.Error(diff)
				}
				if took := time.Since(began); took != row.after {
					t.Errorf("took %v, want %v", took, row.after)
				}
				if got := <-says; got != row.says {
					t.Errorf("status %d, want %d", got, row.says)
				}
				if row.says == 503 && !k.seen.outcomes[0].Interrupted {
					t.Errorf("outcome %+v", k.seen.outcomes[0])
				}
				<-time.After(10 * time.Second)
			})
		})
	}
}
