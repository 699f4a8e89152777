package iampolicy

import (
	"fmt"
	"slices"
	"strings"
)

// Decision is what a policy says to one request. Neither allowed nor an explicit deny: no statement
// speaks of the request, which for a service or for another account is a no.
type Decision struct {
	Allowed      bool
	ExplicitDeny bool
	Sid          string // of the statement that decided, when one did
	Why          string // for a person: the deciding statement, or what each statement missed by
	// Unknown is what this package could not evaluate and took as not satisfied, where the decision might
	// be another otherwise. A policy that Accept has let in has none.
	Unknown []string
}

// Evaluate decides one request by the policy alone. An explicit deny wins over any allow.
func (p *Policy) Evaluate(q Request) Decision {
	if p == nil {
		return Decision{Why: "there is no policy"}
	}
	var d Decision
	var misses, allows, denies []string // the last two unknown
	for i := range p.rules {
		r := &p.rules[i]
		missed, unknown := r.misses(&q)
		switch {
		case missed != "" && r.deny: // why a deny did not apply explains no refusal
			denies = append(denies, unknown...)
		case missed != "":
			allows = append(allows, unknown...)
			misses = append(misses, fmt.Sprintf("%s: %s", r.name, missed))
		case r.deny:
			return Decision{ExplicitDeny: true, Sid: r.sid, Why: fmt.Sprintf("%s denies %s to %s", r.name, q.Action, q.Principal)}
		case !d.Allowed:
			d.Allowed, d.Sid = true, r.sid
			d.Why = fmt.Sprintf("%s allows %s to %s", r.name, q.Action, q.Principal)
		}
	}
	if d.Allowed {
		d.Unknown = denies
		return d
	}
	d.Unknown = append(allows, denies...)
	d.Why = fmt.Sprintf("no statement allows %s to %s", q.Action, q.Principal)
	if len(misses) > 0 {
		d.Why += " (" + strings.Join(misses, "; ") + ")"
	}
	return d
}

// notShared are the actions that no policy of a queue gives to another account. Source: "Limitations
// of Amazon SQS custom policies", Developer Guide.
var notShared = []string{
	"AddPermission", "CancelMessageMoveTask", "CreateQueue", "DeleteQueue", "ListMessageMoveTasks", "ListQueues",
	"ListQueueTags", "RemovePermission", "SetQueueAttributes", "StartMessageMoveTask", "TagQueue", "UntagQueue",
}

// OwnersOnly tells whether an action of SQS, by its name alone, is one that no policy gives to another
// account.
func OwnersOnly(action string) bool { return slices.Contains(notShared, action) }

// Authorize decides whether a caller may do something to the queue or topic that carries the policy, as
// AWS does when the caller's own account lets it do everything. To somebody of the account that owns
// the resource, which is in the resource's ARN, all is allowed but what the policy denies. Services and
// other accounts need a statement that allows it.
func (p *Policy) Authorize(q Request) Decision {
	d := p.Evaluate(q)
	if q.Principal.Service != "" || q.Principal.AWS == "" || d.ExplicitDeny {
		return d
	}
	owner := accountOf(q.Resource)
	if accountOf(q.Principal.AWS) == owner {
		if !d.Allowed {
			d.Allowed, d.Why = true, fmt.Sprintf("nothing denies %s to %s, whose account owns it", q.Action, q.Principal)
		}
		return d
	}
	service, action, _ := strings.Cut(q.Action, ":")
	if strings.EqualFold(service, "sqs") && slices.ContainsFunc(notShared, func(a string) bool { return strings.EqualFold(a, action) }) {
		d.Allowed, d.Sid = false, ""
		d.Why = fmt.Sprintf("only account %s may do %s: no policy gives it to %s of another", owner, q.Action, q.Principal)
	}
	return d
}

// misses says what keeps the statement from speaking of a request; empty: it does.
func (r *rule) misses(q *Request) (missed string, unknown []string) {
	if !r.speaksOf(q.Principal) {
		return "another principal", nil
	}
	action := strings.ToLower(q.Action)
	if slices.ContainsFunc(r.actions, func(t template) bool { return t.match(q, action) }) == r.notAction {
		return "another action", nil
	}
	found := slices.ContainsFunc(r.resources, func(t template) bool { return t.match(q, q.Resource) })
	switch {
	case r.resourceFault != nil && !found:
		return "another resource", []string{r.resourceFault.Error()}
	case found == r.notResource:
		return "another resource", nil
	}
	for i := range r.conditions {
		c := &r.conditions[i]
		switch {
		case c.fault != nil:
			missed, unknown = c.String(), append(unknown, c.String()+": "+c.fault.Error())
		case !c.met(q): // whatever is unknown beside it
			return c.String(), nil
		}
	}
	return missed, unknown
}

func (r *rule) speaksOf(who Principal) bool {
	switch {
	case !r.notPrincipal:
		return r.principals.mean(who)
	case r.deny:
		return !r.principals.spare(who)
	default:
		return !r.principals.mean(who)
	}
}
