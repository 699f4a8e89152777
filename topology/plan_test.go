package topology_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stationmaster/worker/localaws"
	"github.com/stationmaster/worker/queue"
	"github.com/stationmaster/worker/topology"
)

func (k *kit) plan(t *testing.T, want topology.Topology) *topology.Plan {
	t.Helper()
	before := len(k.calls)
	p, err := want.Plan(t.Context(), k, account)
	if err != nil {
		t.Fatal(err)
	}
	if calls := k.calls[before:]; len(calls) > 0 {
		t.Errorf("a plan has changed something: %v", texts(calls))
	}
	return p
}

// apply applies and lets mails stay unread.
func (k *kit) applyAll(t *testing.T, want topology.Topology) topology.Result {
	t.Helper()
	r, err := want.Apply(t.Context(), k, account, nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestEveryProtocolIsSubscribedWithAllItsAttributesInOneCall(t *testing.T) {
	world(t, func(t *testing.T) {
		k, _ := newWebKit(t)
		r := k.applyAll(t, everything())
		calls := k.took()
		var subscribed []string
		for _, c := range calls {
			switch c.action {
			case "Subscribe":
				subscribed = append(subscribed, c.String())
			case "SetSubscriptionAttributes":
				t.Errorf("%s after its subscription", c)
			}
		}
		dlq := func(name string) string {
			return `RedrivePolicy={"deadLetterTargetArn":"arn:aws:sqs:us-east-1:000000000000:news-` + name + `-delivery-dlq"} ReturnSubscriptionArn=true`
		}
		delivery := everything().Subscriptions[2].Delivery
		if diff := cmp.Diff([]string{
			`Subscribe news → email FilterPolicy={"event":["user_invited"]} FilterPolicyScope=MessageBody RawMessageDelivery=true ` + dlq("email"),
			`Subscribe orders.fifo → ship.fifo RawMessageDelivery=false RedrivePolicy={"deadLetterTargetArn":"arn:aws:sqs:us-east-1:000000000000:orders-ship-delivery-dlq.fifo"} ReturnSubscriptionArn=true`,
			"Subscribe news → " + last(hook) + " DeliveryPolicy=" + delivery + " RawMessageDelivery=false " + dlq("audit"),
			"Subscribe news → " + last(someone) + " RawMessageDelivery=false " + dlq("example"),
			"Subscribe news → audit " + dlq("function"),
			"Subscribe news → deliverystream/all RawMessageDelivery=true " + strings.Replace(dlq("stream"), "ReturnSubscriptionArn=true", "ReturnSubscriptionArn=true SubscriptionRoleArn="+logRole, 1),
			"Subscribe news → ops@example.com " + dlq("mail"),
			`Subscribe news → +4930123456 FilterPolicy={"urgent":["yes"]} FilterPolicyScope=MessageAttributes ` + dlq("sms"),
			"Subscribe news → endpoint/GCM/app/0f ReturnSubscriptionArn=true",
		}, subscribed); diff != "" {
			t.Error(diff)
		}
		var pending []string
		for _, p := range r.Pending {
			pending = append(pending, p.Error())
		}
		if diff := cmp.Diff([]string{
			"subscription news → ops@example.com: is pending: somebody has to click the link in the mail to ops@example.com; nothing is delivered until then",
		}, pending); diff != "" {
			t.Error(diff)
		}
		s := k.everythingState(t)
		if tags := s["tags of queue email-dlq"]; tags["stationmaster"] != "mail-team" {
			t.Errorf("tags of the DLQ are %v", tags)
		}
		if tags := s["tags of topic news"]; tags["stationmaster"] != "mail-team" || tags["team"] != "mail" {
			t.Errorf("tags of the topic are %v", tags)
		}
		for _, name := range []string{"email", "email-dlq", "news-email-delivery-dlq"} {
			if key := s["queue "+name]["KmsMasterKeyId"]; key != "alias/mail" {
				t.Errorf("%s is encrypted with %q", name, key)
			}
		}
		if key := s["queue news-audit-delivery-dlq"]["KmsMasterKeyId"]; key != "" {
			t.Errorf("the DLQ of what has no key is encrypted with %q", key)
		}
	})
}

// The second run makes no call that writes, and its plan is empty.
func TestTheSecondApplyWritesNothing(t *testing.T) {
	world(t, func(t *testing.T) {
		k, _ := newWebKit(t)
		k.applyAll(t, everything())
		writes := len(k.took())
		r := k.applyAll(t, everything())
		if calls := k.took(); len(calls) != 0 {
			t.Errorf("the second run wrote: %v", texts(calls))
		}
		p := k.plan(t, everything())
		if len(p.Changes) != 0 || p.Unchanged != r.Unchanged || len(p.Pending) != 1 {
			t.Errorf("plan after it: %v, %d unchanged (apply: %d), pending %v", p.Changes, p.Unchanged, r.Unchanged, p.Pending)
		}
		t.Logf("first apply: %d writing calls; second: 0", writes)
	})
}

// Whatever is there, the plan says what Apply then does, word for word.
func TestThePlanIsWhatApplyDoes(t *testing.T) {
	spoil := map[string]func(*testing.T, *kit){
		"nothing is there": nil,
		"all is there":     func(t *testing.T, k *kit) { k.applyAll(t, everything()) },
		"an attribute, a policy and a filter differ": func(t *testing.T, k *kit) {
			k.applyAll(t, everything())
			k.set(t, "email", map[string]string{"VisibilityTimeout": "30", "Policy": ""})
			k.set(t, "news-audit-delivery-dlq", map[string]string{"Policy": `{"Version":"2012-10-17","Statement":[{"Sid":"theirs","Effect":"Allow","Principal":{"AWS":"111122223333"},"Action":"sqs:SendMessage","Resource":"*"}]}`})
			arn := k.subscribed(t, "news")[account.QueueARN("email")]
			for name, value := range map[string]string{"FilterPolicy": "{}", "RawMessageDelivery": "false"} {
				if err := k.SetSubscriptionAttribute(t.Context(), arn, name, value); err != nil {
					t.Fatal(err)
				}
			}
			err := k.SetSubscriptionAttribute(t.Context(), arn, "RedrivePolicy", "")
			other.AsAWS(t, removal, err == nil, "%v", err)
			if err := k.SetSubscriptionAttribute(t.Context(), k.subscribed(t, "news")[hook], "DeliveryPolicy", `{"healthyRetryPolicy":{"numRetries":2}}`); err != nil {
				t.Fatal(err)
			}
			if err := k.SetTopicAttribute(t.Context(), account.TopicARN("news"), "SignatureVersion", "1"); err != nil {
				t.Fatal(err)
			}
		},
		"a DLQ and a subscription have gone": func(t *testing.T, k *kit) {
			k.applyAll(t, everything())
			k.deleteQueue(t, "news-email-delivery-dlq")
			if err := k.Unsubscribe(t.Context(), k.subscribed(t, "news")[function]); err != nil {
				t.Fatal(err)
			}
			if other == nil {
				<-time.After(2 * time.Minute) // SQS forgets the queue meanwhile
			}
		},
		"a tag is another": func(t *testing.T, k *kit) {
			k.applyAll(t, everything())
			if err := k.TagQueue(t.Context(), k.url(t, "email"), map[string]string{"team": "other", "cost": "1"}); err != nil {
				t.Fatal(err)
			}
			if err := k.TagTopic(t.Context(), account.TopicARN("news"), map[string]string{"team": "other"}); err != nil {
				t.Fatal(err)
			}
		},
		"half of it is there": func(t *testing.T, k *kit) {
			half := everything()
			half.Subscriptions = half.Subscriptions[:2]
			half.Queues[0].DLQ = ""
			k.applyAll(t, half)
		},
	}
	for name, prepare := range spoil {
		t.Run(name, func(t *testing.T) {
			world(t, func(t *testing.T) {
				k, _ := newWebKit(t)
				if prepare != nil {
					prepare(t, k)
				}
				p := k.plan(t, everything())
				r := k.applyAll(t, everything())
				if diff := cmp.Diff(p.Changes, r.Changed); diff != "" {
					t.Errorf("planned (-) and done (+): %s", diff)
				}
				if p.Unchanged != r.Unchanged {
					t.Errorf("%d unchanged in the plan, %d when applied", p.Unchanged, r.Unchanged)
				}
				for _, c := range p.Changes {
					if c.Why == "" {
						t.Errorf("%s has no reason", c)
					}
				}
				if name != "nothing is there" {
					return
				}
				if len(p.Errands) == 0 {
					t.Error("nothing is said of what others have to do")
				}
			})
		})
	}
}

func TestAPlanTellsAllThatItMayNotRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKit(t)
		k.apply(t, line())
		for _, action := range []string{"GetQueueAttributes", "ListSubscriptionsByTopic"} {
			k.server.Control(action, func(*localaws.Request) *localaws.Fault {
				return &localaws.Fault{Status: http.StatusForbidden, Code: "AccessDenied", Message: "no"}
			})
		}
		_, err := line().Plan(t.Context(), k, account)
		for _, says := range []string{"plan topology: ", "attributes of email:", "attributes of email-dlq:", "list the subscriptions of invitations"} {
			if err == nil || !strings.Contains(err.Error(), says) {
				t.Errorf("error %v, want %q in it", err, says)
			}
		}
		if !errors.Is(err, queue.ErrDenied) {
			t.Errorf("%v has no class", err)
		}
	})
}

