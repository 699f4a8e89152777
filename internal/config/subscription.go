package config

import (
	"encoding/json"
	"time"
)

// Subscription is one endpoint subscribed to one topic.
type Subscription struct {
	Topic    string `config:"topic"` // a name in Topics
	Protocol string `config:"protocol"`
	// Endpoint is, by Protocol: a name in Queues or the ARN of somebody else's queue; a path that this
	// worker serves below Ingress.PublicURL, or somebody else's URL; the ARN of a function, a delivery
	// stream or a device; an address; a phone number.
	Endpoint string         `config:"endpoint"`
	Raw      bool           `config:"raw"`
	Filter   map[string]any `config:"filter"`
	FilterOn string         `config:"filter_on"` // "body" or "attributes"
	DLQ      DLQ            `config:"dlq"`

	// Job handles what is delivered to a path.
	Job string `config:"job"`
	// Slots is how many deliveries to a path are handled at once; nil when it is no path of ours. All
	// subscriptions of one path have the same.
	Slots *int `config:"slots"`
	// Resubscribe subscribes a path again when somebody has ended its subscription.
	Resubscribe bool `config:"resubscribe"`
	// Delivery is how deliveries by HTTP are tried again; nil is SNS's own way.
	Delivery *Delivery `config:"delivery"`
	// Role is the ARN of the role with which SNS writes to a delivery stream.
	Role string `config:"role"`
}

// Served tells whether this worker itself is the endpoint.
func (s *Subscription) Served() bool { return s.web() && isPath(s.Endpoint) }

// web tells whether deliveries are HTTP requests.
func (s *Subscription) web() bool { return s.Protocol == "http" || s.Protocol == "https" }

// isPath tells a path of ours from everything else that an endpoint can be.
func isPath(endpoint string) bool { return endpoint != "" && endpoint[0] == '/' }

// Delivery is how deliveries by HTTP are tried again: at once, then after MinDelay, then after delays
// that grow from MinDelay to MaxDelay, then after MaxDelay.
type Delivery struct {
	Retries         int           `config:"retries"` // all of them
	NoDelayRetries  int           `config:"no_delay_retries"`
	MinDelayRetries int           `config:"min_delay_retries"`
	MaxDelayRetries int           `config:"max_delay_retries"`
	MinDelay        time.Duration `config:"min_delay"`
	MaxDelay        time.Duration `config:"max_delay"`
	Backoff         string        `config:"backoff"` // linear, arithmetic, geometric or exponential
	// MaxReceivesPerSecond bounds the requests; 0: no bound. What comes faster waits at SNS, unseen.
	MaxReceivesPerSecond int    `config:"max_receives_per_second"`
	ContentType          string `config:"content_type"` // empty: SNS's own
}

// defaults is what SNS does when nobody says otherwise.
func (d *Delivery) defaults() {
	*d = Delivery{Retries: 3, MinDelay: 20 * time.Second, MaxDelay: 20 * time.Second, Backoff: "linear"}
}

// Policy is the delivery policy as SNS spells it.
func (d *Delivery) Policy() string {
	policy := map[string]any{"healthyRetryPolicy": map[string]any{
		"numRetries": d.Retries, "numNoDelayRetries": d.NoDelayRetries,
		"numMinDelayRetries": d.MinDelayRetries, "numMaxDelayRetries": d.MaxDelayRetries,
		"minDelayTarget": int(d.MinDelay / time.Second), "maxDelayTarget": int(d.MaxDelay / time.Second),
		"backoffFunction": d.Backoff,
	}}
	if d.MaxReceivesPerSecond > 0 {
		policy["throttlePolicy"] = map[string]int{"maxReceivesPerSecond": d.MaxReceivesPerSecond}
	}
	if d.ContentType != "" {
		policy["requestPolicy"] = map[string]string{"headerContentType": d.ContentType}
	}
	text, err := json.Marshal(policy)
	if err != nil {
		return "" // numbers and strings always marshal
	}
	return string(text)
}
