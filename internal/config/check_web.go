package config

import (
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/stationmaster/worker/internal/snsdelivery"
)

// endpoints are the protocols of SNS: what an endpoint of each looks like, and how to write one.
// Source: Subscribe, SNS API reference; E.164 for numbers.
var endpoints = map[string]struct {
	form *regexp.Regexp
	like string
}{
	"sqs":         {queueARN, "name a [queues] table, or give the ARN of somebody else's queue"},
	"http":        {nil, `write a path that this worker serves ("/hooks/audit"), or somebody's URL`},
	"https":       {nil, `write a path that this worker serves ("/hooks/audit"), or somebody's URL`},
	"lambda":      {regexp.MustCompile(`^arn:[a-z0-9-]+:lambda:[a-z0-9-]+:\d{12}:function:[A-Za-z0-9_-]+(:[A-Za-z0-9_$-]+)?$`), `write an ARN like "arn:aws:lambda:us-east-1:123456789012:function:name"`},
	"firehose":    {regexp.MustCompile(`^arn:[a-z0-9-]+:firehose:[a-z0-9-]+:\d{12}:deliverystream/[A-Za-z0-9_.-]{1,64}$`), `write an ARN like "arn:aws:firehose:us-east-1:123456789012:deliverystream/name"`},
	"application": {regexp.MustCompile(`^arn:[a-z0-9-]+:sns:[a-z0-9-]+:\d{12}:endpoint/.+$`), `write an ARN like "arn:aws:sns:us-east-1:123456789012:endpoint/GCM/app/id"`},
	"email":       {mail, `write an address like "ops@example.com"`},
	"email-json":  {mail, `write an address like "ops@example.com"`},
	"sms":         {regexp.MustCompile(`^\+[1-9][0-9]{1,14}$`), `write a number like "+4930123456"`},
}

var (
	mail    = regexp.MustCompile(`^[^\s@]+@[^\s@]+$`)
	roleARN = regexp.MustCompile(`^arn:[a-z0-9-]+:iam::\d{12}:role/.+$`)
)

// rawProtocols can have raw delivery. Source: "Amazon SNS raw message delivery", Developer Guide.
var rawProtocols = []string{"sqs", "http", "https", "firehose"}

// web checks an endpoint that takes HTTP requests: a path of ours, or somebody else's URL.
func (c *checker) web(at string, s Subscription) {
	key := at + ".endpoint"
	if !s.Served() {
		u, err := url.Parse(s.Endpoint)
		switch {
		case err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https"):
			c.addf(key, "%q is neither a path nor a URL: %s", withoutPassword(s.Endpoint), endpoints[s.Protocol].like)
		case u.Scheme != s.Protocol:
			c.addf(key, "%q is not for protocol %q: SNS wants the two to agree", withoutPassword(s.Endpoint), s.Protocol)
		}
		return
	}
	ingress := c.config.Ingress
	if clean := path.Clean(s.Endpoint); clean != s.Endpoint || strings.ContainsAny(s.Endpoint, "?#% {}") {
		c.addf(key, `%q must be a plain path: write it like "/hooks/audit"`, s.Endpoint)
	}
	switch scheme := ingress.publicScheme(); {
	case ingress.PublicURL == "":
		c.addf("ingress.public_url", `is missing, and %s is a path of this worker: say how SNS reaches it, like "https://hooks.example.com"`, key)
	case scheme != s.Protocol && (scheme == "http" || scheme == "https"):
		c.addf(at+".protocol", "%q is not that of ingress.public_url, %q: SNS wants the two to agree", s.Protocol, ingress.PublicURL)
	}
}

// samePath finds paths that two jobs, or two numbers of slots, would share. Each is also served below the path of the public URL,
// which whoever passes requests on may or may not take away.
func (c *checker) samePath(at string, s Subscription, served map[string]Subscription) {
	if !s.Served() {
		return
	}
	before, twice := served[s.Endpoint]
	if twice && before.Job != s.Job {
		c.addf(at+".job", "%q is not that of another subscription of %s, %q: give it a path of its own", s.Job, s.Endpoint, before.Job)
	}
	if twice && *before.Slots != *s.Slots {
		c.addf(at+".slots", "%d is not that of another subscription of %s, %d: a path has its slots once; keep one of the two", *s.Slots, s.Endpoint, *before.Slots)
	}
	served[s.Endpoint] = s
	for other := range served {
		for _, two := range [][2]string{{other, s.Endpoint}, {s.Endpoint, other}} {
			if below := c.config.Ingress.below(two[0]); below != two[0] && below == two[1] {
				c.addf(at+".endpoint", "%q is where %s is served too, below the path of ingress.public_url: give one of them another name", two[1], two[0])
			}
		}
	}
}

