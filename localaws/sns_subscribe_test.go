package localaws_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/google/go-cmp/cmp"
)

func (k *snsKit) attributes(t *testing.T, arn string) map[string]string {
	t.Helper()
	out, err := k.sns.GetSubscriptionAttributes(t.Context(), &sns.GetSubscriptionAttributesInput{SubscriptionArn: &arn})
	if err != nil {
		t.Fatal(err)
	}
	return out.Attributes
}

func TestSubscribeToAQueueThatIsNotThere(t *testing.T) {
	k := newSNSKit(t)
	k.topic(t, nil)
	arn := k.subscribe(t, "nowhere", nil)
	if !strings.HasPrefix(arn, snsTopicARN+":") || len(arn) != len(snsTopicARN)+37 {
		t.Errorf("subscription %s", arn)
	}
	want := map[string]string{
		"SubscriptionArn": arn, "TopicArn": snsTopicARN, "Protocol": "sqs", "Endpoint": snsQueueARN("nowhere"), "Owner": snsAccount,
		"SubscriptionPrincipal": "arn:aws:iam::000000000000:root", "ConfirmationWasAuthenticated": "true",
		"PendingConfirmation": "false", "RawMessageDelivery": "false",
	}
	if diff := cmp.Diff(want, k.attributes(t, arn)); diff != "" {
		t.Error(diff)
	}
}

// TestSubscribeAgain is the idempotency table of SNS: what is named is compared, by its meaning;
// aws-semantics §1.3.
func TestSubscribeAgain(t *testing.T) {
	redrive := `{"deadLetterTargetArn":"` + snsQueueARN("dlq") + `"}`
	first := map[string]string{"RawMessageDelivery": "true", "FilterPolicy": `{"a":["b"]}`, "RedrivePolicy": redrive}
	for _, tt := range []struct {
		name       string
		first      map[string]string
		attributes map[string]string
		differs    bool
	}{
		{"same", first, first, false},
		{"nothing", first, nil, false},
		{"one of them", first, map[string]string{"RedrivePolicy": redrive}, false},
		{"True for true", first, map[string]string{"RawMessageDelivery": "True"}, false},
		{"another spelling of the JSON", first, map[string]string{"FilterPolicy": `{ "a" : [ "b" ] }`}, false},
		{"the default scope", first, map[string]string{"FilterPolicyScope": "MessageAttributes"}, false},
		{"another scope", first, map[string]string{"FilterPolicyScope": "MessageBody"}, true},
		{"another filter", first, map[string]string{"FilterPolicy": `{"a":["c"]}`}, true},
		{"not raw", first, map[string]string{"RawMessageDelivery": "false"}, true},
		{"another dead-letter queue", first, map[string]string{"RedrivePolicy": strings.Replace(redrive, "dlq", "other", 1)}, true},
		{"default raw", nil, map[string]string{"RawMessageDelivery": "false"}, false},
		{"a filter where there was none", nil, map[string]string{"FilterPolicy": `{"a":["b"]}`}, true},
		{"an empty filter where there was none", nil, map[string]string{"FilterPolicy": `{}`}, false},
		{"a scope where there is no filter", nil, map[string]string{"FilterPolicyScope": "MessageBody"}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			k := newSNSKit(t)
			k.topic(t, nil)
			arn := k.subscribe(t, "q", tt.first)
			again, err := k.trySubscribe(t, "sqs", snsQueueARN("q"), tt.attributes)
			if !tt.differs {
				if err != nil || again != arn {
					t.Errorf("%s, %v; want %s", again, err, arn)
				}
				return
			}
			if got, text := snsCode(err); got != "InvalidParameter" || text != "Invalid parameter: Attributes Reason: Subscription already exists with different attributes" {
				t.Errorf("%s, %v", again, err)
			}
		})
	}
}

