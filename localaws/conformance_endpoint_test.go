package localaws_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sns"
)

// hook is an HTTP endpoint on this machine, subscribed to a topic.
type hook struct {
	k        *conformance
	requests chan posted
	topic    *string
	arn      string
	first    posted // the request to confirm
}

// hook subscribes a URL, which answers with a status, and waits until it is asked to confirm.
func (k *conformance) hook(status int, attributes map[string]string) *hook {
	h := &hook{k: k, requests: make(chan posted, 100), topic: k.topic(nil)}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err == nil {
			h.requests <- posted{header: r.Header.Clone(), body: string(body)}
		}
		if r.Header.Get("X-Amz-Sns-Message-Type") == "Notification" {
			w.WriteHeader(status)
		}
	}))
	k.cleanup(server.Close)
	out, err := k.sns.Subscribe(k.ctx, &sns.SubscribeInput{TopicArn: h.topic, Protocol: aws.String("http"), Endpoint: &server.URL, ReturnSubscriptionArn: true, Attributes: attributes})
	k.must(err)
	h.arn, h.first = *out.SubscriptionArn, posted{}
	h.first = h.next()
	return h
}

// next is the next request, within seconds.
func (h *hook) next() (r posted) {
	h.k.eventually("a request", func() bool {
		select {
		case r = <-h.requests:
			return true
		default:
			return false
		}
	})
	return r
}

func (h *hook) fields(r posted) map[string]string {
	var all map[string]any
	h.k.must(json.Unmarshal([]byte(r.body), &all))
	texts := map[string]string{}
	for name, value := range all {
		if text, ok := value.(string); ok {
			texts[name] = text
		}
	}
	return texts
}

// confirm confirms with the token that was sent, for a topic.
func (h *hook) confirm(topic string) error {
	_, err := h.k.sns.ConfirmSubscription(h.k.ctx, &sns.ConfirmSubscriptionInput{TopicArn: &topic, Token: aws.String(h.fields(h.first)["Token"])})
	return err
}

