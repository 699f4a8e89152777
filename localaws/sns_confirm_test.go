package localaws_test

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/google/go-cmp/cmp"
)

func (k *snsKit) topicAttributes(t *testing.T) map[string]string {
	t.Helper()
	out, err := k.sns.GetTopicAttributes(t.Context(), &sns.GetTopicAttributesInput{TopicArn: aws.String(snsTopicARN)})
	if err != nil {
		t.Fatal(err)
	}
	return out.Attributes
}

// TestAPendingSubscription: aws-semantics §1.7. It is counted, can be changed, gets nothing, cannot be
// ended, and is gone after a while.
func TestAPendingSubscription(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, e := newEndpointKit(t)
		k.topic(t, nil)
		in := &sns.SubscribeInput{TopicArn: aws.String(snsTopicARN), Protocol: aws.String("http"), Endpoint: aws.String(snsURL)}
		out, err := k.sns.Subscribe(t.Context(), in)
		if err != nil || *out.SubscriptionArn != "pending confirmation" {
			t.Errorf("%v, %v", out, err)
		}
		first := await(t, e).fields(t)["Token"]
		in.ReturnSubscriptionArn = true
		out, err = k.sns.Subscribe(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		arn := *out.SubscriptionArn
		// Subscribed again it is asked again, with another token.
		if again := await(t, e).fields(t)["Token"]; again == first {
			t.Error("the same token twice")
		}
		if a := k.topicAttributes(t); a["SubscriptionsPending"] != "1" || a["SubscriptionsConfirmed"] != "0" {
			t.Errorf("topic %v", a)
		}
		list, err := k.sns.ListSubscriptionsByTopic(t.Context(), &sns.ListSubscriptionsByTopicInput{TopicArn: aws.String(snsTopicARN)})
		if err != nil || len(list.Subscriptions) != 1 || *list.Subscriptions[0].SubscriptionArn != "PendingConfirmation" || *list.Subscriptions[0].Protocol != "http" {
			t.Errorf("list %+v, %v", list, err)
		}
		for name, value := range map[string]string{"RawMessageDelivery": "true", "RedrivePolicy": `{"deadLetterTargetArn":"` + snsQueueARN("dlq") + `"}`, "DeliveryPolicy": `{"healthyRetryPolicy":{"numRetries":0}}`} {
			if _, err := k.sns.SetSubscriptionAttributes(t.Context(), &sns.SetSubscriptionAttributesInput{SubscriptionArn: &arn, AttributeName: &name, AttributeValue: &value}); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		a := k.attributes(t, arn)
		if a["PendingConfirmation"] != "true" || a["ConfirmationWasAuthenticated"] != "false" || a["RawMessageDelivery"] != "true" || a["RedrivePolicy"] == "" || !strings.Contains(a["EffectiveDeliveryPolicy"], `"numRetries":0`) {
			t.Errorf("attributes %v", a)
		}
		_, err = k.sns.Unsubscribe(t.Context(), &sns.UnsubscribeInput{SubscriptionArn: &arn})
		if code, text := snsCode(err); code != "InvalidParameter" || text != "Invalid parameter: SubscriptionArn Reason: Cannot unsubscribe a subscription that is pending confirmation" {
			t.Errorf("unsubscribe: %v", err)
		}
		k.publish(t, &sns.PublishInput{Message: aws.String("m")})
		synctest.Wait()
		if n, lost := len(e.taken()), k.dropped(); n+len(lost) != 0 {
			t.Errorf("it got %d messages and lost %v", n, lost)
		}
		<-time.After(48 * time.Hour)
		_, err = k.sns.ConfirmSubscription(t.Context(), &sns.ConfirmSubscriptionInput{TopicArn: aws.String(snsTopicARN), Token: &first})
		if _, text := snsCode(err); text != "Invalid parameter: Token" {
			t.Errorf("after two days: %v", err)
		}
		<-time.After(24 * time.Hour)
		list, err = k.sns.ListSubscriptionsByTopic(t.Context(), &sns.ListSubscriptionsByTopicInput{TopicArn: aws.String(snsTopicARN)})
		if a := k.topicAttributes(t); err != nil || len(list.Subscriptions) != 0 || a["SubscriptionsPending"] != "0" || a["SubscriptionsDeleted"] != "0" {
			t.Errorf("after three days: %+v, %v, %v", list, err, a)
		}
	})
}

