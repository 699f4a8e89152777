package dlqreplay_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stationmaster/worker/deadletter"
	"github.com/stationmaster/worker/dlqreplay"
	"github.com/stationmaster/worker/internal/awsapi"
	"github.com/stationmaster/worker/localaws"
	"github.com/stationmaster/worker/queue"
)

// letterOf scans a queue with one message in it.
func letterOf(t *testing.T, m queue.Message, change func(*dlqreplay.ScanOptions)) (l *dlqreplay.Letter) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		y := newYard(t, "orders-dlq", localaws.Nasty{})
		y.send(m)
		h := y.scan(change)
		defer h.Release(t.Context(), nil)
		l = h.Letters()[0]
	})
	return l
}

func TestLettersSayWhyTheyDied(t *testing.T) {
	died := start.Add(-time.Hour)
	recorded := dead("{}", deadletter.Death{Job: "email", Queue: "orders", Now: died}, start.Add(-2*time.Hour), errors.New("550 no such user"))
	replayed := queue.Message{Body: `{"to":"a"}`}
	record, _ := deadletter.Read(&recorded)
	if err := record.Replayed(deadletter.Replay{ID: "r-1"}).Write(&replayed); err != nil {
		t.Fatal(err)
	}
	nobody := dead("{}", deadletter.Death{Now: died}, start, errors.New("unknown kind"))
	lambda := queue.Message{Body: `{"event":"x"}`, Attributes: map[string]queue.Attribute{
		"ErrorCode": {Type: "Number", Text: "200"}, "ErrorMessage": {Type: "String", Text: "timed out after 3.00 seconds"},
	}}
	byShape := func(*dlqreplay.Letter, *queue.Message) string { return "guess" }
	subscription := func(o *dlqreplay.ScanOptions) { o.Undelivered = true }
	for name, row := range map[string]struct {
		m      queue.Message
		change func(*dlqreplay.ScanOptions)
		want   string // kind, job, class, reason, whether unexplained, deaths
	}{
		"recorded":           {recorded, nil, "recorded email error 550 no such user|false 1"},
		"recorded, no job":   {nobody, func(o *dlqreplay.ScanOptions) { o.JobOf = byShape }, "recorded guess error unknown kind|false 1"},
		"only replayed":      {replayed, nil, "foreign   {to}|false 1"},
		"lambda":             {lambda, nil, "foreign  lambda:200 timed out after <n> seconds|false 0"},
		"undelivered":        {queue.Message{Body: `{"b":1,"a":2}`}, subscription, "undelivered   {a, b}|false 0"},
		"recorded, by a sub": {recorded, subscription, "recorded email error 550 no such user|false 1"},
		"nothing":            {queue.Message{Body: "x"}, nil, "foreign   |true 0"},
		"only a job":         {queue.Message{Body: `{"a":1}`}, func(o *dlqreplay.ScanOptions) { o.JobOf = byShape }, "foreign guess  |true 0"},
	} {
		l := letterOf(t, row.m, row.change)
		got := fmt.Sprintf("%s %s %s %s|%v %d", l.Kind, l.Job, l.Class, l.Reason, l.Fingerprint == deadletter.Unexplained, l.Deaths())
		if got != row.want {
			t.Errorf("%s:\n got %s\nwant %s", name, got, row.want)
		}
	}
	if l := letterOf(t, recorded, nil); !l.Sent.Equal(start.Add(-2*time.Hour)) || !l.Died().Equal(died) || l.Size != recorded.Size() {
		t.Errorf("sent %s, died %s, %d bytes", l.Sent, l.Died(), l.Size)
	}
}

// What SQS moved died again: its record tells of the death before.
func TestWhatSQSMovedDiedOnceMoreThanItsRecordSays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		y := newYard(t, "orders-dlq", localaws.Nasty{})
		url, err := y.api.CreateQueue(t.Context(), "orders", map[string]string{
			"RedrivePolicy": fmt.Sprintf(`{"deadLetterTargetArn":%q,"maxReceiveCount":1}`, y.dlq.ARN), "VisibilityTimeout": "1",
		}, nil)
		if err != nil {
			t.Fatal(err)
		}
		orders := y.api.Queue(url, awsapi.QueueOptions{})
		sent := time.Now()
		m := dead("{}", deadletter.Death{Job: "email", Queue: "orders", Now: sent.Add(-time.Hour)}, sent.Add(-2*time.Hour), errors.New("x"))
		if _, errs := orders.Send(t.Context(), []queue.Message{m}); errs != nil {
			t.Fatal(errs)
		}
		for range 2 {
			if _, err := orders.Receive(t.Context(), 1, time.Second); err != nil {
				t.Fatal(err)
			}
			<-time.After(2 * time.Second)
		}
		h := y.scan(nil)
		defer h.Release(t.Context(), nil)
		l := h.Letters()[0]
		if l.Kind != dlqreplay.Moved || l.Deaths() != 2 || l.Job != "email" || l.Reason != "" || l.Fingerprint != deadletter.Unexplained || !l.Died().Equal(l.Sent) {
			t.Errorf("%+v", l)
		}
		p := y.plan(h, nil, dlqreplay.Judge{MaxDeaths: 1})
		if want := l.Sent.Add(14 * 24 * time.Hour); !p.Groups[0].Expires.Equal(want) {
			t.Errorf("expires %s, want %s: SQS kept its age", p.Groups[0].Expires, want)
		}
		if diff := cmp.Diff([]dlqreplay.Skipped{{Why: dlqreplay.SkipExhausted, Job: "email", Count: 1}}, p.Skipped); diff != "" {
			t.Errorf("skipped (-want +got):\n%s", diff)
		}
	})
}

