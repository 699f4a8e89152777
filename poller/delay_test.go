package poller_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stationmaster/worker/deadletter"
	"github.com/stationmaster/worker/jobs"
	"github.com/stationmaster/worker/poller"
	"github.com/stationmaster/worker/queue"
)

// ran is one run of a job: when, and as which attempt.
type ran struct {
	body    string
	after   time.Duration
	attempt int
}

// diary is a job that writes down its runs, and fails as long as it is told to.
type diary struct {
	began time.Time
	err   error

	mu   sync.Mutex
	runs []ran
}

func (d *diary) handle(_ context.Context, m *jobs.Message[string]) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.runs = append(d.runs, ran{m.Body, time.Since(d.began), m.Attempt})
	return d.err
}

func (d *diary) attempts() (all []int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, r := range d.runs {
		all = append(all, r.attempt)
	}
	return all
}

// first is when the first run was.
func (d *diary) first() time.Duration {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.runs[0].after
}

// punctual checks that body ran once, as attempt 1, no sooner than after and within two seconds of it.
func (d *diary) punctual(t *testing.T, body string, after time.Duration) {
	t.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	var found []ran
	for _, r := range d.runs {
		if r.body == body {
			found = append(found, r)
		}
	}
	if len(found) != 1 || found[0].attempt != 1 || found[0].after < after || found[0].after > after+2*time.Second {
		t.Errorf("runs of %s: %v, want one, attempt 1, at %v", body, found, after)
	}
}

// waiting is a message that must wait.
func waiting(d time.Duration, group, body string) queue.Message {
	text := fmt.Sprintf(`{"id":"job-%s","not_before":%q}`, body, time.Now().Add(d).UTC().Format(time.RFC3339Nano))
	return queue.Message{Body: fmt.Sprintf("%q", body), GroupID: group, Attributes: map[string]queue.Attribute{
		queue.StationmasterAttribute: {Type: "String", Text: text},
	}}
}

// later sends a message that must wait.
func (s *station) later(d time.Duration, group, body string) {
	s.t.Helper()
	m := waiting(d, group, body)
	if _, errs := s.q.Send(s.t.Context(), []queue.Message{m}); errs != nil {
		s.t.Fatal(errs)
	}
}

// delaying is a station with a diary.
func delaying(t *testing.T, fifo bool) (*station, *diary) {
	return newStation(t, fifo), &diary{began: time.Now()}
}

func TestADelayedMessageTakesOneHop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, job := delaying(t, false)
		why := map[poller.Why]int{}
		r := start(t, job.handle, s.and(func(o *poller.Options) {
			o.Hooks.Returned = func(_ context.Context, _ *queue.Delivery, w poller.Why) { why[w]++ }
		}))
		s.later(6*time.Hour, "", "a")
		pass(time.Minute)
		equal(t, "delayed", r.p.State().Delayed, 1)
		equal(t, "busy", r.p.State().Busy, 0)
		s.holds(0, 1)
		pass(6 * time.Hour)
		job.punctual(t, "a", 6*time.Hour)
		equal(t, "changes of visibility", len(s.requests(changeAction)), 1)
		equal(t, "delayed at the end", r.p.State().Delayed, 0)
		report := r.drain()
		s.holds(0, 0)
		equal(t, "released", report.Released, 0)
		if diff := cmp.Diff(map[poller.Why]int{poller.WhyDelayed: 1}, why); diff != "" {
			t.Error(diff)
		}
	})
}

// TestADelayThroughATopic: in the envelope and without it.
func TestADelayThroughATopic(t *testing.T) {
	for _, raw := range []string{"true", "false"} {
		t.Run("raw "+raw, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, job := delaying(t, false)
				arn, err := s.api.CreateTopic(t.Context(), "invitations", nil, nil)
				if err != nil {
					t.Fatal(err)
				}
				policy := `{"Statement":[{"Effect":"Allow","Principal":{"Service":"sns.amazonaws.com"},"Action":"sqs:SendMessage","Resource":"*"}]}`
				if err := s.api.SetQueueAttributes(t.Context(), s.url, map[string]string{"Policy": policy}); err != nil {
					t.Fatal(err)
				}
				if _, err := s.api.Subscribe(t.Context(), arn, "sqs", "arn:aws:sqs:us-east-1:000000000000:mail", map[string]string{"RawMessageDelivery": raw}); err != nil {
					t.Fatal(err)
				}
				job.began = time.Now()
				r := start(t, job.handle, s.on)
				if _, err := s.api.Publish(t.Context(), arn, waiting(6*time.Hour, "", "a")); err != nil {
					t.Fatal(err)
				}
				pass(6*time.Hour + time.Minute)
				job.punctual(t, "a", 6*time.Hour)
				equal(t, "changes of visibility", len(s.requests(changeAction)), 1)
				r.drain()
				s.holds(0, 0)
			})
		})
	}
}

