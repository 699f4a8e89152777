package topology_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stationmaster/worker/localaws"
	"github.com/stationmaster/worker/topology"
)

// endpoint answers for every HTTP endpoint, and confirms subscriptions through the API when it is ready.
type endpoint struct {
	server *localaws.Server
	deaf   atomic.Bool
	asked  atomic.Int32
	// confirm is how a server is told that is not the embedded one.
	confirm func(ctx context.Context, topic, token string) (string, error)
}

func (e *endpoint) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	var m struct{ Type, TopicArn, Token string }
	if json.Unmarshal(body, &m) == nil && m.Type == "SubscriptionConfirmation" {
		e.asked.Add(1)
		if !e.deaf.Load() && e.confirm != nil {
			if _, err := e.confirm(r.Context(), m.TopicArn, m.Token); err != nil {
				return nil, err
			}
		} else if !e.deaf.Load() {
			form := url.Values{"Action": {"ConfirmSubscription"}, "Version": {"2010-03-31"}, "TopicArn": {m.TopicArn}, "Token": {m.Token}}
			confirm, err := http.NewRequestWithContext(r.Context(), http.MethodPost, "http://localaws.test/", strings.NewReader(form.Encode()))
			if err != nil {
				return nil, err
			}
			confirm.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			confirm.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=AKID/20260131/us-east-1/sns/aws4_request, SignedHeaders=host, Signature=0")
			answer, err := e.server.Transport().RoundTrip(confirm)
			if err != nil {
				return nil, err
			}
			answer.Body.Close()
		}
	}
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(&bytes.Reader{}), Request: r}, nil
}

// newWebKit is newKit with an endpoint that SNS can post to.
func newWebKit(t *testing.T) (*kit, *endpoint) {
	t.Helper()
	e := &endpoint{}
	k := &kit{server: localaws.New(localaws.Options{Deliver: e}), began: time.Now()}
	e.server = k.server
	t.Cleanup(func() {
		if err := k.server.Close(); err != nil {
			t.Error(err)
		}
	})
	k.connect(t)
	if other != nil {
		e.confirm = k.ConfirmSubscription
		server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			if _, err := e.RoundTrip(r); err != nil {
				t.Error(err)
			}
		}))
		was := [...]string{hook, someone, protocol}
		hook, someone, protocol = server.URL+"/audit", server.URL+"/x", "http"
		t.Cleanup(func() {
			hook, someone, protocol = was[0], was[1], was[2]
			server.Close()
		})
	}
	return k, e
}

// On the server of somebody else these are on this machine.
var hook, someone, protocol = "https://hooks.example.com/audit", "http://example.com/x", "https"

const (
	function = "arn:aws:lambda:us-east-1:000000000000:function:audit"
	stream   = "arn:aws:firehose:us-east-1:000000000000:deliverystream/all"
	logRole  = "arn:aws:iam::000000000000:role/sns"
)

// everything has each protocol, FIFO, encryption, tags and an owner.
func everything() topology.Topology {
	dlq := func(name string) string { return "news-" + name + "-delivery-dlq" }
	return topology.Topology{
		Topics: []topology.Topic{
			{Name: "news", Attributes: map[string]string{"SignatureVersion": "2", "SQSFailureFeedbackRoleArn": logRole}, Tags: map[string]string{"team": "mail"}},
			{Name: "orders.fifo", Attributes: map[string]string{"ContentBasedDeduplication": "true"}},
		},
		Queues: []topology.Queue{
			{
				Name: "email", DLQ: "email-dlq", MaxReceiveCount: 15, Visibility: time.Minute, Tags: map[string]string{"team": "mail"},
				Attributes: map[string]string{"KmsMasterKeyId": "alias/mail", "DelaySeconds": "5", "MaximumMessageSize": "65536"},
			},
			{
				Name: "ship.fifo", DLQ: "ship-dlq.fifo", MaxReceiveCount: 5,
				Attributes: map[string]string{"DeduplicationScope": "messageGroup", "FifoThroughputLimit": "perMessageGroupId"},
			},
		},
		Subscriptions: []topology.Subscription{
			{Topic: "news", Queue: "email", Raw: true, Filter: `{"event":["user_invited"]}`, FilterOn: "body", DLQ: dlq("email")},
			{Topic: "orders.fifo", Queue: "ship.fifo", DLQ: "orders-ship-delivery-dlq.fifo"},
			{
				Topic: "news", Protocol: protocol, Endpoint: hook, Served: true, DLQ: dlq("audit"),
				Delivery: `{"healthyRetryPolicy":{"numRetries":10,"minDelayTarget":1,"maxDelayTarget":60,"backoffFunction":"exponential"}}`,
			},
			{Topic: "news", Protocol: "http", Endpoint: someone, DLQ: dlq("example")},
			{Topic: "news", Protocol: "lambda", Endpoint: function, DLQ: dlq("function")},
			{Topic: "news", Protocol: "firehose", Endpoint: stream, Role: logRole, Raw: true, DLQ: dlq("stream")},
			{Topic: "news", Protocol: "email", Endpoint: "ops@example.com", DLQ: dlq("mail")},
			{Topic: "news", Protocol: "sms", Endpoint: "+4930123456", Filter: `{"urgent":["yes"]}`, FilterOn: "attributes", DLQ: dlq("sms")},
			{Topic: "news", Protocol: "application", Endpoint: "arn:aws:sns:us-east-1:000000000000:endpoint/GCM/app/0f"},
		},
		Owner: "mail-team", Confirm: confirmWithin(),
	}
}

// everythingQueues are the queues that everything makes.
func everythingQueues() []string {
	names := []string{"email", "email-dlq", "ship.fifo", "ship-dlq.fifo", "orders-ship-delivery-dlq.fifo"}
	for _, s := range everything().Subscriptions {
		if s.Topic == "news" && s.DLQ != "" {
			names = append(names, s.DLQ)
		}
	}
	return names
}

// everythingState is all of it as it is in the account.
func (k *kit) everythingState(t *testing.T) map[string]map[string]string {
	t.Helper()
	all := k.state(t, everythingQueues(), "news", "orders.fifo")
	for _, name := range everythingQueues() {
		tags, err := k.QueueTags(t.Context(), k.url(t, name))
		if err != nil {
			t.Fatal(err)
		}
		all["tags of queue "+name] = tags
	}
	for _, name := range []string{"news", "orders.fifo"} {
		tags, err := k.TopicTags(t.Context(), account.TopicARN(name))
		if err != nil {
			t.Fatal(err)
		}
		all["tags of topic "+name] = tags
	}
	return all
}