// TestTheTokenAloneDecidesWhatIsConfirmed: aws-semantics §1.7, as recorded.
func TestTheTokenAloneDecidesWhatIsConfirmed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, e := newEndpointKit(t)
		k.topic(t, nil)
		arn, err := k.trySubscribe(t, "http", snsURL, nil)
		if err != nil {
			t.Fatal(err)
		}
		m := await(t, e).fields(t)
		confirm := func(topic, token string) (string, string) {
			status, body := k.get(t, "http://localaws.test/?Action=ConfirmSubscription&TopicArn="+topic+"&Token="+token)
			if status == http.StatusOK {
				return between(body, "<SubscriptionArn>", "</SubscriptionArn>"), ""
			}
			if !strings.Contains(body, "<Code>InvalidParameter</Code>") {
				t.Errorf("%d %s", status, body)
			}
			return "", between(body, "<Message>", "</Message>")
		}
		for _, tt := range []struct{ topic, token, says string }{
			{"not-an-arn", m["Token"], "Invalid parameter: Topic"},
			{strings.Replace(snsTopicARN, "us-east-1", "eu-central-1", 1), m["Token"], "Invalid parameter: Topic"},
			{snsTopicARN, "abc123", "Invalid parameter: Token"},
			{snsTopicARN, strings.Repeat("0", 288), "Invalid parameter: Token"},
			{snsTopicARN, "randomtoken", "Invalid token"},
			{snsTopicARN, "", "Invalid token"},
		} {
			if got, says := confirm(tt.topic, tt.token); says != tt.says {
				t.Errorf("%s with %s: %s %s, want %s", tt.topic, tt.token, got, says, tt.says)
			}
		}
		if a := k.attributes(t, arn); a["PendingConfirmation"] != "true" {
			t.Errorf("attributes %v", a)
		}
		for _, topic := range []string{snsTopicARN + "x", snsTopicARN, snsTopicARN} { // wrong, right, and again
			if got, says := confirm(topic, m["Token"]); got != arn {
				t.Errorf("%s: %s %s", topic, got, says)
			}
		}
		if a := k.attributes(t, arn); a["PendingConfirmation"] != "false" || a["ConfirmationWasAuthenticated"] != "false" {
			t.Errorf("attributes %v", a)
		}
		if a := k.topicAttributes(t); a["SubscriptionsPending"] != "0" || a["SubscriptionsConfirmed"] != "1" {
			t.Errorf("topic %v", a)
		}
	})
}

func between(text, from, to string) string {
	_, text, _ = strings.Cut(text, from)
	text, _, _ = strings.Cut(text, to)
	return text
}

// TestTheSubscribeURLConfirmsWithoutCredentials, and the UnsubscribeURL ends without; the endpoint is
// told, and can undo it: aws-semantics §1.7 and §3.
func TestTheSubscribeURLConfirmsWithoutCredentials(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, e := newEndpointKit(t)
		k.topic(t, nil)
		arn, err := k.trySubscribe(t, "http", snsURL, nil)
		if err != nil {
			t.Fatal(err)
		}
		status, body := k.get(t, await(t, e).fields(t)["SubscribeURL"])
		want := `<ConfirmSubscriptionResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><ConfirmSubscriptionResult><SubscriptionArn>` + arn + `</SubscriptionArn></ConfirmSubscriptionResult><ResponseMetadata>`
		if status != http.StatusOK || !strings.HasPrefix(body, want) {
			t.Errorf("%d %s", status, body)
		}
		k.publish(t, &sns.PublishInput{Message: aws.String("m")})
		status, body = k.get(t, await(t, e).fields(t)["UnsubscribeURL"])
		if status != http.StatusOK || !strings.HasPrefix(body, `<UnsubscribeResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><ResponseMetadata>`) {
			t.Errorf("%d %s", status, body)
		}
		final := await(t, e)
		m := final.fields(t)
		if diff := cmp.Diff(headers("UnsubscribeConfirmation", m["MessageId"], "X-Amz-Sns-Subscription-Arn", arn), final.header); diff != "" {
			t.Error(diff)
		}
		if m["Message"] != "You have chosen to deactivate subscription "+arn+".\nTo cancel this operation and restore the subscription, visit the SubscribeURL included in this message." {
			t.Errorf("message %s", m["Message"])
		}
		k.verify(t, final.body)
		k.publish(t, &sns.PublishInput{Message: aws.String("m")})
		synctest.Wait()
		if n, a := len(e.taken()), k.topicAttributes(t); n != 0 || a["SubscriptionsDeleted"] != "1" || a["SubscriptionsConfirmed"] != "0" {
			t.Errorf("%d messages after the end; topic %v", n, a)
		}
		if status, body := k.get(t, m["SubscribeURL"]); status != http.StatusOK || !strings.Contains(body, arn) {
			t.Errorf("restore: %d %s", status, body)
		}
		k.publish(t, &sns.PublishInput{Message: aws.String("m")})
		if got := await(t, e); !strings.Contains(got.body, "Notification") || k.topicAttributes(t)["SubscriptionsDeleted"] != "0" {
			t.Errorf("after it was restored: %s", got.body)
		}
	})
}

