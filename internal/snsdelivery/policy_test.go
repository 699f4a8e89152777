package snsdelivery_test

import (
	"testing"

	"github.com/stationmaster/worker/internal/snsdelivery"
)

const (
	standardRetry = `{"minDelayTarget":20,"maxDelayTarget":20,"numRetries":3,"numMaxDelayRetries":0,"numNoDelayRetries":0,"numMinDelayRetries":0,"backoffFunction":"linear"}`
	standardTopic = `{"http":{"defaultHealthyRetryPolicy":` + standardRetry + `,"disableSubscriptionOverrides":false,"defaultRequestPolicy":{"headerContentType":"text/plain; charset=UTF-8"}}}`
)

// TestTopicPolicyReadsBackAsGivenAndEffectiveReadsBackComplete has the recordings of
// aws-semantics §1.3 and §3.
func TestTopicPolicyReadsBackAsGivenAndEffectiveReadsBackComplete(t *testing.T) {
	for _, tt := range []struct{ given, shown, effective string }{
		{
			`{"http":{"defaultRequestPolicy":{"headerContentType":"application/json"}}}`,
			`{"http":{"disableSubscriptionOverrides":false,"defaultRequestPolicy":{"headerContentType":"application/json"}}}`,
			`{"http":{"defaultHealthyRetryPolicy":` + standardRetry + `,"disableSubscriptionOverrides":false,"defaultRequestPolicy":{"headerContentType":"application/json"}}}`,
		},
		{
			`{"http":{"defaultHealthyRetryPolicy":{"minDelayTarget":5,"maxDelayTarget":6,"numRetries":1}}}`,
			`{"http":{"defaultHealthyRetryPolicy":{"minDelayTarget":5,"maxDelayTarget":6,"numRetries":1},"disableSubscriptionOverrides":false}}`,
			`{"http":{"defaultHealthyRetryPolicy":{"minDelayTarget":5,"maxDelayTarget":6,"numRetries":1,"numMaxDelayRetries":0,"numNoDelayRetries":0,"numMinDelayRetries":0,"backoffFunction":"linear"},"disableSubscriptionOverrides":false,"defaultRequestPolicy":{"headerContentType":"text/plain; charset=UTF-8"}}}`,
		},
		{`{"http":{"defaultHealthyRetryPolicy":null}}`, `{"http":{"disableSubscriptionOverrides":false}}`, standardTopic},
		{`{}`, `{"http":{"disableSubscriptionOverrides":false}}`, standardTopic},
		{
			`{"http":{"disableSubscriptionOverrides":true,"defaultThrottlePolicy":{"maxReceivesPerSecond":7}}}`,
			`{"http":{"disableSubscriptionOverrides":true,"defaultThrottlePolicy":{"maxReceivesPerSecond":7}}}`,
			`{"http":{"defaultHealthyRetryPolicy":` + standardRetry + `,"disableSubscriptionOverrides":true,"defaultThrottlePolicy":{"maxReceivesPerSecond":7},"defaultRequestPolicy":{"headerContentType":"text/plain; charset=UTF-8"}}}`,
		},
	} {
		p, err := snsdelivery.ParseTopic(tt.given)
		if err != nil {
			t.Fatalf("%s: %v", tt.given, err)
		}
		if p.String() != tt.shown || p.Effective() != tt.effective {
			t.Errorf("%s\nshown     %s\nwant      %s\neffective %s\nwant      %s", tt.given, p, tt.shown, p.Effective(), tt.effective)
		}
	}
	var none *snsdelivery.Topic
	if got := none.Effective(); got != standardTopic {
		t.Errorf("without a policy: %s", got)
	}
}

