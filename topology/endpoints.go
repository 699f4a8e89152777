package topology

import (
	"regexp"
	"slices"

	"github.com/stationmaster/worker/internal/awsarn"
	"github.com/stationmaster/worker/internal/snsdelivery"
)

// sqs is the protocol of queues, and the one of a Subscription that says none.
const sqs = "sqs"

// protocols are those of SNS. Source: Subscribe, SNS API reference.
var protocols = []string{sqs, "http", "https", "lambda", "firehose", "email", "email-json", "sms", "application"}

// rawProtocols can have raw delivery. Source: "Amazon SNS raw message delivery", Developer Guide.
var rawProtocols = []string{sqs, "http", "https", "firehose"}

func (s Subscription) protocol() string {
	if s.Protocol == "" {
		return sqs
	}
	return s.Protocol
}

// web tells whether deliveries are HTTP requests.
func (s Subscription) web() bool { return s.Protocol == "http" || s.Protocol == "https" }

// name is how a subscription is spoken of.
func (s Subscription) name() string {
	to := s.Queue
	if s.protocol() != sqs {
		to = s.Endpoint
	}
	if awsarn.Is(to) {
		to = awsarn.Name(to)
	}
	return s.Topic + " → " + Shown(to)
}

var password = regexp.MustCompile(`^(https?://[^/@:]*):[^/@]*@`)

// Shown is an endpoint as SNS lists it, and as it may be printed: a URL without its password.
func Shown(endpoint string) string { return password.ReplaceAllString(endpoint, "$1:****@") }

// validateProtocol checks what only some protocols have.
func (s Subscription) validateProtocol(fault func(string, ...any)) {
	switch {
	case !slices.Contains(protocols, s.Protocol):
		fault("subscription %s: protocol %q is none of SNS", s.name(), s.Protocol)
		return
	case s.Protocol == sqs && s.Endpoint != "":
		fault("subscription %s: has an endpoint beside its queue; leave it out", s.name())
	case s.Protocol != sqs && (s.Queue != "" || s.Endpoint == ""):
		fault("subscription %s: needs an endpoint and no queue, since its protocol is %s", s.name(), s.Protocol)
	}
	if s.Raw && !slices.Contains(rawProtocols, s.Protocol) {
		fault("subscription %s: SNS has no raw delivery by %s; leave raw out", s.name(), s.Protocol)
	}
	if s.Raw && s.Served {
		fault("subscription %s: a raw delivery by HTTP carries no signature, so anybody could send one; leave raw out", s.name())
	}
	if s.Delivery != "" {
		if _, err := snsdelivery.ParseSubscription(s.Delivery); err != nil {
			fault("subscription %s: delivery: %w", s.name(), err)
		}
		if !s.web() {
			fault("subscription %s: a delivery policy is for http and https only; leave it out", s.name())
		}
	}
	if (s.Role != "") != (s.Protocol == "firehose") {
		fault("subscription %s: a role is for firehose, and firehose needs one", s.name())
	}
}
