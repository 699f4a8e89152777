package localaws_test

import (
	"encoding/base64"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// moving is a dead-letter queue with its source and another queue.
type moving struct {
	*sqsKit
	work, dead, other *string
}

func newMoving(t *testing.T) *moving {
	k := newSQSKit()
	m := &moving{sqsKit: k, dead: k.create(t, "dead", nil), other: k.create(t, "other", nil)}
	m.work = m.source(t, "work")
	return m
}

// source makes a queue whose messages are dead after one receive.
func (m *moving) source(t *testing.T, name string) *string {
	t.Helper()
	return m.create(t, name, map[string]string{
		"VisibilityTimeout": "1", "RedrivePolicy": `{"deadLetterTargetArn":"` + sqsARN("dead") + `","maxReceiveCount":1}`,
	})
}

// bury brings n messages of a queue to the dead-letter queue.
func (m *moving) bury(t *testing.T, queue *string, n int) {
	t.Helper()
	fill(t, m.sqsKit, *queue, n)
	for range n/10 + 1 {
		m.take(t, queue, 10)
	}
	wait(t, time.Second)
	m.take(t, queue, 10)
	if got := m.counts(t, queue); got != (counts{}) {
		t.Fatalf("not all are dead: %+v", got)
	}
}

func (m *moving) start(t *testing.T, to string, rate int32) (*sqs.StartMessageMoveTaskOutput, error) {
	t.Helper()
	in := &sqs.StartMessageMoveTaskInput{SourceArn: new(sqsARN("dead"))}
	if to != "" {
		in.DestinationArn = new(sqsARN(to))
	}
	if rate != 0 {
		in.MaxNumberOfMessagesPerSecond = &rate
	}
	return m.StartMessageMoveTask(t.Context(), in)
}

func (m *moving) tasks(t *testing.T, most int32) []types.ListMessageMoveTasksResultEntry {
	t.Helper()
	out, err := m.ListMessageMoveTasks(t.Context(), &sqs.ListMessageMoveTasksInput{SourceArn: new(sqsARN("dead")), MaxResults: &most})
	if err != nil {
		t.Fatal(err)
	}
	return out.Results
}

// aws-semantics §5.7, with the messages recorded on AWS.
func TestMoveTask_5_7_Refusals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMoving(t)
		m.fifo(t, "fifo")
		m.bury(t, m.work, 10)
		start := func(source, to string, rate int32) error {
			in := &sqs.StartMessageMoveTaskInput{SourceArn: &source}
			if to != "" {
				in.DestinationArn = &to
			}
			if rate != 0 {
				in.MaxNumberOfMessagesPerSecond = &rate
			}
			_, err := m.StartMessageMoveTask(t.Context(), in)
			return err
		}
		for _, tt := range []struct {
			source, to string
			rate       int32
			code, says string
		}{
			{sqsARN("other"), "", 0, "InvalidParameterValue", "Source queue must be configured as a Dead Letter Queue."},
			{sqsARN("none"), "", 0, "ResourceNotFoundException", "The resource that you specified for the SourceArn parameter doesn't exist."},
			{"arn", "", 0, "ResourceNotFoundException", "SourceArn"},
			{sqsARN("dead"), sqsARN("none"), 0, "ResourceNotFoundException", "The resource that you specified for the DestinationArn parameter doesn't exist."},
			{sqsARN("dead"), sqsARN("dead"), 0, "InvalidParameterValue", "DestinationArn"},
			{sqsARN("dead"), sqsARN("fifo.fifo"), 0, "InvalidParameterValue", "same type"},
			{sqsARN("dead"), "", 501, "InvalidParameterValue", "MaxNumberOfMessagesPerSecond"},
			{sqsARN("dead"), "", -1, "InvalidParameterValue", "MaxNumberOfMessagesPerSecond"},
		} {
			if err := start(tt.source, tt.to, tt.rate); code(err) != tt.code || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("%s to %q at %d/s: %v, want %s with %q", tt.source, tt.to, tt.rate, err, tt.code, tt.says)
			}
		}
		if err := start(sqsARN("dead"), "", 1); err != nil {
			t.Fatal(err)
		}
		if err := start(sqsARN("dead"), "", 1); code(err) != "InvalidParameterValue" || !strings.Contains(err.Error(), "There is already a task running. Only one active task is allowed for a source queue arn at a given time.") {
			t.Errorf("a second task: %v", err)
		}
		handle := func(id, queue string) string {
			return base64.StdEncoding.EncodeToString([]byte(`{"taskId":"` + id + `","sourceArn":"` + sqsARN(queue) + `"}`))
		}
		for _, tt := range []struct{ handle, code, says string }{
			{"foobared", "InvalidParameterValue", "Value for parameter TaskHandle is invalid."},
			{handle("10f57157-fc38-4da9-a113-4de7e12d05aa", "none"), "ResourceNotFoundException", "The resource that you specified for the SourceArn parameter doesn't exist."},
			{handle("10f57157-fc38-4da9-a113-4de7e12d05aa", "dead"), "ResourceNotFoundException", "Task does not exist."},
		} {
			_, err := m.CancelMessageMoveTask(t.Context(), &sqs.CancelMessageMoveTaskInput{TaskHandle: &tt.handle})
			if code(err) != tt.code || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("cancel %s: %v, want %s with %q", tt.handle, err, tt.code, tt.says)
			}
		}
		for _, most := range []int32{0, 11} {
			if _, err := m.ListMessageMoveTasks(t.Context(), &sqs.ListMessageMoveTasksInput{SourceArn: new(sqsARN("dead")), MaxResults: &most}); code(err) != "InvalidParameterValue" {
				t.Errorf("a list of %d: %v", most, err)
			}
		}
	})
}