// Of what is somebody else's a plan needs no more than Apply does: to find it.
func TestAPlanNeedsNoAttributesOfOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKit(t)
		k.make(t, "theirs", nil)
		if _, err := k.CreateTopic(t.Context(), "their-topic", nil, nil); err != nil {
			t.Fatal(err)
		}
		for _, action := range []string{"GetQueueAttributes", "GetTopicAttributes"} {
			k.server.Control(action, func(r *localaws.Request) *localaws.Fault {
				if strings.Contains(r.Target, "their") {
					return &localaws.Fault{Status: http.StatusForbidden, Code: "AccessDenied", Message: "no"}
				}
				return nil
			})
		}
		want := topology.Topology{
			Topics:        []topology.Topic{{Name: "their-topic", Unmanaged: true}},
			Queues:        []topology.Queue{{Name: "theirs", Unmanaged: true}, {Name: "ours"}},
			Subscriptions: []topology.Subscription{{Topic: "their-topic", Queue: "theirs"}, {Topic: "their-topic", Queue: "ours"}},
		}
		p := k.plan(t, want)
		if r := k.apply(t, want); cmp.Diff(p.Changes, r.Changed) != "" || len(r.Changed) != 4 {
			t.Errorf("planned %v, done %v", p.Changes, r.Changed)
		}
	})
}

