package topology_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stationmaster/worker/localaws"
	"github.com/stationmaster/worker/queue"
	"github.com/stationmaster/worker/topology"
)

// counted counts the requests by action.
func (k *kit) counted() func() map[string]int {
	seen := map[string]int{}
	stop := k.server.Control("", func(r *localaws.Request) *localaws.Fault {
		k.mu.Lock()
		defer k.mu.Unlock()
		seen[r.Action]++
		return nil
	})
	return func() map[string]int { stop(); return seen }
}

// stray subscribes a queue to a topic of its own.
func (k *kit) stray(t *testing.T, topic, queue string) (arn string) {
	t.Helper()
	if _, err := k.CreateTopic(t.Context(), topic, nil, nil); err != nil {
		t.Fatal(err)
	}
	arn, err := k.Subscribe(t.Context(), account.TopicARN(topic), "sqs", account.QueueARN(queue), nil)
	if err != nil {
		t.Fatal(err)
	}
	return arn
}

// Whatever leads to a queue of the topology past its topics is found by one list of the account, and what
// leads elsewhere costs nothing.
func TestStraysAreFoundInTheListOfTheAccount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKit(t)
		k.apply(t, line())
		want := map[string]string{k.stray(t, "there", "email"): "there", k.stray(t, "there", "email-dlq"): "there", k.stray(t, "gone", "email"): "gone"}
		k.stray(t, "there", "nobodys")
		if err := k.DeleteTopic(t.Context(), account.TopicARN("gone")); err != nil {
			t.Fatal(err)
		}
		seen := k.counted()
		s := k.observe(t, line(), topology.ObserveOptions{})
		got := map[string]string{}
		for _, stray := range s.Strays {
			got[stray.ARN] = map[bool]string{true: "gone", false: "there"}[stray.Orphan()]
			if stray.Recreated {
				t.Errorf("%+v was not made again", stray)
			}
		}
		if diff := cmp.Diff(want, got); diff != "" || s.MoreStrays || s.StraysErr != nil {
			t.Errorf("more %v, error %v, strays %s", s.MoreStrays, s.StraysErr, diff)
		}
		if n := seen(); n["ListSubscriptions"] != 1 || n["GetTopicAttributes"] != 1+2 {
			t.Errorf("requests %v", n)
		}
	})
}

// What was ended while the lists were read is no stray.
func TestWhatEndsWhileItIsReadIsNoStray(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKit(t)
		k.apply(t, line())
		arn := k.subscribed(t, "invitations")[account.QueueARN("email")]
		// The list of the account is older than that of the topic.
		old, _, err := k.Subscriptions(t.Context(), "")
		if err != nil {
			t.Fatal(err)
		}
		if err := k.Unsubscribe(t.Context(), arn); err != nil {
			t.Fatal(err)
		}
		s, err := line().Observe(t.Context(), listing{k, func(string) ([]queue.Subscription, string, error) { return old, "", nil }}, account, topology.ObserveOptions{})
		if err != nil || len(s.Strays) > 0 {
			t.Errorf("error %v, strays %+v", err, s.Strays)
		}
	})
}

// listing is an account whose list of subscriptions is another.
type listing struct {
	*kit
	page func(token string) ([]queue.Subscription, string, error)
}

func (l listing) Subscriptions(_ context.Context, token string) ([]queue.Subscription, string, error) {
	return l.page(token)
}

// An account may have millions of subscriptions: so many pages are read, and what is left is said.
func TestTheListOfTheAccountIsBounded(t *testing.T) {
	for name, row := range map[string]struct {
		pages  int // that there are
		err    error
		read   int
		more   bool
		strays int
	}{
		"the last page":       {pages: 50, read: 50, strays: 50},
		"one page more":       {pages: 51, read: 50, more: true, strays: 50},
		"without an end":      {pages: 1e9, read: 50, more: true, strays: 50},
		"denied on the third": {pages: 3, err: queue.ErrDenied, read: 3, strays: 2},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := newKit(t)
				k.apply(t, line())
				read := 0
				began := time.Now()
				s, err := line().Observe(t.Context(), listing{k, func(string) ([]queue.Subscription, string, error) {
					read++
					if row.err != nil && read == row.pages {
						return nil, "", row.err
					}
					page := make([]queue.Subscription, 100)
					for i := range page {
						page[i] = queue.Subscription{ARN: fmt.Sprintf("%s:%d-%d", account.TopicARN("other"), read, i), TopicARN: account.TopicARN("other"), Protocol: "sqs", Endpoint: account.QueueARN("theirs")}
					}
					page[0].Endpoint = account.QueueARN("email")
					if read == row.pages {
						return page, "", nil
					}
					return page, "more", nil
				}}, account, topology.ObserveOptions{})
				if err != nil {
					t.Fatal(err)
				}
				if read != row.read || s.MoreStrays != row.more || len(s.Strays) != row.strays || !errors.Is(s.StraysErr, row.err) {
					t.Errorf("%d pages, more %v, %d strays, error %v", read, s.MoreStrays, len(s.Strays), s.StraysErr)
				}
				if took := time.Since(began); read > 24 && took < time.Second {
					t.Errorf("%d pages in %s: more than SNS allows to an account", read, took)
				}
			})
		})
	}
}

// A queue with very many strays has no more than so many looked at.
func TestStraysAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKit(t)
		k.apply(t, line())
		all := make([]queue.Subscription, 150)
		for i := range all {
			topic := account.TopicARN(fmt.Sprint("t", i))
			all[i] = queue.Subscription{ARN: topic + ":1", TopicARN: topic, Protocol: "sqs", Endpoint: account.QueueARN("email")}
		}
		seen := k.counted()
		s, err := line().Observe(t.Context(), listing{k, func(string) ([]queue.Subscription, string, error) { return all, "", nil }}, account, topology.ObserveOptions{})
		if err != nil || len(s.Strays) != 100 || !s.MoreStrays {
			t.Fatalf("error %v, %d strays, more %v", err, len(s.Strays), s.MoreStrays)
		}
		if n := seen()["GetTopicAttributes"]; n != 1+100 {
			t.Errorf("%d topics are looked for", n)
		}
	})
}

// The whole look at fifty queues is one request more than without the strays: as many as there are things
// to read.
func TestTheRequestsOfAWholeLook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKit(t)
		want := wide(50)
		k.apply(t, want)
		seen := k.counted()
		if s := k.observe(t, want, topology.ObserveOptions{}); len(s.Strays) > 0 || s.MoreStrays || s.StraysErr != nil {
			t.Errorf("strays %v, more %v, error %v", s.Strays, s.MoreStrays, s.StraysErr)
		}
		got := seen()
		if diff := cmp.Diff(map[string]int{
			"GetQueueUrl": 150, "GetQueueAttributes": 150, "ListQueueTags": 150, "ListDeadLetterSourceQueues": 100, "ListMessageMoveTasks": 100,
			"GetTopicAttributes": 10, "ListSubscriptionsByTopic": 10, "ListTagsForResource": 10, "GetSubscriptionAttributes": 50, "ListSubscriptions": 1,
		}, got); diff != "" {
			t.Errorf("requests of %v: %s", slices.Sorted(maps.Keys(got)), diff)
		}
	})
}
