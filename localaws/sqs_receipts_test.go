package localaws_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/smithy-go"
)

// The recordings of what AWS does with stale receipts are in aws-semantics, §5.2; each test here is
// a row of that table.
func TestReceiptsGoStaleAsOnAWS(t *testing.T) {
	type bench struct {
		*sqsKit
		queue *string
	}
	tests := []struct {
		name string
		do   func(t *testing.T, b bench)
		want counts
	}{
		{"delete after expiry, not received again: deletes", func(t *testing.T, b bench) {
			m := b.one(t, b.queue)
			wait(t, 31*time.Second)
			b.remove(t, b.queue, m.ReceiptHandle)
		}, counts{}},
		{"delete with a receipt that was overtaken: accepted, not deleted", func(t *testing.T, b bench) {
			m := b.one(t, b.queue)
			wait(t, 31*time.Second)
			b.one(t, b.queue)
			b.remove(t, b.queue, m.ReceiptHandle)
		}, counts{inFlight: 1}},
		{"delete twice: accepted", func(t *testing.T, b bench) {
			m := b.one(t, b.queue)
			b.remove(t, b.queue, m.ReceiptHandle)
			b.remove(t, b.queue, m.ReceiptHandle)
		}, counts{}},
		{"change after expiry, not received again: hides it again", func(t *testing.T, b bench) {
			m := b.one(t, b.queue)
			wait(t, 31*time.Second)
			if err := b.hide(t, b.queue, m.ReceiptHandle, 10); err != nil {
				t.Error(err)
			}
		}, counts{inFlight: 1}},
		{"change to 0 by an old receipt: breaks the new lease", func(t *testing.T, b bench) {
			m := b.one(t, b.queue)
			wait(t, 31*time.Second)
			b.one(t, b.queue)
			if err := b.hide(t, b.queue, m.ReceiptHandle, 0); err != nil {
				t.Error(err)
			}
		}, counts{visible: 1}},
		{"change of a deleted message: refused", func(t *testing.T, b bench) {
			m := b.one(t, b.queue)
			b.remove(t, b.queue, m.ReceiptHandle)
			err := b.hide(t, b.queue, m.ReceiptHandle, 10)
			if code(err) != "InvalidParameterValue" || !strings.Contains(err.Error(), "Message does not exist or is not available for visibility timeout change.") {
				t.Errorf("change of a deleted message: %v", err)
			}
		}, counts{}},
		{"garbage: refused", func(t *testing.T, b bench) {
			if err := b.hide(t, b.queue, aws.String("garbage"), 10); !is[*types.ReceiptHandleIsInvalid](err) {
				t.Errorf("change: %v", err)
			}
			_, err := b.DeleteMessage(t.Context(), &sqs.DeleteMessageInput{QueueUrl: b.queue, ReceiptHandle: aws.String("garbage")})
			if !is[*types.ReceiptHandleIsInvalid](err) {
				t.Errorf("delete: %v", err)
			}
		}, counts{visible: 1}},
		{"a receipt of another queue: refused", func(t *testing.T, b bench) {
			other := b.create(t, "other", nil)
			m := b.one(t, b.queue)
			if err := b.hide(t, other, m.ReceiptHandle, 10); !is[*types.ReceiptHandleIsInvalid](err) {
				t.Errorf("change: %v", err)
			}
		}, counts{inFlight: 1}},
		{"12 hours count from the receive", func(t *testing.T, b bench) {
			m := b.one(t, b.queue)
			wait(t, time.Second)
			if err := b.hide(t, b.queue, m.ReceiptHandle, 43_200); code(err) != "InvalidParameterValue" {
				t.Errorf("12 hours after a second: %v", err)
			}
			if err := b.hide(t, b.queue, m.ReceiptHandle, 43_199); err != nil {
				t.Error(err)
			}
			if err := b.hide(t, b.queue, m.ReceiptHandle, 43_201); code(err) != "InvalidParameterValue" {
				t.Errorf("more than 12 hours: %v", err)
			}
		}, counts{inFlight: 1}},
		{"a change is not remembered for the next receive", func(t *testing.T, b bench) {
			m := b.one(t, b.queue)
			if err := b.hide(t, b.queue, m.ReceiptHandle, 100); err != nil {
				t.Error(err)
			}
			wait(t, 100*time.Second)
			b.one(t, b.queue)
			wait(t, 30*time.Second)
		}, counts{visible: 1}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := newSQSKit()
				queue := k.create(t, "work", nil)
				k.send(t, queue, "x")
				tt.do(t, bench{k, queue})
				if got := k.counts(t, queue); got != tt.want {
					t.Errorf("counts %+v, want %+v", got, tt.want)
				}
			})
		})
	}
}

