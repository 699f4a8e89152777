package iampolicy

import (
	"fmt"
	"slices"
	"strings"
)

// RefusalError is why a policy may not be set.
type RefusalError struct {
	// OverLimit: it exceeds a quota, which SQS answers with an error code of its own.
	OverLimit bool
	Answer    string // what the service says of it, where that is known
	Reason    string // for a person: which statement, operator and value, and what to write instead
}

// Error implements error.
func (e *RefusalError) Error() string { return "policy: " + e.Reason }

// quotas are what a policy may hold; 0 is no limit.
type quotas struct {
	bytes, statements, principals int
	conditions, actions           int // of a statement
}

// Sources: "Amazon SQS policy quotas", Developer Guide; "Amazon SNS API permissions: policy quotas",
// Developer Guide. They say "per statement" of actions only; that conditions are counted so too is seen
// from policies of 20 statements with one each, which SQS takes.
var (
	queueQuotas = quotas{bytes: MaxBytes, statements: MaxStatements, principals: 50, conditions: 10, actions: 7}
	topicQuotas = quotas{bytes: 30 << 10, statements: 100, principals: 200}
)

// Accept reads a policy that is being set on the queue or the topic with an ARN. It is strict: what the
// service refuses as far as that is known, and what Evaluate could not judge, is a *RefusalError. That
// a user or a role exists is not asked, as AWS would. The empty text takes the policy away: nil.
func Accept(text, arn string) (*Policy, error) {
	parts := strings.Split(arn, ":")
	topic := len(parts) > 2 && parts[2] == "sns"
	limits := queueQuotas
	if topic {
		limits = topicQuotas
	}
	if n := len(text); n > limits.bytes {
		return nil, limits.over("", "bytes", n, limits.bytes, "")
	}
	p, err := Parse(text)
	if err != nil {
		return nil, &RefusalError{Reason: strings.TrimPrefix(err.Error(), "policy: ")}
	}
	switch {
	case text == "":
		return nil, nil
	case p == nil:
		return nil, &RefusalError{Reason: "it is blank: write a document, or nothing to take the policy away"}
	}
	if err := limits.check(p); err != nil {
		return nil, err
	}
	if faults := p.faults(); len(faults) > 0 {
		return nil, &RefusalError{Reason: strings.Join(faults, "; ")}
	}
	if topic {
		if err := p.checkTopic(arn); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// check counts.
func (l quotas) check(p *Policy) error {
	const whole, part = "the submitted policy", "a statement from the submitted policy"
	principals := 0
	if n := len(p.rules); n > l.statements {
		return l.over("", "statements", n, l.statements, whole)
	}
	for i := range p.rules {
		r := &p.rules[i]
		principals += r.principals.count
		if n := len(r.actions); l.actions > 0 && n > l.actions {
			return l.over(r.name+": ", "actions", n, l.actions, part)
		}
		if n := len(r.conditions); l.conditions > 0 && n > l.conditions {
			return l.over(r.name+": ", "conditions", n, l.conditions, part)
		}
	}
	if principals > l.principals {
		return l.over("", "principals", principals, l.principals, whole)
	}
	return nil
}

// over refuses in the words that SQS has for bytes, statements and actions. Those of SNS are not known.
func (l quotas) over(where, what string, count, most int, in string) *RefusalError {
	e := &RefusalError{OverLimit: true, Reason: fmt.Sprintf("%s%d %s, at most %d", where, count, what, most)}
	switch {
	case l == topicQuotas:
	case what == "bytes":
		e.Answer = "Submitted policy is over max allowed size."
	default:
		e.Answer = fmt.Sprintf("%d %s were found in %s, max allowed is %d", count, what, in, most)
	}
	return e
}

// faults are all that keeps the policy from being evaluated, for a person.
func (p *Policy) faults() (all []string) {
	for i := range p.rules {
		r := &p.rules[i]
		for _, fault := range r.faults {
			all = append(all, fmt.Sprintf("%s: %v", r.name, fault))
		}
		for _, c := range r.conditions {
			if c.fault != nil {
				all = append(all, fmt.Sprintf("%s: %s: %v", r.name, &c, c.fault))
			}
		}
	}
	return all
}

// topicActions are what a topic's policy may speak of, and otherActions the rest of SNS: a wildcard that
// meets one of them is refused, as "sns:*" is. Sources: "Amazon SNS API permissions: Actions and
// resources reference", Developer Guide; Receive is what the policies of older topics name.
var (
	topicActions = []string{
		"AddPermission", "DeleteTopic", "GetDataProtectionPolicy", "GetTopicAttributes", "ListSubscriptionsByTopic",
		"ListTagsForResource", "Publish", "PutDataProtectionPolicy", "Receive", "RemovePermission", "SetTopicAttributes", "Subscribe",
	}
	otherActions = []string{
		"ConfirmSubscription", "CreateTopic", "GetSubscriptionAttributes", "ListSubscriptions", "ListTopics",
		"SetSubscriptionAttributes", "TagResource", "Unsubscribe", "UntagResource",
	}
)

// checkTopic asks what SNS asks of a topic's policy beyond IAM's rules.
func (p *Policy) checkTopic(arn string) error {
	for i := range p.rules {
		r := &p.rules[i]
		for _, t := range r.actions {
			meets := func(action string) bool { return t.match(nil, "sns:"+strings.ToLower(action)) }
			if !r.notAction && (!slices.ContainsFunc(topicActions, meets) || slices.ContainsFunc(otherActions, meets)) {
				return &RefusalError{
					Answer: "Policy statement action out of service scope!",
					Reason: fmt.Sprintf("%s: Action: %q is not, or not only, an action on a topic, which are %s", r.name, t.text, strings.Join(topicActions, ", ")),
				}
			}
		}
		if r.notResource {
			continue
		}
		if len(r.resources) > 1 {
			return &RefusalError{
				Answer: "Policy statement must apply to a single resource!",
				Reason: fmt.Sprintf("%s: %d resources: a statement of a topic's policy names one, the topic", r.name, len(r.resources)),
			}
		}
		if t := r.resources[0]; len(t.parts) == 1 && !t.match(nil, arn) {
			return &RefusalError{Reason: fmt.Sprintf("%s: Resource: %q is another than this topic: write %s", r.name, t.text, arn)}
		}
	}
	return nil
}
