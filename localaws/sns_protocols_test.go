package localaws_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/google/go-cmp/cmp"
)

// TestWhatThisServerDoesNotSpeakIsSubscribedAndLost: mail waits for its confirmation, the others get
// each message, which nobody sees; the topic counts them all.
func TestWhatThisServerDoesNotSpeakIsSubscribedAndLost(t *testing.T) {
	k := newSNSKit(t)
	k.topic(t, nil)
	for _, tt := range []struct {
		protocol, endpoint string
		attributes         map[string]string
		pending            bool
	}{
		{"email", "a@example.com", nil, true},
		{"email-json", "a@example.com", nil, true},
		{"sms", "+15551234567", nil, false},
		{"lambda", "arn:aws:lambda:us-east-1:000000000000:function:f", nil, false},
		{"firehose", "arn:aws:firehose:us-east-1:000000000000:deliverystream/s", map[string]string{"SubscriptionRoleArn": "arn:aws:iam::000000000000:role/r", "RawMessageDelivery": "true"}, false},
		{"application", "arn:aws:sns:us-east-1:000000000000:endpoint/APNS/app/id", nil, false},
	} {
		out, err := k.sns.Subscribe(t.Context(), &sns.SubscribeInput{TopicArn: aws.String(snsTopicARN), Protocol: &tt.protocol, Endpoint: &tt.endpoint, Attributes: tt.attributes})
		if err != nil {
			t.Fatal(err)
		}
		if pending := *out.SubscriptionArn == "pending confirmation"; pending != tt.pending {
			t.Errorf("%s: %s", tt.protocol, *out.SubscriptionArn)
		}
		asked := k.dropped()
		if tt.pending != (len(asked) == 1 && asked[0].Reason == "SubscriptionConfirmation: this server delivers to no subscription with protocol "+tt.protocol) {
			t.Errorf("%s: lost %+v", tt.protocol, asked)
		}
		id := k.publish(t, &sns.PublishInput{Message: aws.String("m")})
		found := false
		for _, d := range k.dropped() {
			found = found || d.Endpoint == tt.endpoint && d.MessageID == id && d.Reason == "this server delivers to no subscription with protocol "+tt.protocol
		}
		if found == tt.pending {
			t.Errorf("%s: a lost message is told of: %t", tt.protocol, found)
		}
	}
	if a := k.topicAttributes(t); a["SubscriptionsPending"] != "2" || a["SubscriptionsConfirmed"] != "4" {
		t.Errorf("topic %v", a)
	}
}

// TestSubscriptionsComeInPagesOfAHundred: aws-semantics §1.3; pending ones have no ARN to show.
func TestSubscriptionsComeInPagesOfAHundred(t *testing.T) {
	k := newSNSKit(t)
	k.topic(t, nil)
	for i := range 101 {
		if _, err := k.trySubscribe(t, "email", fmt.Sprintf("user%d@example.com", i), nil); err != nil {
			t.Fatal(err)
		}
	}
	var pages []int
	seen := map[string]bool{}
	for p := sns.NewListSubscriptionsByTopicPaginator(k.sns, &sns.ListSubscriptionsByTopicInput{TopicArn: aws.String(snsTopicARN)}); p.HasMorePages(); {
		out, err := p.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		pages = append(pages, len(out.Subscriptions))
		for _, sub := range out.Subscriptions {
			seen[*sub.Endpoint] = true
			if *sub.SubscriptionArn != "PendingConfirmation" || *sub.Protocol != "email" {
				t.Errorf("%+v", sub)
			}
		}
	}
	if diff := cmp.Diff([]int{100, 1}, pages); diff != "" || len(seen) != 101 {
		t.Errorf("%d endpoints %s", len(seen), diff)
	}
}

