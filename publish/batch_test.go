package publish_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/trace"

	"github.com/stationmaster/worker/internal/awsapi"
	"github.com/stationmaster/worker/internal/tracecarrier"
	"github.com/stationmaster/worker/jobs"
	"github.com/stationmaster/worker/localaws"
	"github.com/stationmaster/worker/publish"
	"github.com/stationmaster/worker/queue"
)

var _ publish.BatchPublisher = (*publish.Client)(nil)

func numbered(n int) []queue.Message {
	all := make([]queue.Message, n)
	for i := range all {
		all[i] = queue.Message{Body: fmt.Sprint(i)}
	}
	return all
}

// watch counts the entries of each request of an action, and lets fault answer the nth, from 1.
func (k *kit) watch(action string, fault func(n int) *localaws.Fault) *[]int {
	var seen []int
	k.server.Control(action, func(r *localaws.Request) *localaws.Fault {
		seen = append(seen, max(1, len(r.Entries)))
		if fault == nil {
			return nil
		}
		return fault(len(seen))
	})
	return &seen
}

// all takes everything that waits in a queue, in order.
func (k *kit) all(t *testing.T, name string) (all []queue.Delivery) {
	for {
		ds := k.received(t, name)
		if len(ds) == 0 {
			return all
		}
		all = append(all, ds...)
		url, err := k.api.QueueURL(t.Context(), name, "")
		if err != nil {
			t.Fatal(err)
		}
		q := k.api.Queue(url, awsapi.QueueOptions{Visibility: time.Hour})
		for _, d := range ds { // a group that is in flight would hide the rest of it
			if err := queue.At(q.Delete(t.Context(), []queue.ReceiptHandle{d.Handle}), 0); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func bodies(ds []queue.Delivery) []string {
	var all []string
	for _, d := range ds {
		all = append(all, d.Body)
	}
	return all
}

func TestABatchIsSplitByEntriesAndEachMessageHasItsTrace(t *testing.T) {
	k := newKit(t, "true", "")
	ms := numbered(25)
	ms[3].Attributes = attributes(10) // no room for a trace
	asked := k.watch("PublishBatch", nil)
	ids, errs := k.PublishBatch(t.Context(), "invitations", ms)
	if errs != nil || len(ids) != 25 || !slices.Equal(*asked, []int{10, 10, 5}) {
		t.Fatalf("%d ids, %v, requests of %v", len(ids), errs, *asked)
	}
	spans, parents := map[trace.SpanID]string{}, map[trace.SpanID]bool{}
	for _, s := range k.spans.Ended() {
		spans[s.SpanContext().SpanID()] = s.Name() + " " + s.SpanKind().String() + " " + said(s)["messaging.batch.message_count"]
	}
	if len(spans) != 28 {
		t.Errorf("%d spans, want 25 of the messages and 3 of the requests", len(spans))
	}
	for _, d := range k.all(t, "email") {
		got := trace.SpanContextFromContext(tracecarrier.Extract(t.Context(), d.Attributes, d.TraceHeader)).SpanID()
		parents[got] = true
		if want := map[bool]string{false: "create invitations producer ", true: "publish invitations client 10"}[d.Body == "3"]; spans[got] != want {
			t.Errorf("message %s comes from the span %q, want %q", d.Body, spans[got], want)
		}
	}
	if len(parents) != 25 || len(k.lost) > 0 {
		t.Errorf("%d trace contexts of 25; lost %v", len(parents), k.lost)
	}
}

func TestABatchIsSplitBySize(t *testing.T) {
	k := newKit(t, "true", "")
	ms := numbered(5)
	for i := range ms {
		ms[i].Body = strings.Repeat("x", 100<<10)
	}
	published, sent := k.watch("PublishBatch", nil), k.watch("SendMessageBatch", nil)
	if _, errs := k.PublishBatch(t.Context(), "invitations", ms); errs != nil || !slices.Equal(*published, []int{2, 2}) {
		t.Errorf("%v, requests of %v", errs, *published) // the fifth goes alone, as a Publish
	}
	for i := range ms {
		ms[i].Body = strings.Repeat("x", 400<<10)
	}
	c, err := publish.Open(t.Context(), config(k.server))
	if err != nil {
		t.Fatal(err)
	}
	if _, errs := c.SendBatch(t.Context(), "email", ms); errs != nil || !slices.Equal(*sent, []int{2, 2, 1}) {
		t.Errorf("%v, requests of %v", errs, *sent)
	}
	if got := len(k.all(t, "email")); got != 10 {
		t.Errorf("%d arrived, want 10", got)
	}
}

func TestAFailureOfABatchIsItsEntrys(t *testing.T) {
	k := newKit(t, "true", "")
	k.watch("PublishBatch", func(n int) *localaws.Fault {
		if n == 1 {
			return &localaws.Fault{Entries: map[string]string{"4": "InternalError"}}
		}
		return nil
	})
	ms := numbered(14)
	ms[2].Attributes = attributes(11)                   // refused here
	ms[12].Body = ""                                    // refused there, with the whole request
	ms[13].Body = strings.Repeat("x", queue.MaxBytes/2) // too large for this topic
	ids, errs := k.PublishBatch(t.Context(), "invitations", ms)
	for i, says := range map[int]string{
		2: "publish to invitations: rejected: 11 attributes", 5: "publish to invitations: InternalError", 12: "Empty message",
		13: " bytes with its attributes, and a topic takes 262144 unless its MaximumMessageSize says more",
	} {
		if err := queue.At(errs, i); err == nil || !strings.Contains(err.Error(), says) || ids[i] != "" {
			t.Errorf("entry %d: %q, %v; want %s", i, ids[i], err, says)
		}
	}
	var want []string
	for i, m := range ms {
		if queue.At(errs, i) == nil {
			want = append(want, m.Body)
			if ids[i] == "" {
				t.Errorf("entry %d: neither id nor error", i)
			}
		}
	}
	got := bodies(k.all(t, "email"))
	slices.Sort(got)
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" || len(want) != 10 {
		t.Error(diff, want)
	}
}

// TestABatchKeepsTheOrderOfAGroup: what follows a message that was not accepted must not overtake it.
func TestABatchKeepsTheOrderOfAGroup(t *testing.T) {
	k := newKit(t, "true", ".fifo")
	ms := numbered(24)
	for i := range ms {
		ms[i].GroupID, ms[i].DeduplicationID = []string{"ada", "bob"}[i%2], fmt.Sprint(i)
	}
	ms[0].GroupID = "" // nobody's order
	k.watch("PublishBatch", func(n int) *localaws.Fault {
		if n == 1 {
			return &localaws.Fault{Entries: map[string]string{"9": "InternalError"}} // message 10, ada's
		}
		return nil
	})
	_, errs := k.PublishBatch(t.Context(), "invitations.fifo", ms)
	if err := queue.At(errs, 0); !errors.Is(err, queue.ErrRejected) || !strings.HasSuffix(err.Error(), "FIFO keeps order within a MessageGroupId, and this message has none") {
		t.Errorf("without a group: %v", err)
	}
	for i := 11; i < 24; i++ {
		if held := errors.Is(queue.At(errs, i), publish.ErrHeldBack); held != (i%2 == 0) {
			t.Errorf("entry %d: %v", i, errs[i])
		}
	}
	groups := map[string][]string{}
	for _, d := range k.all(t, "email.fifo") {
		groups[d.GroupID] = append(groups[d.GroupID], d.Body)
	}
	if diff := cmp.Diff(map[string][]string{
		"ada": {"2", "4", "6", "8"}, "bob": {"1", "3", "5", "7", "9", "11", "13", "15", "17", "19", "21", "23"},
	}, groups); diff != "" {
		t.Error(diff)
	}
	ms = []queue.Message{{Body: "x", GroupID: "ada"}, {Body: "y", GroupID: "ada", DeduplicationID: "y"}}
	_, errs = k.PublishBatch(t.Context(), "invitations.fifo", ms)
	if err := queue.At(errs, 0); err == nil || !strings.HasSuffix(err.Error(), "it has no MessageDeduplicationId: give one, or turn ContentBasedDeduplication on") {
		t.Errorf("without a deduplication id: %v", err)
	}
	if err := queue.At(errs, 1); !errors.Is(err, publish.ErrHeldBack) {
		t.Errorf("behind it: %v", err)
	}
}

// mute is a topic of which nobody hears anything.
type mute struct{ calls int }

func (m *mute) Publish(context.Context, string, queue.Message) (string, error) {
	m.calls++
	return "", nil
}

func (m *mute) PublishBatch(context.Context, string, []queue.Message) ([]string, []error) {
	m.calls++
	return nil, nil
}

func TestAnEntryOfWhichNothingIsSaidIsAnError(t *testing.T) {
	k := newKit(t, "true", "")
	c := publish.New(publish.Options{Topics: &mute{}, Region: "us-east-1", Account: accountID})
	for name, p := range map[string]publish.BatchPublisher{"client": c, "topic": topicOf{&mute{}}} {
		_, errs := p.PublishBatch(t.Context(), "invitations", numbered(3))
		for i := range 3 {
			if err := queue.At(errs, i); !errors.Is(err, queue.ErrUnanswered) {
				t.Errorf("%s, entry %d: %v", name, i, err)
			}
		}
	}
	asked := k.watch("PublishBatch", nil)
	if _, errs := k.PublishBatch(t.Context(), "nowhere", numbered(100)); len(errs) != 100 || !errors.Is(errs[99], queue.ErrNotFound) || len(*asked) != 1 {
		t.Errorf("to nowhere: %d requests, %d errors", len(*asked), len(errs))
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, errs := k.PublishBatch(ctx, "invitations", numbered(12)); len(errs) != 12 || !errors.Is(errs[11], context.Canceled) || len(*asked) != 1 {
		t.Errorf("cancelled: %d requests, %v", len(*asked), errs)
	}
	if ids, errs := k.PublishBatch(t.Context(), "invitations", nil); len(ids) != 0 || errs != nil {
		t.Errorf("nothing: %v, %v", ids, errs)
	}
}

// topicOf publishes by a Topic.
type topicOf struct{ to publish.Publisher }

func (p topicOf) PublishBatch(ctx context.Context, name string, ms []queue.Message) ([]string, []error) {
	return publish.Topic[int]{Client: p.to, Name: name}.PublishBatch(ctx, make([]int, len(ms)), nil)
}

// single is a Publisher, as jobs may have it, that knows no batch.
type single struct{ publish.Publisher }

func TestATopicPublishesABatchOfItsType(t *testing.T) {
	for _, fifo := range []string{"", ".fifo"} {
		for name, client := range map[string]func(*publish.Client) publish.Publisher{
			"batch":      func(c *publish.Client) publish.Publisher { return c },
			"one by one": func(c *publish.Client) publish.Publisher { return single{c} },
		} {
			t.Run(name+fifo, func(t *testing.T) {
				k := newKit(t, "true", fifo)
				topic := publish.Topic[float64]{Client: client(k.Client), Name: "invitations" + fifo}
				ids, errs := topic.PublishBatch(t.Context(), []float64{1, 2, math.NaN(), 3}, func(i int) []publish.Option {
					if fifo == "" {
						return nil
					}
					return []publish.Option{publish.GroupID("ada"), publish.DeduplicationID(fmt.Sprint(i))}
				})
				want := []string{"1", "2", "3"}
				if fifo != "" {
					want = want[:2]
				}
				got := bodies(k.all(t, "email"+fifo))
				slices.Sort(got)
				if diff := cmp.Diff(want, got); diff != "" {
					t.Error(diff)
				}
				if errs[0] != nil || ids[1] == "" || errs[2] == nil || errors.Is(errs[3], publish.ErrHeldBack) != (fifo != "") || (ids[3] == "") != (fifo != "") {
					t.Errorf("%q, %v", ids, errs)
				}
			})
		}
	}
}

// TestTracingMakesNoMessageTooLarge: the context is left out where it would.
func TestTracingMakesNoMessageTooLarge(t *testing.T) {
	k := newKit(t, "true", "")
	if _, err := k.Publish(t.Context(), "invitations", queue.Message{Body: strings.Repeat("x", 256<<10)}); err != nil {
		t.Error(err)
	}
	_, err := k.Publish(t.Context(), "invitations", queue.Message{Body: strings.Repeat("x", 1<<20+1)})
	if want := "publish to invitations: rejected: 1048577 bytes with its attributes, at most 1048576; keep the content elsewhere, as in S3, and send its key"; err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
}

// A job publishes onwards by the same type.
var _ = func(env *jobs.Env) publish.Topic[int] { return publish.Topic[int]{Client: env.Publisher, Name: "x"} }