// TestADelayOutlivesTheProcess: the one that runs the message knows of the hop from the message alone,
// and so do the retries after it, until the dead letter.
func TestADelayOutlivesTheProcess(t *testing.T) {
	for _, d := range []time.Duration{time.Minute, 6 * time.Hour, queue.MaxHeld - 30*time.Second, queue.MaxHeld} {
		t.Run(d.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, job := delaying(t, false)
				job.err = errBoom
				cut := s.and(func(o *poller.Options) { o.CutPolls = true }) // or a drain brings it once more
				s.later(d, "", "a")
				r := start(t, job.handle, cut)
				pass(d - 5*time.Second)
				r.drain()
				again := start(t, job.handle, cut)
				pass(10 * time.Second)
				if d < queue.MaxHeld {
					again.drain() // between the tries too
					again = start(t, job.handle, cut)
				}
				pass(3 * time.Minute)
				again.drain()
				if diff := cmp.Diff([]int{1, 2, 3}, job.attempts()); diff != "" {
					t.Error(diff)
				}
				if first := job.first(); first < d || first > d+2*time.Second {
					t.Errorf("the first try was after %v, want %v", first, d)
				}
				dead := s.dead()
				if len(dead) != 1 {
					t.Fatalf("%d dead letters, want 1", len(dead))
				}
				record, _ := deadletter.Read(&dead[0].Message)
				equal(t, "id", record.ID, "job-a")
				equal(t, "asks for a time", queue.NotBefore(&dead[0]).IsZero(), true)
			})
		})
	}
}

func TestMoreThanTwelveHoursIsADeadLetter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, job := delaying(t, false)
		r := start(t, job.handle, s.on)
		s.later(13*time.Hour, "", "a")
		pass(time.Minute)
		r.drain()
		dead := s.dead()
		if len(dead) != 1 {
			t.Fatalf("%d dead letters, want 1", len(dead))
		}
		record, _ := deadletter.Read(&dead[0].Message)
		equal(t, "class", record.Class, "delay_too_long")
		equal(t, "id", record.ID, "job-a")
		equal(t, "runs", len(job.attempts()), 0)
		// A replay runs at once.
		again := dead[0].Message
		if err := record.Replayed(deadletter.Replay{ID: "r-1"}).Write(&again); err != nil {
			t.Fatal(err)
		}
		job.began = time.Now()
		r = start(t, job.handle, s.on)
		if _, errs := s.q.Send(t.Context(), []queue.Message{again}); errs != nil {
			t.Fatal(errs)
		}
		pass(time.Second)
		job.punctual(t, "a", 0)
		r.drain()
	})
}

func TestWhatWaitsTakesNoSlot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, job := delaying(t, false)
		for i := range 12 {
			s.later(time.Duration(i+1)*time.Hour/2, "", fmt.Sprint("later-", i))
			s.send(fmt.Sprintf(`"now-%d"`, i))
		}
		job.began = time.Now()
		r := start(t, job.handle, s.and(func(o *poller.Options) { o.Slots, o.Prefetch = 2, 1 }))
		pass(2 * time.Second)
		for i := range 12 {
			job.punctual(t, fmt.Sprint("now-", i), 0)
		}
		pass(7 * time.Hour)
		for i := range 12 {
			job.punctual(t, fmt.Sprint("later-", i), time.Duration(i+1)*time.Hour/2)
		}
		r.drain()
		hidden := 0
		for _, c := range s.requests(changeAction) {
			hidden += len(c.hides())
		}
		equal(t, "hops", hidden, 12)
	})
}

func TestALostHopIsRepeated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, job := delaying(t, false)
		stop := s.fails(changeAction, denied)
		r := start(t, job.handle, s.on)
		s.later(time.Hour, "", "a")
		pass(45 * time.Second)
		equal(t, "delayed", r.p.State().Delayed, 0)
		stop()
		pass(time.Hour)
		job.punctual(t, "a", time.Hour)
		r.drain()
		s.holds(0, 0)
	})
}

func TestADelayedMessageOfAGroupHoldsItUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, job := delaying(t, true)
		s.sendGroup("g", `"first"`)
		s.later(time.Hour, "g", "second")
		s.sendGroup("g", `"third"`)
		s.sendGroup("h", `"other"`)
		job.began = time.Now()
		r := start(t, job.handle, s.on)
		pass(time.Minute)
		job.punctual(t, "first", 0)
		job.punctual(t, "other", 0)
		equal(t, "runs", len(job.attempts()), 2)
		pass(time.Hour)
		job.punctual(t, "second", time.Hour)
		job.punctual(t, "third", time.Hour)
		r.drain()
		s.holds(0, 0)
	})
}

func TestADrainLeavesADelayedMessageHidden(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, job := delaying(t, false)
		r := start(t, job.handle, s.on)
		synctest.Wait()
		r.stop() // the open poll brings it while the worker drains
		s.later(time.Hour, "", "a")
		report := <-r.done
		equal(t, "released", report.Released, 0)
		s.holds(0, 1)
		again := start(t, job.handle, s.on)
		pass(2 * time.Hour)
		job.punctual(t, "a", time.Hour)
		again.drain()
	})
}
