package localaws_test

import (
	"encoding/json"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sns"
)

func (h *hook) topicAttributes() map[string]string {
	out, err := h.k.sns.GetTopicAttributes(h.k.ctx, &sns.GetTopicAttributesInput{TopicArn: h.topic})
	h.k.must(err)
	return out.Attributes
}

// has wants fields in a body, or wants them not to be there.
func (h *hook) has(r posted, want bool, names ...string) {
	fields := h.fields(r)
	for _, name := range names {
		_, there := fields[name]
		h.k.same(name+" is there", there, want)
	}
}

// pendingFacts are about subscriptions before they are confirmed, and what is posted to them.
var pendingFacts = []fact{
	{"§1.7", "a pending subscription keeps the attributes that it is given", func(k *conformance) {
		h := k.hook(200, nil)
		policy := `{"deadLetterTargetArn":"` + k.arn(k.queue("", nil)) + `"}`
		k.must(k.setSubscription(h.arn, "RedrivePolicy", &policy))
		k.must(k.setSubscription(h.arn, "DeliveryPolicy", aws.String(`{"requestPolicy":{"headerContentType":"application/json"}}`)))
		got := k.subscription(h.arn)
		k.same("PendingConfirmation", got["PendingConfirmation"], "true")
		k.same("RedrivePolicy", got["RedrivePolicy"], policy)
		k.same("the DeliveryPolicy is there", strings.Contains(got["DeliveryPolicy"], "application/json"), true)
	}},
	{"§1.7", "a pending subscription is counted", func(k *conformance) {
		k.same("SubscriptionsPending", k.hook(200, nil).topicAttributes()["SubscriptionsPending"], "1")
	}},
	{"§2.1", "a pending subscription is listed without its ARN", func(k *conformance) {
		out, err := k.sns.ListSubscriptionsByTopic(k.ctx, &sns.ListSubscriptionsByTopicInput{TopicArn: k.hook(200, nil).topic})
		k.must(err)
		k.same("subscriptions", len(out.Subscriptions), 1)
		k.same("SubscriptionArn", *out.Subscriptions[0].SubscriptionArn, "PendingConfirmation")
	}},
	{"§1.7", "a pending subscription gets no messages", func(k *conformance) {
		h := k.hook(200, nil)
		k.publish(&sns.PublishInput{TopicArn: h.topic, Message: aws.String("early")})
		k.must(h.confirm(*h.topic))
		k.publish(&sns.PublishInput{TopicArn: h.topic, Message: aws.String("late")})
		k.same("Message", h.fields(h.next())["Message"], "late")
	}},
	{"§1.7", "what is confirmed is the token's subscription", func(k *conformance) {
		h := k.hook(200, nil)
		out, err := k.sns.ConfirmSubscription(k.ctx, &sns.ConfirmSubscriptionInput{
			TopicArn: aws.String(*h.topic + "-other"), Token: aws.String(h.fields(h.first)["Token"]),
		})
		k.must(err)
		k.same("SubscriptionArn", *out.SubscriptionArn, h.arn)
	}},
	{"§1.7", "a topic that is no ARN is none to confirm", func(k *conformance) {
		k.refused(k.hook(200, nil).confirm("not-an-arn"), codeParameter, "Invalid parameter: Topic")
	}},
	{"§1.3", "a subscription can be confirmed again", func(k *conformance) {
		h := k.hook(200, nil)
		for range 2 {
			k.must(h.confirm(*h.topic))
		}
	}},
	{"§1.3", "a subscription's DeliveryPolicy is replaced whole", func(k *conformance) {
		h := k.hook(200, map[string]string{"DeliveryPolicy": `{"healthyRetryPolicy":{"numRetries":5}}`})
		k.must(k.setSubscription(h.arn, "DeliveryPolicy", aws.String(`{"requestPolicy":{"headerContentType":"application/json"}}`)))
		k.same("numRetries is there", strings.Contains(k.subscription(h.arn)["DeliveryPolicy"], `"numRetries":5`), false)
	}},
	{"§3", "what asks to confirm has a token and a SubscribeURL", func(k *conformance) {
		h := k.hook(200, nil)
		k.same("Type", h.fields(h.first)["Type"], "SubscriptionConfirmation")
		h.has(h.first, true, "MessageId", "Token", "TopicArn", "Message", "SubscribeURL", "Timestamp", "SignatureVersion", "Signature", "SigningCertURL")
		h.has(h.first, false, "Subject", "UnsubscribeURL")
	}},
	{"§3", "a notification has an UnsubscribeURL and no token", func(k *conformance) {
		h := k.hook(200, nil)
		k.must(h.confirm(*h.topic))
		k.publish(&sns.PublishInput{TopicArn: h.topic, Message: aws.String("hello"), Subject: aws.String("greeting")})
		got := h.next()
		h.has(got, true, "MessageId", "TopicArn", "Message", "Subject", "Timestamp", "SignatureVersion", "Signature", "SigningCertURL", "UnsubscribeURL")
		h.has(got, false, "Token", "SubscribeURL")
	}},
	{"§3", "an UnsubscribeConfirmation has a token and a SubscribeURL", func(k *conformance) {
		h := k.hook(200, nil)
		k.must(h.confirm(*h.topic))
		k.publish(&sns.PublishInput{TopicArn: h.topic, Message: aws.String("hello")})
		k.get(h.fields(h.next())["UnsubscribeURL"])
		got := h.next()
		k.same("Type", h.fields(got)["Type"], "UnsubscribeConfirmation")
		h.has(got, true, "Token", "SubscribeURL")
	}},
	{"§3", "a topic's EffectiveDeliveryPolicy is AWS's own: three retries, 20 s apart", func(k *conformance) {
		var policy struct {
			HTTP struct {
				Retry struct {
					MinDelayTarget, MaxDelayTarget, NumRetries, NumNoDelayRetries, NumMinDelayRetries, NumMaxDelayRetries int
					BackoffFunction                                                                                       string
				} `json:"defaultHealthyRetryPolicy"`
			}
		}
		k.must(json.Unmarshal([]byte(k.hook(200, nil).topicAttributes()["EffectiveDeliveryPolicy"]), &policy))
		r := policy.HTTP.Retry
		k.same("minDelayTarget", r.MinDelayTarget, 20)
		k.same("maxDelayTarget", r.MaxDelayTarget, 20)
		k.same("numRetries", r.NumRetries, 3)
		k.same("other phases", r.NumNoDelayRetries+r.NumMinDelayRetries+r.NumMaxDelayRetries, 0)
		k.same("backoffFunction", r.BackoffFunction, "linear")
	}},
}
