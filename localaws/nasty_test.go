package localaws_test

import (
	"context"
	"fmt"
	"maps"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/stationmaster/worker/localaws"
)

func newNastyKit(n localaws.Nasty) *sqsKit {
	s := localaws.New(localaws.Options{Nasty: n})
	return &sqsKit{Server: s, Client: sqs.NewFromConfig(sdkConfig(s, "us-east-1"))}
}

// nastily runs a test with several seeds: what is drawn must not matter to it.
func nastily(t *testing.T, n localaws.Nasty, test func(t *testing.T, k *sqsKit)) {
	for seed := range uint64(5) {
		t.Run(strconv.Itoa(int(seed)), func(t *testing.T) {
			n.Seed = seed
			synctest.Test(t, func(t *testing.T) { test(t, newNastyKit(n)) })
		})
	}
}

// aws-semantics §1.8: a matching read is no proof, and the queue acts on the old values for a while.
func TestNasty_1_8_AttributesTakeTime(t *testing.T) {
	nastily(t, localaws.Nasty{AttributeDelay: time.Minute}, func(t *testing.T, k *sqsKit) {
		queue := k.create(t, "work", map[string]string{"DelaySeconds": "1"})
		if err := k.set(t, queue, map[string]string{"DelaySeconds": "900"}); err != nil {
			t.Fatal(err)
		}
		if _, err := k.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: new("work"), Attributes: map[string]string{"DelaySeconds": "900"}}); err != nil {
			t.Errorf("SQS itself knows of the change: %v", err)
		}
		reads, delays, flips, last := map[string]int{}, map[bool]int{}, 0, ""
		for range 120 {
			got := k.get(t, queue)["DelaySeconds"]
			if got != last {
				flips++
			}
			last = got
			reads[got]++
			k.send(t, queue, "x")
			wait(t, 500*time.Millisecond)
		}
		// A message is visible after a second when the queue delayed it by the old value.
		wait(t, time.Second)
		delays[false] = k.counts(t, queue).visible
		if reads["1"] < 10 || reads["900"] < 10 || flips < 5 {
			t.Errorf("within a minute the reads were %v, with %d changes", reads, flips)
		}
		if delays[false] == 0 || delays[false] == 120 {
			t.Errorf("%d of 120 messages had the old delay", delays[false])
		}
		for range 20 {
			if got := k.get(t, queue)["DelaySeconds"]; got != "900" {
				t.Errorf("after a minute a read shows %s", got)
			}
		}
	})
}

// aws-semantics §1.8: "also eats messages sent after the call".
func TestNasty_1_8_APurgeEatsWhatIsSentAfterIt(t *testing.T) {
	nastily(t, localaws.Nasty{PurgeDelay: time.Minute}, func(t *testing.T, k *sqsKit) {
		queue := k.create(t, "work", nil)
		if _, err := k.PurgeQueue(t.Context(), &sqs.PurgeQueueInput{QueueUrl: queue}); err != nil {
			t.Fatal(err)
		}
		for range 100 {
			if out := k.send(t, queue, "x"); out.MessageId == nil {
				t.Error("what is purged is accepted all the same")
			}
		}
		if left := k.counts(t, queue).visible; left < 20 || left > 80 {
			t.Errorf("%d of 100 messages are left", left)
		}
		wait(t, time.Minute)
		before := k.counts(t, queue).visible
		for range 100 {
			k.send(t, queue, "x")
		}
		if left := k.counts(t, queue).visible - before; left != 100 {
			t.Errorf("a minute later %d of 100 are left", left)
		}
	})
}

// aws-semantics §1.8: during the minute after a deletion requests "might succeed", and vanish.
func TestNasty_1_8_ADeletedQueueAnswersForAWhile(t *testing.T) {
	nastily(t, localaws.Nasty{DeleteDelay: time.Minute}, func(t *testing.T, k *sqsKit) {
		queue := k.create(t, "work", nil)
		if _, err := k.DeleteQueue(t.Context(), &sqs.DeleteQueueInput{QueueUrl: queue}); err != nil {
			t.Fatal(err)
		}
		send := func() error {
			_, err := k.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: queue, MessageBody: new("x")})
			return err
		}
		if err := send(); err != nil {
			t.Errorf("at once: %v", err)
		}
		wait(t, time.Minute)
		if err := send(); code(err) != "AWS.SimpleQueueService.NonExistentQueue" {
			t.Errorf("after a minute: %v", err)
		}
		k.create(t, "work", nil)
		if got := k.counts(t, queue); got != (counts{}) {
			t.Errorf("the new queue has %+v", got)
		}
	})
}