func TestSubscribeRefuses(t *testing.T) {
	k := newSNSKit(t)
	k.topic(t, nil)
	const reason = "Invalid parameter: Attributes Reason: "
	for _, tt := range []struct {
		protocol, endpoint string
		attributes         map[string]string
		code, text         string
	}{
		{"pigeon", "x", nil, "InvalidParameter", "Invalid parameter: Amazon SNS does not support this protocol string: pigeon"},
		{"sqs", "http://localaws.test/000000000000/q", nil, "InvalidParameter", "Invalid parameter: SQS endpoint ARN"},
		{"sqs", snsTopicARN, nil, "InvalidParameter", "Invalid parameter: SQS endpoint ARN"},
		{"sqs", snsQueueARN("q.fifo"), nil, "InvalidParameter", "Invalid parameter: Invalid parameter: Endpoint Reason: FIFO SQS Queues can not be subscribed to standard SNS topics"},
		{"sqs", snsQueueARN("q"), map[string]string{"Nonsense": "x"}, "InvalidParameter", reason + "AttributeName"},
		{"sqs", snsQueueARN("q"), map[string]string{"DeliveryPolicy": "{}"}, "InvalidParameter", reason + "DeliveryPolicy: only http and https subscriptions have one, not one with protocol sqs"},
		{"sqs", snsQueueARN("q"), map[string]string{"ReplayPolicy": "{}"}, "UnsupportedOperation", "the subscription attribute ReplayPolicy, as topics keep no archive here, is not supported by this server yet"},
		{"sqs", snsQueueARN("q"), map[string]string{"SubscriptionRoleArn": "arn:aws:iam::1:role/r"}, "InvalidParameter", reason + "SubscriptionRoleArn: only a firehose subscription has one, not one with protocol sqs"},
		{"http", "https://example.com/", nil, "InvalidParameter", "Invalid parameter: Endpoint must match the specified protocol"},
		{"https", "https:///path", nil, "InvalidParameter", "Invalid parameter: Endpoint must match the specified protocol"},
		{"https", "https://example.com/", map[string]string{"DeliveryPolicy": "{"}, "InvalidParameter", ""},
		{"https", "https://example.com/", map[string]string{"DeliveryPolicy": `{"healthyRetryPolicy":{"minDelayTarget":0}}`}, "InvalidParameter", reason + "DeliveryPolicy: healthyRetryPolicy.minDelayTarget must be greater than or equal to 1"},
		{"https", "https://example.com/", map[string]string{"DeliveryPolicy": `{"requestPolicy":{"headerContentType":"text/csv"}}`}, "InvalidParameter", reason + "DeliveryPolicy: requestPolicy.headerContentType must be application/json or text/plain without raw message delivery"},
		{"email", "somebody", nil, "InvalidParameter", "Invalid parameter: Email address"},
		{"email", "a@example.com", map[string]string{"RawMessageDelivery": "true"}, "InvalidParameter", reason + "Delivery protocol [email] does not support raw message delivery."},
		{"sms", "invalid-number", nil, "InvalidParameter", "Invalid SMS endpoint: invalid-number"},
		{"lambda", "f", nil, "InvalidParameter", "Invalid parameter: Lambda endpoint ARN"},
		{"lambda", snsQueueARN("q"), nil, "InvalidParameter", "Invalid parameter: Lambda endpoint ARN"},
		{"firehose", "f", nil, "InvalidParameter", "Invalid parameter: Firehose endpoint ARN"},
		{"firehose", "arn:aws:firehose:us-east-1:000000000000:deliverystream/s", nil, "InvalidParameter", reason + "SubscriptionRoleArn: a firehose subscription needs one"},
		{"firehose", "arn:aws:firehose:us-east-1:000000000000:deliverystream/s", map[string]string{"SubscriptionRoleArn": "r"}, "InvalidParameter", reason + "SubscriptionRoleArn"},
		{"application", "f", nil, "InvalidParameter", "Invalid parameter: ApplicationEndpoint ARN"},
		{"sqs", snsQueueARN("q"), map[string]string{"RawMessageDelivery": "1"}, "InvalidParameter", reason + "RawMessageDelivery: Invalid value [1]. Must be true or false."},
		{"sqs", snsQueueARN("q"), map[string]string{"FilterPolicyScope": "Both"}, "InvalidParameter", reason + "FilterPolicyScope: Invalid value [Both]. Please use either MessageBody or MessageAttributes"},
		{"sqs", snsQueueARN("q"), map[string]string{"FilterPolicy": "{"}, "InvalidParameter", reason + "FilterPolicy: failed to parse JSON."},
		{"sqs", snsQueueARN("q"), map[string]string{"FilterPolicy": `{"a":{"b":["c"]}}`}, "InvalidParameter", reason + "Filter policy scope MessageAttributes does not support nested filter policy"},
		{"sqs", snsQueueARN("q"), map[string]string{"FilterPolicy": `{"a":[{"begins":"c"}]}`}, "InvalidParameter", reason + "FilterPolicy: Unrecognized match type begins"},
		{"sqs", snsQueueARN("q"), map[string]string{"RedrivePolicy": "{"}, "InvalidParameter", reason + "RedrivePolicy: failed to parse JSON."},
		{"sqs", snsQueueARN("q"), map[string]string{"RedrivePolicy": `{"deadLetterTargetArn":"dlq"}`}, "InvalidParameter", reason + "RedrivePolicy: deadLetterTargetArn is an invalid arn"},
		{"sqs", snsQueueARN("q"), map[string]string{"RedrivePolicy": `{"deadLetterTargetArn":"` + snsQueueARN("dlq") + `","maxReceiveCount":3}`}, "InvalidParameter", reason + "RedrivePolicy: invalid JSON. Attribute maxReceiveCount is unknown"},
	} {
		arn, err := k.trySubscribe(t, tt.protocol, tt.endpoint, tt.attributes)
		if got, text := snsCode(err); got != tt.code || tt.text != "" && text != tt.text {
			t.Errorf("%s %s %v: %s, %v; want %s: %s", tt.protocol, tt.endpoint, tt.attributes, arn, err, tt.code, tt.text)
		}
	}
}

