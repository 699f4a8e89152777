package topology_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stationmaster/worker/internal/iampolicy"
	"github.com/stationmaster/worker/localaws"
	"github.com/stationmaster/worker/queue"
	"github.com/stationmaster/worker/topology"
)

// moved is line with another queue for what could not be delivered.
func moved() topology.Topology {
	return with(func(t *topology.Topology) { t.Subscriptions[0].DLQ = "elsewhere" })
}

// TestADeliveryDLQIsNotChangedForOneThatIsNotReady: until its policy has spread, SNS can send it nothing.
func TestADeliveryDLQIsNotChangedForOneThatIsNotReady(t *testing.T) {
	for _, cut := range []string{"", "SetSubscriptionAttributes"} {
		synctest.Test(t, func(t *testing.T) {
			k := newKit(t)
			k.apply(t, line())
			<-time.After(time.Hour)
			k.took()
			if cut != "" { // the run before set the policy and ended
				stop := k.fail(cut, 1, localaws.Fault{Status: 403, Code: "AuthorizationError", Message: "no"})
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
				_, _ = moved().Apply(ctx, k, account, nil) // it must not get through
				cancel()
				stop()
			}
			k.apply(t, moved())
			var ready, changed time.Duration
			for _, c := range k.took() {
				if c.action == "SetQueueAttributes" && strings.Contains(c.target, "elsewhere") {
					ready = c.after
				}
				if c.action == "SetSubscriptionAttributes" {
					changed = c.after
				}
			}
			if changed-ready < time.Minute {
				t.Errorf("cut %q: the subscription was changed %s after its DLQ", cut, changed-ready)
			}
		})
	}
}

// TestWhatAKeptQueueStandsOnIsKeptToo: the dead letters of a queue that stays have to go somewhere.
func TestWhatAKeptQueueStandsOnIsKeptToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKit(t)
		want := owned(false)
		more := owned(false)
		more.Queues = append(more.Queues,
			topology.Queue{Name: "a-last"},
			topology.Queue{Name: "b-dlq", DLQ: "a-last", MaxReceiveCount: 5})
		k.apply(t, more)
		k.make(t, "theirs", map[string]string{"RedrivePolicy": fmt.Sprintf(`{"deadLetterTargetArn":%q,"maxReceiveCount":5}`, account.QueueARN("b-dlq"))})
		doomed := k.unwanted(t, want)
		if err := want.Prune(t.Context(), k, account, doomed, nil); err != nil {
			t.Fatal(err)
		}
		k.url(t, "b-dlq")
		k.url(t, "a-last")
	})
}

// TestQueuesGoBeforeTheirDeadLetterQueues, whatever they are called.
func TestQueuesGoBeforeTheirDeadLetterQueues(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKit(t)
		more := owned(false)
		pairs := map[string]string{}
		for n := range 8 {
			z, m, a := fmt.Sprintf("z%d", n), fmt.Sprintf("m%d", n), fmt.Sprintf("a%d", 7-n)
			more.Queues = append(more.Queues,
				topology.Queue{Name: z, DLQ: a, MaxReceiveCount: 5}, topology.Queue{Name: a, DLQ: "c" + a, MaxReceiveCount: 5},
				topology.Queue{Name: m, DLQ: "q" + m, MaxReceiveCount: 5})
			pairs[z], pairs[a], pairs[m] = a, "c"+a, "q"+m
		}
		k.apply(t, more)
		var order []string
		for _, d := range k.unwanted(t, owned(false)) {
			order = append(order, d.Name)
		}
		for from, to := range pairs {
			if i, j := slices.Index(order, from), slices.Index(order, to); i < 0 || j < i {
				t.Errorf("%s (%d) goes after its DLQ %s (%d)", from, i, to, j)
			}
		}
	})
}

// TestATopicThatSomebodyJoinedMeanwhileIsNotDeleted: their subscription was not shown.
func TestATopicThatSomebodyJoinedMeanwhileIsNotDeleted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKit(t)
		k.apply(t, owned(true))
		k.make(t, "theirs", nil)
		doomed := k.unwanted(t, owned(false))
		if _, err := k.Subscribe(t.Context(), account.TopicARN("old"), "sqs", account.QueueARN("theirs"), nil); err != nil {
			t.Fatal(err)
		}
		err := owned(false).Prune(t.Context(), k, account, doomed, nil)
		if err == nil || !strings.Contains(err.Error(), "topic old: ") || len(k.subscribed(t, "old")) != 1 {
			t.Errorf("error %v, left are %v", err, k.subscribed(t, "old"))
		}
	})
}

// masking shows the endpoints of others as SNS does: without their passwords.
type masking struct{ *kit }

func (m masking) TopicSubscriptions(ctx context.Context, arn string) ([]queue.Subscription, error) {
	listed, err := m.kit.TopicSubscriptions(ctx, arn)
	for i := range listed {
		listed[i].Endpoint = strings.Replace(listed[i].Endpoint, ":secret@", ":****@", 1)
	}
	return listed, err
}