// aws-semantics §1.8: ApproximateNumberOf… are right a minute after producers stop.
func TestNasty_1_8_CountsLag(t *testing.T) {
	nastily(t, localaws.Nasty{CountDelay: time.Minute}, func(t *testing.T, k *sqsKit) {
		queue := k.create(t, "work", nil)
		wrong := 0
		for i := range 60 {
			k.send(t, queue, "x")
			if got := k.counts(t, queue).visible; got > i+1 {
				t.Errorf("%d messages of %d", got, i+1)
			} else if got != i+1 {
				wrong++
			}
			wait(t, time.Second)
		}
		wait(t, time.Minute)
		if got := k.counts(t, queue).visible; wrong < 10 || got != 60 {
			t.Errorf("%d of 60 counts lagged, in the end it is %d", wrong, got)
		}
	})
}

// aws-semantics §5.5: a short poll asks a part of the servers; a long poll asks all.
func TestNasty_5_5_ShortPollsMiss(t *testing.T) {
	nastily(t, localaws.Nasty{MissShare: 0.5}, func(t *testing.T, k *sqsKit) {
		queue := k.create(t, "work", map[string]string{"VisibilityTimeout": "0"})
		fill(t, k, *queue, 10)
		sizes := map[int]int{}
		for range 100 {
			sizes[len(k.take(t, queue, 10))]++
		}
		if sizes[10] < 20 || sizes[10] > 80 || sizes[0] == 0 {
			t.Errorf("sizes of 100 short polls: %v", sizes)
		}
		for range 20 {
			if n := len(k.receive(t, queue, 1)); n != 10 {
				t.Errorf("a long poll received %d", n)
			}
		}
	})
}

// aws-semantics §5.2, and "At-least-once delivery", Developer Guide.
func TestNasty_ADeletedMessageComesOnceMore(t *testing.T) {
	nastily(t, localaws.Nasty{ReviveShare: 1}, func(t *testing.T, k *sqsKit) {
		queue, fifo := k.create(t, "work", map[string]string{"VisibilityTimeout": "600"}), k.fifo(t, "work")
		sent := k.send(t, queue, "x")
		k.remove(t, queue, k.one(t, queue).ReceiptHandle)
		again := k.receive(t, queue, 0)
		for range 6 {
			again = append(again, k.receive(t, queue, 10)...)
		}
		if len(again) != 1 || *again[0].MessageId != *sent.MessageId || again[0].Attributes["ApproximateReceiveCount"] != "2" {
			t.Fatalf("it came again %d times", len(again))
		}
		k.remove(t, queue, again[0].ReceiptHandle)
		k.post(t, fifo, "g1-m1")
		k.remove(t, fifo, k.one(t, fifo).ReceiptHandle)
		wait(t, time.Hour)
		if a, b := k.counts(t, queue), k.counts(t, fifo); a != (counts{}) || b != (counts{}) {
			t.Errorf("left: %+v, on the FIFO queue %+v", a, b)
		}
	})
}

func TestNasty_StandardQueuesAreOutOfOrder(t *testing.T) {
	nastily(t, localaws.Nasty{OvertakeShare: 0.2}, func(t *testing.T, k *sqsKit) {
		queue, fifo := k.create(t, "work", nil), k.fifo(t, "work")
		for i := range 100 {
			k.send(t, queue, strconv.Itoa(i))
			k.post(t, fifo, fmt.Sprintf("g1-%d", i))
		}
		seen, late := map[string]bool{}, 0
		for i := 0; i < 100; i += 10 {
			for j, m := range k.take(t, queue, 10) {
				seen[*m.Body] = true
				if *m.Body != strconv.Itoa(i+j) {
					late++
				}
			}
			for j, m := range k.take(t, fifo, 10) {
				if want := fmt.Sprintf("g1-%d", i+j); *m.Body != want {
					t.Errorf("the FIFO queue gives %s for %s", *m.Body, want)
				}
				k.remove(t, fifo, m.ReceiptHandle)
			}
		}
		if len(seen) != 100 || late < 10 {
			t.Errorf("%d of 100 messages came, %d out of order", len(seen), late)
		}
	})
}

