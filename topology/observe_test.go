package topology_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stationmaster/worker/localaws"
	"github.com/stationmaster/worker/queue"
	"github.com/stationmaster/worker/topology"
)

func (k *kit) observe(t *testing.T, want topology.Topology, o topology.ObserveOptions) *topology.State {
	t.Helper()
	s, err := want.Observe(t.Context(), k, account, o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestObserveReadsEverythingBack(t *testing.T) {
	world(t, func(t *testing.T) {
		k := newKit(t)
		want := with(func(t *topology.Topology) { t.Queues[0].Tags = map[string]string{"team": "mail"} })
		k.apply(t, want)
		// Somebody else subscribes a queue with a dead-letter queue of its own, and one that never was.
		k.make(t, "theirs", map[string]string{})
		k.make(t, "theirs-dead", map[string]string{})
		redrive := map[string]string{"RedrivePolicy": `{"deadLetterTargetArn":"` + account.QueueARN("theirs-dead") + `"}`}
		k.byHand(t, "sqs", account.QueueARN("theirs"), redrive)
		k.byHand(t, "sqs", account.QueueARN("never"), nil)
		k.byHand(t, "https", nowhere, nil)

		s := k.observe(t, want, topology.ObserveOptions{})
		if diff := cmp.Diff(lineQueues, slices.Sorted(maps.Keys(s.Queues))); diff != "" {
			t.Error(diff)
		}
		q := s.Queues["email"]
		if !q.Known() || q.Missing() || q.Attributes["VisibilityTimeout"] != "60" || q.Tags["team"] != "mail" || q.URL != k.url(t, "email") {
			t.Errorf("email is %+v", q)
		}
		if got := s.Queues["email-dlq"].Sources; !slices.Equal(got, []string{k.url(t, "email")}) {
			t.Errorf("sources of the DLQ are %v", got)
		}
		topic := s.Topics["invitations"]
		if topic.Attributes["SignatureVersion"] != "2" || topic.ListErr != nil || len(topic.Subscriptions) != 4 {
			t.Fatalf("the topic is %+v", topic)
		}
		ours := topic.Find("sqs", account.QueueARN("email"))
		if !ours.Declared || ours.Pending() || ours.Attributes["FilterPolicy"] != `{"event":["user_invited"]}` {
			t.Errorf("our subscription is %+v", ours)
		}
		another := topic.Find("sqs", account.QueueARN("theirs"))
		if another.Declared || another.Attributes["RedrivePolicy"] != redrive["RedrivePolicy"] {
			t.Errorf("the other subscription is %+v", another)
		}
		if web := topic.Find("https", nowhere); !web.Pending() {
			t.Errorf("the HTTP subscription is %+v", web)
		} else {
			other.AsAWS(t, pendingARN, web.Attributes == nil, "the HTTP subscription has attributes: %+v", web)
		}
		known := map[string]bool{}
		for arn, q := range s.Others {
			known[arn] = q.Known()
		}
		if diff := cmp.Diff(map[string]bool{account.QueueARN("theirs"): true, account.QueueARN("theirs-dead"): true, account.QueueARN("never"): false}, known); diff != "" {
			t.Error(diff)
		}
		if !s.Others[account.QueueARN("never")].Missing() {
			t.Error("a queue that never was is not missing")
		}
		if calls := k.took(); slices.ContainsFunc(calls[len(calls)-1:], func(c call) bool { return c.action != "Subscribe" }) {
			t.Errorf("it changed something: %v", texts(calls))
		}
	})
}

// What may not be read is unknown, and the rest is read all the same.
func TestWhatMayNotBeReadHasItsError(t *testing.T) {
	for action, of := range map[string]func(*topology.State) error{
		"GetQueueUrl":                func(s *topology.State) error { return s.Queues["email"].Err },
		"GetQueueAttributes":         func(s *topology.State) error { return s.Queues["email"].Err },
		"ListQueueTags":              func(s *topology.State) error { return s.Queues["email"].TagsErr },
		"ListDeadLetterSourceQueues": func(s *topology.State) error { return s.Queues["email-dlq"].SourceErr },
		"ListMessageMoveTasks":       func(s *topology.State) error { return s.Queues["email-dlq"].TasksErr },
		"GetTopicAttributes":         func(s *topology.State) error { return s.Topics["invitations"].Err },
		"ListTagsForResource":        func(s *topology.State) error { return s.Topics["invitations"].TagsErr },
		"ListSubscriptionsByTopic":   func(s *topology.State) error { return s.Topics["invitations"].ListErr },
		"GetSubscriptionAttributes": func(s *topology.State) error {
			return s.Topics["invitations"].Subscriptions[0].Err
		},
	} {
		t.Run(action, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := newKit(t)
				k.apply(t, line())
				k.server.Control(action, func(*localaws.Request) *localaws.Fault {
					return &localaws.Fault{Status: 403, Code: "AccessDenied", Message: "no"}
				})
				s := k.observe(t, line(), topology.ObserveOptions{})
				if err := of(s); !errors.Is(err, queue.ErrDenied) {
					t.Errorf("error %v, want one of the class denied", err)
				}
				if s.Queues["email"].Missing() || s.Topics["invitations"].Missing() {
					t.Error("what is denied is taken for missing")
				}
			})
		})
	}
}