// TestLargeTopicsHaveFewAndCertainSubscriptions: aws-semantics §0.1, and D-28 of §2.1.
func TestLargeTopicsHaveFewAndCertainSubscriptions(t *testing.T) {
	large := func(k *snsKit) error {
		_, err := k.sns.SetTopicAttributes(t.Context(), &sns.SetTopicAttributesInput{TopicArn: aws.String(snsTopicARN), AttributeName: aws.String("MaximumMessageSize"), AttributeValue: aws.String("262145")})
		return err
	}
	refused := func(what string, err error, text string) {
		t.Helper()
		if code, got := snsCode(err); code != "InvalidParameter" || !strings.Contains(got, text) {
			t.Errorf("%s: %v, want %s", what, err, text)
		}
	}
	k := newSNSKit(t)
	k.topic(t, nil)
	if a := k.topicAttributes(t); a["MaximumMessageSize"] != "" {
		t.Errorf("it reads as %q, but was never set", a["MaximumMessageSize"])
	}
	if err := large(k); err != nil {
		t.Fatal(err)
	}
	_, err := k.trySubscribe(t, "email", "a@example.com", nil)
	refused("mail to a large topic", err, "not with email")
	for i := range 100 {
		k.subscribe(t, fmt.Sprint("q", i), nil)
	}
	_, err = k.trySubscribe(t, "sqs", snsQueueARN("q100"), nil)
	refused("one too many", err, "at most 100 subscriptions")
	k.subscribe(t, "q1", nil) // it is there already

	k = newSNSKit(t)
	k.topic(t, nil)
	if _, err := k.trySubscribe(t, "sms", "+15551234567", nil); err != nil {
		t.Fatal(err)
	}
	refused("with a phone", large(k), "not with sms")
	k = newSNSKit(t)
	k.topic(t, nil)
	for i := range 101 {
		k.subscribe(t, fmt.Sprint("q", i), nil)
	}
	refused("with 101 subscriptions", large(k), "at most 100 subscriptions")
}

// TestATopicHasTwoHundredFilterPolicies: aws-semantics §2.1 D-30.
func TestATopicHasTwoHundredFilterPolicies(t *testing.T) {
	k := newSNSKit(t)
	k.topic(t, nil)
	filter := map[string]string{"FilterPolicy": `{"a":["b"]}`}
	for i := range 200 {
		k.subscribe(t, fmt.Sprint("q", i), filter)
	}
	_, err := k.trySubscribe(t, "sqs", snsQueueARN("q200"), filter)
	if code, _ := snsCode(err); code != "FilterPolicyLimitExceeded" {
		t.Errorf("one more: %v", err)
	}
	arn := k.subscribe(t, "q200", nil)
	_, err = k.sns.SetSubscriptionAttributes(t.Context(), &sns.SetSubscriptionAttributesInput{SubscriptionArn: &arn, AttributeName: aws.String("FilterPolicy"), AttributeValue: aws.String(filter["FilterPolicy"])})
	if code, _ := snsCode(err); code != "FilterPolicyLimitExceeded" || k.attributes(t, arn)["FilterPolicy"] != "" {
		t.Errorf("one more, later: %v", err)
	}
	k.subscribe(t, "q1", filter) // it is there already
}

