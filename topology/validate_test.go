package topology_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stationmaster/worker/topology"
)

func TestValidateTellsEachFault(t *testing.T) {
	topic := func(change func(*topology.Topic)) topology.Topology {
		return with(func(t *topology.Topology) { change(&t.Topics[0]) })
	}
	queue := func(change func(*topology.Queue)) topology.Topology {
		return with(func(t *topology.Topology) { change(&t.Queues[0]) })
	}
	subscription := func(change func(*topology.Subscription)) topology.Topology {
		return with(func(t *topology.Topology) { change(&t.Subscriptions[0]) })
	}
	filter := func(filter, on string) topology.Topology {
		return subscription(func(s *topology.Subscription) { s.Filter, s.FilterOn = filter, on })
	}
	// fifo is line, all of it FIFO.
	fifo := func(change func(*topology.Topology)) topology.Topology {
		return with(func(t *topology.Topology) {
			t.Topics[0] = topology.Topic{Name: "orders.fifo"}
			t.Queues[0].Name, t.Queues[0].DLQ = "bills.fifo", "bills-dlq.fifo"
			t.Subscriptions[0] = topology.Subscription{Topic: "orders.fifo", Queue: "bills.fifo", DLQ: "orders-bills-delivery-dlq.fifo"}
			change(t)
		})
	}
	for _, tt := range []struct {
		name string
		give topology.Topology
		want string // empty: nothing is wrong
	}{
		{"nothing", line(), ""},
		{"empty", topology.Topology{}, ""},

		{"topic name", topic(func(t *topology.Topic) { t.Name = "invi tations" }), `topic "invi tations": must be 1 to 256 letters`},
		{"topic twice", with(func(t *topology.Topology) { t.Topics = append(t.Topics, t.Topics[0]) }), "topic invitations: declared twice"},
		{"topic with an ARN of ours", topic(func(t *topology.Topic) { t.ARN = account.TopicARN("x") }), "topic invitations: has an ARN, so it is somebody else's; set manage = false"},
		{"topic with half an ARN", topic(func(t *topology.Topic) { t.ARN, t.Unmanaged = "arn:aws:sns:eu:x", true }), `topic invitations: ARN "arn:aws:sns:eu:x" must have six parts`},
		{"topic with a queue's ARN", topic(func(t *topology.Topic) { t.ARN, t.Unmanaged = account.QueueARN("x"), true }), "must have six parts, like arn:aws:sns:"},
		{"topic with a Policy", topic(func(t *topology.Topic) { t.Attributes = map[string]string{"Policy": "{}"} }), "topic invitations: attribute Policy would overwrite"},
		{"topic that says its kind", topic(func(t *topology.Topic) { t.Attributes = map[string]string{"FifoTopic": "false"} }), "topic invitations: attribute FifoTopic follows from the name"},
		{"topic that deduplicates", topic(func(t *topology.Topic) { t.Attributes = content("true") }), "topic invitations: attribute ContentBasedDeduplication is for FIFO only; leave it out, or end the name in .fifo"},
		{"topic with a FIFO attribute", topic(func(t *topology.Topic) { t.Attributes = map[string]string{"FifoThroughputScope": "Topic"} }), "topic invitations: attribute FifoThroughputScope is for FIFO only"},

		{"queue name", queue(func(q *topology.Queue) { q.Name = "e.mail" }), `queue "e.mail": must be 1 to 80 letters`},
		{"queue name too long", queue(func(q *topology.Queue) { q.Name = strings.Repeat("q", 76) + ".fifo" }), "must be 1 to 80 letters"},
		{"queue twice", with(func(t *topology.Topology) { t.Queues = append(t.Queues, t.Queues[0]) }), "queue email: declared twice"},
		{"queue with a URL of ours", queue(func(q *topology.Queue) { q.URL = "http://x/1/email" }), "queue email: has a URL or an ARN, so it is somebody else's"},
		{"queue with a topic's ARN", queue(func(q *topology.Queue) { q.ARN, q.Unmanaged = account.TopicARN("x"), true }), "must have six parts, like arn:aws:sqs:"},
		{"queue that is its own DLQ", queue(func(q *topology.Queue) { q.DLQ = "email" }), "queue email: is its own DLQ"},
		{"DLQ name", queue(func(q *topology.Queue) { q.DLQ = "d l q" }), `queue email: DLQ "d l q" must be 1 to 80 letters`},
		{"never received", queue(func(q *topology.Queue) { q.MaxReceiveCount = 0 }), "queue email: max_receive_count 0 must be 1 to 1000"},
		{"received too often", queue(func(q *topology.Queue) { q.MaxReceiveCount = 1001 }), "max_receive_count 1001 must be 1 to 1000"},
		{"visibility", queue(func(q *topology.Queue) { q.Visibility = 13 * time.Hour }), "queue email: visibility_timeout 13h0m0s must be at most 12h"},
		{"retention", queue(func(q *topology.Queue) { q.Retention = time.Second }), "queue email: retention 1s must be 1m to 336h"},
		{"retention of a month", queue(func(q *topology.Queue) { q.Retention = 720 * time.Hour }), "retention 720h0m0s must be 1m to 336h"},
		{"queue with a Policy", queue(func(q *topology.Queue) { q.Attributes = map[string]string{"Policy": ""} }), "queue email: attribute Policy is worked out"},
		{"queue with a RedrivePolicy", queue(func(q *topology.Queue) { q.Attributes = map[string]string{"RedrivePolicy": ""} }), "queue email: attribute RedrivePolicy is worked out"},
		{"queue that says its kind", queue(func(q *topology.Queue) { q.Attributes = map[string]string{"FifoQueue": "false"} }), "queue email: attribute FifoQueue follows from the name"},
		{"queue with a FIFO attribute", queue(func(q *topology.Queue) { q.Attributes = map[string]string{"DeduplicationScope": "queue"} }), "queue email: attribute DeduplicationScope is for FIFO only"},
		{"queue that deduplicates", queue(func(q *topology.Queue) { q.Attributes = content("false") }), "queue email: attribute ContentBasedDeduplication is for FIFO only"},
		{"DLQs in a ring", with(func(t *topology.Topology) {
			t.Queues = append(t.Queues, topology.Queue{Name: "email-dlq", DLQ: "more", MaxReceiveCount: 3}, topology.Queue{Name: "more", DLQ: "email", MaxReceiveCount: 3})
		}), "queue email: its DLQ email-dlq leads back to it"},
		{"a ring of others", with(func(t *topology.Topology) {
			t.Queues = append(t.Queues, topology.Queue{Name: "email-dlq", DLQ: "more", MaxReceiveCount: 3}, topology.Queue{Name: "more", DLQ: "email-dlq", MaxReceiveCount: 3})
		}), "queue email-dlq: its DLQ more leads back to it"},
		{"a queue of others says what it likes", queue(func(q *topology.Queue) { q.Unmanaged, q.MaxReceiveCount, q.DLQ = true, 0, "email.fifo" }), ""},

		{"no such topic", subscription(func(s *topology.Subscription) { s.Topic = "x" }), "subscription x → email: topic x is not declared; add [topics.x]"},
		{"no such queue", subscription(func(s *topology.Subscription) { s.Queue = "x" }), "subscription invitations → x: queue x is not declared; add [queues.x] or give an ARN"},
		{"half an ARN", subscription(func(s *topology.Subscription) { s.Queue = "arn:aws:sqs:x" }), `subscription invitations → x: "arn:aws:sqs:x" must have six parts`},
		{"twice", with(func(t *topology.Topology) { t.Subscriptions = append(t.Subscriptions, t.Subscriptions[0]) }), "subscription invitations → email: declared twice"},
		{"a filter on nothing", filter(`{"a":["b"]}`, ""), "filter and filter_on belong together"},
		{"on nothing", filter("", "body"), "filter and filter_on belong together"},
		{"on something else", filter(`{"a":["b"]}`, "envelope"), `filter_on "envelope" must be body or attributes`},
		{"a filter that is none", filter(`{`, "body"), "subscription invitations → email: filter: FilterPolicy: failed to parse JSON."},
		{"a filter for nobody", filter(`{}`, "body"), "filter {} lets everything through; leave it and filter_on out"},
		{"a nested filter on attributes", filter(nested, "attributes"), "does not support nested filter policy"},
		{"an empty list", filter(`{"a":[]}`, "body"), "filter: FilterPolicy: Empty arrays are not allowed"},
		{"an operator that is none", filter(`{"a":[{"odd":"b"}]}`, "body"), "filter: FilterPolicy: Unrecognized match type odd"},
		{"an operator of SNS", filter(`{"a":[{"wildcard":"b*"}]}`, "body"), ""},
		{"the queue as its delivery DLQ", subscription(func(s *topology.Subscription) { s.DLQ = "email" }), "delivery DLQ email is the queue that it delivers to"},
		{"the DLQ as delivery DLQ", subscription(func(s *topology.Subscription) { s.DLQ = "email-dlq" }), "delivery DLQ email-dlq is the DLQ of queue email too"},
		{"delivery DLQ name", subscription(func(s *topology.Subscription) { s.DLQ = "a/b" }), `delivery DLQ "a/b" must be 1 to 80 letters`},

		{"all FIFO", fifo(func(*topology.Topology) {}), ""},
		{"FIFO topic to a standard queue", fifo(func(t *topology.Topology) {
			t.Queues = line().Queues
			t.Subscriptions[0].Queue, t.Subscriptions[0].DLQ = "email", "orders-email-delivery-dlq"
		}), ""},
		{
			"standard topic to a FIFO queue", fifo(func(t *topology.Topology) { t.Topics[0].Name, t.Subscriptions[0].Topic = "orders", "orders" }),
			"subscription orders → bills.fifo: a standard topic cannot deliver to a FIFO queue, since it has no order to keep and SNS refuses it; make both FIFO, or the queue standard",
		},
		{"standard topic to a FIFO queue of others", with(func(t *topology.Topology) {
			t.Subscriptions[0].Queue, t.Subscriptions[0].DLQ = "arn:aws:sqs:us-east-1:111122223333:bills.fifo", ""
		}), "a standard topic cannot deliver to a FIFO queue"},
		{"standard topic to a FIFO queue by URL", queue(func(q *topology.Queue) {
			q.URL, q.Unmanaged, q.DLQ = "http://x/1/bills.fifo", true, ""
		}), "a standard topic cannot deliver to a FIFO queue"},
		{
			"FIFO subscription with a standard DLQ", fifo(func(t *topology.Topology) { t.Subscriptions[0].DLQ = "orders-bills-delivery-dlq" }),
			"subscription orders.fifo → bills.fifo: delivery DLQ orders-bills-delivery-dlq is a standard queue, and what it catches is for a FIFO one",
		},
		{"standard subscription with a FIFO DLQ", subscription(func(s *topology.Subscription) { s.DLQ = "x.fifo" }), "delivery DLQ x.fifo is a FIFO queue, and what it catches is for a standard one"},
		{"FIFO queue with a standard DLQ", fifo(func(t *topology.Topology) { t.Queues[0].DLQ = "bills-dlq" }), "queue bills.fifo: is a FIFO queue and its DLQ bills-dlq a standard one, which SQS refuses"},
		{"standard queue with a FIFO DLQ", queue(func(q *topology.Queue) { q.DLQ = "email-dlq.fifo" }), "queue email: is a standard queue and its DLQ email-dlq.fifo a FIFO one"},
		{"FIFO attributes", fifo(func(t *topology.Topology) {
			t.Queues[0].Attributes = map[string]string{"DeduplicationScope": "messageGroup", "ContentBasedDeduplication": "true"}
			t.Topics[0].Attributes = map[string]string{"FifoThroughputScope": "MessageGroup", "ContentBasedDeduplication": "true"}
		}), ""},
		{"FIFO topic of others", fifo(func(t *topology.Topology) {
			t.Topics[0] = topology.Topic{Name: "orders", ARN: "arn:aws:sns:us-east-1:111122223333:orders.fifo", Unmanaged: true}
			t.Subscriptions[0].Topic = "orders"
		}), ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := tt.give.Validate()
			if tt.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("error %v, want %q", err, tt.want)
			}
			s := newStub()
			if _, err := tt.give.Apply(t.Context(), s, account, nil); err == nil || !strings.Contains(err.Error(), tt.want) || len(s.made) > 0 {
				t.Errorf("apply: %v, after it had made %v", err, s.made)
			}
		})
	}
}