// get opens a URL without credentials.
func (k *conformance) get(url string) {
	r, err := http.NewRequestWithContext(k.ctx, http.MethodGet, url, nil)
	k.must(err)
	response, err := http.DefaultClient.Do(r)
	k.must(err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	k.must(err)
	if response.StatusCode != http.StatusOK {
		k.fail("%s answers %d %s", url, response.StatusCode, body)
	}
}

// endpointFacts are about HTTP subscriptions.
var endpointFacts = []fact{
	{"§1.7", "a URL's subscription is pending, and Subscribe says so in place of its ARN", func(k *conformance) {
		h := k.hook(200, nil)
		k.same("PendingConfirmation", k.subscription(h.arn)["PendingConfirmation"], "true")
		out, err := k.sns.Subscribe(k.ctx, &sns.SubscribeInput{TopicArn: h.topic, Protocol: aws.String("http"), Endpoint: aws.String(k.subscription(h.arn)["Endpoint"] + "/other")})
		k.must(err)
		k.same("ARN", *out.SubscriptionArn, "pending confirmation")
	}},
	{"§1.7", "a pending subscription takes attributes", func(k *conformance) {
		h := k.hook(200, nil)
		k.must(k.setSubscription(h.arn, "RawMessageDelivery", aws.String("true")))
		k.same("RawMessageDelivery", k.subscription(h.arn)["RawMessageDelivery"], "true")
	}},
	{"§1.7", "a pending subscription cannot be ended", func(k *conformance) {
		h := k.hook(200, nil)
		_, err := k.sns.Unsubscribe(k.ctx, &sns.UnsubscribeInput{SubscriptionArn: &h.arn})
		k.refused(err, codeParameter, "pending confirmation")
	}},
	{"§1.7", "the token alone decides what is confirmed, and twice is once", func(k *conformance) {
		h := k.hook(200, nil)
		k.must(h.confirm(*h.topic + "-other"))
		k.must(h.confirm(*h.topic))
		k.same("PendingConfirmation", k.subscription(h.arn)["PendingConfirmation"], "false")
	}},
	{"§1.7", "a token confirms nothing in another region", func(k *conformance) {
		h := k.hook(200, nil)
		k.refused(h.confirm(strings.Replace(*h.topic, "us-east-1", "eu-west-1", 1)), codeParameter, "Topic")
	}},
	{"§1.7", "an unknown token is refused", func(k *conformance) {
		_, err := k.sns.ConfirmSubscription(k.ctx, &sns.ConfirmSubscriptionInput{TopicArn: k.topic(nil), Token: aws.String(strings.Repeat("51b2", 72))})
		k.refused(err, codeParameter, "Invalid parameter: Token")
	}},
	{"§3", "a URL is asked to confirm with AWS's headers", func(k *conformance) {
		h := k.hook(200, nil)
		header, m := h.first.header, h.fields(h.first)
		k.same("type", header.Get("X-Amz-Sns-Message-Type"), "SubscriptionConfirmation")
		k.same("message id", header.Get("X-Amz-Sns-Message-Id"), m["MessageId"])
		k.same("topic", header.Get("X-Amz-Sns-Topic-Arn"), *h.topic)
		k.same("subscription", header.Get("X-Amz-Sns-Subscription-Arn"), "")
		k.same("content type", header.Get("Content-Type"), "text/plain; charset=UTF-8")
		k.same("agent", header.Get("User-Agent"), "Amazon Simple Notification Service Agent")
		k.same("length of the token", len(m["Token"]), 288)
	}},
	{"§3", "SubscribeURL and UnsubscribeURL need no credentials, and the end can be undone", func(k *conformance) {
		h := k.hook(200, nil)
		k.get(h.fields(h.first)["SubscribeURL"])
		k.publish(&sns.PublishInput{TopicArn: h.topic, Message: aws.String("hello")})
		k.get(h.fields(h.next())["UnsubscribeURL"])
		last := h.next()
		k.same("type", last.header.Get("X-Amz-Sns-Message-Type"), "UnsubscribeConfirmation")
		k.get(h.fields(last)["SubscribeURL"])
		k.same("PendingConfirmation", k.subscription(h.arn)["PendingConfirmation"], "false")
	}},
	{"§3", "a notification has AWS's headers", func(k *conformance) {
		h := k.hook(200, nil)
		k.must(h.confirm(*h.topic))
		out := k.publish(&sns.PublishInput{TopicArn: h.topic, Message: aws.String("hello")})
		got := h.next()
		k.same("type", got.header.Get("X-Amz-Sns-Message-Type"), "Notification")
		k.same("message id", got.header.Get("X-Amz-Sns-Message-Id"), *out.MessageId)
		k.same("subscription", got.header.Get("X-Amz-Sns-Subscription-Arn"), h.arn)
		k.same("raw", got.header.Get("X-Amz-Sns-Rawdelivery"), "")
		k.same("content type", got.header.Get("Content-Type"), "text/plain; charset=UTF-8")
		k.same("message", h.fields(got)["Message"], "hello")
	}},
	{"§3", "a raw notification is the message and nothing else", func(k *conformance) {
		h := k.hook(200, map[string]string{"RawMessageDelivery": "true", "DeliveryPolicy": `{"requestPolicy":{"headerContentType":"text/csv"}}`})
		k.must(h.confirm(*h.topic))
		k.publish(&sns.PublishInput{TopicArn: h.topic, Message: aws.String("a,b")})
		got := h.next()
		k.same("raw", got.header.Get("X-Amz-Sns-Rawdelivery"), "true")
		k.same("content type", got.header.Get("Content-Type"), "text/csv")
		k.same("body", got.body, "a,b")
	}},
	{"§3", "what the endpoint fails to take is tried again", func(k *conformance) {
		h := k.hook(500, map[string]string{"DeliveryPolicy": `{"healthyRetryPolicy":{"numRetries":1,"numNoDelayRetries":1}}`})
		k.must(h.confirm(*h.topic))
		k.publish(&sns.PublishInput{TopicArn: h.topic, Message: aws.String("hello")})
		k.same("body", h.next().body, h.next().body)
	}},
	{"§3", "what the endpoint never takes goes to the dead-letter queue", func(k *conformance) {
		dlq := k.queue("-dlq", nil)
		h := k.hook(500, map[string]string{"DeliveryPolicy": `{"healthyRetryPolicy":{"numRetries":0}}`, "RedrivePolicy": `{"deadLetterTargetArn":"` + k.arn(dlq) + `"}`})
		k.allow(dlq, *h.topic)
		k.must(h.confirm(*h.topic))
		k.publish(&sns.PublishInput{TopicArn: h.topic, Message: aws.String("hello")})
		k.same("body", *k.one(dlq, 30).Body, h.next().body)
	}},
	{"§3", "an effective delivery policy is complete", func(k *conformance) {
		h := k.hook(200, map[string]string{"RawMessageDelivery": "true", "DeliveryPolicy": `{"requestPolicy":{"headerContentType":"text/csv"}}`})
		var policy map[string]any
		k.must(json.Unmarshal([]byte(k.subscription(h.arn)["EffectiveDeliveryPolicy"]), &policy))
		retry, _ := policy["healthyRetryPolicy"].(map[string]any)
		k.same("numRetries", retry["numRetries"], 3.0)
		k.same("backoffFunction", retry["backoffFunction"], "linear")
		k.same("throttlePolicy", policy["throttlePolicy"], nil)
		k.same("guaranteed", policy["guaranteed"], false)
	}},
}