// aws-semantics §3 and §1.3.
func TestSubscriptionPolicyReadsBackWithNullsForWhatIsAbsent(t *testing.T) {
	const short = `{"minDelayTarget":1,"maxDelayTarget":1,"numRetries":0,"numMaxDelayRetries":0,"numNoDelayRetries":0,"numMinDelayRetries":0,"backoffFunction":"linear"}`
	topic, err := snsdelivery.ParseTopic(`{"http":{"defaultRequestPolicy":{"headerContentType":"application/json"}}}`)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		topic                   *snsdelivery.Topic
		given, shown, effective string
	}{
		{
			nil, `{"requestPolicy":{"headerContentType":"text/csv"}}`,
			`{"healthyRetryPolicy":null,"sicklyRetryPolicy":null,"throttlePolicy":null,"requestPolicy":{"headerContentType":"text/csv"},"guaranteed":false}`,
			`{"healthyRetryPolicy":` + standardRetry + `,"sicklyRetryPolicy":null,"throttlePolicy":null,"requestPolicy":{"headerContentType":"text/csv"},"guaranteed":false}`,
		},
		{
			topic, `{"healthyRetryPolicy":{"minDelayTarget":1,"maxDelayTarget":1,"numRetries":0},"throttlePolicy":{"maxReceivesPerSecond":1000}}`,
			`{"healthyRetryPolicy":` + short + `,"sicklyRetryPolicy":null,"throttlePolicy":{"maxReceivesPerSecond":1000},"requestPolicy":null,"guaranteed":false}`,
			`{"healthyRetryPolicy":` + short + `,"sicklyRetryPolicy":null,"throttlePolicy":{"maxReceivesPerSecond":1000},"requestPolicy":{"headerContentType":"application/json"},"guaranteed":false}`,
		},
	} {
		p, err := snsdelivery.ParseSubscription(tt.given)
		if err != nil {
			t.Fatalf("%s: %v", tt.given, err)
		}
		if got := p.String(); got != tt.shown {
			t.Errorf("shown\n%s, want\n%s", got, tt.shown)
		}
		if got := snsdelivery.Resolve(tt.topic, p).String(); got != tt.effective {
			t.Errorf("effective\n%s, want\n%s", got, tt.effective)
		}
		again, err := snsdelivery.ParseSubscription(p.String())
		if err != nil || again.String() != tt.shown {
			t.Errorf("what was read back cannot be set: %v, %v", again, err)
		}
	}
}

// aws-semantics §3.
func TestTopicMayForbidThatSubscriptionsOverrideIt(t *testing.T) {
	subscription, err := snsdelivery.ParseSubscription(`{"healthyRetryPolicy":{"numRetries":9},"throttlePolicy":{"maxReceivesPerSecond":3},"requestPolicy":{"headerContentType":"text/csv"}}`)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		topic string
		want  snsdelivery.Policy
	}{
		{`{"http":{"defaultHealthyRetryPolicy":{"numRetries":5}}}`, snsdelivery.Policy{
			Retry: snsdelivery.Retry{MinDelay: 20, MaxDelay: 20, NumRetries: 9, BackoffFunction: "linear"}, MaxReceivesPerSecond: 3, ContentType: "text/csv",
		}},
		{`{"http":{"defaultHealthyRetryPolicy":{"numRetries":5},"disableSubscriptionOverrides":true}}`, snsdelivery.Policy{
			Retry: snsdelivery.Retry{MinDelay: 20, MaxDelay: 20, NumRetries: 5, BackoffFunction: "linear"}, ContentType: snsdelivery.DefaultContentType,
		}},
	} {
		topic, err := snsdelivery.ParseTopic(tt.topic)
		if err != nil {
			t.Fatal(err)
		}
		if got := snsdelivery.Resolve(topic, subscription); got != tt.want {
			t.Errorf("%s: %+v, want %+v", tt.topic, got, tt.want)
		}
	}
}