// aws-semantics §5.7: a new message id, enqueue time and count; to the given queue.
func TestMoveTask_5_7_MessagesArriveAsNewOnes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMoving(t)
		sent, err := m.SendMessage(t.Context(), &sqs.SendMessageInput{
			QueueUrl: m.work, MessageBody: new("x"), MessageGroupId: new("tenant"),
			MessageAttributes:       map[string]types.MessageAttributeValue{"a": attribute("String", "v")},
			MessageSystemAttributes: map[string]types.MessageSystemAttributeValue{"AWSTraceHeader": {DataType: new("String"), StringValue: new("Root=1")}},
		})
		if err != nil {
			t.Fatal(err)
		}
		m.bury(t, m.work, 0)
		if _, err := m.start(t, "other", 0); err != nil {
			t.Fatal(err)
		}
		got := m.receive(t, m.other, 20)
		if len(got) != 1 || *got[0].Body != "x" || *got[0].MessageAttributes["a"].StringValue != "v" {
			t.Fatalf("moved %v", got)
		}
		now := strconv.FormatInt(time.Now().UnixMilli(), 10)
		for name, want := range map[string]string{
			"ApproximateReceiveCount": "1", "SentTimestamp": now, "ApproximateFirstReceiveTimestamp": now,
			"MessageGroupId": "tenant", "AWSTraceHeader": "Root=1", "DeadLetterQueueSourceArn": "",
		} {
			if have := got[0].Attributes[name]; have != want {
				t.Errorf("%s = %s, want %s", name, have, want)
			}
		}
		if *got[0].MessageId == *sent.MessageId {
			t.Error("it kept its id")
		}
	})
}

// aws-semantics §5.7: without a destination each goes back where it came from, and is received
// normally there although its count was spent.
func TestMoveTask_5_7_BackToSeveralSources(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMoving(t)
		second := m.source(t, "second")
		m.bury(t, m.work, 3)
		m.bury(t, second, 4)
		if _, err := m.start(t, "", 0); err != nil {
			t.Fatal(err)
		}
		wait(t, time.Second)
		if a, b := m.counts(t, m.work), m.counts(t, second); a.visible != 3 || b.visible != 4 {
			t.Errorf("sources have %+v and %+v", a, b)
		}
		got := m.tasks(t, 1)[0]
		if *got.Status != "COMPLETED" || got.TaskHandle != nil || got.DestinationArn != nil || got.MaxNumberOfMessagesPerSecond != nil ||
			got.ApproximateNumberOfMessagesMoved != 7 || *got.ApproximateNumberOfMessagesToMove != 7 || *got.SourceArn != sqsARN("dead") {
			t.Errorf("the task: %+v", got)
		}
		if n := len(m.take(t, m.work, 10)); n != 3 {
			t.Errorf("received %d of 3", n)
		}
	})
}

// replay.md §0 finding 2: what was sent to the dead-letter queue directly has no source.
func TestMoveTask_5_7_UnknownSourceFailsTheTask(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMoving(t)
		m.bury(t, m.work, 2)
		m.send(t, m.dead, "sent by a worker")
		m.bury(t, m.work, 1)
		if _, err := m.start(t, "", 0); err != nil {
			t.Fatal(err)
		}
		wait(t, time.Second)
		got := m.tasks(t, 1)[0]
		if *got.Status != "FAILED" || *got.FailureReason != "CouldNotDetermineMessageSource" || got.ApproximateNumberOfMessagesMoved != 2 {
			t.Errorf("the task: %s %v after %d", *got.Status, got.FailureReason, got.ApproximateNumberOfMessagesMoved)
		}
		if left := m.counts(t, m.dead); left.visible != 2 {
			t.Errorf("left: %+v", left)
		}
	})
}

