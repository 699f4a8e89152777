package publish_test

import (
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stationmaster/worker/publish"
	"github.com/stationmaster/worker/queue"
)

type invited struct {
	Event string `json:"event"`
	Email string `json:"email"`
}

func TestATopicPublishesItsTypeAsJSON(t *testing.T) {
	k := newKit(t, "true", "")
	topic := publish.Topic[invited]{Client: k.Client, Name: "invitations", Kind: "user_invited"}
	id, err := topic.Publish(t.Context(), invited{"user_invited", "ada@example.com"},
		publish.Attribute("plan", "pro"), publish.GroupID("tenant-1"), publish.ID("work-7"))
	if err != nil || id == "" {
		t.Fatal(id, err)
	}
	d := k.one(t)
	delete(d.Attributes, "traceparent")
	if d.Body != `{"event":"user_invited","email":"ada@example.com"}` || d.GroupID != "tenant-1" {
		t.Errorf("body %s, group %q", d.Body, d.GroupID)
	}
	if diff := cmp.Diff(map[string]queue.Attribute{
		publish.KindAttribute: {Type: "String", Text: "user_invited"}, "plan": {Type: "String", Text: "pro"},
		queue.StationmasterAttribute: {Type: "String", Text: `{"id":"work-7"}`},
	}, d.Attributes); diff != "" {
		t.Error(diff)
	}
}

// TestTheIDThatAProducerGivesIsTheJobs: also through an envelope, and for a second publish.
func TestTheIDThatAProducerGivesIsTheJobs(t *testing.T) {
	for _, raw := range []string{"true", "false"} {
		k := newKit(t, raw, "")
		topic := publish.Topic[invited]{Client: k.Client, Name: "invitations"}
		for range 2 {
			if _, err := topic.Publish(t.Context(), invited{}, publish.ID("work-7")); err != nil {
				t.Fatal(err)
			}
		}
		ds := k.received(t, "email")
		if len(ds) != 2 {
			t.Fatalf("%d arrived", len(ds))
		}
		for _, d := range ds {
			if got := queue.StableID(&d); got != "work-7" {
				t.Errorf("raw = %s: the job sees %q", raw, got)
			}
		}
	}
}

func TestATopicOfAFIFOTopicSaysGroupAndDeduplication(t *testing.T) {
	k := newKit(t, "true", ".fifo")
	topic := publish.Topic[int]{Client: k.Client, Name: "invitations.fifo"}
	for _, tt := range []struct {
		n       int
		dedupID string
	}{{1, "a"}, {2, "a"}, {3, "b"}} {
		if _, err := topic.Publish(t.Context(), tt.n, publish.GroupID("ada"), publish.DeduplicationID(tt.dedupID)); err != nil {
			t.Fatal(err)
		}
	}
	var got []string
	for _, d := range k.received(t, "email.fifo") {
		got = append(got, d.Body+" "+d.GroupID+" "+d.DeduplicationID)
	}
	if diff := cmp.Diff([]string{"1 ada a", "3 ada b"}, got); diff != "" {
		t.Error(diff)
	}
	if _, err := topic.Publish(t.Context(), 4); !errors.Is(err, queue.ErrRejected) {
		t.Errorf("without a group: %v", err)
	}
}

func TestATopicRefusesWhatAWSWouldMisunderstand(t *testing.T) {
	k := newKit(t, "true", "")
	many := make([]publish.Option, 11)
	for i := range many {
		many[i] = publish.Attribute(string(rune('a'+i)), "v")
	}
	odd := errors.New("odd")
	for _, tt := range []struct {
		name    string
		options []publish.Option
		class   error
		says    string
	}{
		{"an empty attribute", []publish.Option{publish.Attribute("plan", "")}, queue.ErrRejected, "attribute plan: rejected: must not be empty"},
		{"an empty id", []publish.Option{publish.ID("")}, queue.ErrRejected, "id: rejected: must not be empty"},
		{"an empty group", []publish.Option{publish.GroupID("")}, queue.ErrRejected, "group id: rejected: must not be empty"},
		{"an empty deduplication id", []publish.Option{publish.DeduplicationID("")}, queue.ErrRejected, "deduplication id: rejected: must not be empty"},
		{"eleven attributes", many, queue.ErrRejected, "attribute k: rejected: a message has at most 10"},
		{"an option of somebody else", []publish.Option{func(*queue.Message) error { return odd }}, odd, "odd"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			topic := publish.Topic[invited]{Client: k.Client, Name: "invitations"}
			id, err := topic.Publish(t.Context(), invited{}, tt.options...)
			if id != "" || !errors.Is(err, tt.class) || err.Error() != "publish to invitations: "+tt.says {
				t.Errorf("%q, %v", id, err)
			}
		})
	}
	if _, err := (publish.Topic[float64]{Client: k.Client, Name: "invitations"}).Publish(t.Context(), math.NaN()); err == nil || !strings.HasPrefix(err.Error(), "publish to invitations: encode float64: ") {
		t.Errorf("what JSON cannot say: %v", err)
	}
	if _, err := (publish.Topic[int]{Name: "invitations"}).Publish(t.Context(), 1); err == nil || err.Error() != "publish to invitations: the topic has no client; set Topic.Client" {
		t.Errorf("without a client: %v", err)
	}
	if got := k.received(t, "email"); len(got) > 0 {
		t.Errorf("%d messages arrived", len(got))
	}
}

func TestAnOptionDoesNotChangeAMapThatIsShared(t *testing.T) {
	k := newKit(t, "true", "")
	shared := map[string]queue.Attribute{"from": {Type: "String", Text: "us"}}
	topic := publish.Topic[invited]{Client: k.Client, Name: "invitations"}
	own := func(m *queue.Message) error { m.Attributes = shared; return nil }
	if _, err := topic.Publish(t.Context(), invited{}, own, publish.Attribute("plan", "pro"), publish.Attribute("plan", "free")); err != nil {
		t.Fatal(err)
	}
	d := k.one(t)
	if len(shared) != 1 || d.Attributes["plan"].Text != "free" || d.Attributes["from"].Text != "us" {
		t.Errorf("shared %v, arrived %v", shared, d.Attributes)
	}
}
