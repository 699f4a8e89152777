package localaws_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// fifo makes a FIFO queue that tells messages apart by their content.
func (k *sqsKit) fifo(t testing.TB, name string, attributes ...string) *string {
	t.Helper()
	all := map[string]string{"FifoQueue": "true", "ContentBasedDeduplication": "true"}
	for i := 0; i < len(attributes); i += 2 {
		all[attributes[i]] = attributes[i+1]
	}
	return k.create(t, name+".fifo", all)
}

// post sends messages, each to the group that its name begins with: "g1-m2" to group g1.
func (k *sqsKit) post(t testing.TB, queue *string, bodies ...string) (last *sqs.SendMessageOutput) {
	t.Helper()
	for _, body := range bodies {
		group, _, _ := strings.Cut(body, "-")
		out, err := k.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: queue, MessageBody: &body, MessageGroupId: &group})
		if err != nil {
			t.Fatal(err)
		}
		last = out
	}
	return last
}

// take receives at most so many.
func (k *sqsKit) take(t testing.TB, queue *string, most int32) []types.Message {
	t.Helper()
	out, err := k.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{
		QueueUrl: queue, MaxNumberOfMessages: most, MessageSystemAttributeNames: []types.MessageSystemAttributeName{"All"},
	})
	if err != nil {
		t.Fatal(err)
	}
	return out.Messages
}

func bodies(messages []types.Message) string {
	var all []string
	for _, m := range messages {
		all = append(all, *m.Body)
	}
	return strings.Join(all, " ")
}

// expect receives at most so many and says what they must be.
func (k *sqsKit) expect(t testing.TB, queue *string, most int32, want string) []types.Message {
	t.Helper()
	got := k.take(t, queue, most)
	if bodies(got) != want {
		t.Errorf("received %q, want %q", bodies(got), want)
	}
	return got
}

