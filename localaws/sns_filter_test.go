package localaws_test

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	snstypes "github.com/aws/aws-sdk-go-v2/service/sns/types"
	"github.com/google/go-cmp/cmp"
)

// TestFilterOperators: what the policies of a topic's subscriptions make of the same messages.
func TestFilterOperators(t *testing.T) {
	k := newSNSKit(t)
	k.topic(t, nil)
	subscriptions := map[string]struct {
		scope, policy string
		want          []string // ids of the messages that arrive
	}{
		"prefix":        {"MessageAttributes", `{"event":[{"prefix":"user_"}]}`, []string{"1", "2"}},
		"suffix":        {"MessageAttributes", `{"event":[{"suffix":"_paid"}]}`, []string{"3"}},
		"anything-but":  {"MessageAttributes", `{"event":[{"anything-but":["user_invited"]}]}`, []string{"2", "3"}},
		"without-kind":  {"MessageAttributes", `{"event":[{"exists":true}],"tags":[{"exists":false}]}`, []string{"1", "3"}},
		"numeric":       {"MessageAttributes", `{"amount":[{"numeric":[">",100,"<=",200]}]}`, []string{"3"}},
		"array":         {"MessageAttributes", `{"tags":[{"wildcard":"vip*"}]}`, []string{"2"}},
		"or":            {"MessageAttributes", `{"$or":[{"tags":["trial"]},{"amount":[150]}]}`, []string{"2", "3"}},
		"body-cidr":     {"MessageBody", `{"request":{"ip":[{"cidr":"10.0.0.0/8"}]}}`, []string{"1"}},
		"body-case":     {"MessageBody", `{"user.plan":[{"equals-ignore-case":"PRO"}]}`, []string{"1", "3"}},
		"body-or":       {"MessageBody", `{"user":{"$or":[{"plan":["pro"]},{"seats":[{"numeric":[">=",5]}]}]}}`, []string{"2", "3"}},
		"body-array":    {"MessageBody", `{"items":{"sku":[{"anything-but":{"prefix":"x-"}}]}}`, []string{"3"}},
		"body-absent":   {"MessageBody", `{"items":[{"exists":false}],"request":{"ip":[{"exists":false}]}}`, []string{"2", "3"}},
		"body-nobody":   {"MessageBody", `{"event":["user_invited"]}`, nil}, // which is an attribute
		"every-message": {"MessageBody", `{}`, []string{"1", "2", "3", "4"}},
	}
	urls := map[string]string{}
	for name, s := range subscriptions {
		urls[name] = k.open(t, name)
		k.subscribe(t, name, map[string]string{"FilterPolicy": s.policy, "FilterPolicyScope": s.scope, "RawMessageDelivery": "true"})
	}
	messages := []struct {
		body       string
		attributes map[string]snstypes.MessageAttributeValue
	}{
		{`{"id":"1","request":{"ip":"10.1.2.3"},"user":{"plan":"Pro"}}`, map[string]snstypes.MessageAttributeValue{"event": snsText("String", "user_invited")}},
		{`{"id":"2","user":{"plan":"free","seats":5}}`, map[string]snstypes.MessageAttributeValue{"event": snsText("String", "user_left"), "tags": snsText("String.Array", `["trial","vip-2"]`)}},
		{`{"id":"3","user":{"plan":"pro"},"items":[{"sku":"x-1"},[{"sku":"y-1"}]]}`, map[string]snstypes.MessageAttributeValue{"event": snsText("String", "order_paid"), "amount": snsText("Number", "1.50e2")}},
		{`["id","4"]`, nil},
	}
	var entries []snstypes.PublishBatchRequestEntry
	for i, m := range messages {
		if i%2 == 0 {
			k.publish(t, &sns.PublishInput{Message: &m.body, MessageAttributes: m.attributes})
			continue
		}
		entries = append(entries, snstypes.PublishBatchRequestEntry{Id: aws.String(string(rune('a' + i))), Message: &m.body, MessageAttributes: m.attributes})
	}
	if _, err := k.sns.PublishBatch(t.Context(), &sns.PublishBatchInput{TopicArn: aws.String(snsTopicARN), PublishBatchRequestEntries: entries}); err != nil {
		t.Fatal(err)
	}
	for name, s := range subscriptions {
		want, got := map[string]bool{}, map[string]bool{}
		for _, id := range s.want {
			want[id] = true
		}
		for _, m := range k.receive(t, urls[name]) {
			got[(*m.Body)[len(`{"id":"`):len(`{"id":"`)+1]] = true
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s %s: %s", name, s.policy, diff)
		}
	}
	if drops := k.dropped(); len(drops) > 0 {
		t.Errorf("dropped %+v", drops)
	}
}

// TestFilterOfABodyPerProtocol: with MessageStructure=json a filter sees what the queue would get,
// and no attributes.
func TestFilterOfABodyPerProtocol(t *testing.T) {
	k := newSNSKit(t)
	k.topic(t, nil)
	url := k.open(t, "q")
	k.subscribe(t, "q", map[string]string{"FilterPolicy": `{"for":["sqs"],"attribute":[{"exists":false}]}`, "FilterPolicyScope": "MessageBody"})
	for _, message := range []string{
		`{"default":"{\"for\":\"all\"}","sqs":"{\"for\":\"sqs\"}"}`,
		`{"default":"{\"for\":\"sqs\"}","sqs":"{\"for\":\"all\"}"}`,
	} {
		k.publish(t, &sns.PublishInput{Message: &message, MessageStructure: aws.String("json"), MessageAttributes: map[string]snstypes.MessageAttributeValue{"attribute": snsText("String", "x")}})
	}
	if got := k.receive(t, url); len(got) != 1 {
		t.Errorf("received %d messages, want the one for SQS", len(got))
	}
}

func TestFilterPoliciesAreRefusedInTheWordsOfSNS(t *testing.T) {
	k := newSNSKit(t)
	k.topic(t, nil)
	for _, tt := range []struct{ scope, policy, want string }{
		{"MessageAttributes", `{"key":[{"wrong-operator":true}]}`, "FilterPolicy: Unrecognized match type wrong-operator"},
		{"MessageAttributes", `{"key":[{"numeric":[">",3,"<",1]}]}`, "FilterPolicy: Bottom must be less than top"},
		{"MessageAttributes", `{"key":[{"exists":"no"}]}`, "FilterPolicy: exists match pattern must be either true or false."},
		{"MessageAttributes", `{"a":[1],"b":[1],"c":[1],"d":[1],"e":[1],"f":[1]}`, "FilterPolicy: Filter policy can not have more than 5 keys"},
		{"MessageBody", `{"a":{"b":{"c":[1,2,3,4,5,6,7]}},"d":[1,2,3,4,5,6,7,8]}`, "FilterPolicy: Filter policy is too complex"},
		{"MessageAttributes", `{"$or":[{"a":{"b":[1]}},{"c":[1]}]}`, "Filter policy scope MessageAttributes does not support nested filter policy"},
	} {
		_, err := k.trySubscribe(t, "sqs", snsQueueARN("q"), map[string]string{"FilterPolicy": tt.policy, "FilterPolicyScope": tt.scope})
		if code, text := snsCode(err); code != "InvalidParameter" || text != "Invalid parameter: Attributes Reason: "+tt.want {
			t.Errorf("%s: %s: %s, want %s", tt.policy, code, text, tt.want)
		}
	}
}