// TestAnEndpointWithAPasswordIsFoundAgain, and not pruned as somebody's.
func TestAnEndpointWithAPasswordIsFoundAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, _ := newWebKit(t)
		want := owned(false)
		want.Subscriptions = append(want.Subscriptions, topology.Subscription{
			Topic: "invitations", Protocol: "https", Endpoint: "https://user:secret@example.com/x", DLQ: "invitations-x-delivery-dlq",
		})
		want.Confirm = time.Minute
		var told []topology.Change
		if _, err := want.Apply(t.Context(), masking{k}, account, func(c topology.Change) { told = append(told, c) }); err != nil {
			t.Fatal(err)
		}
		k.took()
		r, err := want.Apply(t.Context(), masking{k}, account, nil)
		if err != nil || len(r.Changed) != 0 || len(k.took()) != 0 {
			t.Errorf("applied again: %v, %v", changes(r), err)
		}
		p, err := want.Plan(t.Context(), masking{k}, account)
		if err != nil || len(p.Changes) != 0 {
			t.Errorf("plan: %+v, %v", p, err)
		}
		if text := fmt.Sprint(r, p.Pending, p.Errands, told); strings.Contains(text, "secret") {
			t.Errorf("a password is printed: %s", text)
		}
		doomed, err := want.Unwanted(t.Context(), masking{k}, account)
		if err != nil || len(doomed) != 0 {
			t.Errorf("unwanted is what is declared: %v, %v", doomedLines(doomed), err)
		}
	})
}

// TestAQueueNamedByItsAddressIsDeclared, whatever it is called here.
func TestAQueueNamedByItsAddressIsDeclared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKit(t)
		k.apply(t, topology.Topology{Queues: []topology.Queue{{Name: "shared"}}, Owner: "mail-team"})
		want := owned(false)
		want.Queues = append(want.Queues, topology.Queue{Name: "alias", ARN: account.QueueARN("shared"), Unmanaged: true})
		k.apply(t, want)
		if doomed := k.unwanted(t, want); len(doomed) != 0 {
			t.Errorf("unwanted is what is declared: %v", doomedLines(doomed))
		}
	})
}

// TestAWorkerSendsOnlyWhereItDoes: the dead letters of SNS are SNS's to send.
func TestAWorkerSendsOnlyWhereItDoes(t *testing.T) {
	want := with(func(t *topology.Topology) {
		t.Subscriptions = append(t.Subscriptions, topology.Subscription{
			Topic: "invitations", Protocol: "https", Endpoint: "https://hooks.example.com/x", Served: true, DLQ: "x-delivery-dlq",
		})
	})
	p, _ := policyFor(t, want, topology.WorkerRole, false)
	for name, sends := range map[string]bool{
		"email-dlq": true, "x-delivery-dlq": true, topology.DeliveryDLQName("invitations", "email"): false, "email": false,
	} {
		if got := allowed(p, use{"sqs:SendMessage", account.QueueARN(name)}); got != sends {
			t.Errorf("send to %s: %v", name, got)
		}
	}
}

// TestWhoLooksForTheUnwantedMayLook: `plan --prune` needs no more than what `worker iam operator` prints, and
// pruning no more than the provisioner's, whatever else is in the account.
func TestWhoLooksForTheUnwantedMayLook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKit(t)
		k.apply(t, owned(true))
		k.make(t, "theirs", map[string]string{"RedrivePolicy": fmt.Sprintf(`{"deadLetterTargetArn":%q,"maxReceiveCount":5}`, account.QueueARN("audit-dlq"))})
		check := func(role string, prune bool, used []use) {
			p, _ := policyFor(t, owned(false), role, prune)
			for _, u := range used {
				if !allowed(p, u) {
					t.Errorf("%s may not %s on %s", role, u.action, u.resource)
				}
			}
		}
		used := k.uses()
		doomed := k.unwanted(t, owned(false))
		looked := used()
		check(topology.OperatorRole, false, looked)
		check(topology.ProvisionerRole, true, looked)
		used = k.uses()
		if err := owned(false).Prune(t.Context(), k, account, doomed, nil); err != nil {
			t.Fatal(err)
		}
		check(topology.ProvisionerRole, true, used())
	})
}

// TestAWorkerSubscribesItsPathsOnly, and only those that are to be subscribed again.
func TestAWorkerSubscribesItsPathsOnly(t *testing.T) {
	const mine = "https://hooks.example.com/x"
	for again, want := range map[bool]map[string]bool{
		false: {mine: false, "https://evil.example/": false},
		true:  {mine: true, "https://evil.example/": false},
	} {
		p, _ := policyFor(t, with(func(t *topology.Topology) {
			t.Subscriptions = append(t.Subscriptions, topology.Subscription{
				Topic: "invitations", Protocol: "https", Endpoint: mine, Served: true, Resubscribe: again, DLQ: "x-delivery-dlq",
			})
		}), topology.WorkerRole, false)
		for endpoint, may := range want {
			got := p.Evaluate(iampolicy.Request{
				Principal: iampolicy.Principal{AWS: "arn:aws:iam::000000000000:role/r"}, Action: "sns:Subscribe", Resource: account.TopicARN("invitations"),
				Time: time.Now(), Context: map[string][]string{"sns:Endpoint": {endpoint}, "sns:Protocol": {"https"}},
			}).Allowed
			if got != may {
				t.Errorf("resubscribe %v: it may subscribe %s: %v", again, endpoint, got)
			}
		}
	}
}