// aws-semantics §5.5: a poll that is given up goes on, and what it is given nobody sees.
func TestNasty_5_5_MessagesAreGivenToCallersThatHaveGone(t *testing.T) {
	nastily(t, localaws.Nasty{GiveToGone: true}, func(t *testing.T, k *sqsKit) {
		queue := k.create(t, "work", nil)
		give := func(up time.Duration) {
			ctx, cancel := context.WithTimeout(t.Context(), up)
			defer cancel()
			if _, err := k.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: queue, WaitTimeSeconds: 20}); err == nil {
				t.Error("received something in time")
			}
		}
		give(5 * time.Second)
		wait(t, 10*time.Second)
		k.send(t, queue, "x")
		if got := k.counts(t, queue); got != (counts{inFlight: 1}) {
			t.Errorf("within its 20 s: %+v", got)
		}
		wait(t, 30*time.Second)
		if got := k.one(t, queue); got.Attributes["ApproximateReceiveCount"] != "2" {
			t.Errorf("received for the %s. time", got.Attributes["ApproximateReceiveCount"])
		} else {
			k.remove(t, queue, got.ReceiptHandle)
		}
		give(5 * time.Second)
		wait(t, 15*time.Second)
		k.send(t, queue, "x")
		if got := k.counts(t, queue); got != (counts{visible: 1}) {
			t.Errorf("after its 20 s: %+v", got)
		}
	})
}

// The same seed and the same requests are the same history, another seed is another one.
func TestNasty_IsTheSameForTheSameSeed(t *testing.T) {
	history := func(seed uint64) (told string) {
		synctest.Test(t, func(t *testing.T) {
			k := newNastyKit(localaws.Nastiest(seed))
			queue := k.create(t, "work", nil)
			for i := range 60 {
				k.send(t, queue, strconv.Itoa(i))
				if i == 20 {
					if err := k.set(t, queue, map[string]string{"VisibilityTimeout": "5"}); err != nil {
						t.Fatal(err)
					}
				}
				for _, m := range k.take(t, queue, 3) {
					told += " " + *m.Body
					k.remove(t, queue, m.ReceiptHandle)
				}
				all := k.get(t, queue)
				told += fmt.Sprint(" ", all["VisibilityTimeout"], all["ApproximateNumberOfMessages"])
				wait(t, time.Second)
			}
		})
		return told
	}
	first := history(1)
	if again := history(1); again != first {
		t.Errorf("two histories of one seed:\n%s\n%s", first, again)
	}
	if history(2) == first {
		t.Error("two seeds have one history")
	}
}

// With everything at once no message is lost for good, as on AWS: each comes at least once.
func TestNasty_EverythingAtOnceLosesNothing(t *testing.T) {
	nastily(t, localaws.Nastiest(0), func(t *testing.T, k *sqsKit) {
		queue := k.create(t, "work", map[string]string{"VisibilityTimeout": "5"})
		want, got := map[string]bool{}, map[string]bool{}
		for i := range 200 {
			body := strconv.Itoa(i)
			want[body] = true
			k.send(t, queue, body)
			ctx, cancel := context.WithTimeout(t.Context(), time.Duration(i%3)*time.Millisecond)
			_, _ = k.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: queue, WaitTimeSeconds: 2}) // given up
			cancel()
			for _, m := range k.take(t, queue, 5) {
				got[*m.Body] = true
				k.remove(t, queue, m.ReceiptHandle)
			}
		}
		for range 30 {
			for _, m := range k.receive(t, queue, 5) {
				got[*m.Body] = true
				k.remove(t, queue, m.ReceiptHandle)
			}
		}
		if !maps.Equal(got, want) {
			t.Errorf("%d of %d messages came", len(got), len(want))
		}
	})
}
