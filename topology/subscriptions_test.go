package topology_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/stationmaster/worker/localaws"
	"github.com/stationmaster/worker/queue"
	"github.com/stationmaster/worker/topology"
)

const (
	deliveryDLQ = `{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:000000000000:invitations-email-delivery-dlq"}`
	otherDLQ    = `{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:000000000000:other"}`
	nested      = `{"user":{"plan":["pro"]}}`
)

// subscribe makes a subscription as somebody else's tool would, and then sets attributes one by one.
func (k *kit) subscribe(t *testing.T, attributes map[string]string, after ...[2]string) (arn string) {
	t.Helper()
	arn, err := k.Subscribe(t.Context(), account.TopicARN("invitations"), "sqs", account.QueueARN("email"), attributes)
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range after {
		if err := k.SetSubscriptionAttribute(t.Context(), arn, a[0], a[1]); err != nil {
			t.Fatal(err)
		}
	}
	return arn
}

func TestASubscriptionThatDiffersIsSetInTheRightOrder(t *testing.T) {
	filtered := func(filter, on string) func(*topology.Subscription) {
		return func(s *topology.Subscription) { s.Filter, s.FilterOn = filter, on }
	}
	for _, tt := range []struct {
		name  string
		have  map[string]string
		after [][2]string
		want  func(*topology.Subscription)
		set   []string // what is set, in order
		told  []string
	}{
		{
			"bare", nil, nil, filtered(nested, "body"),
			[]string{"RedrivePolicy=" + deliveryDLQ, "FilterPolicyScope=MessageBody", "FilterPolicy=" + nested},
			[]string{"set RedrivePolicy", "set FilterPolicyScope MessageBody", "set FilterPolicy"},
		},
		{
			"a scope that does not show", nil,
			[][2]string{{"FilterPolicyScope", "MessageBody"}, {"RedrivePolicy", deliveryDLQ}},
			filtered(`{"a":["b"]}`, "attributes"),
			[]string{"FilterPolicyScope=MessageAttributes", `FilterPolicy={"a":["b"]}`},
			[]string{"set FilterPolicyScope MessageAttributes", "set FilterPolicy"},
		},
		{
			"from attributes to the body",
			map[string]string{"FilterPolicy": `{"a":["b"]}`, "RedrivePolicy": deliveryDLQ},
			nil, filtered(nested, "body"),
			[]string{"FilterPolicyScope=MessageBody", "FilterPolicy=" + nested},
			[]string{"set FilterPolicyScope MessageAttributes→MessageBody", "change FilterPolicy"},
		},
		{
			"from the body to attributes",
			map[string]string{"FilterPolicy": nested, "FilterPolicyScope": "MessageBody", "RedrivePolicy": deliveryDLQ},
			nil, filtered(`{"a":["b"]}`, "attributes"),
			[]string{`FilterPolicy={"a":["b"]}`, "FilterPolicyScope=MessageAttributes"},
			[]string{"change FilterPolicy", "set FilterPolicyScope MessageBody→MessageAttributes"},
		},
		{
			"the filter taken away",
			map[string]string{"FilterPolicy": nested, "FilterPolicyScope": "MessageBody", "RedrivePolicy": deliveryDLQ},
			nil, filtered("", ""),
			[]string{"FilterPolicy={}"},
			[]string{"remove FilterPolicy"},
		},
		{
			"a number that was a text",
			map[string]string{"FilterPolicy": `{"n":["5"]}`, "FilterPolicyScope": "MessageBody", "RedrivePolicy": deliveryDLQ},
			nil, filtered(`{"n":[5]}`, "body"),
			[]string{`FilterPolicy={"n":[5]}`},
			[]string{"change FilterPolicy"},
		},
		{
			"the net before all else",
			map[string]string{"RedrivePolicy": otherDLQ},
			nil,
			func(s *topology.Subscription) { s.Raw, s.Filter, s.FilterOn = true, `{"a":["b"]}`, "body" },
			[]string{"RedrivePolicy=" + deliveryDLQ, "FilterPolicyScope=MessageBody", `FilterPolicy={"a":["b"]}`, "RawMessageDelivery=true"},
			[]string{"change RedrivePolicy", "set FilterPolicyScope MessageBody", "set FilterPolicy", "set RawMessageDelivery false→true"},
		},
		{
			"no delivery DLQ any more",
			map[string]string{"RedrivePolicy": deliveryDLQ, "RawMessageDelivery": "true"},
			nil, func(s *topology.Subscription) { s.DLQ, s.Filter, s.FilterOn = "", "", "" },
			[]string{"RedrivePolicy=(none)", "RawMessageDelivery=false"},
			[]string{"remove RedrivePolicy", "set RawMessageDelivery true→false"},
		},
		{
			"spelled otherwise",
			map[string]string{"FilterPolicy": `{ "b":["c"] , "a":["b"]}`, "FilterPolicyScope": "MessageBody", "RedrivePolicy": " " + deliveryDLQ},
			nil,
			filtered(`{"a":["b"],"b":["c"]}`, "body"), nil,
			[]string{},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			world(t, func(t *testing.T) {
				k := newKit(t)
				k.apply(t, with(func(t *topology.Topology) { t.Subscriptions = nil }))
				k.subscribe(t, tt.have, tt.after...)
				want := with(func(t *topology.Topology) { tt.want(&t.Subscriptions[0]) })
				if tt.name == "no delivery DLQ any more" && other.Differs(removal) {
					_, err := want.Apply(t.Context(), k, account, nil)
					other.AsAWS(t, removal, err == nil, "%v", err)
					return
				}
				k.took()
				told := []string{}
				for _, c := range k.apply(t, want).Changed {
					if c.Kind == "subscription" {
						told = append(told, c.What)
					}
				}
				var set []string
				for _, c := range k.took() {
					switch c.action {
					case "SetSubscriptionAttributes":
						for name, to := range c.attributes {
							set = append(set, name+"="+to)
						}
					case "Subscribe", "Unsubscribe":
						t.Errorf("%s: an existing subscription is repaired", c)
					}
				}
				if diff := cmp.Diff(tt.set, set); diff != "" {
					t.Errorf("set: %s", diff)
				}
				if diff := cmp.Diff(tt.told, told); diff != "" {
					t.Errorf("told: %s", diff)
				}
				if r := k.apply(t, want); len(r.Changed) > 0 {
					t.Errorf("a second apply changed %v", changes(r))
				}
				k.isAsMade(t, want)
			})
		})
	}
}

