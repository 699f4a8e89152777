package localaws_test

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
)

// say sends n messages that say whose they are; "-" is nobody's.
func (k *sqsKit) say(t *testing.T, queue *string, group string, n int) {
	t.Helper()
	for range n {
		in := &sqs.SendMessageInput{QueueUrl: queue, MessageBody: &group}
		if group != "-" {
			in.MessageGroupId = &group
		}
		if _, err := k.SendMessage(t.Context(), in); err != nil {
			t.Fatal(err)
		}
	}
}

// serve receives n messages, ten at a time, and leaves them in flight.
func (k *sqsKit) serve(t *testing.T, queue *string, n int) (handles []*string) {
	t.Helper()
	for range n / 10 {
		for _, m := range k.take(t, queue, 10) {
			handles = append(handles, m.ReceiptHandle)
		}
	}
	if len(handles) != n {
		t.Fatalf("received %d messages, want %d", len(handles), n)
	}
	return handles
}

// aws-semantics §5.6: a group with at least 30 messages and more than a tenth in flight waits for
// others; nothing is held back when there are none.
func TestFairQueue_5_6_NoisyGroupsWait(t *testing.T) {
	tests := []struct {
		name string
		do   func(t *testing.T, k *sqsKit, queue *string)
		want string // of one receive of ten
	}{
		{"30 of 30 in flight are noisy: others overtake", func(t *testing.T, k *sqsKit, queue *string) {
			k.say(t, queue, "a", 35)
			k.serve(t, queue, 30)
			k.say(t, queue, "b", 1)
			k.say(t, queue, "-", 1)
		}, "b - a a a a a"},
		{"20 are not", func(t *testing.T, k *sqsKit, queue *string) {
			k.say(t, queue, "a", 22)
			k.serve(t, queue, 20)
			k.say(t, queue, "b", 1)
		}, "a a b"},
		{"30 of 300 are not, since that is not more than a tenth", func(t *testing.T, k *sqsKit, queue *string) {
			k.say(t, queue, "-", 270)
			k.say(t, queue, "a", 31)
			k.serve(t, queue, 300)
			k.say(t, queue, "b", 1)
		}, "a b"},
		{"30 of fewer become so when the others are done", func(t *testing.T, k *sqsKit, queue *string) {
			k.say(t, queue, "-", 270)
			k.say(t, queue, "a", 31)
			k.remove(t, queue, k.serve(t, queue, 300)[0])
			k.say(t, queue, "b", 1)
		}, "b a"},
		{"messages of nobody are not", func(t *testing.T, k *sqsKit, queue *string) {
			k.say(t, queue, "-", 102)
			k.serve(t, queue, 100)
			k.say(t, queue, "b", 1)
		}, "- - b"},
		{"two noisy groups share what is left in order of arrival", func(t *testing.T, k *sqsKit, queue *string) {
			k.say(t, queue, "a", 30)
			k.say(t, queue, "b", 30)
			k.serve(t, queue, 60)
			for _, group := range []string{"a", "b", "a", "c", "b"} {
				k.say(t, queue, group, 1)
			}
		}, "c a b a b"},
		{"a group is quiet again when it has less in flight", func(t *testing.T, k *sqsKit, queue *string) {
			k.say(t, queue, "a", 32)
			k.remove(t, queue, k.serve(t, queue, 30)[0])
			k.say(t, queue, "b", 1)
		}, "a a b"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			k := newSQSKit()
			queue := k.create(t, "work", nil)
			tt.do(t, k, queue)
			if got := bodies(k.take(t, queue, 10)); got != tt.want {
				t.Errorf("received %s, want %s", got, tt.want)
			}
		})
	}
}

// aws-semantics §5.6: the group comes back with the message; within it nothing is ordered or blocked.
func TestFairQueue_5_6_GroupIDIsReturned(t *testing.T) {
	k := newSQSKit()
	queue := k.create(t, "work", nil)
	group := "tenant!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"
	k.say(t, queue, group, 2)
	for range 2 {
		if got := k.take(t, queue, 1); len(got) != 1 || got[0].Attributes["MessageGroupId"] != group || got[0].Attributes["SequenceNumber"] != "" {
			t.Errorf("received %v", got)
		}
	}
	_, err := k.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: queue, MessageBody: new("x"), MessageGroupId: new(strings.Repeat("x", 129))})
	if code(err) != "InvalidParameterValue" {
		t.Errorf("a group of 129: %v", err)
	}
}
