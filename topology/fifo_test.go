package topology_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stationmaster/worker/queue"
	"github.com/stationmaster/worker/topology"
)

func content(on string) map[string]string {
	return map[string]string{"ContentBasedDeduplication": on}
}

// orders is a FIFO topic with a FIFO queue and a standard one behind it.
func orders() topology.Topology {
	return topology.Topology{
		Topics: []topology.Topic{{Name: "orders.fifo", Attributes: content("true")}},
		Queues: []topology.Queue{
			{Name: "bills.fifo", DLQ: topology.DLQName("bills.fifo"), MaxReceiveCount: 5},
			{Name: "audit", DLQ: topology.DLQName("audit"), MaxReceiveCount: 5},
		},
		Subscriptions: []topology.Subscription{
			{Topic: "orders.fifo", Queue: "bills.fifo", DLQ: topology.DeliveryDLQName("orders.fifo", "bills.fifo")},
			{Topic: "orders.fifo", Queue: "audit", DLQ: topology.DeliveryDLQName("orders.fifo", "audit")},
		},
		Settle: spread(),
	}
}

func TestAFIFOLineIsLaidAndKeepsItsOrder(t *testing.T) {
	world(t, func(t *testing.T) {
		k := newKit(t)
		k.apply(t, orders())
		queues := []string{"bills.fifo", "bills-dlq.fifo", "orders-bills-delivery-dlq.fifo", "audit", "audit-dlq", "orders-audit-delivery-dlq"}
		before := k.state(t, queues, "orders.fifo")
		for _, name := range queues[:3] {
			if got := before["queue "+name]["FifoQueue"]; got != "true" {
				t.Errorf("queue %s: FifoQueue is %q", name, got)
			}
		}
		if r := k.apply(t, orders()); len(r.Changed) > 0 || r.Unchanged != 9 {
			t.Errorf("a second apply changed %v, %d unchanged", changes(r), r.Unchanged)
		}
		if found := k.unlike(t, orders()); len(found) > 0 {
			t.Errorf("found %v", found)
		}
		var want []string
		for _, body := range []string{"a", "b", "c"} {
			m := queue.Message{Body: body, GroupID: "ada"}
			for range 2 { // the topic knows the second one by its content
				if _, err := k.Publish(t.Context(), account.TopicARN("orders.fifo"), m); err != nil {
					t.Fatal(err)
				}
			}
			want = append(want, body)
		}
		for _, name := range []string{"bills.fifo", "audit"} {
			k.await(t, name, len(want))
			got := k.received(t, name)
			if name == "audit" {
				other.AsAWS(t, standardTwice, cmp.Equal(want, got), "%s got %v", name, got)
			} else if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s: %s", name, diff)
			}
		}
		if len(k.lost()) > 0 {
			t.Errorf("lost %+v", k.lost())
		}
	})
}

func TestWhatAFIFOTopicCannotDeliverIsKeptInOrder(t *testing.T) {
	world(t, func(t *testing.T) {
		k := newKit(t)
		k.apply(t, orders())
		k.deleteQueue(t, "bills.fifo")
		for _, body := range []string{"a", "b"} {
			if _, err := k.Publish(t.Context(), account.TopicARN("orders.fifo"), queue.Message{Body: body, GroupID: "ada"}); err != nil {
				t.Fatal(err)
			}
		}
		k.await(t, "orders-bills-delivery-dlq.fifo", 2)
		if diff := cmp.Diff([]string{"a", "b"}, k.received(t, "orders-bills-delivery-dlq.fifo")); diff != "" || len(k.lost()) > 0 {
			t.Errorf("%s, lost %v", diff, k.lost())
		}
	})
}

func TestDeduplicationByContentCanBeTurnedOnAndOff(t *testing.T) {
	world(t, func(t *testing.T) {
		k := newKit(t)
		k.apply(t, orders())
		turned := orders()
		turned.Topics[0].Attributes, turned.Queues[0].Attributes = content("false"), content("true")
		r := k.apply(t, turned)
		if diff := cmp.Diff([]string{
			"queue bills.fifo: set ContentBasedDeduplication false→true", "topic orders.fifo: set ContentBasedDeduplication true→false",
		}, changes(r)); diff != "" {
			t.Error(diff)
		}
		// Of the queue, orders says nothing, and what nothing is said of stays.
		if diff := cmp.Diff([]string{
			"topic orders.fifo: set ContentBasedDeduplication false→true",
		}, k.unlike(t, orders())); diff != "" {
			t.Error(diff)
		}
	})
}