// aws-semantics §5.4, the recordings. Groups take turns in the order in which they became visible.
func TestFIFO_5_4_OrderAndBlocking(t *testing.T) {
	type bench struct {
		*sqsKit
		queue *string
	}
	tests := []struct {
		name string
		do   func(t *testing.T, b bench)
	}{
		{"a receive takes as many as it can of one group, in order, before the next group", func(t *testing.T, b bench) {
			b.post(t, b.queue, "g1-m1", "g2-m1", "g1-m2", "g1-m3")
			b.expect(t, b.queue, 10, "g1-m1 g1-m2 g1-m3 g2-m1")
		}},
		{"a group with a message in flight gives nothing; others do", func(t *testing.T, b bench) {
			b.post(t, b.queue, "g1-m1", "g1-m2", "g1-m3", "g1-m4", "g2-m1", "g3-m1")
			b.expect(t, b.queue, 2, "g1-m1 g1-m2")
			b.expect(t, b.queue, 1, "g2-m1")
			wait(t, 31*time.Second)
			b.expect(t, b.queue, 10, "g3-m1 g1-m1 g1-m2 g1-m3 g1-m4 g2-m1")
		}},
		{"a message sent to a blocked group waits", func(t *testing.T, b bench) {
			b.post(t, b.queue, "g1-m1")
			b.expect(t, b.queue, 10, "g1-m1")
			b.post(t, b.queue, "g1-m2")
			b.expect(t, b.queue, 10, "")
		}},
		{"deleting all that is in flight frees the group at once", func(t *testing.T, b bench) {
			b.post(t, b.queue, "g1-m1", "g2-m1", "g1-m2", "g2-m2", "g1-m3", "g1-m4", "g3-m1")
			for _, m := range b.expect(t, b.queue, 2, "g1-m1 g1-m2") {
				b.remove(t, b.queue, m.ReceiptHandle)
			}
			b.expect(t, b.queue, 10, "g2-m1 g2-m2 g3-m1 g1-m3 g1-m4")
		}},
		{"deleting a part of it does not", func(t *testing.T, b bench) {
			b.post(t, b.queue, "g1-m1", "g2-m1", "g1-m2", "g2-m2", "g1-m3", "g3-m1")
			got := b.expect(t, b.queue, 2, "g1-m1 g1-m2")
			b.remove(t, b.queue, got[0].ReceiptHandle)
			b.expect(t, b.queue, 10, "g2-m1 g2-m2 g3-m1")
		}},
		{"ending the visibility timeout of the first redelivers it while the second stays in flight", func(t *testing.T, b bench) {
			b.post(t, b.queue, "g1-m1", "g1-m2", "g2-m1")
			got := b.expect(t, b.queue, 2, "g1-m1 g1-m2")
			if err := b.hide(t, b.queue, got[0].ReceiptHandle, 0); err != nil {
				t.Fatal(err)
			}
			b.expect(t, b.queue, 3, "g2-m1 g1-m1")
		}},
		{"so does shortening it", func(t *testing.T, b bench) {
			b.post(t, b.queue, "g1-m1", "g1-m2", "g2-m1")
			got := b.expect(t, b.queue, 2, "g1-m1 g1-m2")
			if err := b.hide(t, b.queue, got[0].ReceiptHandle, 1); err != nil {
				t.Fatal(err)
			}
			wait(t, 2*time.Second)
			b.expect(t, b.queue, 3, "g2-m1 g1-m1")
		}},
		{"extending one blocks it and what follows; earlier ones come back", func(t *testing.T, b bench) {
			b.post(t, b.queue, "g1-m1", "g1-m2", "g1-m3", "g1-m4")
			got := b.expect(t, b.queue, 4, "g1-m1 g1-m2 g1-m3 g1-m4")
			if err := b.hide(t, b.queue, got[2].ReceiptHandle, 100); err != nil {
				t.Fatal(err)
			}
			wait(t, 31*time.Second)
			for _, m := range b.expect(t, b.queue, 10, "g1-m1 g1-m2") {
				b.remove(t, b.queue, m.ReceiptHandle)
			}
			b.expect(t, b.queue, 10, "")
			wait(t, 70*time.Second)
			b.expect(t, b.queue, 10, "g1-m3 g1-m4")
		}},
		{"a receive without visibility timeout keeps the order and passes the turn", func(t *testing.T, b bench) {
			if err := b.set(t, b.queue, map[string]string{"VisibilityTimeout": "0"}); err != nil {
				t.Fatal(err)
			}
			b.post(t, b.queue, "g1-m1", "g2-m1", "g2-m2", "g3-m1", "g1-m2")
			b.expect(t, b.queue, 3, "g1-m1 g1-m2 g2-m1")
			b.expect(t, b.queue, 10, "g3-m1 g1-m1 g1-m2 g2-m1 g2-m2")
		}},
		{"a delay of the queue keeps the order", func(t *testing.T, b bench) {
			if err := b.set(t, b.queue, map[string]string{"DelaySeconds": "2"}); err != nil {
				t.Fatal(err)
			}
			b.post(t, b.queue, "g1-m1", "g1-m2", "g1-m3")
			b.expect(t, b.queue, 3, "")
			wait(t, 2*time.Second)
			b.expect(t, b.queue, 3, "g1-m1 g1-m2 g1-m3")
		}},
		{"a new delay is for the messages that wait, too", func(t *testing.T, b bench) {
			b.post(t, b.queue, "g1-m1", "g1-m2")
			for _, delay := range []string{"100", "10"} {
				if err := b.set(t, b.queue, map[string]string{"DelaySeconds": delay}); err != nil {
					t.Fatal(err)
				}
				b.expect(t, b.queue, 3, "")
			}
			wait(t, 10*time.Second)
			b.expect(t, b.queue, 3, "g1-m1 g1-m2")
		}},
		{"what waits behind an expired message comes next", func(t *testing.T, b bench) {
			if err := b.set(t, b.queue, map[string]string{"MessageRetentionPeriod": "60"}); err != nil {
				t.Fatal(err)
			}
			b.post(t, b.queue, "g1-m1")
			wait(t, 30*time.Second)
			b.post(t, b.queue, "g1-m2")
			got := b.expect(t, b.queue, 1, "g1-m1")
			if err := b.hide(t, b.queue, got[0].ReceiptHandle, 1000); err != nil {
				t.Fatal(err)
			}
			wait(t, 30*time.Second)
			b.expect(t, b.queue, 10, "g1-m2")
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := newSQSKit()
				tt.do(t, bench{k, k.fifo(t, "work")})
			})
		})
	}
}

