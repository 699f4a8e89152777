package snsdelivery

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"slices"
	"strings"
)

// Bounds of a policy. Source: "Creating an HTTP/S delivery policy", Developer Guide.
const (
	longestDelay = 3600
	mostRetries  = 100
)

// contentTypes are those that AWS sends. Source: "Creating an HTTP/S delivery policy", Developer Guide.
var contentTypes = []string{
	"text/css", "text/csv", "text/html", "text/plain", "text/xml",
	"application/atom+xml", "application/json", "application/octet-stream", "application/soap+xml",
	"application/x-www-form-urlencoded", "application/xhtml+xml", "application/xml",
}

var functions = []string{"linear", "arithmetic", "geometric", "exponential"}

// ParseTopic reads the DeliveryPolicy of a topic. The error is what AWS says after "DeliveryPolicy: ".
func ParseTopic(policy string) (*Topic, error) {
	var in struct {
		HTTP *topicHTTP `json:"http"`
	}
	if err := decode(policy, &in); err != nil {
		return nil, err
	}
	if in.HTTP == nil {
		in.HTTP = &topicHTTP{}
	}
	t := &Topic{retry: in.HTTP.Retry, disableOverrides: in.HTTP.DisableOverrides, throttle: in.HTTP.Throttle, request: in.HTTP.Request}
	return t, cmp.Or(
		t.retry.check("http.defaultHealthyRetryPolicy"),
		t.throttle.check("http.defaultThrottlePolicy"),
		t.request.check("http.defaultRequestPolicy"),
	)
}

// ParseSubscription reads the DeliveryPolicy of a subscription, also as it is read back. The error is
// what AWS says after "DeliveryPolicy: ".
func ParseSubscription(policy string) (*Subscription, error) {
	var in struct {
		Retry      *given    `json:"healthyRetryPolicy"`
		Sickly     *given    `json:"sicklyRetryPolicy"`
		Throttle   *throttle `json:"throttlePolicy"`
		Request    *request  `json:"requestPolicy"`
		Guaranteed bool      `json:"guaranteed"`
	}
	if err := decode(policy, &in); err != nil {
		return nil, err
	}
	switch {
	case in.Sickly != nil:
		return nil, errors.New("sicklyRetryPolicy must be null: AWS no longer documents it")
	case in.Guaranteed:
		return nil, errors.New("guaranteed must be false: AWS no longer documents it")
	}
	s := &Subscription{in.Retry, in.Throttle, in.Request}
	return s, cmp.Or(s.retry.check("healthyRetryPolicy"), s.throttle.check("throttlePolicy"), s.request.check("requestPolicy"))
}

// decode is strict: a key that means nothing is a mistake of somebody's.
func decode(policy string, into any) error {
	d := json.NewDecoder(strings.NewReader(policy))
	d.DisallowUnknownFields()
	err := d.Decode(into)
	if err == nil && bytes.HasPrefix(bytes.TrimSpace([]byte(policy)), []byte("null")) {
		err = errors.New("null is no object")
	}
	if _, more := d.Token(); err == nil && more != io.EOF {
		err = errors.New("something follows the object")
	}
	if err == nil {
		return nil
	}
	if key, unknown := strings.CutPrefix(err.Error(), "json: unknown field "); unknown {
		return fmt.Errorf("Unexpected JSON member: %s", strings.Trim(key, `"`)) //nolint:staticcheck // AWS's words begin so
	}
	return fmt.Errorf("failed to parse JSON: %w", err)
}

// number is one of the numbers of a retry policy, with its bounds.
type number struct {
	name        string
	given       **int
	of          func(*Retry) *int
	least, most int
}

func (g *given) numbers() []number {
	return []number{
		{"minDelayTarget", &g.MinDelay, func(r *Retry) *int { return &r.MinDelay }, 1, longestDelay},
		{"maxDelayTarget", &g.MaxDelay, func(r *Retry) *int { return &r.MaxDelay }, 1, longestDelay},
		{"numRetries", &g.NumRetries, func(r *Retry) *int { return &r.NumRetries }, 0, mostRetries},
		{"numMaxDelayRetries", &g.NumMaxDelayRetries, func(r *Retry) *int { return &r.NumMaxDelayRetries }, 0, mostRetries},
		{"numNoDelayRetries", &g.NumNoDelayRetries, func(r *Retry) *int { return &r.NumNoDelayRetries }, 0, mostRetries},
		{"numMinDelayRetries", &g.NumMinDelayRetries, func(r *Retry) *int { return &r.NumMinDelayRetries }, 0, mostRetries},
	}
}

func (g *given) check(at string) error {
	if g == nil {
		return nil
	}
	r := g.complete()
	for _, n := range g.numbers() {
		switch value := *n.of(&r); {
		case value < n.least:
			return fmt.Errorf("%s.%s must be greater than or equal to %d", at, n.name, n.least)
		case value > n.most:
			return fmt.Errorf("%s.%s must be less than or equal to %d", at, n.name, n.most)
		}
	}
	phases := r.NumNoDelayRetries + r.NumMinDelayRetries + r.NumMaxDelayRetries
	switch {
	case r.MinDelay > r.MaxDelay:
		return fmt.Errorf("%s.maxDelayTarget must be greater than or equal to minDelayTarget", at)
	case phases > r.NumRetries:
		return fmt.Errorf("%s.numRetries must be greater than or equal to total of numMinDelayRetries, numNoDelayRetries and numMaxDelayRetries", at)
	case !slices.Contains(functions, r.BackoffFunction):
		return fmt.Errorf("%s.backoffFunction must be one of %s", at, strings.Join(functions, ", "))
	case r.total() > Longest:
		return fmt.Errorf("%s: the total time of all retries must be less than or equal to %d seconds, not %.0f", at, longestDelay, r.total().Seconds())
	}
	return nil
}

func (t *throttle) check(at string) error {
	if t != nil && t.MaxReceivesPerSecond < 1 {
		return fmt.Errorf("%s.maxReceivesPerSecond must be greater than or equal to 1", at)
	}
	return nil
}

func (r *request) check(at string) error {
	if r == nil || r.HeaderContentType == "" {
		return nil
	}
	kind, _, err := mime.ParseMediaType(r.HeaderContentType)
	if err != nil || !slices.Contains(contentTypes, kind) {
		return fmt.Errorf("%s.headerContentType %q is not supported", at, r.HeaderContentType)
	}
	return nil
}

// RawOnly tells whether a subscription's policy has a content type that AWS sends with raw message
// delivery only: an envelope is JSON, as application/json or text/plain.
func (s *Subscription) RawOnly() bool {
	if s == nil || s.request == nil || s.request.HeaderContentType == "" {
		return false
	}
	kind, _, err := mime.ParseMediaType(s.request.HeaderContentType)
	return err == nil && kind != "application/json" && kind != "text/plain"
}