// aws-semantics §3, the ranges of a delivery policy.
func TestPolicyOutOfBoundsIsRefused(t *testing.T) {
	retry := func(inside string) string { return `{"healthyRetryPolicy":{` + inside + `}}` }
	for policy, want := range map[string]string{
		``:                             "failed to parse JSON: EOF",
		`null`:                         "failed to parse JSON: null is no object",
		`{} {}`:                        "failed to parse JSON: something follows the object",
		`{"a":1}`:                      "Unexpected JSON member: a",
		retry(`"minDelayTarget":0`):    "healthyRetryPolicy.minDelayTarget must be greater than or equal to 1",
		retry(`"minDelayTarget":30`):   "healthyRetryPolicy.maxDelayTarget must be greater than or equal to minDelayTarget",
		retry(`"maxDelayTarget":3601`): "healthyRetryPolicy.maxDelayTarget must be less than or equal to 3600",
		retry(`"numRetries":101`):      "healthyRetryPolicy.numRetries must be less than or equal to 100",
		retry(`"numRetries":-1`):       "healthyRetryPolicy.numRetries must be greater than or equal to 0",
		retry(`"numRetries":2,"numNoDelayRetries":3`):                        "healthyRetryPolicy.numRetries must be greater than or equal to total of numMinDelayRetries, numNoDelayRetries and numMaxDelayRetries",
		retry(`"backoffFunction":"wild"`):                                    "healthyRetryPolicy.backoffFunction must be one of linear, arithmetic, geometric, exponential",
		retry(`"maxDelayTarget":3600,"numRetries":2,"numMaxDelayRetries":1`): "healthyRetryPolicy: the total time of all retries must be less than or equal to 3600 seconds, not 3620",
		`{"throttlePolicy":{"maxReceivesPerSecond":0}}`:                      "throttlePolicy.maxReceivesPerSecond must be greater than or equal to 1",
		`{"requestPolicy":{"headerContentType":"image/png"}}`:                `requestPolicy.headerContentType "image/png" is not supported`,
		`{"sicklyRetryPolicy":{}}`:                                           "sicklyRetryPolicy must be null: AWS no longer documents it",
		`{"guaranteed":true}`:                                                "guaranteed must be false: AWS no longer documents it",
	} {
		if _, err := snsdelivery.ParseSubscription(policy); err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", policy, err, want)
		}
	}
	_, err := snsdelivery.ParseTopic(`{"http":{"defaultHealthyRetryPolicy":{"minDelayTarget":0}}}`)
	if err == nil || err.Error() != "http.defaultHealthyRetryPolicy.minDelayTarget must be greater than or equal to 1" {
		t.Errorf("a topic's: %v", err)
	}
}

func TestContentTypesOtherThanJSONAndPlainTextAreForRawDelivery(t *testing.T) {
	for kind, raw := range map[string]bool{"": false, "application/json": false, "text/plain; charset=UTF-8": false, "text/csv": true, "application/xml": true} {
		p, err := snsdelivery.ParseSubscription(`{"requestPolicy":{"headerContentType":"` + kind + `"}}`)
		if err != nil || p.RawOnly() != raw {
			t.Errorf("%s: %t, %v; want %t", kind, p.RawOnly(), err, raw)
		}
	}
}

// FuzzParse: what is taken can be read back, and says the same again.
func FuzzParse(f *testing.F) {
	for _, policy := range []string{
		`{"healthyRetryPolicy":{"numRetries":5}}`, `{"requestPolicy":{"headerContentType":"text/csv"}}`, `{"throttlePolicy":{"maxReceivesPerSecond":1}}`,
		`{"http":{"defaultHealthyRetryPolicy":{"numRetries":100,"backoffFunction":"exponential"},"disableSubscriptionOverrides":true}}`, `[]`, `nul`,
	} {
		f.Add(policy)
	}
	f.Fuzz(func(t *testing.T, policy string) {
		if s, err := snsdelivery.ParseSubscription(policy); err == nil {
			if again, err := snsdelivery.ParseSubscription(s.String()); err != nil || again.String() != s.String() {
				t.Errorf("%q reads back as %s, then %v, %v", policy, s, again, err)
			}
		}
		if topic, err := snsdelivery.ParseTopic(policy); err == nil {
			if again, err := snsdelivery.ParseTopic(topic.String()); err != nil || again.Effective() != topic.Effective() {
				t.Errorf("%q reads back as %s, then %v, %v", policy, topic, again, err)
			}
		}
	})
}