// aws-semantics §5.4: a long poll wakes when a group is freed.
func TestFIFO_5_4_LongPollWakesWhenTheGroupIsFree(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newSQSKit()
		queue := k.fifo(t, "work")
		k.post(t, queue, "g1-m1", "g1-m2")
		first := k.expect(t, queue, 1, "g1-m1")
		poll := make(chan string)
		go func() { poll <- bodies(k.receive(t, queue, 20)) }()
		synctest.Wait()
		start := time.Now()
		k.remove(t, queue, first[0].ReceiptHandle)
		if got := <-poll; got != "g1-m2" || time.Since(start) != 0 {
			t.Errorf("after the delete: %q after %v", got, time.Since(start))
		}
		go func() { poll <- bodies(k.receive(t, queue, 20)) }()
		if got := <-poll; got != "" {
			t.Errorf("received %q of a blocked group", got)
		}
		go func() { poll <- bodies(k.receive(t, queue, 20)) }()
		if got := <-poll; got != "g1-m2" || time.Since(start) != 30*time.Second {
			t.Errorf("after the visibility timeout: %q after %v", got, time.Since(start))
		}
	})
}

// aws-semantics §5.2, the column FIFO.
func TestFIFO_5_2_ReceiptsEndWithTheVisibilityTimeout(t *testing.T) {
	const says = "for parameter ReceiptHandle is invalid. Reason: The receipt handle has expired."
	for name, end := range map[string]func(t *testing.T, k *sqsKit, queue, handle *string){
		"expired":        func(t *testing.T, _ *sqsKit, _, _ *string) { wait(t, 31*time.Second) },
		"received again": func(t *testing.T, k *sqsKit, queue, _ *string) { wait(t, 31*time.Second); k.one(t, queue) },
		"released": func(t *testing.T, k *sqsKit, queue, handle *string) {
			if err := k.hide(t, queue, handle, 0); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := newSQSKit()
				queue := k.fifo(t, "work")
				k.post(t, queue, "g1-m1")
				handle := k.one(t, queue).ReceiptHandle
				end(t, k, queue, handle)
				before := k.counts(t, queue)
				_, err := k.DeleteMessage(t.Context(), &sqs.DeleteMessageInput{QueueUrl: queue, ReceiptHandle: handle})
				if code(err) != "InvalidParameterValue" || !strings.Contains(err.Error(), "Value "+*handle+" "+says) {
					t.Errorf("delete: %v", err)
				}
				if err := k.hide(t, queue, handle, 10); code(err) != "InvalidParameterValue" || !strings.Contains(err.Error(), says) {
					t.Errorf("change: %v", err)
				}
				if got := k.counts(t, queue); got != before {
					t.Errorf("counts %+v, before %+v", got, before)
				}
			})
		})
	}
}

// aws-semantics §1.8 and §0.1: FIFO queues have the in-flight limit, and no error for it.
func TestFIFO_5_5_InFlightLimitIsSilent(t *testing.T) {
	const limit = 120_000
	synctest.Test(t, func(t *testing.T) {
		k := newSQSKit()
		queue := k.fifo(t, "work")
		prefix := fillGroups(t, k, *queue, limit+5, limit)
		var last struct {
			Messages []struct{ ReceiptHandle string }
		}
		for range limit / 10 {
			do(t, k, "ReceiveMessage", prefix+`,"MaxNumberOfMessages":10}`, &last)
		}
		if got := k.counts(t, queue); got != (counts{visible: 5, inFlight: limit}) {
			t.Fatalf("counts %+v", got)
		}
		if got := k.take(t, queue, 10); len(got) != 0 {
			t.Errorf("received %d messages at the limit", len(got))
		}
		k.remove(t, queue, &last.Messages[0].ReceiptHandle)
		if got := k.take(t, queue, 10); len(got) != 1 {
			t.Errorf("received %d messages one below the limit", len(got))
		}
	})
}

