package topology_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stationmaster/worker/queue"
	"github.com/stationmaster/worker/topology"
)

// own makes a queue by hand.
func (k *kit) own(t *testing.T, name string, attributes map[string]string) (url string) {
	t.Helper()
	url, err := k.CreateQueue(t.Context(), name, attributes, nil)
	if err != nil {
		t.Fatal(err)
	}
	return url
}

func TestAQueueThatDiffersIsSetAndNotMadeAgain(t *testing.T) {
	world(t, func(t *testing.T) {
		k := newKit(t)
		k.own(t, "other-dlq", nil)
		k.own(t, "email", map[string]string{
			"VisibilityTimeout": "45", "MessageRetentionPeriod": "1209600", "DelaySeconds": "7",
			"RedrivePolicy": `{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:000000000000:other-dlq","maxReceiveCount":"2"}`,
		})
		k.took()
		r := k.apply(t, line())
		if diff := cmp.Diff([]string{
			"queue email-dlq: create", "queue invitations-email-delivery-dlq: create",
			"policy invitations-email-delivery-dlq: allow topic invitations to send",
			"queue email: set MessageRetentionPeriod 1209600→345600, which deletes what is older", "queue email: change RedrivePolicy",
			"queue email: set VisibilityTimeout 45→60", "policy email: allow topic invitations to send",
			"topic invitations: create", "subscription invitations → email: create",
		}, changes(r)); diff != "" {
			t.Error(diff)
		}
		for _, c := range k.took() {
			if c.action == "CreateQueue" && c.target == "email" {
				t.Error("it was created again")
			}
		}
		have := k.state(t, []string{"email"})["queue email"]
		if have["DelaySeconds"] != "7" {
			t.Errorf("DelaySeconds is %s: nothing was said of it", have["DelaySeconds"])
		}
		if r := k.apply(t, line()); len(r.Changed) > 0 {
			t.Errorf("a second apply changed %v", changes(r))
		}
	})
}

func TestARedrivePolicyIsTheSameWithItsCountAsText(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKit(t)
		k.apply(t, line())
		same := `{ "maxReceiveCount":"15", "deadLetterTargetArn":"arn:aws:sqs:us-east-1:000000000000:email-dlq"}`
		if err := k.SetQueueAttributes(t.Context(), k.url(t, "email"), map[string]string{"RedrivePolicy": same}); err != nil {
			t.Fatal(err)
		}
		if r := k.apply(t, line()); len(r.Changed) > 0 {
			t.Errorf("changed %v", changes(r))
		}
		r := k.apply(t, with(func(t *topology.Topology) { t.Queues[0].MaxReceiveCount = 16 }))
		if diff := cmp.Diff([]string{"queue email: change RedrivePolicy"}, changes(r)); diff != "" {
			t.Error(diff)
		}
	})
}

func TestAQueueWithoutADLQLosesItsRedrivePolicyAndADLQKeepsItsOwn(t *testing.T) {
	world(t, func(t *testing.T) {
		k := newKit(t)
		k.apply(t, line())
		k.own(t, "graveyard", nil)
		chained := `{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:000000000000:graveyard","maxReceiveCount":9}`
		if err := k.SetQueueAttributes(t.Context(), k.url(t, "invitations-email-delivery-dlq"), map[string]string{"RedrivePolicy": chained}); err != nil {
			t.Fatal(err)
		}
		r := k.apply(t, with(func(t *topology.Topology) { t.Queues[0].DLQ = "" }))
		if diff := cmp.Diff([]string{"queue email: remove RedrivePolicy"}, changes(r)); diff != "" {
			t.Error(diff)
		}
		have := k.state(t, lineQueues)
		if got := have["queue email"]["RedrivePolicy"]; got != "" {
			t.Errorf("email has %s", got)
		}
		if got := have["queue invitations-email-delivery-dlq"]["RedrivePolicy"]; got != chained {
			t.Errorf("the delivery DLQ has %s", got)
		}
	})
}

func TestADLQOfADLQComesFirst(t *testing.T) {
	s := newStub()
	_, err := topology.Topology{Queues: []topology.Queue{
		{Name: "a", DLQ: "b", MaxReceiveCount: 3}, {Name: "b", DLQ: "c", MaxReceiveCount: 3}, {Name: "z", DLQ: "b", MaxReceiveCount: 3},
	}}.Apply(t.Context(), s, account, nil)
	if diff := cmp.Diff([]string{"queue c", "queue b", "queue a", "queue z"}, s.made); err != nil || diff != "" {
		t.Error(err, diff)
	}
	if got := s.queues[stubURL+"b"]["MessageRetentionPeriod"]; got != "1209600" {
		t.Errorf("b is a DLQ and keeps its messages for %s s", got)
	}
}

const theirStatement = `{ "Sid" : "theirs <&>", "Effect":"Allow",
	"Principal":{"AWS":"111122223333"},"Action":["sqs:SendMessage","sqs:ReceiveMessage"],"Resource":"*" }`