// large is a source of 66 MiB, more than is kept in memory, without a server: that would take long.
func large() (from *source, made map[string]queue.Message) {
	made = map[string]queue.Message{}
	var left []queue.Delivery
	for i := range 66 {
		m := queue.Message{
			Body: strings.Repeat(string(rune('a'+i%26)), 1<<20-100), TraceHeader: fmt.Sprintf("Root=1-%08x-0123456789abcdef01234567", i), GroupID: "tenant",
			Attributes: map[string]queue.Attribute{"n": {Type: "Number.int", Text: fmt.Sprint(i)}, "b": {Type: "Binary.x", Binary: []byte{0, byte(i), 255}}},
		}
		id := fmt.Sprint(i)
		made[id] = m
		left = append(left, queue.Delivery{Message: m, MessageID: id, Handle: queue.ReceiptHandle(id), Received: time.Now(), Deadline: time.Now().Add(holdFor)})
	}
	return &source{receive: func(n int, _ func(int) ([]queue.Delivery, error)) (ds []queue.Delivery, err error) {
		ds, left = left[:min(n, len(left))], left[min(n, len(left)):]
		return ds, nil
	}}, made
}

// A message comes out as it went in, from memory and from the disk.
func TestMessagesAreKeptExactly(t *testing.T) {
	from, want := large()
	from.hide = func([]queue.ReceiptHandle, []time.Duration, func() []error) []error { return nil }
	h, err := dlqreplay.Scan(t.Context(), dlqreplay.ScanOptions{DLQ: dlqreplay.DLQ{Queue: from, Hold: holdFor}, Loops: 1, SpoolDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	if len(h.Letters()) != len(want) {
		t.Errorf("%d letters", len(h.Letters()))
	}
	for _, l := range h.Letters() {
		m, err := h.Message(l)
		if err != nil {
			t.Fatal(err)
		}
		if w := want[l.MessageID]; m.Body != w.Body {
			t.Fatalf("%s: another body", l.MessageID)
		}
		m.Body = ""
		w := want[l.MessageID]
		w.Body = ""
		if diff := cmp.Diff(w, m); diff != "" {
			t.Fatalf("%s (-want +got):\n%s", l.MessageID, diff)
		}
	}
	h.Release(t.Context(), nil)
	if _, err := h.Message(h.Letters()[0]); err == nil {
		t.Error("a message is read after the release")
	}
}

func TestAFullDiskGivesEverythingBack(t *testing.T) {
	from, _ := large()
	handed, receive := 0, from.receive
	from.receive = func(n int, real func(int) ([]queue.Delivery, error)) ([]queue.Delivery, error) {
		ds, err := receive(n, real)
		handed += len(ds)
		return ds, err
	}
	released := map[queue.ReceiptHandle]bool{}
	var mu sync.Mutex
	from.hide = func(handles []queue.ReceiptHandle, visible []time.Duration, _ func() []error) []error {
		mu.Lock()
		defer mu.Unlock()
		for i, h := range handles {
			released[h] = visible[i] == 0
		}
		return nil
	}
	o := dlqreplay.ScanOptions{DLQ: dlqreplay.DLQ{Name: "orders-dlq", Queue: from, Hold: holdFor}, Loops: 1, SpoolDir: t.TempDir() + "/gone"}
	if _, err := dlqreplay.Scan(t.Context(), o); err == nil || !strings.Contains(err.Error(), "scan orders-dlq: spool dead letters") {
		t.Errorf("error: %v", err)
	}
	if handed == 0 || len(released) != handed {
		t.Errorf("%d of %d were given back", len(released), handed)
	}
}