// A plan of 50 queues, their dead-letter queues and their subscriptions, 15 ms from AWS. The time is that
// of the test's clock: what the requests and the rates cost.
func TestAPlanOfFiftyQueues(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKit(t)
		want := wide(50)
		k.apply(t, want)
		requests := 0
		var mu sync.Mutex
		k.server.Control("", func(*localaws.Request) *localaws.Fault {
			mu.Lock()
			defer mu.Unlock()
			requests++
			return &localaws.Fault{Delay: 15 * time.Millisecond}
		})
		began := time.Now()
		p := k.plan(t, want)
		took := time.Since(began)
		if len(p.Changes) != 0 || p.Unchanged != 150+10+50 {
			t.Errorf("plan %v, %d unchanged", p.Changes, p.Unchanged)
		}
		t.Logf("%d requests in %s, which one after the other take %s", requests, took, time.Duration(requests)*15*time.Millisecond)
		if took >= 5*time.Second {
			t.Errorf("it takes %s of waiting, want less than 5s", took)
		}
	})
}

// Apply is cut at each of its requests, reading ones included, before it is performed, and at each that
// writes also after it, when its answer has not come yet. What is applied then ends where an undisturbed
// run ends, and a third run has nothing to write.
func TestApplyCutAtEachCallAndRunAgainEndsTheSame(t *testing.T) {
	var whole map[string]map[string]string
	requests := 0
	writes := map[int]bool{}
	synctest.Test(t, func(t *testing.T) {
		k, _ := newWebKit(t)
		var mu sync.Mutex
		stop := k.server.Control("", func(r *localaws.Request) *localaws.Fault {
			mu.Lock()
			defer mu.Unlock()
			if r.Action != "ConfirmSubscription" {
				requests++
				_, writes[requests] = read(t, r)
			}
			return nil
		})
		k.applyAll(t, everything())
		stop()
		whole = k.everythingState(t)
	})
	t.Logf("cut at each of %d requests, of which %d write", requests, len(slices.DeleteFunc(slices.Collect(maps.Values(writes)), func(w bool) bool { return !w })))
	step := 1
	switch {
	case testing.Short():
		step = 5
	case raced: // all of them take a minute then; without it, each one
		step = 3
	}
	for nth := 1; nth <= requests; nth += step {
		for _, after := range []bool{false, true} {
			if after && !writes[nth] {
				continue
			}
			t.Run(fmt.Sprintf("request %d after %t", nth, after), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					k, _ := newWebKit(t)
					ctx, cancel := context.WithCancel(t.Context())
					defer cancel()
					var mu sync.Mutex
					seen := 0
					stop := k.server.Control("", func(r *localaws.Request) *localaws.Fault {
						if r.Action == "ConfirmSubscription" {
							return nil
						}
						mu.Lock()
						defer mu.Unlock()
						if seen++; seen < nth {
							return nil
						}
						cancel()
						return &localaws.Fault{Lose: after, Status: map[bool]int{false: 503}[after]}
					})
					if _, err := everything().Apply(ctx, k, account, nil); err == nil && seen >= nth && !after {
						t.Error("the cut run ended well")
					}
					stop()
					k.applyAll(t, everything())
					if diff := cmp.Diff(whole, k.everythingState(t)); diff != "" {
						t.Errorf("after the second run: %s", diff)
					}
					k.took()
					k.applyAll(t, everything())
					if calls := k.took(); len(calls) > 0 {
						t.Errorf("the third run wrote: %v", texts(calls))
					}
				})
			})
		}
	}
}

