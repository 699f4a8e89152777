package topology_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stationmaster/worker/internal/awsapi"
	"github.com/stationmaster/worker/localaws"
	"github.com/stationmaster/worker/queue"
	"github.com/stationmaster/worker/topology"
)

// oldNet catches what topic old cannot deliver to queue email; owned(false) has neither any more.
const oldNet = "old-email-delivery-dlq"

// ok ends the test when something could not be set up.
func ok[T any](v T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// letIn adds a topic to our statement in a queue's policy, as another configuration does.
func (k *kit) letIn(t *testing.T, name, topicARN string) {
	t.Helper()
	have := ok(k.QueueAttributes(t.Context(), k.url(t, name)))(t)
	policy := strings.Replace(have["Policy"], `"aws:SourceArn":[`, `"aws:SourceArn":["`+topicARN+`",`, 1)
	if policy == have["Policy"] {
		t.Fatalf("no statement of ours in %s", policy)
	}
	k.set(t, name, map[string]string{"Policy": policy})
}

// uses are the ways in which somebody may have begun to use what this owner has made, and no longer declares.
var uses = map[string]struct {
	begin func(*testing.T, *kit)
	kind  string // of what stays
	name  string
	why   string
	also  string // another one stays with it
}{
	"a dead-letter queue of somebody's queue": {
		begin: func(t *testing.T, k *kit) {
			k.make(t, "theirs", map[string]string{"RedrivePolicy": fmt.Sprintf(`{"deadLetterTargetArn":%q,"maxReceiveCount":5}`, account.QueueARN("audit-dlq"))})
		},
		kind: "queue", name: "audit-dlq", why: "it catches the dead letters of theirs, which stays",
	},
	"a delivery DLQ of somebody's subscription": {
		begin: func(t *testing.T, k *kit) {
			topic := ok(k.CreateTopic(t.Context(), "theirs", nil, nil))(t)
			k.letIn(t, oldNet, topic)
			ok(k.Subscribe(t.Context(), topic, "lambda", function, map[string]string{"RedrivePolicy": fmt.Sprintf(`{"deadLetterTargetArn":%q}`, account.QueueARN(oldNet))}))(t)
		},
		kind: "queue", name: oldNet, why: "it catches what SNS cannot deliver: theirs → audit, which stays; if nobody needs that: aws sns unsubscribe --subscription-arn arn:",
	},
	"a queue of somebody's subscription": {
		begin: func(t *testing.T, k *kit) { k.stray(t, "theirs", "audit") },
		kind:  "queue", name: "audit", why: "topic theirs delivers to it, by a subscription that stays; if nobody needs that: aws sns unsubscribe --subscription-arn arn:", also: "queue audit-dlq",
	},
	"a queue that a statement of somebody's lets others use": {
		begin: func(t *testing.T, k *kit) {
			k.set(t, "audit-dlq", map[string]string{"Policy": `{"Version":"2012-10-17","Statement":{"Sid":"ops","Effect":"Allow","Principal":{"AWS":"111122223333"},"Action":"sqs:SendMessage","Resource":"*"}}`})
		},
		kind: "queue", name: "audit-dlq", why: `somebody else lets others use it: statement "ops" of its policy`,
	},
	"a queue that lets in a topic of another account": {
		begin: func(t *testing.T, k *kit) { k.letIn(t, "audit", "arn:aws:sns:us-east-1:111122223333:theirs") },
		kind:  "queue", name: "audit", why: "its policy lets topic arn:aws:sns:us-east-1:111122223333:theirs in, and whether that delivers to it only account 111122223333 knows", also: "queue audit-dlq",
	},
	"a topic of somebody's subscription": {
		begin: func(t *testing.T, k *kit) {
			k.make(t, "theirs", nil)
			ok(k.Subscribe(t.Context(), account.TopicARN("old"), "sqs", account.QueueARN("theirs"), nil))(t)
		},
		kind: "topic", name: "old", why: "theirs is subscribed to it, and is not known to be ours; if nobody needs that: aws sns unsubscribe --subscription-arn arn:",
	},
	"a topic that a statement of somebody's lets others publish to": {
		begin: func(t *testing.T, k *kit) {
			topic := account.TopicARN("old")
			policy := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"s3.amazonaws.com"},"Action":"sns:Publish","Resource":"` + topic + `"}]}`
			if err := k.SetTopicAttribute(t.Context(), topic, "Policy", policy); err != nil {
				t.Fatal(err)
			}
		},
		kind: "topic", name: "old", why: "somebody else lets others use it: statement 1 of its policy",
	},
}

// exists tells whether a queue or a topic is there.
func (k *kit) exists(t *testing.T, kind, name string) bool {
	t.Helper()
	var err error
	if kind == "topic" {
		_, err = k.TopicAttributes(t.Context(), account.TopicARN(name))
	} else {
		_, err = k.QueueURL(t.Context(), name, "")
	}
	if err != nil && !errors.Is(err, queue.ErrNotFound) {
		t.Fatal(err)
	}
	return err == nil
}

// Whoever has made a thing, it stays while somebody else uses it: shown with the reason, and all that is in
// it is kept. The rest goes.
func TestWhatSomebodyElseUsesIsNeverDeleted(t *testing.T) {
	for name, use := range uses {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := newKit(t)
				k.apply(t, owned(true))
				use.begin(t, k)
				if use.kind == "queue" {
					if err := k.Send(t, use.name); err != nil {
						t.Fatal(err)
					}
				}
				doomed := k.unwanted(t, owned(false))
				kept := []string{}
				for _, d := range doomed {
					if d.Kept != "" {
						kept = append(kept, d.Kind+" "+d.Name)
					}
					if d.Kind == use.kind && d.Name == use.name && !strings.HasPrefix(d.Kept, use.why) {
						t.Errorf("%s\nwant it to stay: %s", d, use.why)
					}
				}
				want := []string{use.kind + " " + use.name}
				if use.also != "" {
					want = append(want, use.also)
				}
				if !slices.Equal(kept, want) {
					t.Errorf("what stays is %q, want %q", kept, want)
				}
				if err := owned(false).Prune(t.Context(), k, account, doomed, nil); err != nil {
					t.Fatal(err)
				}
				if !k.exists(t, use.kind, use.name) {
					t.Fatalf("%s %s is deleted", use.kind, use.name)
				}
				if use.kind == "queue" && len(k.receive(t, use.name)) != 1 {
					t.Error("what was in it is lost")
				}
				for _, d := range doomed {
					if d.Kind != "subscription" && d.Kept == "" && k.exists(t, d.Kind, d.Name) {
						t.Errorf("%s is left", d)
					}
				}
			})
		})
	}
}

// The same, when it begins after it was shown, or while the subscriptions are being ended.
func TestWhatSomebodyElseBeginsToUseMeanwhileIsNotDeleted(t *testing.T) {
	for name, use := range uses {
		for _, when := range []string{"after it was shown", "while subscriptions end"} {
			t.Run(name+" "+when, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					k := newKit(t)
					k.apply(t, owned(true))
					doomed := k.unwanted(t, owned(false))
					if when == "after it was shown" {
						use.begin(t, k)
					} else {
						k.once(t, "Unsubscribe", func() { use.begin(t, k) })
					}
					err := owned(false).Prune(t.Context(), k, account, doomed, nil)
					if err == nil || !strings.HasPrefix(err.Error(), "prune: "+use.kind+" "+use.name+": stays, since this was shown: "+use.why) {
						t.Errorf("error %v, want %s", err, use.why)
					}
					if !k.exists(t, use.kind, use.name) {
						t.Errorf("%s %s is deleted", use.kind, use.name)
					}
				})
			})
		}
	}
}

// once runs work in the middle of the first request of an action, before it is performed.
func (k *kit) once(t *testing.T, action string, work func()) {
	t.Helper()
	began := false
	k.server.Control(action, func(*localaws.Request) *localaws.Fault {
		k.mu.Lock()
		first := !began
		began = true
		k.mu.Unlock()
		if first {
			work()
		}
		return nil
	})
}

// receive takes what is in a queue.
func (k *kit) receive(t *testing.T, name string) []queue.Delivery {
	t.Helper()
	return ok(k.Queue(k.url(t, name), awsapi.QueueOptions{}).Receive(t.Context(), 10, 0))(t)
}

// A message that comes after its queue was shown to be empty is not deleted, nor is the queue: not when it
// comes while the subscriptions end, and not when SQS counts it late, as it may for a minute.
func TestAMessageThatComesInBetweenIsNotDeleted(t *testing.T) {
	for name, row := range map[string]struct {
		nasty  localaws.Nasty
		settle time.Duration
	}{
		"counted at once":             {},
		"counted after a minute":      {localaws.Nasty{CountDelay: time.Minute, Seed: 7}, time.Minute},
		"counted late on another day": {localaws.Nasty{CountDelay: time.Minute, Seed: 8}, time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := &kit{server: localaws.New(localaws.Options{Nasty: row.nasty}), began: time.Now()}
				k.connect(t)
				k.apply(t, owned(true))
				<-time.After(time.Hour)
				want := owned(false)
				want.Settle = row.settle
				doomed := k.unwanted(t, want)
				k.once(t, "Unsubscribe", func() {
					ok(k.Publish(t.Context(), account.TopicARN("invitations"), message("in between")))(t)
				})
				k.took()
				var told []topology.Change
				err := want.Prune(t.Context(), k, account, doomed, func(c topology.Change) { told = append(told, c) })
				if err == nil || !strings.HasPrefix(err.Error(), "prune: queue audit: holds about 1 messages, and 0 when this was shown") {
					t.Errorf("error %v", err)
				}
				waits := 0
				for _, c := range told {
					if c.Kind == topology.Waiting {
						waits++
					} else if c.Kind != "subscription" {
						t.Errorf("%s", c)
					}
				}
				if waits > 0 != (row.settle > 0) {
					t.Errorf("it has told %d times that it waits", waits)
				}
				if calls := k.took(); slices.ContainsFunc(calls, func(c call) bool { return c.action == "DeleteQueue" }) {
					t.Errorf("calls %v", texts(calls))
				}
				got := k.receive(t, "audit")
				if len(got) != 1 || !strings.Contains(got[0].Body, "in between") {
					t.Errorf("in the queue are %v", got)
				}
			})
		})
	}
}

// Where nobody can look through all subscriptions, every queue stays; where nobody may, nothing is said to be
// unwanted.
func TestAnAccountThatCannotBeLookedThroughKeepsItsQueues(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKit(t)
		k.apply(t, owned(true))
		pages := 0
		doomed, err := owned(false).Unwanted(t.Context(), listing{k, func(string) ([]queue.Subscription, string, error) { pages++; return nil, "more", nil }}, account)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range doomed {
			if d.Kind == "queue" && !strings.HasPrefix(d.Kept, "the account has more subscriptions than are looked through") {
				t.Errorf("%s", d)
			}
		}
		if pages != 1000 {
			t.Errorf("%d pages", pages)
		}
		denied := listing{k, func(string) ([]queue.Subscription, string, error) {
			return nil, "", fmt.Errorf("list the subscriptions: %w", queue.ErrDenied)
		}}
		if doomed, err := owned(false).Unwanted(t.Context(), denied, account); !errors.Is(err, queue.ErrDenied) || len(doomed) > 0 {
			t.Errorf("unwanted %v, error %v", doomedLines(doomed), err)
		}
	})
}

// A run that was cut goes on: what was deleted already is no error, and what SNS lists for a while though it
// was ended keeps nothing.
func TestAPruneThatWasCutGoesOn(t *testing.T) {
	for _, action := range []string{"Unsubscribe", "DeleteQueue", "DeleteTopic"} {
		for nth := 1; nth <= 3; nth++ {
			synctest.Test(t, func(t *testing.T) {
				k := newKit(t)
				k.apply(t, owned(true))
				doomed := k.unwanted(t, owned(false))
				listed, _, err := k.Subscriptions(t.Context(), "")
				if err != nil {
					t.Fatal(err)
				}
				stop := k.fail(action, nth, localaws.Fault{Status: 403, Code: "AuthorizationError", Message: "no"})
				late := listing{k, func(string) ([]queue.Subscription, string, error) { return listed, "", nil }}
				err = owned(false).Prune(t.Context(), late, account, doomed, nil)
				if last := action == "DeleteTopic" && nth > 1; last == (err != nil) {
					t.Errorf("%s %d: error %v", action, nth, err)
				}
				stop()
				if err := owned(false).Prune(context.WithoutCancel(t.Context()), late, account, doomed, nil); err != nil {
					t.Errorf("%s %d: the second run: %v", action, nth, err)
				}
				if left := k.unwanted(t, owned(false)); len(left) > 0 {
					t.Errorf("%s %d: left are %v", action, nth, doomedLines(left))
				}
			})
		}
	}
}