// fillGroups sends n messages to so many groups and returns what a request needs to name the queue.
func fillGroups(t testing.TB, k *sqsKit, queue string, n, groups int) string {
	t.Helper()
	prefix := `{"QueueUrl":"` + queue + `"`
	for sent := 0; sent < n; sent += 10 {
		entries := make([]string, min(10, n-sent))
		for i := range entries {
			entries[i] = fmt.Sprintf(`{"Id":"%d","MessageBody":"m%d","MessageGroupId":"g%d"}`, i, sent+i, (sent+i)%groups)
		}
		do(t, k, "SendMessageBatch", prefix+`,"Entries":[`+strings.Join(entries, ",")+`]}`, nil)
	}
	return prefix
}

// aws-semantics §1.6, §2.2 Q-22: a dead-letter queue of a FIFO queue is FIFO, keeps the order, gives
// a new deduplication id, and counts the age from the move; the group goes on without it.
func TestFIFO_1_6_DeadLettersKeepTheirOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newSQSKit()
		dead := k.fifo(t, "dead", "MessageRetentionPeriod", "60")
		work := k.fifo(t, "work", "VisibilityTimeout", "30", "RedrivePolicy", `{"deadLetterTargetArn":"`+sqsARN("dead.fifo")+`","maxReceiveCount":1}`)
		k.post(t, work, "g1-m1", "g1-m2", "g2-m1")
		first := k.expect(t, work, 10, "g1-m1 g1-m2 g2-m1")
		wait(t, 31*time.Second)
		k.post(t, work, "g1-m3")
		k.expect(t, work, 10, "g1-m3")
		wait(t, 30*time.Second) // older than the retention period since they were sent, not since they were moved
		got := k.expect(t, dead, 10, "g1-m1 g1-m2 g2-m1")
		for i, m := range got {
			if m.Attributes["MessageDeduplicationId"] != *m.MessageId || *m.MessageId != *first[i].MessageId {
				t.Errorf("%s: deduplication id %s, message id %s, was %s", *m.Body, m.Attributes["MessageDeduplicationId"], *m.MessageId, *first[i].MessageId)
			}
			if m.Attributes["SentTimestamp"] == first[i].Attributes["SentTimestamp"] || m.Attributes["DeadLetterQueueSourceArn"] != sqsARN("work.fifo") || m.Attributes["ApproximateReceiveCount"] != "2" {
				t.Errorf("%s: %v", *m.Body, m.Attributes)
			}
		}
	})
}

// aws-semantics §1.6, §2.2 Q-08.
func TestFIFO_1_6_DeadLetterQueueHasTheTypeOfItsSource(t *testing.T) {
	k := newSQSKit()
	queues := map[string]*string{"a.fifo": k.fifo(t, "a"), "b": k.create(t, "b", nil)}
	for _, pair := range [][2]string{{"a.fifo", "b"}, {"b", "a.fifo"}} {
		err := k.set(t, queues[pair[0]], map[string]string{"RedrivePolicy": `{"deadLetterTargetArn":"` + sqsARN(pair[1]) + `","maxReceiveCount":1}`})
		if code(err) != "InvalidParameterValue" || !strings.Contains(err.Error(), "must be same type of queue as the source") {
			t.Errorf("%v: %v", pair, err)
		}
	}
}