func TestTwoAppliersAtTheSameTime(t *testing.T) {
	var whole map[string]map[string]string
	synctest.Test(t, func(t *testing.T) {
		k, _ := newWebKit(t)
		k.applyAll(t, everything())
		whole = k.everythingState(t)
	})
	for seed := range 20 {
		synctest.Test(t, func(t *testing.T) {
			k, _ := newWebKit(t)
			n := 0
			var mu sync.Mutex
			k.server.Control("", func(*localaws.Request) *localaws.Fault { // each goes at another pace
				mu.Lock()
				defer mu.Unlock()
				n++
				return &localaws.Fault{Delay: time.Duration((n*(seed+3))%17) * time.Millisecond}
			})
			errs := make([]error, 2)
			var both sync.WaitGroup
			for i := range errs {
				both.Go(func() { _, errs[i] = everything().Apply(t.Context(), k, account, nil) })
			}
			both.Wait()
			if err := errors.Join(errs...); err != nil {
				t.Errorf("seed %d: %v", seed, err)
			}
			if diff := cmp.Diff(whole, k.everythingState(t)); diff != "" {
				t.Errorf("seed %d: %s", seed, diff)
			}
		})
	}
}

// Two configurations that share a queue are applied at the same time: a policy has no version, and the
// one must not lose the other's permission. What closes the gap is that each looks again after Settle,
// which is far longer than the other's time between reading a policy and writing it.
func TestTwoConfigurationsShareAQueueAtTheSameTime(t *testing.T) {
	with := func(topic string) topology.Topology {
		return topology.Topology{
			Topics:        []topology.Topic{{Name: topic}},
			Queues:        []topology.Queue{{Name: "shared"}},
			Subscriptions: []topology.Subscription{{Topic: topic, Queue: "shared"}},
			Settle:        2 * time.Second,
		}
	}
	lost := 0
	for seed := range 60 {
		synctest.Test(t, func(t *testing.T) {
			k := newKit(t)
			n := 0
			var mu sync.Mutex
			k.server.Control("", func(*localaws.Request) *localaws.Fault {
				mu.Lock()
				defer mu.Unlock()
				n++
				return &localaws.Fault{Delay: time.Duration((n*(seed+5))%13) * time.Millisecond}
			})
			var both sync.WaitGroup
			errs := make([]error, 2)
			for i, topic := range []string{"a", "b"} {
				both.Go(func() {
					_, errs[i] = with(topic).Apply(t.Context(), k, account, func(c topology.Change) {
						if strings.HasSuffix(c.What, ", again") {
							mu.Lock()
							defer mu.Unlock()
							lost++
						}
					})
				})
			}
			both.Wait()
			if err := errors.Join(errs...); err != nil {
				t.Fatal(err)
			}
			for _, topic := range []string{"a", "b"} {
				if found := k.unlike(t, with(topic)); len(found) > 0 {
					t.Errorf("seed %d: %v", seed, found)
				}
			}
		})
	}
	if t.Logf("the policy was lost and mended %d times", lost); lost == 0 {
		t.Error("no run has lost it: this tests nothing")
	}
}

