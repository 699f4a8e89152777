package awsapi_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/stationmaster/worker/internal/awsapi"
	"github.com/stationmaster/worker/localaws"
	"github.com/stationmaster/worker/queue"
)

func redriveTo(arn string) map[string]string {
	return map[string]string{"RedrivePolicy": fmt.Sprintf(`{"deadLetterTargetArn":%q,"maxReceiveCount":"5"}`, arn)}
}

func TestDeadLetterSourcesAreAllOfThem(t *testing.T) {
	server, c := local(t)
	dlqURL, dlq := made(t, c, "orders-dlq", nil)
	var want []string
	for i := range 5 {
		url, _ := made(t, c, fmt.Sprintf("orders-%d", i), redriveTo(dlq))
		want = append(want, url)
	}
	asked := faulty(server, "ListDeadLetterSourceQueues", nil)
	got, err := c.DeadLetterSources(t.Context(), dlqURL)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Error(err, diff)
	}
	if n := asked.Load(); n != 1 {
		t.Errorf("%d requests for five queues, want 1", n)
	}
	if got, err := c.DeadLetterSources(t.Context(), want[0]); err != nil || len(got) != 0 {
		t.Errorf("of a queue that is none: %v, %v", got, err)
	}
	if _, err := c.DeadLetterSources(t.Context(), dlqURL+"-no"); !errors.Is(err, queue.ErrNotFound) {
		t.Errorf("of no queue: %v", err)
	}
}

func TestDeadLetterSourcesFollowThePages(t *testing.T) {
	f := &fake{replies: []reply{
		{status: 200, body: `{"queueUrls":["https://q/1"],"NextToken":"more"}`},
		{status: 200, body: `{"queueUrls":["https://q/2"]}`},
	}}
	got, err := awsapi.New(config(f), awsapi.Options{}).DeadLetterSources(t.Context(), emailURL)
	if diff := cmp.Diff([]string{"https://q/1", "https://q/2"}, got); err != nil || diff != "" {
		t.Error(err, diff)
	}
	if asked := f.requests(); len(asked) != 2 || !contains(asked[1].body, `"NextToken":"more"`, `"MaxResults":1000`) {
		t.Errorf("asked %+v", asked)
	}
}

func TestAMoveTaskFromItsStartToItsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, c := local(t)
		dlqURL, dlq := made(t, c, "orders-dlq", nil)
		toURL, to := made(t, c, "orders", redriveTo(dlq))
		from := c.Queue(dlqURL, awsapi.QueueOptions{})
		for range 3 {
			if _, errs := from.Send(t.Context(), make10()); errs != nil {
				t.Fatal(errs)
			}
		}
		if tasks, err := c.MoveTasks(t.Context(), dlq); err != nil || len(tasks) != 0 {
			t.Fatalf("before any: %+v, %v", tasks, err)
		}
		began := time.Now()
		handle, err := c.StartMoveTask(t.Context(), dlq, to, 10)
		if err != nil || handle == "" {
			t.Fatal(handle, err)
		}
		if _, err := c.StartMoveTask(t.Context(), dlq, to, 10); err == nil || errors.Is(err, queue.ErrUnanswered) {
			t.Errorf("a second task: %v, want SQS's refusal", err)
		}
		<-time.After(time.Second)
		tasks, err := c.MoveTasks(t.Context(), dlq)
		if err != nil || len(tasks) != 1 {
			t.Fatal(tasks, err)
		}
		want := awsapi.MoveTask{Handle: handle, Status: "RUNNING", From: dlq, To: to, ToMove: 30, PerSecond: 10}
		if diff := cmp.Diff(want, tasks[0], cmpopts.IgnoreFields(awsapi.MoveTask{}, "Started", "Moved")); diff != "" {
			t.Error(diff)
		}
		if !tasks[0].Running() || tasks[0].Started.Sub(began).Abs() > time.Second || tasks[0].Moved < 5 || tasks[0].Moved > 15 {
			t.Errorf("after a second: %+v", tasks[0])
		}
		moved, err := c.CancelMoveTask(t.Context(), handle)
		if err != nil || moved < tasks[0].Moved || moved > 20 {
			t.Fatalf("moved %d, %v", moved, err)
		}
		tasks, err = c.MoveTasks(t.Context(), dlq)
		if err != nil || len(tasks) != 1 || tasks[0].Running() || tasks[0].Handle != "" || tasks[0].Status != "CANCELLED" {
			t.Errorf("after the end: %+v, %v", tasks, err)
		}
		if arrived, left := visible(t, c, toURL), visible(t, c, dlqURL); arrived != moved || left != 30-moved {
			t.Errorf("%d moved, %d arrived, %d left", moved, arrived, left)
		}
		if _, err := c.CancelMoveTask(t.Context(), handle); err == nil {
			t.Error("a task that has ended was cancelled")
		}
	})
}

func TestAMoveTaskThatFailsSaysWhy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, c := local(t)
		dlqURL, dlq := made(t, c, "orders-dlq", nil)
		made(t, c, "orders", redriveTo(dlq))
		if _, errs := c.Queue(dlqURL, awsapi.QueueOptions{}).Send(t.Context(), make10()); errs != nil {
			t.Fatal(errs)
		}
		if _, err := c.StartMoveTask(t.Context(), dlq, "", 0); err != nil { // nobody moved these here
			t.Fatal(err)
		}
		<-time.After(time.Second)
		tasks, err := c.MoveTasks(t.Context(), dlq)
		if err != nil || len(tasks) != 1 || tasks[0].Status != "FAILED" || tasks[0].Failure != "CouldNotDetermineMessageSource" || tasks[0].To != "" {
			t.Errorf("%+v, %v", tasks, err)
		}
	})
}

func TestAStartWhoseAnswerIsLostIsNotRepeated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, c := local(t)
		dlqURL, dlq := made(t, c, "orders-dlq", nil)
		_, to := made(t, c, "orders", redriveTo(dlq))
		if _, errs := c.Queue(dlqURL, awsapi.QueueOptions{}).Send(t.Context(), make10()); errs != nil {
			t.Fatal(errs)
		}
		asked := faulty(server, "StartMessageMoveTask", &localaws.Fault{Lose: true})
		if _, err := c.StartMoveTask(t.Context(), dlq, to, 1); !errors.Is(err, queue.ErrUnanswered) || asked.Load() != 1 {
			t.Errorf("%v after %d requests, want no answer after one", err, asked.Load())
		}
		tasks, err := c.MoveTasks(t.Context(), dlq)
		if err != nil || len(tasks) != 1 || !tasks[0].Running() {
			t.Errorf("%+v, %v: the task runs all the same", tasks, err)
		}
	})
}

func make10() []queue.Message {
	ms := make([]queue.Message, queue.MaxBatch)
	for i := range ms {
		ms[i].Body = fmt.Sprint(i)
	}
	return ms
}
