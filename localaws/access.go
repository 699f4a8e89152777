package localaws

import (
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/stationmaster/worker/internal/iampolicy"
)

// verdict is what a resource's policy makes of a request; empty lets it through, else it says why
// not, in the words of AWS's errors. The caller is the root user of an account: in its own account it
// may do what no statement denies, in another's only what a statement allows.
func (c *call) verdict(policy *iampolicy.Policy, owner, action, arn string) (because string) {
	if policy == nil && owner == c.account && !c.anonymous {
		return ""
	}
	r := iampolicy.Request{Action: action, Resource: arn, Time: time.Now(), Context: c.conditions(owner)}
	if !c.anonymous {
		r.Principal.AWS = c.principal()
	}
	switch d := policy.Authorize(r); {
	case d.ExplicitDeny:
		return "with an explicit deny in a resource-based policy"
	case d.Allowed:
		return ""
	default:
		return "because no resource-based policy allows the " + action + " action"
	}
}

// conditions are the condition keys of a request that do not follow from who asks and when. The plain
// HTTP of a local server stands for AWS's HTTPS: a policy that refuses the one means the other.
func (c *call) conditions(owner string) map[string][]string {
	ip, _, err := net.SplitHostPort(c.from)
	if err != nil {
		ip = "127.0.0.1" // Transport has no addresses
	}
	keys := map[string][]string{
		"aws:SecureTransport": {"true"},
		"aws:SourceIp":        {ip},
		"aws:UserAgent":       {c.header.Get("User-Agent")},
		"aws:RequestedRegion": {c.region},
		"aws:ResourceAccount": {owner},
	}
	if c.service == "sns" {
		for key, parameter := range map[string]string{"sns:Protocol": "Protocol", "sns:Endpoint": "Endpoint"} {
			if c.form.Has(parameter) {
				keys[key] = []string{c.form.Get(parameter)}
			}
		}
	}
	return keys
}

// inPolicies is the name that policies know the call's action by.
func (c *call) inPolicies() string {
	if c.def.as != "" {
		return c.def.as
	}
	return c.action
}

// mayUse says why a caller may not use a queue, or nil. s.mu is held.
func (c *call) mayUse(q *sqsQueue) error {
	action := "sqs:" + strings.ToLower(c.inPolicies())
	switch {
	case iampolicy.OwnersOnly(c.action) && (q.account != c.account || c.anonymous):
		// No policy can grant these.
		return c.queueDenied(q, action, "because no resource-based policy allows the "+action+" action")
	case c.action == "SetQueueAttributes":
		return nil // a policy that denies everything can be replaced by the root user, who asks here
	}
	if because := c.verdict(q.access, q.account, action, q.arn); because != "" {
		return c.queueDenied(q, action, because)
	}
	return nil
}

// queueDenied is SQS's refusal. The anonymous have no name to be told.
func (c *call) queueDenied(q *sqsQueue, action, because string) error {
	e := &apiError{
		Status: http.StatusForbidden, Code: "AccessDeniedException",
		Message: "User: " + c.principal() + " is not authorized to perform: " + action + " on resource: " + q.arn + " " + because,
	}
	if c.anonymous {
		e.Message = "Access to the resource " + c.queueURL(q) + " is denied."
	}
	return e
}

// mayUseTopic says why a caller may not use a topic, or nil. Without a policy of its own a topic is
// its account's alone. s.mu is held.
func (c *call) mayUseTopic(t *topic) *apiError {
	action := "SNS:" + c.inPolicies()
	if c.action == "SetTopicAttributes" && t.account == c.account {
		return nil // as with SetQueueAttributes
	}
	if because := c.verdict(t.access, t.account, action, t.arn); because != "" {
		return c.snsDenied(action, t.arn, because)
	}
	return nil
}

func (c *call) snsDenied(action, arn, because string) *apiError {
	return &apiError{
		Status: http.StatusForbidden, Code: "AuthorizationError",
		Message: "User: " + c.principal() + " is not authorized to perform: " + action + " on resource: " + arn + " " + because,
	}
}