func TestStatementsOfOthersStayByteForByte(t *testing.T) {
	world(t, func(t *testing.T) {
		k := newKit(t)
		k.own(t, "email", map[string]string{"Policy": `{"Version":"2012-10-17","Id":"of email","Statement":[` + theirStatement + `]}`})
		k.apply(t, line())
		policy := k.state(t, []string{"email"})["queue email"]["Policy"]
		if !strings.Contains(policy, theirStatement) || !strings.Contains(policy, `"Id":"of email"`) || !strings.Contains(policy, `"Sid":"stationmaster-sns"`) {
			t.Errorf("policy %s", policy)
		}
		// And those that come after ours, when ours changes.
		more := with(func(t *topology.Topology) {
			t.Topics = append(t.Topics, topology.Topic{Name: "news"})
			t.Subscriptions = append(t.Subscriptions, topology.Subscription{Topic: "news", Queue: "email", DLQ: "invitations-email-delivery-dlq"})
		})
		r := k.apply(t, more)
		if diff := cmp.Diff([]string{
			"policy invitations-email-delivery-dlq: allow topic news to send", "policy email: allow topic news to send",
			"topic news: create", "subscription news → email: create",
		}, changes(r)); diff != "" {
			t.Error(diff)
		}
		policy = k.state(t, []string{"email"})["queue email"]["Policy"]
		if !strings.Contains(policy, theirStatement) || strings.Count(policy, `"Sid"`) != 2 {
			t.Errorf("policy %s", policy)
		}
		// A topic that is declared no longer keeps its permission: another configuration may need it.
		if r := k.apply(t, line()); len(r.Changed) > 0 || k.state(t, []string{"email"})["queue email"]["Policy"] != policy {
			t.Errorf("changed %v", changes(r))
		}
	})
}

func TestADenyOfOthersIsToldBeforeAnythingIsSubscribed(t *testing.T) {
	deny := func(condition string) string {
		return `{"Version":"2012-10-17","Statement":[{"Sid":"fortress","Effect":"Deny","Principal":"*","Action":"sqs:SendMessage","Resource":"*","Condition":` + condition + `}]}`
	}
	world(t, func(t *testing.T) {
		k := newKit(t)
		url := k.own(t, "email", map[string]string{"Policy": deny(`{"StringNotEquals":{"aws:SourceVpce":"vpce-1"}}`)})
		k.took()
		_, err := line().Apply(t.Context(), k, account, nil)
		if err == nil || !strings.Contains(err.Error(), `queue email: policy keeps topic invitations out: statement "fortress" denies sqs:SendMessage to sns.amazonaws.com; change that statement`) {
			t.Errorf("error %v", err)
		}
		for _, c := range k.took() {
			if c.action == "Subscribe" || c.action == "SetQueueAttributes" && c.target == "email" {
				t.Errorf("call %s", c)
			}
		}
		// One that does not hit SNS is none of our business.
		if err := k.SetQueueAttributes(t.Context(), url, map[string]string{"Policy": deny(`{"Bool":{"aws:SecureTransport":"false"}}`)}); err != nil {
			t.Fatal(err)
		}
		k.apply(t, line())
	})
}

func TestAPolicyThatCannotBeMergedIsTold(t *testing.T) {
	many := func(n int) string {
		statements := make([]string, n)
		for i := range statements {
			statements[i] = fmt.Sprintf(`{"Sid":"s%d","Effect":"Allow","Principal":"*","Action":"sqs:SendMessage","Resource":"*"}`, i)
		}
		return `{"Version":"2012-10-17","Statement":[` + strings.Join(statements, ",") + `]}`
	}
	for _, tt := range []struct{ name, have, says string }{
		{"no JSON", "{", "queue email: policy: no JSON object"},
		{"no list", `{"Statement":"x"}`, "mend or remove it by hand"},
		{"full", many(20), "queue email: policy: 21 statements, at most 20"},
		{"long", strings.Replace(many(1), "s0", strings.Repeat("s", 8000), 1), "bytes, at most 8192"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newStub()
			s.queues[stubURL+"email"] = map[string]string{"Policy": tt.have}
			_, err := line().Apply(t.Context(), s, account, nil)
			if err == nil || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("error %v, want %q", err, tt.says)
			}
			if got := s.queues[stubURL+"email"]["Policy"]; got != tt.have {
				t.Errorf("it became %s", got)
			}
		})
	}
}

// TestManyTopicsFitIntoOnePolicy: a statement for each would be over the quotas at ten.
func TestManyTopicsFitIntoOnePolicy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKit(t)
		want := topology.Topology{Queues: []topology.Queue{{Name: "all"}}}
		for i := range 60 {
			name := fmt.Sprintf("topic-%02d", i)
			want.Topics = append(want.Topics, topology.Topic{Name: name})
			want.Subscriptions = append(want.Subscriptions, topology.Subscription{Topic: name, Queue: "all"})
		}
		k.apply(t, want)
		for _, topic := range want.Topics {
			if _, err := k.Publish(t.Context(), account.TopicARN(topic.Name), message(topic.Name)); err != nil {
				t.Fatal(err)
			}
		}
		if len(k.lost()) > 0 {
			t.Errorf("lost %+v", k.lost())
		}
		if got := k.received(t, "all"); len(got) != 60 {
			t.Errorf("%d arrived", len(got))
		}
		var policy struct{ Statement []json.RawMessage }
		if err := json.Unmarshal([]byte(k.state(t, []string{"all"})["queue all"]["Policy"]), &policy); err != nil || len(policy.Statement) != 1 {
			t.Errorf("%d statements, %v", len(policy.Statement), err)
		}
	})
}