// aws-semantics §5.4: a repeated receive returns the same, unless something was touched.
func TestFIFO_5_4_ReceiveRequestAttemptID(t *testing.T) {
	attempt := func(t *testing.T, k *sqsKit, queue *string, id string) []types.Message {
		t.Helper()
		out, err := k.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{
			QueueUrl: queue, MaxNumberOfMessages: 2, ReceiveRequestAttemptId: &id,
			MessageSystemAttributeNames: []types.MessageSystemAttributeName{"All"},
		})
		if err != nil {
			t.Fatal(err)
		}
		return out.Messages
	}
	handles := func(messages []types.Message) (all []string) {
		for _, m := range messages {
			all = append(all, *m.ReceiptHandle)
		}
		return all
	}
	const next = "g2-m1 g2-m2"
	tests := []struct {
		name    string
		between func(t *testing.T, k *sqsKit, queue *string, first []types.Message)
		id      string
		want    string // "" is the same as before
	}{
		{"again", func(*testing.T, *sqsKit, *string, []types.Message) {}, "a", ""},
		{"another id", func(*testing.T, *sqsKit, *string, []types.Message) {}, "b", next},
		{"one was deleted", func(t *testing.T, k *sqsKit, queue *string, first []types.Message) {
			k.remove(t, queue, first[1].ReceiptHandle)
		}, "a", next},
		{"one was changed", func(t *testing.T, k *sqsKit, queue *string, first []types.Message) {
			if err := k.hide(t, queue, first[0].ReceiptHandle, 100); err != nil {
				t.Fatal(err)
			}
		}, "a", next},
		{"the visibility timeout ended", func(t *testing.T, _ *sqsKit, _ *string, _ []types.Message) { wait(t, 31*time.Second) }, "a", next},
		{"it is purged", func(t *testing.T, k *sqsKit, queue *string, _ []types.Message) {
			if _, err := k.PurgeQueue(t.Context(), &sqs.PurgeQueueInput{QueueUrl: queue}); err != nil {
				t.Fatal(err)
			}
			k.post(t, queue, "g3-m1")
		}, "a", "g3-m1"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := newSQSKit()
				queue := k.fifo(t, "work")
				k.post(t, queue, "g1-m1", "g1-m2", "g2-m1", "g2-m2")
				first := attempt(t, k, queue, "a")
				wait(t, 20*time.Second)
				tt.between(t, k, queue, first)
				second := attempt(t, k, queue, tt.id)
				if tt.want != "" {
					if bodies(second) != tt.want {
						t.Errorf("received %q, want %q", bodies(second), tt.want)
					}
					return
				}
				if bodies(second) != bodies(first) || !slices.Equal(handles(second), handles(first)) || second[0].Attributes["ApproximateReceiveCount"] != "1" {
					t.Errorf("received %q, then %q with other handles or counts", bodies(first), bodies(second))
				}
				wait(t, 29*time.Second) // its visibility timeout began anew
				for _, m := range second {
					k.remove(t, queue, m.ReceiptHandle)
				}
			})
		})
	}
	k := newSQSKit()
	for queue, id := range map[*string]string{k.create(t, "standard", nil): "a", k.fifo(t, "work"): "a b"} {
		_, err := k.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: queue, ReceiveRequestAttemptId: &id})
		if code(err) != "InvalidParameterValue" {
			t.Errorf("%s on %s: %v", id, *queue, err)
		}
	}
}

// aws-semantics §5.4: after five minutes an id means nothing any more.
func TestFIFO_5_4_ReceiveRequestAttemptIDIsForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newSQSKit()
		queue := k.fifo(t, "work", "VisibilityTimeout", "1000")
		k.post(t, queue, "g1-m1", "g2-m1")
		receive := func() string {
			out, err := k.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: queue, ReceiveRequestAttemptId: new("a")})
			if err != nil {
				t.Fatal(err)
			}
			return bodies(out.Messages)
		}
		for _, step := range []struct {
			after time.Duration
			want  string
		}{{0, "g1-m1"}, {299 * time.Second, "g1-m1"}, {time.Second, "g2-m1"}} {
			wait(t, step.after)
			if got := receive(); got != step.want {
				t.Errorf("after %v more: %q, want %q", step.after, got, step.want)
			}
		}
	})
}
