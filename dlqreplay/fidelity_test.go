package dlqreplay_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stationmaster/worker/deadletter"
	"github.com/stationmaster/worker/internal/awsapi"
	"github.com/stationmaster/worker/localaws"
	"github.com/stationmaster/worker/queue"
)

func text(s string) queue.Attribute { return queue.Attribute{Type: "String", Text: s} }

// record is what a worker wrote on a message that died.
func record(t *testing.T, m queue.Message) queue.Message {
	t.Helper()
	d := &queue.Delivery{Message: m, MessageID: "first-life", Receives: 5, FirstReceived: time.Now()}
	death := deadletter.Death{Job: "email", Queue: "work", Build: "v1", Host: "there", Now: time.Now()}
	if err := deadletter.New(d, death, errors.New("i/o timeout")).Write(&m); err != nil {
		t.Fatal(err)
	}
	return m
}

// attributesOf returns n attributes.
func attributesOf(n int) map[string]queue.Attribute {
	all := map[string]queue.Attribute{}
	for i := range n {
		all[fmt.Sprintf("a%d", i)] = text("x")
	}
	return all
}

// What arrives is what died: bytes, types, groups and traces. Only the record gives way to the mark.
func TestMessagesArriveAsTheyDied(t *testing.T) {
	for _, row := range []struct {
		name   string
		dead   func(t *testing.T) queue.Message
		marked bool
	}{
		{"with a record", func(t *testing.T) queue.Message {
			return record(t, queue.Message{Body: " {\"a\": 1.0}\n", Attributes: map[string]queue.Attribute{"kind": text("mail")}})
		}, true},
		{"without a record", func(*testing.T) queue.Message {
			return queue.Message{Body: "plain", TraceHeader: "Root=1-67891233-abcdef012345678912345678;Parent=53995c3f42cd8ad8;Sampled=1"}
		}, true},
		{"every type", func(t *testing.T) queue.Message {
			return record(t, queue.Message{Body: "x", Attributes: map[string]queue.Attribute{
				"n": {Type: "Number.int", Text: "007"}, "b": {Type: "Binary", Binary: []byte{0, 255, 1}},
				"p": {Type: "Binary.png", Binary: []byte("\x89PNG")}, "s": {Type: "String.custom", Text: "<&>é"},
			}})
		}, true},
		{"a group on a standard queue", func(*testing.T) queue.Message { return queue.Message{Body: "x", GroupID: "tenant-1"} }, true},
		{"ten attributes of its own", func(*testing.T) queue.Message {
			return queue.Message{Body: "x", Attributes: attributesOf(10)}
		}, false},
		{"ten attributes with the record", func(t *testing.T) queue.Message {
			return record(t, queue.Message{Body: "x", Attributes: attributesOf(9)})
		}, true},
		{"a mebibyte", func(*testing.T) queue.Message { return queue.Message{Body: strings.Repeat("x", queue.MaxBytes)} }, false},
		{"a mebibyte with its record", func(t *testing.T) queue.Message {
			m := record(t, queue.Message{Body: strings.Repeat("x", queue.MaxBytes-4096)})
			m.Body += strings.Repeat("x", queue.MaxBytes-m.Size())
			return m
		}, true},
		{"an attribute of our name that is somebody else's", func(*testing.T) queue.Message {
			return queue.Message{Body: "x", Attributes: map[string]queue.Attribute{deadletter.Attribute: text("not ours")}}
		}, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := newDepot(t, "work")
				dead := row.dead(t)
				id := d.send(dead)[0]
				r := d.run(d.begin())
				if !r.Whole() || (r.Unwatched == 0) != row.marked {
					t.Fatalf("%+v", r)
				}
				got := d.all(d.workURL)[0].Message
				before, _ := deadletter.Read(&dead)
				after, has := deadletter.Read(&got)
				if has != row.marked {
					t.Fatalf("marked %v, want %v: %v", has, row.marked, got.Attributes)
				}
				if has {
					mark := after.Replay
					if mark == nil || mark.ID != r.ReplayID || mark.By != "somebody" || mark.FromID != id || mark.At.IsZero() || after.Failed() {
						t.Errorf("the mark is %+v", after)
					}
					if after.Deaths != before.Deaths || !after.FirstReceived.Equal(before.FirstReceived) && before.V > 0 {
						t.Errorf("of %+v became %+v", before, after)
					}
					if want := before.ID; before.V > 0 && after.ID != want || before.V == 0 && after.ID != id {
						t.Errorf("its stable id is %q", after.ID)
					}
					delete(got.Attributes, deadletter.Attribute)
					delete(dead.Attributes, deadletter.Attribute)
				}
				if len(got.Attributes) == 0 && len(dead.Attributes) == 0 {
					got.Attributes, dead.Attributes = nil, nil
				}
				if diff := cmp.Diff(dead, got); diff != "" {
					t.Error(diff)
				}
			})
		})
	}
}

// What SQS moved itself has died once more than its record knows.
func TestAMovedMessageDiedOnceMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDepot(t, "work")
		arn := d.dlq.ARN
		source, err := d.api.CreateQueue(t.Context(), "source", map[string]string{
			"RedrivePolicy":     fmt.Sprintf(`{"deadLetterTargetArn":%q,"maxReceiveCount":1}`, arn),
			"VisibilityTimeout": "1",
		}, nil)
		if err != nil {
			t.Fatal(err)
		}
		q := d.api.Queue(source, awsapi.QueueOptions{})
		if _, errs := q.Send(t.Context(), []queue.Message{record(t, queue.Message{Body: "recorded"}), {Body: "plain"}}); errs != nil {
			t.Fatal(errs)
		}
		for range 3 {
			d.all(source)
			<-time.After(2 * time.Hour)
		}
		r := d.run(d.begin())
		if r.Replayed != 2 {
			t.Fatalf("%+v", r)
		}
		for _, m := range d.all(d.workURL) {
			got, _ := deadletter.Read(&m.Message)
			want := map[string]int{"recorded": 2, "plain": 1}[m.Body]
			if got.Deaths != want {
				t.Errorf("%s died %d times, want %d", m.Body, got.Deaths, want)
			}
		}
	})
}

func TestBatchesArePackedByBytes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDepot(t, "work")
		for i := range 10 {
			d.send(queue.Message{Body: fmt.Sprintf("%d", i) + strings.Repeat("x", 200<<10)})
		}
		o := d.begin()
		o.Pace.Loops = 1
		sends := 0
		d.server.Control("SendMessageBatch", func(*localaws.Request) *localaws.Fault { sends++; return nil })
		if r := d.run(o); !r.Whole() || sends != 2 {
			t.Errorf("%d sends, %+v", sends, r)
		}
	})
}

func TestWhatIsTooLargeForItsDestinationIsRefusedByName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDepot(t, "work")
		d.to.MaxBytes = 2048
		d.send(queue.Message{Body: strings.Repeat("x", 3000)}, queue.Message{Body: "small"}, queue.Message{Body: strings.Repeat("x", 2040)})
		o := d.begin()
		o.Plan.Selected = ids(o.Held.Letters())
		r := d.run(o)
		if r.Replayed != 2 || r.Failed != 1 || r.Unwatched != 1 || !strings.Contains(r.Failures[0].Why, "2048 bytes") || r.Released != 1 {
			t.Errorf("%+v", r)
		}
	})
}