// isAsMade checks that the repaired subscription reads like one that is made so at once.
func (k *kit) isAsMade(t *testing.T, want topology.Topology) {
	t.Helper()
	read := func(k *kit) map[string]string {
		attributes, err := k.SubscriptionAttributes(t.Context(), k.subscribed(t, "invitations")[account.QueueARN("email")])
		if err != nil {
			t.Fatal(err)
		}
		delete(attributes, "SubscriptionArn")
		for name, text := range attributes {
			attributes[name] = strings.ReplaceAll(text, " ", "")
		}
		return attributes
	}
	have := read(k)
	fresh := newKit(t) // on the server of somebody else it begins anew
	fresh.apply(t, want)
	made := read(fresh)
	if strings.HasPrefix(have["FilterPolicy"], `{"b"`) { // spelled otherwise
		delete(have, "FilterPolicy")
		delete(made, "FilterPolicy")
	}
	if made["FilterPolicy"] == "" && have["FilterPolicy"] != "" && other.Differs(emptied) {
		delete(have, "FilterPolicy")
		delete(have, "FilterPolicyScope")
	}
	if diff := cmp.Diff(made, have); diff != "" {
		t.Errorf("beside one that was made so: %s", diff)
	}
}

// TestASubscriptionOfAnotherToolIsRepairedAndNotMadeAgain: it appears after the list was read.
func TestASubscriptionOfAnotherToolIsRepairedAndNotMadeAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKit(t)
		rival := false
		k.server.Control("Subscribe", func(*localaws.Request) *localaws.Fault {
			if !rival {
				rival = true
				k.subscribe(t, map[string]string{"FilterPolicy": `{"a":["b"]}`})
			}
			return nil
		})
		r := k.apply(t, line())
		if got := k.subscribed(t, "invitations"); len(got) != 1 {
			t.Errorf("subscriptions %v", got)
		}
		for _, c := range k.took() {
			if c.action == "Subscribe" && c.attributes["RawMessageDelivery"] == "" && c.attributes["FilterPolicy"] != `{"a":["b"]}` {
				t.Errorf("a bare %s", c)
			}
		}
		last := changes(r)[len(r.Changed)-3:]
		if diff := cmp.Diff([]string{
			"subscription invitations → email: set RedrivePolicy",
			"subscription invitations → email: set FilterPolicyScope MessageAttributes→MessageBody",
			"subscription invitations → email: change FilterPolicy",
		}, last); diff != "" {
			t.Error(diff)
		}
		k.isAsMade(t, line())
	})
}