func code(err error) string {
	if e, ok := errors.AsType[smithy.APIError](err); ok {
		return e.ErrorCode()
	}
	return ""
}

// redriven makes a queue with a dead-letter queue.
func redriven(t *testing.T, k *sqsKit) (work, dead *string) {
	t.Helper()
	dead = k.create(t, "dead", nil)
	return k.create(t, "work", map[string]string{
		"VisibilityTimeout": "1", "RedrivePolicy": `{"deadLetterTargetArn":"` + sqsARN("dead") + `","maxReceiveCount":2}`,
	}), dead
}

// aws-semantics §4.1, §5.1.
func TestRedrive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newSQSKit()
		work, dead := redriven(t, k)
		sent := k.send(t, work, "poison")
		first := k.one(t, work)
		wait(t, time.Second)
		k.one(t, work)
		wait(t, time.Second)
		if got := k.counts(t, work); got != (counts{visible: 1}) {
			t.Errorf("before the third receive: %+v", got)
		}
		poll := make(chan []types.Message)
		go func() { poll <- k.receive(t, dead, 20) }()
		synctest.Wait()
		k.send(t, work, "good")
		if got := k.one(t, work); *got.Body != "good" {
			t.Errorf("received %q behind the poison", *got.Body)
		}
		got := <-poll
		if len(got) != 1 || *got[0].MessageId != *sent.MessageId {
			t.Fatalf("the dead-letter queue holds %v, want the poison under its own id", got)
		}
		for name, want := range map[string]string{
			"ApproximateReceiveCount": "3", "DeadLetterQueueSourceArn": sqsARN("work"), "SentTimestamp": first.Attributes["SentTimestamp"],
		} {
			if got[0].Attributes[name] != want {
				t.Errorf("%s = %q, want %q", name, got[0].Attributes[name], want)
			}
		}
		k.remove(t, work, first.ReceiptHandle) // it is not in this queue any more: nothing happens
		if got := k.counts(t, dead); got != (counts{inFlight: 1}) {
			t.Errorf("the dead-letter queue has %+v", got)
		}
		out, err := k.ListDeadLetterSourceQueues(t.Context(), &sqs.ListDeadLetterSourceQueuesInput{QueueUrl: dead})
		if err != nil || len(out.QueueUrls) != 1 || out.QueueUrls[0] != *work {
			t.Errorf("sources of the dead-letter queue: %v, %v", out, err)
		}
	})
}

func TestRedriveWithoutItsQueueGoesRound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newSQSKit()
		work, dead := redriven(t, k)
		if _, err := k.DeleteQueue(t.Context(), &sqs.DeleteQueueInput{QueueUrl: dead}); err != nil {
			t.Fatal(err)
		}
		k.send(t, work, "poison")
		for range 5 {
			k.one(t, work)
			wait(t, time.Second)
		}
		if got := k.one(t, work).Attributes["ApproximateReceiveCount"]; got != "6" {
			t.Errorf("ApproximateReceiveCount = %s, want 6", got)
		}
	})
}

func TestAReceiveWithoutVisibilityTimeoutCounts(t *testing.T) {
	k := newSQSKit()
	work := k.create(t, "work", map[string]string{"VisibilityTimeout": "0"})
	k.send(t, work, "x")
	for _, want := range []string{"1", "2", "3"} {
		if got := k.one(t, work).Attributes["ApproximateReceiveCount"]; got != want {
			t.Errorf("ApproximateReceiveCount = %s, want %s", got, want)
		}
	}
	if got := k.counts(t, work); got != (counts{visible: 1}) {
		t.Errorf("counts %+v", got)
	}
}

// aws-semantics §1.3, §1.8.
func TestDeletedQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newSQSKit()
		queue := k.create(t, "work", nil)
		poll := make(chan error)
		go func() {
			_, err := k.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: queue, WaitTimeSeconds: 20})
			poll <- err
		}()
		synctest.Wait()
		if _, err := k.DeleteQueue(t.Context(), &sqs.DeleteQueueInput{QueueUrl: queue}); err != nil {
			t.Fatal(err)
		}
		if err := <-poll; !is[*types.QueueDoesNotExist](err) {
			t.Errorf("the open poll: %v", err)
		}
		again := func() error {
			_, err := k.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: aws.String("work")})
			return err
		}
		wait(t, 59*time.Second)
		if err := again(); !is[*types.QueueDeletedRecently](err) {
			t.Errorf("created again after 59s: %v", err)
		}
		wait(t, time.Second)
		if err := again(); err != nil {
			t.Errorf("created again after 60s: %v", err)
		}
	})
}