// aws-semantics §5.7: at most so many a second, with the handle while it runs.
func TestMoveTask_5_7_RateAndCancel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMoving(t)
		m.bury(t, m.work, 10)
		started, err := m.start(t, "other", 2)
		if err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		for _, step := range []struct {
			after time.Duration
			moved int
		}{{0, 1}, {499 * time.Millisecond, 1}, {500 * time.Millisecond, 2}, {time.Second, 3}, {2400 * time.Millisecond, 5}} {
			wait(t, step.after-time.Since(begin))
			if got := m.counts(t, m.other).visible; got != step.moved {
				t.Errorf("after %v: %d moved, want %d", step.after, got, step.moved)
			}
		}
		got := m.tasks(t, 1)[0]
		if *got.Status != "RUNNING" || *got.TaskHandle != *started.TaskHandle || *got.MaxNumberOfMessagesPerSecond != 2 || got.StartedTimestamp != begin.UnixMilli() {
			t.Errorf("the task: %+v", got)
		}
		out, err := m.CancelMessageMoveTask(t.Context(), &sqs.CancelMessageMoveTaskInput{TaskHandle: started.TaskHandle})
		if err != nil || out.ApproximateNumberOfMessagesMoved != 5 {
			t.Errorf("cancel: %+v, %v", out, err)
		}
		wait(t, time.Hour)
		if a, b := m.counts(t, m.dead).visible, m.counts(t, m.other).visible; a != 5 || b != 5 {
			t.Errorf("after the cancel: %d and %d", a, b)
		}
		if got := m.tasks(t, 1)[0]; *got.Status != "CANCELLED" || got.TaskHandle != nil {
			t.Errorf("the task: %+v", got)
		}
		if _, err := m.CancelMessageMoveTask(t.Context(), &sqs.CancelMessageMoveTaskInput{TaskHandle: started.TaskHandle}); code(err) != "InvalidParameterValue" {
			t.Errorf("cancelled again: %v", err)
		}
		if _, err := m.start(t, "other", 0); err != nil {
			t.Errorf("started again: %v", err)
		}
	})
}

// A task needs nobody to ask for it: a long poll on the destination is woken by it.
func TestMoveTask_5_7_RunsByItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMoving(t)
		m.bury(t, m.work, 3)
		if _, err := m.start(t, "other", 1); err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		for i := range 3 {
			got := m.receive(t, m.other, 20)
			if len(got) != 1 || time.Since(begin) != time.Duration(i)*time.Second {
				t.Errorf("message %d: %d after %v", i, len(got), time.Since(begin))
			}
		}
		synctest.Wait()
		if got := m.tasks(t, 1)[0]; *got.Status != "COMPLETED" {
			t.Errorf("the task is %s", *got.Status)
		}
	})
}

func TestMoveTask_5_7_LostQueuesEndIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMoving(t)
		m.bury(t, m.work, 10)
		if _, err := m.start(t, "other", 1); err != nil {
			t.Fatal(err)
		}
		wait(t, 2*time.Second)
		if _, err := m.DeleteQueue(t.Context(), &sqs.DeleteQueueInput{QueueUrl: m.other}); err != nil {
			t.Fatal(err)
		}
		wait(t, time.Second)
		got := m.tasks(t, 1)[0]
		if *got.Status != "FAILED" || *got.FailureReason != "AWS.SimpleQueueService.NonExistentQueue" || got.ApproximateNumberOfMessagesMoved != 3 {
			t.Errorf("the task: %s %v after %d", *got.Status, got.FailureReason, got.ApproximateNumberOfMessagesMoved)
		}
		if _, err := m.start(t, "", 1); err != nil {
			t.Fatal(err)
		}
		if _, err := m.DeleteQueue(t.Context(), &sqs.DeleteQueueInput{QueueUrl: m.dead}); err != nil {
			t.Fatal(err)
		}
		wait(t, time.Hour)
		if got := m.counts(t, m.work).visible; got != 1 {
			t.Errorf("%d came back of a deleted queue, want the first", got)
		}
	})
}

func TestMoveTask_5_7_TheLastTenAreListed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMoving(t)
		for range 12 {
			if _, err := m.start(t, "other", 0); err != nil {
				t.Fatal(err)
			}
			wait(t, time.Second)
		}
		got := m.tasks(t, 10)
		if len(got) != 10 || got[0].StartedTimestamp <= got[9].StartedTimestamp {
			t.Errorf("%d tasks, the first from %d, the last from %d", len(got), got[0].StartedTimestamp, got[len(got)-1].StartedTimestamp)
		}
		if n := len(m.tasks(t, 3)); n != 3 {
			t.Errorf("%d tasks, want 3", n)
		}
	})
}

// aws-semantics §5.7, §1.6: on a FIFO queue the order is kept, and what was deduplicated on its way
// there comes back.
func TestMoveTask_5_7_FIFOKeepsTheOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newSQSKit()
		k.fifo(t, "dead")
		work := k.fifo(t, "work", "VisibilityTimeout", "1", "RedrivePolicy", `{"deadLetterTargetArn":"`+sqsARN("dead.fifo")+`","maxReceiveCount":1}`)
		k.post(t, work, "g1-m1", "g2-m1", "g1-m2")
		for range 2 {
			k.take(t, work, 10)
			wait(t, time.Second)
		}
		if _, err := k.StartMessageMoveTask(t.Context(), &sqs.StartMessageMoveTaskInput{SourceArn: new(sqsARN("dead.fifo"))}); err != nil {
			t.Fatal(err)
		}
		wait(t, time.Second)
		k.expect(t, work, 10, "g1-m1 g1-m2 g2-m1")
	})
}
