package publish_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stationmaster/worker/publish"
	"github.com/stationmaster/worker/queue"
)

func TestADelayTravelsThroughATopic(t *testing.T) {
	for _, raw := range []string{"true", "false"} {
		t.Run("raw "+raw, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := newKit(t, raw, "")
				topic := publish.Topic[string]{Client: k.Client, Name: "invitations"}
				if _, err := topic.Publish(t.Context(), "x", publish.Delay(6*time.Hour), publish.ID("job-1")); err != nil {
					t.Fatal(err)
				}
				d := k.one(t)
				if got := time.Until(queue.NotBefore(&d)); got != 6*time.Hour {
					t.Errorf("it may start in %v, want 6h", got)
				}
				if id := queue.StableID(&d); id != "job-1" {
					t.Errorf("its id is %q", id)
				}
			})
		})
	}
}

// TestSendLeavesAShortDelayToSQS: within its 15 minutes nothing has to be received twice.
func TestSendLeavesAShortDelayToSQS(t *testing.T) {
	for _, row := range []struct {
		name    string
		options []publish.Option
		delay   time.Duration
		hop     bool
		id      string
	}{
		{"short", []publish.Option{publish.Delay(10 * time.Minute)}, 10 * time.Minute, false, ""},
		{"the most", []publish.Option{publish.Delay(15 * time.Minute), publish.ID("job-1")}, 15 * time.Minute, false, "job-1"},
		{"long", []publish.Option{publish.ID("job-1"), publish.Delay(16 * time.Minute)}, 16 * time.Minute, true, "job-1"},
		{"the field", []publish.Option{func(m *queue.Message) error { m.Delay = 12 * time.Hour; return nil }}, 12 * time.Hour, true, ""},
		{"past", []publish.Option{publish.NotBefore(time.Unix(0, 0))}, 0, true, ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := newKit(t, "true", "")
				c := k.client(publish.Options{Queues: k.queues})
				m := queue.Message{Body: "x"}
				for _, option := range row.options {
					if err := option(&m); err != nil {
						t.Fatal(err)
					}
				}
				if _, err := c.Send(t.Context(), "email", m); err != nil {
					t.Fatal(err)
				}
				if !row.hop {
					if ds := k.received(t, "email"); len(ds) != 0 {
						t.Error("it can be received at once")
					}
					<-time.After(row.delay)
				}
				d := k.one(t)
				at := queue.NotBefore(&d)
				if row.hop == at.IsZero() {
					t.Errorf("not before %v", at)
				}
				if row.delay > 0 && row.hop && time.Until(at) != row.delay {
					t.Errorf("it may start in %v, want %v", time.Until(at), row.delay)
				}
				if id := queue.StableID(&d); row.id != "" && id != row.id {
					t.Errorf("its id is %q, want %q", id, row.id)
				}
				if _, has := d.Attributes[queue.StationmasterAttribute]; !row.hop && has != (row.id != "") {
					t.Errorf("its attributes are %v", d.Attributes)
				}
			})
		})
	}
}

func TestABatchKeepsTheDelayOfEach(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKit(t, "true", "")
		c := k.client(publish.Options{Queues: k.queues})
		ms := []queue.Message{{Body: "now"}, {Body: "short", Delay: time.Minute}, {Body: "never", Delay: 13 * time.Hour}, {Body: "long", Delay: time.Hour}}
		_, errs := c.SendBatch(t.Context(), "email", ms)
		for i := range ms {
			if err := queue.At(errs, i); (err != nil) != (ms[i].Body == "never") {
				t.Errorf("%s: %v", ms[i].Body, err)
			}
		}
		got := map[string]time.Duration{}
		for _, d := range k.received(t, "email") {
			got[d.Body] = 0
			if at := queue.NotBefore(&d); !at.IsZero() {
				got[d.Body] = time.Until(at)
			}
		}
		if diff := cmp.Diff(map[string]time.Duration{"now": 0, "long": time.Hour}, got); diff != "" {
			t.Error(diff)
		}
		<-time.After(time.Minute)
		if d := k.one(t); d.Body != "short" {
			t.Errorf("%s arrived after a minute", d.Body)
		}
	})
}

func TestRefusedDelays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKit(t, "true", ".fifo")
		c := k.client(publish.Options{Queues: k.queues})
		late := queue.Message{Body: "x", GroupID: "g", DeduplicationID: "d", Delay: time.Minute}
		tooLate := late
		tooLate.Delay = 13 * time.Hour
		_, topic := c.Publish(t.Context(), "invitations.fifo", late)
		_, fifo := c.Send(t.Context(), "email.fifo", late)
		_, long := c.Send(t.Context(), "email", tooLate)
		_, longTopic := c.Publish(t.Context(), "invitations", tooLate)
		m := queue.Message{}
		for _, row := range []struct {
			err  error
			want string
		}{
			{topic, "publish to invitations.fifo: delay 1m0s: rejected: FIFO has no delay for one message"},
			{fifo, "send to email.fifo: delay 1m0s: rejected: FIFO has no delay for one message"},
			{long, "send to email: delay 13h0m0s: must be at most 12h0m0s"},
			{longTopic, "publish to invitations: delay 13h0m0s: must be at most 12h0m0s"},
			{publish.Delay(13 * time.Hour)(&m), "delay 13h0m0s: must be at most 12h0m0s"},
			{publish.Delay(0)(&m), "delay 0s: rejected: must be more than 0"},
		} {
			if row.err == nil || !errors.Is(row.err, queue.ErrRejected) || !strings.HasPrefix(row.err.Error(), row.want) {
				t.Errorf("%v, want %s", row.err, row.want)
			}
		}
		if m.Attributes != nil || len(k.received(t, "email.fifo")) != 0 {
			t.Error("a refused delay left something behind")
		}
	})
}