// own checks the settings that only some protocols have.
func (c *checker) own(at string, s Subscription) {
	c.served(at, s)
	switch {
	case s.Raw && s.Served():
		c.addf(at+".raw", "is true, and a raw delivery by HTTP carries no signature: anybody could send one; remove it")
	case s.Raw && s.known() && !slices.Contains(rawProtocols, s.Protocol):
		c.addf(at+".raw", "is true, and SNS has no raw delivery by %s: remove it", s.Protocol)
	}
	switch {
	case s.Protocol == "firehose" && s.Role == "":
		c.addf(at+".role", "is missing: name the role with which SNS writes to the delivery stream")
	case s.Role != "" && s.Protocol != "firehose" && s.known():
		c.addf(at+".role", "is for firehose only: remove it")
	case s.Role != "" && !roleARN.MatchString(s.Role):
		c.addf(at+".role", `%q is no role's ARN: write it like "arn:aws:iam::123456789012:role/name"`, s.Role)
	}
	switch {
	case s.Delivery == nil:
	case !s.web() && s.known():
		c.addf(at+".delivery", "is for http and https only: what SNS does by %s cannot be set; remove it", s.Protocol)
	default:
		c.delivery(at+".delivery", s)
	}
}

func (s *Subscription) known() bool { _, ok := endpoints[s.Protocol]; return ok }

// served checks what only a path of this worker has.
func (c *checker) served(at string, s Subscription) {
	switch {
	case s.Served() && s.Job == "":
		c.addf(at+".job", "is missing: name the job that handles what is delivered to %s%s", s.Endpoint, c.registered())
	case s.Served():
		c.known(at+".job", s.Job)
	case s.Job != "" && s.Protocol == "sqs":
		c.addf(at+".job", "is for a path of this worker only: a queue's job stands in its [queues] table")
	case s.Job != "" && s.known():
		c.addf(at+".job", `is for a path of this worker only (endpoint = "/hooks/audit"): remove it`)
	}
	switch {
	case s.Slots == nil:
	case s.Served():
		between(c, at+".slots", *s.Slots, 1, mostSlots)
	case s.Protocol == "sqs":
		c.addf(at+".slots", "is for a path of this worker only: a queue's slots stand in its [queues] table")
	case s.known():
		c.addf(at+".slots", `is for a path of this worker only (endpoint = "/hooks/audit"): remove it`)
	}
	if s.Resubscribe && !s.Served() && s.known() {
		c.addf(at+".resubscribe", "is for a path of this worker only: remove it")
	}
}

// delivery checks what SNS allows. Source: "Creating an HTTP/S delivery policy", Developer Guide.
func (c *checker) delivery(key string, s Subscription) {
	const most = 100
	d, before := s.Delivery, len(c.faults)
	between(c, key+".retries", d.Retries, 0, most)
	for name, n := range map[string]int{
		"no_delay_retries": d.NoDelayRetries, "min_delay_retries": d.MinDelayRetries, "max_delay_retries": d.MaxDelayRetries,
	} {
		between(c, key+"."+name, n, 0, most)
	}
	c.seconds(key+".min_delay", d.MinDelay, time.Second, time.Hour)
	c.seconds(key+".max_delay", d.MaxDelay, time.Second, time.Hour)
	c.oneOf(key+".backoff", d.Backoff, "linear", "arithmetic", "geometric", "exponential")
	between(c, key+".max_receives_per_second", d.MaxReceivesPerSecond, 0, 1_000_000)
	if d.MinDelay > d.MaxDelay {
		c.addf(key+".min_delay", "%s must be at most max_delay, %s: lower it, or raise max_delay", quoted(d.MinDelay), quoted(d.MaxDelay))
	}
	if phases := d.NoDelayRetries + d.MinDelayRetries + d.MaxDelayRetries; phases > d.Retries && d.Retries <= most {
		c.addf(key+".retries", "%d must be at least the retries of its phases, %d in all: raise it", d.Retries, phases)
	}
	if len(c.faults) > before {
		return // the rest is told when these are mended
	}
	policy, err := snsdelivery.ParseSubscription(d.Policy())
	switch {
	case err != nil && d.ContentType != "" && strings.Contains(err.Error(), "headerContentType"):
		c.addf(key+".content_type", "%q is none that SNS sends: use application/json or text/plain", d.ContentType)
	case err != nil:
		c.addf(key, "%s: lower retries or max_delay", strings.TrimPrefix(err.Error(), "healthyRetryPolicy: "))
	case policy.RawOnly() && !s.Raw:
		c.addf(key+".content_type", "%q is for raw delivery only: use application/json or text/plain", d.ContentType)
	}
	if d.MaxReceivesPerSecond > 0 {
		c.warnings.addf(key+".max_receives_per_second", "%d: what comes faster waits at SNS, where nothing shows it", d.MaxReceivesPerSecond)
	}
}
