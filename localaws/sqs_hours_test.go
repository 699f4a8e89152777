package localaws_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
)

// aws-semantics §2.2 Q-01: nobody is told.
func TestHours_2_2_WithoutARedrivePolicyAMessageGoesRoundUntilItIsTooOld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newSQSKit()
		work := k.create(t, "work", map[string]string{"VisibilityTimeout": "600", "MessageRetentionPeriod": "3600"})
		k.send(t, work, "poison")
		for i := range 6 {
			if got := k.one(t, work).Attributes["ApproximateReceiveCount"]; got != fmt.Sprint(i+1) {
				t.Errorf("receive %d has count %s", i+1, got)
			}
			wait(t, 10*time.Minute)
		}
		if got := k.receive(t, work, 20); len(got) != 0 {
			t.Errorf("it is there after an hour: %+v", got)
		}
	})
}

// aws-semantics §2.2 Q-06: on a standard queue a dead letter is as old as the message was, so that it
// can be gone as soon as it has moved.
func TestHours_2_2_ADeadLetterIsAsOldAsTheMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newSQSKit()
		dead := k.create(t, "dead", map[string]string{"MessageRetentionPeriod": "3600"})
		work := k.create(t, "work", redriveTo(sqsARN("dead"), 1))
		for _, step := range []struct {
			age  time.Duration // at the move
			left int           // after it
		}{{59 * time.Minute, 1}, {time.Hour, 0}} {
			k.send(t, work, "x")
			k.one(t, work)
			wait(t, step.age)
			if got := k.receive(t, work, 0); len(got) != 0 {
				t.Fatalf("it did not move: %+v", got)
			}
			if got := k.receive(t, dead, 0); len(got) != step.left {
				t.Errorf("moved after %v: %d dead letters, want %d", step.age, len(got), step.left)
			}
			wait(t, time.Hour)
		}
	})
}

// aws-semantics §1.2 and §1.8: messages that are there already are deleted.
func TestHours_1_2_AShorterRetentionPeriodDeletesWhatIsOlder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newSQSKit()
		work := k.create(t, "work", nil)
		k.send(t, work, "old")
		wait(t, 2*time.Hour)
		k.send(t, work, "new")
		if err := k.set(t, work, map[string]string{"MessageRetentionPeriod": "3600"}); err != nil {
			t.Fatal(err)
		}
		if got := k.one(t, work); *got.Body != "new" {
			t.Errorf("received %s", *got.Body)
		}
		if got := k.counts(t, work); got != (counts{inFlight: 1}) {
			t.Errorf("counts %+v", got)
		}
	})
}

// aws-semantics §5.1: the 12 hours are the receipt's, however often it is extended.
func TestHours_5_1_AnExtensionDoesNotBeginThe12HoursAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newSQSKit()
		work := k.create(t, "work", nil)
		k.send(t, work, "x")
		m := k.one(t, work)
		for range 11 {
			if err := k.hide(t, work, m.ReceiptHandle, 3605); err != nil {
				t.Fatal(err)
			}
			wait(t, time.Hour)
		}
		if err := k.hide(t, work, m.ReceiptHandle, 3601); code(err) != "InvalidParameterValue" {
			t.Errorf("a second more than 12 hours: %v", err)
		}
		if err := k.hide(t, work, m.ReceiptHandle, 3600); err != nil {
			t.Errorf("12 hours: %v", err)
		}
		wait(t, time.Hour)
		again := k.one(t, work)
		if err := k.hide(t, work, again.ReceiptHandle, 43_200); err != nil {
			t.Errorf("another receive has 12 hours of its own: %v", err)
		}
	})
}

// aws-semantics §5.7: tasks that run are counted over all queues of an account.
func TestMoveTask_5_7_AHundredOfAnAccountRunAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newSQSKit()
		start := func(name string, i int) error {
			_, err := k.StartMessageMoveTask(t.Context(), &sqs.StartMessageMoveTaskInput{
				SourceArn: new(sqsARN(fmt.Sprint(name, i))), DestinationArn: new(sqsARN("to")), MaxNumberOfMessagesPerSecond: new(int32(1)),
			})
			return err
		}
		k.create(t, "to", nil)
		for i := range 101 {
			dead := k.create(t, fmt.Sprint("dead", i), nil)
			k.create(t, fmt.Sprint("work", i), redriveTo(sqsARN(fmt.Sprint("dead", i)), 1))
			fill(t, k, *dead, 3)
			if err := start("dead", i); (err != nil) != (i == 100) || err != nil && code(err) != "OverLimit" {
				t.Errorf("task %d: %v", i+1, err)
			}
		}
		wait(t, 3*time.Second)
		if err := start("dead", 100); err != nil {
			t.Errorf("when the others are done: %v", err)
		}
	})
}

// aws-semantics §5.7: that it has FAILED then is inferred.
func TestMoveTask_5_7_ATaskRunsFor36Hours(t *testing.T) {
	if testing.Short() {
		t.Skip("130,000 messages")
	}
	const seconds = 36 * 3600
	synctest.Test(t, func(t *testing.T) {
		m := newMoving(t)
		if err := m.set(t, m.dead, map[string]string{"MessageRetentionPeriod": "1209600"}); err != nil {
			t.Fatal(err)
		}
		fill(t, m.sqsKit, *m.dead, seconds+10)
		if _, err := m.start(t, "other", 1); err != nil {
			t.Fatal(err)
		}
		wait(t, seconds*time.Second-time.Millisecond)
		if got := m.tasks(t, 1)[0]; *got.Status != "RUNNING" || got.ApproximateNumberOfMessagesMoved != seconds {
			t.Errorf("just before: %s, %d moved", *got.Status, got.ApproximateNumberOfMessagesMoved)
		}
		wait(t, time.Second)
		if got := m.tasks(t, 1)[0]; *got.Status != "FAILED" || got.ApproximateNumberOfMessagesMoved != seconds {
			t.Errorf("after it: %s, %d moved", *got.Status, got.ApproximateNumberOfMessagesMoved)
		}
	})
}