// TestDeliveryPolicyOfATopic is set whole, shown as given, and effective with AWS's own for the rest:
// aws-semantics §1.3 and §3, as recorded.
func TestDeliveryPolicyOfATopic(t *testing.T) {
	k := newSNSKit(t)
	k.topic(t, map[string]string{"DeliveryPolicy": `{"http":{"defaultRequestPolicy":{"headerContentType":"application/json"}}}`})
	retry := func(name, text string) (out struct {
		HTTP struct {
			Retry   map[string]any    `json:"defaultHealthyRetryPolicy"`
			Request map[string]string `json:"defaultRequestPolicy"`
		}
	},
	) {
		if text == "" {
			return out
		}
		if err := json.Unmarshal([]byte(text), &out); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		return out
	}
	for _, step := range []struct {
		set            *string
		shown          string
		retries        float64
		effectiveTypes string
	}{
		{nil, `{"http":{"disableSubscriptionOverrides":false,"defaultRequestPolicy":{"headerContentType":"application/json"}}}`, 3, "application/json"},
		{aws.String(`{"http":{"defaultHealthyRetryPolicy":{"minDelayTarget":5,"maxDelayTarget":6,"numRetries":1}}}`), `{"http":{"defaultHealthyRetryPolicy":{"minDelayTarget":5,"maxDelayTarget":6,"numRetries":1},"disableSubscriptionOverrides":false}}`, 1, "text/plain; charset=UTF-8"},
		{aws.String(`{"http":{"defaultHealthyRetryPolicy":null}}`), `{"http":{"disableSubscriptionOverrides":false}}`, 3, "text/plain; charset=UTF-8"},
		{aws.String(""), "", 3, "text/plain; charset=UTF-8"},
	} {
		if step.set != nil {
			if _, err := k.sns.SetTopicAttributes(t.Context(), &sns.SetTopicAttributesInput{TopicArn: aws.String(snsTopicARN), AttributeName: aws.String("DeliveryPolicy"), AttributeValue: step.set}); err != nil {
				t.Fatal(err)
			}
		}
		a := k.topicAttributes(t)
		got := retry("EffectiveDeliveryPolicy", a["EffectiveDeliveryPolicy"]).HTTP
		if a["DeliveryPolicy"] != step.shown || got.Retry["numRetries"] != step.retries || got.Request["headerContentType"] != step.effectiveTypes {
			t.Errorf("after %q: %q, effective %s", aws.ToString(step.set), a["DeliveryPolicy"], a["EffectiveDeliveryPolicy"])
		}
	}
	_, err := k.sns.SetTopicAttributes(t.Context(), &sns.SetTopicAttributesInput{TopicArn: aws.String(snsTopicARN), AttributeName: aws.String("DeliveryPolicy"), AttributeValue: aws.String("{")})
	if _, text := snsCode(err); !strings.HasPrefix(text, "Invalid parameter: DeliveryPolicy: failed to parse JSON") {
		t.Errorf("%v", err)
	}
}

// TestDeliveryPolicyOfASubscription is compared when it is subscribed again, and replaced whole:
// aws-semantics §1.3.
func TestDeliveryPolicyOfASubscription(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, _ := newEndpointKit(t)
		k.topic(t, nil)
		policy := map[string]string{"DeliveryPolicy": `{"healthyRetryPolicy":{"numRetries":5},"throttlePolicy":{"maxReceivesPerSecond":9}}`}
		arn, err := k.trySubscribe(t, "http", snsURL, policy)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := k.trySubscribe(t, "http", snsURL, policy); err != nil || again != arn {
			t.Errorf("the same again: %s, %v", again, err)
		}
		_, err = k.trySubscribe(t, "http", snsURL, map[string]string{"DeliveryPolicy": `{"healthyRetryPolicy":{"numRetries":6}}`})
		if _, text := snsCode(err); text != "Invalid parameter: Attributes Reason: Subscription already exists with different attributes" {
			t.Errorf("another: %v", err)
		}
		set := func(value string) {
			if _, err := k.sns.SetSubscriptionAttributes(t.Context(), &sns.SetSubscriptionAttributesInput{SubscriptionArn: &arn, AttributeName: aws.String("DeliveryPolicy"), AttributeValue: &value}); err != nil {
				t.Fatal(err)
			}
		}
		set(`{"requestPolicy":{"headerContentType":"application/json"}}`)
		a := k.attributes(t, arn)
		if !strings.HasPrefix(a["DeliveryPolicy"], `{"healthyRetryPolicy":null,"sicklyRetryPolicy":null,"throttlePolicy":null,`) || !strings.Contains(a["EffectiveDeliveryPolicy"], `"numRetries":3,`) {
			t.Errorf("attributes %v", a)
		}
		set("")
		if a := k.attributes(t, arn); a["DeliveryPolicy"] != "" || a["EffectiveDeliveryPolicy"] == "" {
			t.Errorf("attributes %v", a)
		}
	})
}