func TestValidateTellsAllFaultsAtOnce(t *testing.T) {
	err := topology.Topology{
		Topics:        []topology.Topic{{Name: "a b"}},
		Queues:        []topology.Queue{{Name: "c d"}},
		Subscriptions: []topology.Subscription{{Topic: "e", Queue: "f"}},
	}.Validate()
	if err == nil {
		t.Fatal("no error")
	}
	if diff := cmp.Diff([]string{
		`topic "a b": must be 1 to 256 letters, digits, - and _ (FIFO: ending in .fifo)`,
		`queue "c d": must be 1 to 80 letters, digits, - and _ (FIFO: ending in .fifo)`,
		"subscription e → f: topic e is not declared; add [topics.e]",
		"subscription e → f: queue f is not declared; add [queues.f] or give an ARN",
	}, strings.Split(err.Error(), "\n")); diff != "" {
		t.Error(diff)
	}
}

func TestNamesAreDerived(t *testing.T) {
	for _, tt := range []struct{ got, want string }{
		{topology.DLQName("email"), "email-dlq"},
		{topology.DLQName("bills.fifo"), "bills-dlq.fifo"},
		{topology.DeliveryDLQName("news", "email"), "news-email-delivery-dlq"},
		{topology.DeliveryDLQName("orders.fifo", "bills.fifo"), "orders-bills-delivery-dlq.fifo"},
		{topology.DeliveryDLQName("orders.fifo", "email"), "orders-email-delivery-dlq"},
		{topology.DeliveryDLQName("news", "arn:aws:sqs:us-east-1:111122223333:theirs"), "news-theirs-delivery-dlq"},
		{account.QueueARN("email"), "arn:aws:sqs:us-east-1:000000000000:email"},
		{topology.Account{Region: "eu-west-1", ID: "1"}.TopicARN("news"), "arn:aws:sns:eu-west-1:1:news"},
		{topology.Account{Partition: "aws-cn", Region: "cn-north-1", ID: "1"}.TopicARN("news"), "arn:aws-cn:sns:cn-north-1:1:news"},
	} {
		if tt.got != tt.want {
			t.Errorf("%s, want %s", tt.got, tt.want)
		}
	}
}