func TestSetSubscriptionAttributes(t *testing.T) {
	k := newSNSKit(t)
	k.topic(t, nil)
	arn := k.subscribe(t, "q", map[string]string{"FilterPolicyScope": "MessageBody"}) // no policy: forgotten
	set := func(name string, value *string) error {
		_, err := k.sns.SetSubscriptionAttributes(t.Context(), &sns.SetSubscriptionAttributesInput{SubscriptionArn: &arn, AttributeName: &name, AttributeValue: value})
		return err
	}
	redrive := `{"deadLetterTargetArn":"` + snsQueueARN("dlq") + `"}`
	for i, step := range []struct {
		name  string
		value *string
		says  string
		want  map[string]string // after it
	}{
		{"FilterPolicy", aws.String(`{"a":{"b":["c"]}}`), "Invalid parameter: Filter policy scope MessageAttributes does not support nested filter policy", map[string]string{}},
		{"FilterPolicyScope", aws.String("MessageBody"), "", map[string]string{}}, // no policy: kept, but not told of
		{"FilterPolicy", aws.String(`{"a":{"b":["c"]}}`), "", map[string]string{"FilterPolicy": `{"a":{"b":["c"]}}`, "FilterPolicyScope": "MessageBody"}},
		{"FilterPolicy", aws.String(""), "", map[string]string{}},
		{"FilterPolicy", aws.String(`{"a":["b"]}`), "", map[string]string{"FilterPolicy": `{"a":["b"]}`, "FilterPolicyScope": "MessageAttributes"}},
		{"FilterPolicyScope", aws.String("MessageBody"), "", map[string]string{"FilterPolicy": `{"a":["b"]}`, "FilterPolicyScope": "MessageBody"}},
		{"FilterPolicy", aws.String(`{"a":{"b":["c"]}}`), "", map[string]string{"FilterPolicy": `{"a":{"b":["c"]}}`, "FilterPolicyScope": "MessageBody"}},
		{"FilterPolicyScope", aws.String("MessageAttributes"), "Invalid parameter: Filter policy scope MessageAttributes does not support nested filter policy", map[string]string{"FilterPolicy": `{"a":{"b":["c"]}}`, "FilterPolicyScope": "MessageBody"}},
		{"FilterPolicy", aws.String("{"), "Invalid parameter: FilterPolicy: failed to parse JSON.", map[string]string{"FilterPolicy": `{"a":{"b":["c"]}}`, "FilterPolicyScope": "MessageBody"}},
		{"FilterPolicy", aws.String("{}"), "", map[string]string{}},
		{"FilterPolicy", aws.String(`{"a":["c"]}`), "", map[string]string{"FilterPolicy": `{"a":["c"]}`, "FilterPolicyScope": "MessageAttributes"}},
		{"FilterPolicy", nil, "", map[string]string{}},
		{"RedrivePolicy", &redrive, "", map[string]string{"RedrivePolicy": redrive}},
		{"RedrivePolicy", aws.String(""), "Invalid parameter: RedrivePolicy: failed to parse JSON.", map[string]string{"RedrivePolicy": redrive}},
		{"RedrivePolicy", nil, "", map[string]string{}},
		{"RawMessageDelivery", aws.String("TRUE"), "", map[string]string{"RawMessageDelivery": "true"}},
		{"Nonsense", aws.String("x"), "Invalid parameter: AttributeName", map[string]string{"RawMessageDelivery": "true"}},
	} {
		err := set(step.name, step.value)
		if _, text := snsCode(err); text != step.says || (err == nil) != (step.says == "") {
			t.Errorf("step %d, %s: %v, want %q", i, step.name, err, step.says)
		}
		got := k.attributes(t, arn)
		for _, always := range []string{"SubscriptionArn", "TopicArn", "Protocol", "Endpoint", "Owner", "SubscriptionPrincipal", "ConfirmationWasAuthenticated", "PendingConfirmation"} {
			delete(got, always)
		}
		if got["RawMessageDelivery"] == "false" {
			delete(got, "RawMessageDelivery")
		}
		if diff := cmp.Diff(step.want, got); diff != "" {
			t.Errorf("step %d, %s: %s", i, step.name, diff)
		}
	}
}

