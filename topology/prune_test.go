package topology_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/stationmaster/worker/topology"
)

// owned is line with an owner, and more that it had before.
func owned(more bool) topology.Topology {
	return with(func(t *topology.Topology) {
		t.Owner, t.Settle = "mail-team", 0
		if !more {
			return
		}
		t.Topics = append(t.Topics, topology.Topic{Name: "old"})
		t.Queues = append(t.Queues, topology.Queue{Name: "audit", DLQ: "audit-dlq", MaxReceiveCount: 5})
		t.Subscriptions = append(t.Subscriptions,
			topology.Subscription{Topic: "invitations", Queue: "audit", DLQ: "invitations-audit-delivery-dlq"},
			topology.Subscription{Topic: "old", Queue: "email", DLQ: "old-email-delivery-dlq"},
			topology.Subscription{Topic: "invitations", Protocol: "lambda", Endpoint: function, DLQ: "invitations-function-delivery-dlq"})
	})
}

func (k *kit) unwanted(t *testing.T, want topology.Topology) []topology.Doomed {
	t.Helper()
	doomed, err := want.Unwanted(t.Context(), k, account)
	if err != nil {
		t.Fatal(err)
	}
	return doomed
}

func doomedLines(all []topology.Doomed) []string {
	lines := []string{}
	for _, d := range all {
		lines = append(lines, d.String())
	}
	return lines
}

func TestPruneShowsWhatItHoldsAndDeletesInTheReverseOrder(t *testing.T) {
	world(t, func(t *testing.T) {
		k := newKit(t)
		k.apply(t, owned(true))
		// Others: a queue of theirs, one of another owner, and their subscription to our topic.
		k.make(t, "theirs", nil)
		other := topology.Topology{Queues: []topology.Queue{{Name: "other"}}, Owner: "other-team"}
		k.apply(t, other)
		k.byHand(t, "sqs", account.QueueARN("theirs"), nil)
		if err := k.Send(t, "audit-dlq"); err != nil {
			t.Fatal(err)
		}
		k.took()
		doomed := k.unwanted(t, owned(false))
		if calls := k.took(); len(calls) > 0 {
			t.Errorf("looking has changed something: %v", texts(calls))
		}
		const tagged = "it has the tag stationmaster=mail-team and is not declared"
		want := []string{
			"subscription old → email: its topic goes",
			"subscription invitations → audit: its queue is ours, and the subscription is not declared",
			"subscription invitations → audit: its dead-letter queue is ours, and the subscription is not declared",
			"queue audit: " + tagged + "; it is empty",
			"queue audit-dlq: " + tagged + "; it holds about 1 messages (1 visible, 0 in flight, 0 delayed), which would be lost",
			"queue invitations-audit-delivery-dlq: " + tagged + "; it is empty",
			"queue invitations-function-delivery-dlq: " + tagged + "; it is empty",
			"queue old-email-delivery-dlq: " + tagged + "; it is empty",
			"topic old: " + tagged + "; it has 1 confirmed subscriptions, which end",
		}
		got := doomedLines(doomed)
		slices.Sort(got[1:3])
		slices.Sort(want[1:3])
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatal(diff)
		}
		var told []string
		if err := owned(false).Prune(t.Context(), k, account, doomed, func(c topology.Change) { told = append(told, c.Kind+" "+c.What) }); err != nil {
			t.Fatal(err)
		}
		order := []string{}
		for _, c := range k.took() {
			order = append(order, c.action)
		}
		if diff := cmp.Diff([]string{
			"Unsubscribe", "Unsubscribe", "Unsubscribe", "DeleteQueue", "DeleteQueue", "DeleteQueue", "DeleteQueue", "DeleteQueue", "DeleteTopic",
		}, order); diff != "" || len(told) != len(order) {
			t.Errorf("%s, told %v", diff, told)
		}
		for _, name := range []string{"theirs", "other"} {
			k.url(t, name)
		}
		if found := k.subscribed(t, "invitations"); len(found) != 2 {
			t.Errorf("left are %v, want ours and theirs", found)
		}
		if left := k.unwanted(t, owned(false)); len(left) > 0 {
			t.Errorf("still unwanted: %v", doomedLines(left))
		}
		if r := k.apply(t, owned(false)); len(r.Changed) != 0 {
			t.Errorf("apply after it: %v", changes(r))
		}
	})
}

func TestWithoutAnOwnerNoQueueAndNoTopicIsUnwanted(t *testing.T) {
	world(t, func(t *testing.T) {
		k := newKit(t)
		k.apply(t, owned(true))
		want := owned(false)
		want.Owner = ""
		if diff := cmp.Diff([]string{}, doomedLines(slices.DeleteFunc(k.unwanted(t, want), func(d topology.Doomed) bool { return d.Kind == "subscription" }))); diff != "" {
			t.Error(diff)
		}
	})
}

func TestAQueueThatStillServesIsKept(t *testing.T) {
	world(t, func(t *testing.T) {
		k := newKit(t)
		k.apply(t, owned(true))
		k.make(t, "theirs", map[string]string{"RedrivePolicy": fmt.Sprintf(`{"deadLetterTargetArn":%q,"maxReceiveCount":5}`, account.QueueARN("audit-dlq"))})
		doomed := k.unwanted(t, owned(false))
		i := slices.IndexFunc(doomed, func(d topology.Doomed) bool { return d.Name == "audit-dlq" })
		if i < 0 || doomed[i].Kept != "it catches the dead letters of theirs, which stays" {
			t.Fatalf("%v", doomedLines(doomed))
		}
		if err := owned(false).Prune(t.Context(), k, account, doomed, nil); err != nil {
			t.Fatal(err)
		}
		k.url(t, "audit-dlq")
	})
}

func TestWhatComesAfterItWasShownIsNotDeleted(t *testing.T) {
	for name, come := range map[string]func(*testing.T, *kit){
		"holds about 1 messages, and 0 when this was shown": func(t *testing.T, k *kit) {
			if err := k.Send(t, "audit"); err != nil {
				t.Fatal(err)
			}
		},
		"has lost its tag": func(t *testing.T, k *kit) {
			if err := k.TagQueue(t.Context(), k.url(t, "audit"), map[string]string{"stationmaster": "you"}); err != nil {
				t.Fatal(err)
			}
		},
	} {
		world(t, func(t *testing.T) {
			k := newKit(t)
			k.apply(t, owned(true))
			doomed := k.unwanted(t, owned(false))
			come(t, k)
			err := owned(false).Prune(t.Context(), k, account, doomed, nil)
			if err == nil || !strings.HasPrefix(err.Error(), "prune: queue audit: ") || !strings.Contains(err.Error(), name) {
				t.Errorf("error %v, want %q", err, name)
			}
			k.url(t, "audit")
		})
	}
}

func TestAPendingSubscriptionThatNobodyKnowsIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, web := newWebKit(t)
		web.deaf.Store(true)
		k.apply(t, owned(false))
		want := owned(false)
		k.byHand(t, "https", "https://example.com/x", map[string]string{"RedrivePolicy": `{"deadLetterTargetArn":"` + account.QueueARN("email-dlq") + `"}`})
		if doomed := k.unwanted(t, want); len(doomed) != 0 {
			t.Errorf("what nobody knows to be ours is unwanted: %v", doomedLines(doomed))
		}
	})
}