func TestAnHTTPEndpointIsWaitedForAndAskedAgain(t *testing.T) {
	world(t, func(t *testing.T) {
		k, web := newWebKit(t)
		web.deaf.Store(true)
		var waits int
		r, err := everything().Apply(t.Context(), k, account, func(c topology.Change) {
			if c.Kind != topology.Waiting || c.AtMost != confirmWithin() { // else it spreads
				return
			}
			if waits++; c.Name != "2 HTTP endpoints" || c.What != "they have to confirm their subscriptions" || c.Waited >= c.AtMost {
				t.Errorf("%s, %s of %s", c, c.Waited, c.AtMost)
			}
		})
		if !errors.Is(err, topology.ErrPending) || !strings.Contains(err.Error(), "a worker of this configuration has to run where SNS reaches it at "+hook) {
			t.Errorf("error %v", err)
		}
		if waits < int(confirmWithin()/time.Second) || len(r.Pending) != 3 {
			t.Errorf("waited %d times, pending %v", waits, r.Pending)
		}
		if asked := web.asked.Load(); asked != 2 {
			t.Errorf("SNS has asked %d times, want 2", asked)
		}
		p := k.plan(t, everything())
		if len(p.Changes) != 2 || !slices.ContainsFunc(p.Changes, func(c topology.Change) bool {
			return c.String() == "subscription news → "+hook+": ask again for its confirmation"
		}) {
			t.Errorf("plan %v", p.Changes)
		}
		web.deaf.Store(false)
		if other.Differs(asksAgain) {
			_, err := everything().Apply(t.Context(), k, account, nil)
			other.AsAWS(t, asksAgain, err == nil || web.asked.Load() > 2, "%v", err)
			return
		}
		if r = k.applyAll(t, everything()); len(r.Pending) != 1 || len(r.Changed) != 2 {
			t.Errorf("changed %v, pending %v", r.Changed, r.Pending)
		}
		k.took()
		if r = k.applyAll(t, everything()); len(r.Changed) != 0 || len(k.took()) != 0 {
			t.Errorf("the third run: %v", r.Changed)
		}
	})
}

// A pending subscription with other attributes than are wanted now gets them, and is confirmed with them.
func TestAPendingSubscriptionGetsItsAttributes(t *testing.T) {
	world(t, func(t *testing.T) {
		k, web := newWebKit(t)
		web.deaf.Store(true)
		old := everything()
		old.Subscriptions[2].DLQ, old.Subscriptions[2].Delivery, old.Confirm = "", "", 0
		if _, err := old.Apply(t.Context(), k, account, nil); !errors.Is(err, topology.ErrPending) {
			t.Fatal(err)
		}
		web.deaf.Store(false)
		k.applyAll(t, everything())
		if found := k.unlike(t, everything()); len(found) != 1 || !strings.Contains(found[0], "ops@example.com") {
			t.Errorf("found %v, want the mail alone", found)
		}
	})
}