func TestUnsubscribe(t *testing.T) {
	k := newSNSKit(t)
	k.topic(t, nil)
	arn := k.subscribe(t, "q", nil)
	unsubscribe := func(arn string) error {
		_, err := k.sns.Unsubscribe(t.Context(), &sns.UnsubscribeInput{SubscriptionArn: &arn})
		return err
	}
	for range 2 { // it is idempotent
		if err := unsubscribe(arn); err != nil {
			t.Fatal(err)
		}
	}
	if _, text := snsCode(unsubscribe("pending confirmation")); text != "Invalid parameter: SubscriptionArn Reason: An ARN must have at least 6 elements, not 1" {
		t.Errorf("a malformed ARN: %s", text)
	}
	if _, text := snsCode(unsubscribe(snsTopicARN)); text != "Invalid parameter: SubscriptionId" {
		t.Errorf("a topic's ARN: %s", text)
	}
	_, err := k.sns.GetSubscriptionAttributes(t.Context(), &sns.GetSubscriptionAttributesInput{SubscriptionArn: &arn})
	if got, text := snsCode(err); got != "NotFound" || text != "Subscription does not exist" {
		t.Errorf("after it: %v", err)
	}
	out, err := k.sns.GetTopicAttributes(t.Context(), &sns.GetTopicAttributesInput{TopicArn: aws.String(snsTopicARN)})
	if err != nil || out.Attributes["SubscriptionsConfirmed"] != "0" || out.Attributes["SubscriptionsDeleted"] != "1" {
		t.Errorf("topic: %v, %v", out, err)
	}
}

// TestSubscriptionsOutliveTheirTopic is what makes delete and create again leave two subscriptions:
// aws-semantics §1.2, and D-21 of §2.1.
func TestSubscriptionsOutliveTheirTopic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newSNSKit(t)
		k.topic(t, nil)
		k.subscribe(t, "q", nil)
		for range 2 { // it is idempotent
			if _, err := k.sns.DeleteTopic(t.Context(), &sns.DeleteTopicInput{TopicArn: aws.String(snsTopicARN)}); err != nil {
				t.Fatal(err)
			}
		}
		k.topic(t, nil)
		fresh := k.subscribe(t, "q", nil)
		count := func() (all int, byTopic []string) {
			list, err := k.sns.ListSubscriptions(t.Context(), &sns.ListSubscriptionsInput{})
			if err != nil {
				t.Fatal(err)
			}
			of, err := k.sns.ListSubscriptionsByTopic(t.Context(), &sns.ListSubscriptionsByTopicInput{TopicArn: aws.String(snsTopicARN)})
			if err != nil {
				t.Fatal(err)
			}
			for _, sub := range of.Subscriptions {
				if *sub.Endpoint != snsQueueARN("q") || *sub.Protocol != "sqs" || *sub.Owner != snsAccount || *sub.TopicArn != snsTopicARN {
					t.Errorf("subscription %+v", sub)
				}
				byTopic = append(byTopic, *sub.SubscriptionArn)
			}
			return len(list.Subscriptions), byTopic
		}
		if all, byTopic := count(); all != 2 || cmp.Diff([]string{fresh}, byTopic) != "" {
			t.Errorf("%d subscriptions, of the topic %v", all, byTopic)
		}
		<-time.After(72 * time.Hour)
		if all, byTopic := count(); all != 1 || cmp.Diff([]string{fresh}, byTopic) != "" {
			t.Errorf("three days later: %d subscriptions, of the topic %v", all, byTopic)
		}
	})
}
