package topology_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stationmaster/worker/topology"
)

// told is what Apply tells of its waits, each kind once, and how often.
type told struct {
	waits []topology.Change
	times map[string]int
}

func (w *told) step(c topology.Change) {
	if c.Kind != topology.Waiting {
		return
	}
	if w.times == nil {
		w.times = map[string]int{}
	}
	if w.times[c.String()]++; w.times[c.String()] == 1 {
		w.waits = append(w.waits, c)
	}
}

// More of line: another topic, and another queue behind it.
func two() topology.Topology {
	return with(func(t *topology.Topology) {
		t.Topics = append(t.Topics, topology.Topic{Name: "orders"})
		t.Queues = append(t.Queues, topology.Queue{Name: "ship", DLQ: "ship-dlq", MaxReceiveCount: 5})
		t.Subscriptions = append(t.Subscriptions, topology.Subscription{Topic: "orders", Queue: "ship", DLQ: "orders-ship-delivery-dlq"})
	})
}

// Whoever looks on is told each second what is waited for, how long it has taken and how long it may.
func TestEachWaitIsTold(t *testing.T) {
	deleted := func(t *testing.T, k *kit, names ...string) {
		k.apply(t, line())
		<-time.After(time.Hour)
		for _, name := range names {
			k.deleteQueue(t, name)
		}
	}
	for name, row := range map[string]struct {
		prepare func(*testing.T, *kit)
		api     func(*testing.T, *kit) topology.API
		want    topology.Topology
		waits   []topology.Change
		least   int
	}{
		"queues spread": {
			want: line(), least: 60,
			waits: []topology.Change{{Name: "3 queues", What: "what was set on them has to spread before SNS sends to them", AtMost: time.Minute}},
		},
		"one queue spreads": {
			prepare: func(t *testing.T, k *kit) { k.apply(t, line()); <-time.After(time.Hour) },
			want: with(func(t *topology.Topology) {
				t.Subscriptions = append(t.Subscriptions, topology.Subscription{Topic: "invitations", Queue: "more"})
				t.Queues = append(t.Queues, topology.Queue{Name: "more"})
			}), least: 60,
			waits: []topology.Change{{Name: "queue more", What: "what was set on it has to spread before SNS sends to it", AtMost: time.Minute}},
		},
		"what another run has set": {
			prepare: func(t *testing.T, k *kit) {
				ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
				defer cancel()
				if _, err := line().Apply(ctx, k, account, nil); !errors.Is(err, context.DeadlineExceeded) {
					t.Fatal(err)
				}
			},
			want: line(), least: 60,
			waits: []topology.Change{{Name: "queues", What: "what was set on them a moment ago has to spread before SNS sends to them", AtMost: time.Minute}},
		},
		"a queue that reads back late": {
			api:  func(t *testing.T, k *kit) topology.API { return spreading{k, t, 2*time.Minute + 2*time.Second} },
			want: line(), least: 110,
			waits: []topology.Change{
				{Name: "3 queues", What: "what was set on them has to spread before SNS sends to them", AtMost: time.Minute},
				{Name: "queue email", What: "it has to read back as it was set", AtMost: 4 * time.Minute},
			},
		},
		"a name that is not free": {
			prepare: func(t *testing.T, k *kit) { deleted(t, k, "email") },
			want:    line(), least: 55,
			waits: []topology.Change{{Name: "queue email", What: "SQS has to forget the queue of this name that was deleted", AtMost: 2 * time.Minute}},
		},
		"names that are not free": {
			prepare: func(t *testing.T, k *kit) { deleted(t, k, "email-dlq", "email") },
			want:    line(), least: 55,
			waits: []topology.Change{{Name: "queue email-dlq and 1 more", What: "SQS has to forget the queues of these names that were deleted", AtMost: 2 * time.Minute}},
		},
		"a new queue that is not known": {
			api: func(t *testing.T, k *kit) topology.API { return hesitant{k, time.Now().Add(20 * time.Second)} },
			want: with(func(t *topology.Topology) {
				t.Subscriptions = nil
			}), least: 19,
			waits: []topology.Change{{Name: "queue email-dlq", What: "SQS has to know the new queue everywhere", AtMost: 30 * time.Second}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := newKit(t)
				if row.prepare != nil {
					row.prepare(t, k)
				}
				api := topology.API(k)
				if row.api != nil {
					api = row.api(t, k)
				}
				var w told
				if _, err := row.want.Apply(t.Context(), api, account, w.step); err != nil {
					t.Fatal(err)
				}
				total := 0
				for i := range row.waits {
					row.waits[i].Kind = topology.Waiting
					total += w.times[row.waits[i].String()]
				}
				for i := range w.waits {
					w.waits[i].Waited = 0
				}
				if diff := cmp.Diff(row.waits, w.waits); diff != "" {
					t.Error(diff)
				}
				if total < row.least {
					t.Errorf("told %d times, want %d", total, row.least)
				}
			})
		})
	}
}