func TestABriefLookReadsWhatApplyNeedsAndNoMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKit(t)
		k.apply(t, line())
		k.byHand(t, "sqs", account.QueueARN("never"), nil)
		seen := map[string]int{}
		k.server.Control("", func(r *localaws.Request) *localaws.Fault {
			k.mu.Lock()
			defer k.mu.Unlock()
			seen[r.Action]++
			return nil
		})
		k.observe(t, line(), topology.ObserveOptions{Brief: true})
		want := map[string]int{"GetQueueUrl": 3, "GetQueueAttributes": 3, "GetTopicAttributes": 1, "ListSubscriptionsByTopic": 1, "GetSubscriptionAttributes": 1}
		if diff := cmp.Diff(want, seen); diff != "" {
			t.Error(diff)
		}
	})
}

// wide is a topology of so many queues, each with both of its DLQs, and a topic for every five of them.
func wide(queues int) topology.Topology {
	want := topology.Topology{}
	for n := range queues {
		name, topic := fmt.Sprintf("q%02d", n), fmt.Sprintf("t%02d", n/5)
		if n%5 == 0 {
			want.Topics = append(want.Topics, topology.Topic{Name: topic, Attributes: map[string]string{"SignatureVersion": "2"}})
		}
		want.Queues = append(want.Queues, topology.Queue{Name: name, DLQ: topology.DLQName(name), MaxReceiveCount: 15, Visibility: time.Minute})
		want.Subscriptions = append(want.Subscriptions, topology.Subscription{Topic: topic, Queue: name, DLQ: topology.DeliveryDLQName(topic, name)})
	}
	return want
}

// At most so many requests of an action begin within any second.
func TestObserveStaysBelowTheRatesOfSNSAndSQS(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKit(t)
		want := wide(150)
		k.apply(t, want)
		at := map[string][]time.Time{}
		k.server.Control("", func(r *localaws.Request) *localaws.Fault {
			k.mu.Lock()
			defer k.mu.Unlock()
			at[r.Action] = append(at[r.Action], time.Now())
			return &localaws.Fault{Delay: 15 * time.Millisecond}
		})
		k.observe(t, want, topology.ObserveOptions{})
		for action, most := range map[string]int{"ListSubscriptionsByTopic": 30, "ListTagsForResource": 10, "GetSubscriptionAttributes": 100} {
			for i, began := range at[action] {
				within := 0
				for _, other := range at[action][i:] {
					if other.Sub(began) < time.Second {
						within++
					}
				}
				if within > most {
					t.Errorf("%d %s within a second, want at most %d", within, action, most)
					break
				}
			}
		}
	})
}

// What concerns more than one thing ends the look: nothing would be known.
func TestObserveEndsWhereNothingCanBeAsked(t *testing.T) {
	for action, says := range map[string]string{
		"GetQueueUrl": "find queue ", "GetQueueAttributes": "read the attributes of ", "GetTopicAttributes": "read the attributes of topic invitations",
		"ListSubscriptionsByTopic": "list the subscriptions of invitations", "GetSubscriptionAttributes": "read the attributes of subscription",
		"ListSubscriptions": "list the subscriptions",
	} {
		synctest.Test(t, func(t *testing.T) {
			k := newKit(t)
			k.apply(t, line())
			k.server.Control(action, func(*localaws.Request) *localaws.Fault { return &localaws.Fault{Status: 500} })
			_, err := line().Observe(t.Context(), k, account, topology.ObserveOptions{})
			if err == nil || !strings.HasPrefix(err.Error(), "observe topology: "+says) {
				t.Errorf("%s: error %v", action, err)
			}
		})
	}
	invalid := topology.Topology{Queues: []topology.Queue{{Name: " "}}}
	if _, err := invalid.Observe(t.Context(), newStub(), account, topology.ObserveOptions{}); err == nil || !strings.HasPrefix(err.Error(), "observe topology: queue") {
		t.Errorf("an invalid topology: %v", err)
	}
}