// TestAuthenticateOnUnsubscribeNeedsASignedConfirmation: aws-semantics §1.7 and §3.
func TestAuthenticateOnUnsubscribeNeedsASignedConfirmation(t *testing.T) {
	for _, signed := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			k, e := newEndpointKit(t)
			k.topic(t, nil)
			arn, err := k.trySubscribe(t, "http", snsURL, nil)
			if err != nil {
				t.Fatal(err)
			}
			m := await(t, e).fields(t)
			if signed {
				_, err = k.sns.ConfirmSubscription(t.Context(), &sns.ConfirmSubscriptionInput{TopicArn: aws.String(snsTopicARN), Token: aws.String(m["Token"]), AuthenticateOnUnsubscribe: aws.String("true")})
				if err != nil {
					t.Fatal(err)
				}
			} else {
				k.get(t, m["SubscribeURL"]+"&AuthenticateOnUnsubscribe=true")
			}
			if a := k.attributes(t, arn); a["PendingConfirmation"] != "false" || (a["ConfirmationWasAuthenticated"] == "true") != signed {
				t.Errorf("attributes %v", a)
			}
			status, body := k.get(t, "http://localaws.test/?Action=Unsubscribe&SubscriptionArn="+arn)
			if signed != (status == http.StatusForbidden && strings.Contains(body, "<Code>AuthorizationError</Code>")) {
				t.Errorf("signed %t: %d %s", signed, status, body)
			}
			if !signed {
				return
			}
			if _, err := k.sns.Unsubscribe(t.Context(), &sns.UnsubscribeInput{SubscriptionArn: &arn}); err != nil {
				t.Error(err)
			}
			synctest.Wait()
			if got := e.taken(); len(got) != 0 {
				t.Errorf("the owner ends it, and the endpoint is told: %+v", got)
			}
		})
	}
}

// TestOnlyTheURLsOfMessagesNeedNoCredentials: everything else does.
func TestOnlyTheURLsOfMessagesNeedNoCredentials(t *testing.T) {
	k := newSNSKit(t)
	k.topic(t, nil)
	for _, path := range []string{"?Action=Publish&Version=2010-03-31&Message=m&TopicArn=" + snsTopicARN, "?Action=DeleteTopic&TopicArn=" + snsTopicARN, "SimpleNotificationService-0.pem"} {
		if status, body := k.get(t, "http://localaws.test/"+path); status != http.StatusForbidden || !strings.Contains(body, "MissingAuthenticationToken") {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
}

// TestUnconfirmedPostsAreTriedAgainAndThenGivenUp: a confirmation that nobody takes is in no
// dead-letter queue; aws-semantics §3.
func TestUnconfirmedPostsAreTriedAgainAndThenGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, e := newEndpointKit(t)
		k.topic(t, nil)
		dlq := k.open(t, "dlq")
		e.always(http.StatusServiceUnavailable)
		if _, err := k.trySubscribe(t, "http", snsURL, map[string]string{"RedrivePolicy": `{"deadLetterTargetArn":"` + snsQueueARN("dlq") + `"}`}); err != nil {
			t.Fatal(err)
		}
		<-time.After(time.Hour)
		if n, letters := len(e.taken()), k.receive(t, dlq); n != 4 || len(letters) != 0 {
			t.Errorf("%d attempts, dead letters %+v", n, letters)
		}
		if lost := k.dropped(); len(lost) != 1 || lost[0].Reason != "SubscriptionConfirmation: the endpoint answered 503, attempt 4 of 4" {
			t.Errorf("lost %+v", lost)
		}
	})
}

// TestAnUnsubscribeConfirmationThatFailsIsInNoDeadLetterQueue: aws-semantics §3.
func TestAnUnsubscribeConfirmationThatFailsIsInNoDeadLetterQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, e := newEndpointKit(t)
		k.topic(t, nil)
		dlq := k.open(t, "dlq")
		arn := k.confirmed(t, e, snsURL, map[string]string{"RedrivePolicy": `{"deadLetterTargetArn":"` + snsQueueARN("dlq") + `"}`})
		e.always(http.StatusServiceUnavailable)
		k.get(t, "http://localaws.test/?Action=Unsubscribe&SubscriptionArn="+arn)
		<-time.After(time.Hour)
		got := e.taken()
		if letters := k.receive(t, dlq); len(got) == 0 || got[0].header.Get("X-Amz-Sns-Message-Type") != "UnsubscribeConfirmation" || len(letters) != 0 {
			t.Errorf("%d posts, dead letters %+v", len(got), letters)
		}
	})
}

// TestATokenIsGoodForTwoDays: aws-semantics §1.8.
func TestATokenIsGoodForTwoDays(t *testing.T) {
	for after, says := range map[time.Duration]string{48*time.Hour - time.Second: "", 48 * time.Hour: "Invalid parameter: Token"} {
		synctest.Test(t, func(t *testing.T) {
			k, e := newEndpointKit(t)
			k.topic(t, nil)
			if _, err := k.trySubscribe(t, "http", snsURL, nil); err != nil {
				t.Fatal(err)
			}
			token := await(t, e).fields(t)["Token"]
			<-time.After(after)
			_, err := k.sns.ConfirmSubscription(t.Context(), &sns.ConfirmSubscriptionInput{TopicArn: aws.String(snsTopicARN), Token: &token})
			if _, text := snsCode(err); text != says || (err == nil) != (says == "") {
				t.Errorf("after %v: %v", after, err)
			}
		})
	}
}