func TestQueuesAndTopicsOfOthersAreFoundAndNotTouched(t *testing.T) {
	world(t, func(t *testing.T) {
		k := newKit(t)
		by := map[string]topology.Queue{
			"name": {Name: "named"}, "arn": {Name: "armed", ARN: account.QueueARN("by-arn")}, "url": {Name: "urled"},
		}
		k.own(t, "named", nil)
		k.own(t, "by-arn", nil)
		urled := by["url"]
		urled.URL = k.own(t, "by-url", nil)
		by["url"] = urled
		if _, err := k.CreateTopic(t.Context(), "news", nil, nil); err != nil {
			t.Fatal(err)
		}
		want := topology.Topology{Topics: []topology.Topic{{Name: "news", Unmanaged: true, Attributes: map[string]string{"SignatureVersion": "2"}}}}
		for _, how := range slices.Sorted(maps.Keys(by)) {
			q := by[how]
			// What is said of them all the same is not set.
			q.Unmanaged, q.DLQ, q.Visibility, q.Retention = true, q.Name+"-dlq", time.Hour, time.Hour
			want.Queues = append(want.Queues, q)
			want.Subscriptions = append(want.Subscriptions, topology.Subscription{Topic: "news", Queue: q.Name})
		}
		k.took()
		r := k.apply(t, want)
		if diff := cmp.Diff([]string{
			"Subscribe news → by-arn RawMessageDelivery=false ReturnSubscriptionArn=true",
			"Subscribe news → named RawMessageDelivery=false ReturnSubscriptionArn=true",
			"Subscribe news → by-url RawMessageDelivery=false ReturnSubscriptionArn=true",
		}, texts(k.took())); diff != "" {
			t.Error(diff)
		}
		if r.URLs["urled"] != urled.URL || r.URLs["armed"] != k.url(t, "by-arn") {
			t.Errorf("URLs %v", r.URLs)
		}
		if r := k.apply(t, want); len(r.Changed) > 0 || r.Unchanged != 3 {
			t.Errorf("the second time: %v, %d unchanged", changes(r), r.Unchanged)
		}
	})
}

func TestWhatOthersHaveToMakeIsToldAndNotMade(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*topology.Topology)
		says   string
	}{
		{"queue", func(t *topology.Topology) { t.Queues[0].Unmanaged = true }, "find queue email"},
		{"queue by ARN", func(t *topology.Topology) {
			t.Queues[0].Unmanaged, t.Queues[0].ARN = true, account.QueueARN("elsewhere")
		}, "find queue elsewhere"},
		{"topic", func(t *topology.Topology) { t.Topics[0].Unmanaged = true }, "list the subscriptions of invitations"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := newKit(t)
				_, err := with(tt.change).Apply(t.Context(), k, account, nil)
				if !errors.Is(err, queue.ErrNotFound) || !strings.Contains(err.Error(), tt.says) || !strings.Contains(err.Error(), "it is not managed here (manage = false): ask its owner") {
					t.Errorf("error %v, want %q", err, tt.says)
				}
				for _, c := range k.took() {
					if c.action == "CreateTopic" || c.action == "CreateQueue" && c.target == "email" && tt.name != "topic" {
						t.Errorf("call %s", c)
					}
				}
			})
		})
	}
}

// TestOurOwnQueueIsLetInHoweverItIsSpelled: by its ARN it looks like somebody else's.
func TestOurOwnQueueIsLetInHoweverItIsSpelled(t *testing.T) {
	world(t, func(t *testing.T) {
		k := newKit(t)
		k.apply(t, with(func(t *topology.Topology) { t.Subscriptions[0].Queue = account.QueueARN("email") }))
		if _, err := k.Publish(t.Context(), account.TopicARN("invitations"), message(`{"event":"user_invited"}`)); err != nil {
			t.Fatal(err)
		}
		if got := k.received(t, "email"); len(got) != 1 || len(k.lost()) > 0 {
			t.Errorf("got %v, lost %v", got, k.lost())
		}
	})
}

// TestWhatCannotBeDeliveredIsKept: the delivery DLQ must let the topic in as well, which is what is
// forgotten where DLQs are made by hand.
func TestWhatCannotBeDeliveredIsKept(t *testing.T) {
	world(t, func(t *testing.T) {
		k := newKit(t)
		k.apply(t, line())
		k.deleteQueue(t, "email")
		if _, err := k.Publish(t.Context(), account.TopicARN("invitations"), message(`{"event":"user_invited"}`)); err != nil {
			t.Fatal(err)
		}
		if got := k.received(t, "invitations-email-delivery-dlq"); len(got) != 1 || len(k.lost()) > 0 {
			t.Errorf("got %v, lost %v", got, k.lost())
		}
	})
}
