package dlqreplay_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stationmaster/worker/dlqreplay"
)

// tasks is SQS's redrive as RunNative sees it: perPoll messages a look, until all are moved.
type tasks struct {
	all, perPoll int64
	failAt       int64 // 0: never
	stuck        int64 // never moved
	task         *dlqreplay.Task
	cancelled    bool
	listErr      func(look int) error
	looks        int
	to           string
	rate         int
}

func (f *tasks) Start(_ context.Context, _, to string, perSecond int) (string, error) {
	f.to, f.rate = to, perSecond
	f.task = &dlqreplay.Task{Handle: "h", Status: "RUNNING", ToARN: to, ToMove: f.all, Started: time.Now()}
	return "h", nil
}

func (f *tasks) List(context.Context, string) ([]dlqreplay.Task, error) {
	f.looks++
	if f.listErr != nil {
		if err := f.listErr(f.looks); err != nil {
			return nil, err
		}
	}
	if f.task.Status == "RUNNING" {
		f.task.Moved = min(f.task.Moved+f.perPoll, f.all-f.stuck)
		switch {
		case f.failAt > 0 && f.task.Moved >= f.failAt:
			f.task.Status, f.task.Failure, f.task.Handle = "FAILED", "AWS.SimpleQueueService.NonExistentQueue", ""
		case f.task.Moved == f.all-f.stuck:
			f.task.Status, f.task.Handle = "COMPLETED", ""
		}
	}
	return []dlqreplay.Task{*f.task, {Status: "COMPLETED", ToARN: f.to, Started: time.Now().Add(-time.Hour)}}, nil
}

func (f *tasks) Cancel(context.Context, string) (int64, error) {
	f.cancelled = true
	f.task.Status = "CANCELLED"
	return f.task.Moved, nil
}

func (f *tasks) options() dlqreplay.NativeOptions {
	return dlqreplay.NativeOptions{
		ReplayID: "r-1", To: &dlqreplay.Destination{Name: "work", ARN: "arn:aws:sqs:us-east-1:000000000000:work"}, Tasks: f, Rate: 500,
		DLQ: &dlqreplay.DLQ{Name: "work-dlq", ARN: "arn:dlq", Counts: func(context.Context) (dlqreplay.Counts, error) {
			moved := int64(0)
			if f.task != nil {
				moved = f.task.Moved
			}
			return dlqreplay.Counts{Visible: f.all - moved}, nil
		}},
	}
}

func TestNativeCountsWhatSQSMoved(t *testing.T) {
	for _, row := range []struct {
		name           string
		tasks          tasks
		outcome        dlqreplay.Outcome
		replayed, left int
		why            string
	}{
		{"all", tasks{all: 100, perPoll: 30}, dlqreplay.Completed, 100, 0, ""},
		{"the destination vanishes", tasks{all: 100, perPoll: 30, failAt: 60}, dlqreplay.Failed, 60, 40, "NonExistentQueue"},
		{"done, says SQS, and some are still there", tasks{all: 100, perPoll: 30, stuck: 7}, dlqreplay.Completed, 93, 7, "about 7 are in work-dlq"},
		{"a look that fails is repeated", tasks{all: 100, perPoll: 30, listErr: func(look int) error {
			if look < 20 {
				return errors.New("connection refused")
			}
			return nil
		}}, dlqreplay.Completed, 100, 0, ""},
		{
			"looks that fail for good",
			tasks{all: 100, perPoll: 30, listErr: func(int) error { return errors.New("access denied") }},
			dlqreplay.Failed, 0, 100, "access denied; the task may still be running",
		},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := row.tasks
				r, err := dlqreplay.RunNative(t.Context(), f.options())
				if err != nil {
					t.Fatal(err)
				}
				if r.Outcome != row.outcome || r.Replayed != row.replayed || r.Left != row.left || !strings.Contains(r.Why, row.why) {
					t.Errorf("%s, %d replayed, %d left, why %q; want %s, %d, %d, %q",
						r.Outcome, r.Replayed, r.Left, r.Why, row.outcome, row.replayed, row.left, row.why)
				}
				if r.Selected != r.Replayed+r.Left {
					t.Errorf("%d selected are not %d replayed and %d left", r.Selected, r.Replayed, r.Left)
				}
				if f.rate != 500 || f.to == "" {
					t.Errorf("the task was started to %q at %d/s", f.to, f.rate)
				}
			})
		})
	}
}

func TestNativeCancelsOrLeavesItsTaskWhenItIsInterrupted(t *testing.T) {
	for _, leave := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			f := tasks{all: 100, perPoll: 10}
			o := f.options()
			o.Leave = func() bool { return leave }
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			r, err := dlqreplay.RunNative(ctx, o)
			if err != nil {
				t.Fatal(err)
			}
			if r.Outcome != dlqreplay.Interrupted || f.cancelled == leave || r.Replayed != 30 || r.Left != 70 {
				t.Errorf("leave %v: %+v, cancelled %v", leave, r, f.cancelled)
			}
		})
	}
}

func TestNativeRefusesWhatSQSWouldFailAt(t *testing.T) {
	f := tasks{all: 1}
	o := f.options()
	o.To = &dlqreplay.Destination{Name: "job audit"}
	if _, err := dlqreplay.RunNative(t.Context(), o); err == nil || !strings.Contains(err.Error(), "no ARN") {
		t.Errorf("err = %v, want the missing ARN", err)
	}
	o = f.options()
	o.Rate = 501
	if _, err := dlqreplay.RunNative(t.Context(), o); err == nil || !strings.Contains(err.Error(), "at most 500/s") {
		t.Errorf("err = %v, want the rate", err)
	}
	if f.task != nil {
		t.Error("a task was started")
	}
}