func TestASubscriptionThatIsRefusedIsNotMadeBare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKit(t)
		k.server.Control("Subscribe", func(*localaws.Request) *localaws.Fault {
			return &localaws.Fault{Code: "InvalidParameter", Message: "Invalid parameter: Attributes Reason: FilterPolicy: too odd"}
		})
		_, err := line().Apply(t.Context(), k, account, nil)
		if !errors.Is(err, queue.ErrRejected) || !strings.Contains(err.Error(), "subscribe email to invitations") || !strings.Contains(err.Error(), "too odd") {
			t.Errorf("error %v", err)
		}
		n := 0
		for _, c := range k.took() {
			if c.action == "Subscribe" {
				n++
			}
		}
		if got := k.subscribed(t, "invitations"); n != 1 || len(got) > 0 {
			t.Errorf("%d calls of Subscribe, subscriptions %v", n, got)
		}
	})
}

func TestAFailedRepairNamesTheSubscription(t *testing.T) {
	for _, action := range []string{"GetSubscriptionAttributes", "SetSubscriptionAttributes"} {
		synctest.Test(t, func(t *testing.T) {
			k := newKit(t)
			k.apply(t, with(func(t *topology.Topology) { t.Subscriptions = nil }))
			k.subscribe(t, nil)
			stop := k.fail(action, 1, localaws.Fault{Status: 403, Code: "AuthorizationError", Message: "no"})
			_, err := line().Apply(t.Context(), k, account, nil)
			if !errors.Is(err, queue.ErrDenied) || !strings.Contains(err.Error(), "subscription invitations → email: ") {
				t.Errorf("%s: error %v", action, err)
			}
			stop()
			k.apply(t, line())
			k.isAsMade(t, line())
		})
	}
}

// TestWhatAReadLeavesOutIsItsDefault: regions that are behind show no scope, and a filter that was
// taken away may stay as {}.
func TestWhatAReadLeavesOutIsItsDefault(t *testing.T) {
	for name, tt := range map[string]struct {
		have       map[string]string
		filter, on string
	}{
		"nothing at all":     {map[string]string{"RedrivePolicy": deliveryDLQ}, "", ""},
		"an emptied filter":  {map[string]string{"RedrivePolicy": deliveryDLQ, "FilterPolicy": "{}", "FilterPolicyScope": "MessageBody"}, "", ""},
		"a filter, no scope": {map[string]string{"RedrivePolicy": deliveryDLQ, "FilterPolicy": `{"a":["b"]}`}, `{"a":["b"]}`, "attributes"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStub()
			want := with(func(t *topology.Topology) {
				t.Settle, t.Subscriptions[0].Filter, t.Subscriptions[0].FilterOn = 0, tt.filter, tt.on
			})
			if _, err := want.Apply(t.Context(), s, account, nil); err != nil {
				t.Fatal(err)
			}
			s.subscriptions[s.listed[account.QueueARN("email")]] = tt.have
			r, err := want.Apply(t.Context(), s, account, nil)
			if err != nil || len(r.Changed) > 0 {
				t.Errorf("changed %v, %v", changes(r), err)
			}
			if p, err := want.Plan(t.Context(), s, account); err != nil || len(unlike(p)) > 0 {
				t.Errorf("plan: %+v, %v", p, err)
			}
		})
	}
}
