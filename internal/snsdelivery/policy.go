// Package snsdelivery reads the delivery policies of SNS, which say how often and how fast a
// notification is tried again when an HTTP or HTTPS endpoint does not take it. Source: "Amazon SNS
// message delivery retries", Developer Guide; the forms in which policies are read back are recorded
// from AWS.
package snsdelivery

import (
	"encoding/json"
	"fmt"
	"time"
)

// DefaultContentType is what an endpoint is sent unless a policy says otherwise.
const DefaultContentType = "text/plain; charset=UTF-8"

// Longest is how long all retries of one notification may take together. AWS refuses a policy that
// takes longer; the limit cannot be raised.
const Longest = time.Hour

// Retry says how a notification is tried again. Its delays are in seconds. The zero value tries no
// more than once.
type Retry struct {
	MinDelay           int    `json:"minDelayTarget"`
	MaxDelay           int    `json:"maxDelayTarget"`
	NumRetries         int    `json:"numRetries"` // all phases together
	NumMaxDelayRetries int    `json:"numMaxDelayRetries"`
	NumNoDelayRetries  int    `json:"numNoDelayRetries"`
	NumMinDelayRetries int    `json:"numMinDelayRetries"`
	BackoffFunction    string `json:"backoffFunction"`
}

// standard is what AWS does without any policy.
var standard = Retry{MinDelay: 20, MaxDelay: 20, NumRetries: 3, BackoffFunction: "linear"}

type throttle struct {
	MaxReceivesPerSecond int `json:"maxReceivesPerSecond"`
}

type request struct {
	HeaderContentType string `json:"headerContentType"`
}

// given is a retry policy as somebody wrote it: what was left out stays out when it is read back.
type given struct {
	MinDelay           *int    `json:"minDelayTarget,omitempty"`
	MaxDelay           *int    `json:"maxDelayTarget,omitempty"`
	NumRetries         *int    `json:"numRetries,omitempty"`
	NumMaxDelayRetries *int    `json:"numMaxDelayRetries,omitempty"`
	NumNoDelayRetries  *int    `json:"numNoDelayRetries,omitempty"`
	NumMinDelayRetries *int    `json:"numMinDelayRetries,omitempty"`
	BackoffFunction    *string `json:"backoffFunction,omitempty"`
}

// complete fills in what was left out.
func (g *given) complete() Retry {
	r := standard
	if g == nil {
		return r
	}
	for _, f := range g.numbers() {
		if *f.given != nil {
			*f.of(&r) = **f.given
		}
	}
	if g.BackoffFunction != nil {
		r.BackoffFunction = *g.BackoffFunction
	}
	return r
}

// Topic is a topic's DeliveryPolicy. A nil Topic is one that was never set.
type Topic struct {
	retry            *given
	disableOverrides bool
	throttle         *throttle
	request          *request
}

// Subscription is a subscription's DeliveryPolicy. A nil Subscription is one that was never set.
type Subscription struct {
	retry    *given
	throttle *throttle
	request  *request
}

// Policy is what counts for a subscription: its own policy over the topic's over AWS's.
type Policy struct {
	Retry Retry
	// MaxReceivesPerSecond bounds the requests to the endpoint; 0 is no bound.
	MaxReceivesPerSecond int
	ContentType          string
}

// Resolve puts a topic's and a subscription's policies together; either may be nil.
func Resolve(t *Topic, s *Subscription) Policy {
	if t == nil {
		t = &Topic{}
	}
	if s == nil || t.disableOverrides {
		s = &Subscription{}
	}
	p := Policy{Retry: t.retry.complete(), ContentType: DefaultContentType}
	if s.retry != nil {
		p.Retry = s.retry.complete()
	}
	for _, limit := range []*throttle{t.throttle, s.throttle} {
		if limit != nil {
			p.MaxReceivesPerSecond = limit.MaxReceivesPerSecond
		}
	}
	for _, form := range []*request{t.request, s.request} {
		if form != nil && form.HeaderContentType != "" {
			p.ContentType = form.HeaderContentType
		}
	}
	return p
}

// String is the policy as GetTopicAttributes shows it: what was given, with disableSubscriptionOverrides.
func (t *Topic) String() string {
	return text(topicText{HTTP: topicHTTP{t.retry, t.disableOverrides, t.throttle, t.request}})
}

// Effective is the topic's EffectiveDeliveryPolicy, complete; of a nil Topic it is AWS's own.
func (t *Topic) Effective() string {
	p := Resolve(t, nil)
	full := effectiveHTTP{Retry: p.Retry, Request: request{p.ContentType}}
	if t != nil {
		full.DisableOverrides, full.Throttle = t.disableOverrides, t.throttle
	}
	return text(map[string]effectiveHTTP{"http": full})
}

// String is the policy as GetSubscriptionAttributes shows it.
func (s *Subscription) String() string {
	shown := subscriptionText{Throttle: s.throttle, Request: s.request}
	if s.retry != nil {
		r := s.retry.complete()
		shown.Retry = &r
	}
	return text(shown)
}

// String is the policy as a subscription's EffectiveDeliveryPolicy.
func (p Policy) String() string {
	shown := subscriptionText{Retry: &p.Retry, Request: &request{p.ContentType}}
	if p.MaxReceivesPerSecond > 0 {
		shown.Throttle = &throttle{p.MaxReceivesPerSecond}
	}
	return text(shown)
}

// The JSON of policies, in AWS's order of keys.
type (
	topicText struct {
		HTTP topicHTTP `json:"http"`
	}
	topicHTTP struct {
		Retry            *given    `json:"defaultHealthyRetryPolicy,omitempty"`
		DisableOverrides bool      `json:"disableSubscriptionOverrides"`
		Throttle         *throttle `json:"defaultThrottlePolicy,omitempty"`
		Request          *request  `json:"defaultRequestPolicy,omitempty"`
	}
	effectiveHTTP struct {
		Retry            Retry     `json:"defaultHealthyRetryPolicy"`
		DisableOverrides bool      `json:"disableSubscriptionOverrides"`
		Throttle         *throttle `json:"defaultThrottlePolicy,omitempty"`
		Request          request   `json:"defaultRequestPolicy"`
	}
	subscriptionText struct {
		Retry      *Retry    `json:"healthyRetryPolicy"`
		Sickly     *Retry    `json:"sicklyRetryPolicy"` // AWS shows it, always null
		Throttle   *throttle `json:"throttlePolicy"`
		Request    *request  `json:"requestPolicy"`
		Guaranteed bool      `json:"guaranteed"` // AWS shows it, always false
	}
)

func text(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("snsdelivery: structs of numbers and strings always encode: %v", err))
	}
	return string(b)
}