// What a wait is not about is done before it: other queues, all topics, and the subscriptions of queues
// that nothing was set on.
func TestOtherChangesGoOnBeforeAWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKit(t)
		k.apply(t, line())
		<-time.After(time.Hour)
		k.deleteQueue(t, "email-dlq")
		k.deleteQueue(t, "email")
		want := two()
		want.Subscriptions[0].Raw = true
		var before []string
		waited := false
		r, err := want.Apply(t.Context(), k, account, func(c topology.Change) {
			if c.Kind == topology.Waiting {
				waited = true
			} else if !waited {
				before = append(before, c.String())
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{
			"queue orders-ship-delivery-dlq: create", "queue ship-dlq: create", "queue ship: create",
			"policy orders-ship-delivery-dlq: allow topic orders to send", "policy ship: allow topic orders to send",
			"topic orders: create", "subscription invitations → email: set RawMessageDelivery false→true",
		}, slices.Sorted(slices.Values(before)), cmp.Transformer("sorted", func(s []string) []string { return slices.Sorted(slices.Values(s)) })); diff != "" {
			t.Errorf("before the first wait: %s", diff)
		}
		if got := changes(r)[len(before):]; !slices.Equal(got, []string{
			"queue email-dlq: create", "queue email: create", "policy email: allow topic invitations to send", "subscription orders → ship: create",
		}) {
			t.Errorf("after it: %q", got)
		}
		if found := k.unlike(t, want); len(found) > 0 {
			t.Error(found)
		}
	})
}

// A subscription waits for its own queues, and for no others.
func TestASubscriptionWaitsForItsOwnQueues(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKit(t)
		k.apply(t, two())
		for _, topic := range []string{"orders", "invitations"} {
			for _, arn := range k.subscribed(t, topic) {
				if err := k.Unsubscribe(t.Context(), arn); err != nil {
					t.Fatal(err)
				}
			}
		}
		<-time.After(time.Hour)
		k.set(t, "ship", map[string]string{"Policy": ""})
		at := map[string]time.Duration{}
		began := time.Now()
		if _, err := two().Apply(t.Context(), k, account, func(c topology.Change) { at[c.String()] = time.Since(began) }); err != nil {
			t.Fatal(err)
		}
		if got := at["subscription invitations → email: create"]; got != 0 {
			t.Errorf("nothing was set on email, and it was subscribed after %s", got)
		}
		if got := at["subscription orders → ship: create"]; got < time.Minute {
			t.Errorf("ship was subscribed %s after its policy was set", got)
		}
	})
}

// A wait that is cut leaves what can be applied again; one that is cut while only endpoints are missing
// says so.
func TestAWaitThatIsCutIsGoneOnWith(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, _ := newWebKit(t)
		k.applyAll(t, everything())
		whole := k.everythingState(t)
		for _, after := range []time.Duration{30 * time.Second, 63 * time.Second} {
			k, web := newWebKit(t)
			web.deaf.Store(true)
			want := everything()
			want.Settle = time.Minute
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(after, cancel)
			r, err := want.Apply(ctx, k, account, nil)
			confirming := after > want.Settle
			if !errors.Is(err, context.Canceled) || errors.Is(err, topology.ErrPending) != confirming || confirming && len(r.Pending) != 3 {
				t.Errorf("cut after %s: %v, pending %v", after, err, r.Pending)
			}
			web.deaf.Store(false)
			k.applyAll(t, want)
			if diff := cmp.Diff(whole, k.everythingState(t)); diff != "" {
				t.Errorf("cut after %s, and applied again: %s", after, diff)
			}
		}
	})
}
