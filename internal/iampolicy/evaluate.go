package iampolicy

import (
	"fmt"
	"slices"
	"strings"
)

// Request is one use of a queue or a topic, as IAM sees it.
type Request struct {
	Principal Principal
	Action    string // "sqs:SendMessage"
	Resource  string // ARN
	// Context holds the values of condition keys ("aws:SourceArn"); their case does not matter.
	Context map[string][]string
}

// Principal is who asks: a service, or somebody of an account.
type Principal struct {
	Service string // "sns.amazonaws.com"
	AWS     string // an ARN, or the 12 digits of an account
}

func (p Principal) String() string {
	if p.Service != "" {
		return p.Service
	}
	return p.AWS
}

// Decision is what a policy says to one request. Neither allowed nor an explicit deny: no statement
// speaks of the request, which for a service is a no.
type Decision struct {
	Allowed      bool
	ExplicitDeny bool
	Sid          string   // of the statement that decided, when one did
	Why          string   // for a person: the deciding statement, or what each statement missed by
	Unknown      []string // operators and variables that this package does not know: taken as not satisfied
}

// Evaluate decides one request. An explicit deny wins over any allow.
func (p *Policy) Evaluate(r Request) Decision {
	if p == nil {
		return Decision{Why: "there is no policy"}
	}
	var d Decision
	var allowed *rule
	var misses []string
	for i := range p.rules {
		s := &p.rules[i]
		missed, unknown := s.misses(r)
		for _, u := range unknown {
			if !slices.Contains(d.Unknown, u) {
				d.Unknown = append(d.Unknown, u)
			}
		}
		switch {
		case missed != "":
			if !s.deny { // why a deny did not apply explains no refusal
				misses = append(misses, fmt.Sprintf("%s: %s", s.name(i), missed))
			}
		case s.deny:
			d.Allowed, d.ExplicitDeny, d.Sid = false, true, s.sid
			d.Why = fmt.Sprintf("%s denies %s to %s", s.name(i), r.Action, r.Principal)
			return d
		case allowed == nil:
			allowed = s
			d.Allowed, d.Sid = true, s.sid
			d.Why = fmt.Sprintf("%s allows %s to %s", s.name(i), r.Action, r.Principal)
		}
	}
	if !d.Allowed {
		d.Why = fmt.Sprintf("no statement allows %s to %s", r.Action, r.Principal)
		if len(misses) > 0 {
			d.Why += " (" + strings.Join(misses, "; ") + ")"
		}
	}
	return d
}

func (r *rule) name(i int) string {
	if r.sid != "" {
		return fmt.Sprintf("statement %q", r.sid)
	}
	return fmt.Sprintf("statement %d", i+1)
}

// misses says what keeps the statement from speaking of a request; empty: it does.
func (r *rule) misses(q Request) (missed string, unknown []string) {
	if r.principals.match(q.Principal) == r.notPrincipal {
		return "another principal", nil
	}
	action := strings.ToLower(q.Action)
	if slices.ContainsFunc(r.actions, func(p string) bool { return glob(strings.ToLower(p), action) }) == r.notAction {
		return "another action", nil
	}
	if slices.ContainsFunc(r.resources, func(p string) bool { return glob(p, q.Resource) }) == r.notResource {
		return "another resource", nil
	}
	for _, c := range r.conditions {
		met, why := c.met(q.Context)
		if why != "" {
			unknown = append(unknown, why)
		}
		if !met && missed == "" {
			missed = "condition " + c.operator + " on " + c.key
		}
	}
	return missed, unknown
}

// match tells whether a principal is meant. "*" means services too: policies of the time before
// service principals let SNS in that way, with a condition on aws:SourceArn.
func (p principals) match(who Principal) bool {
	switch {
	case p.everyone:
		return true
	case who.Service != "":
		return slices.Contains(p.services, who.Service)
	case who.AWS == "":
		return false
	}
	return slices.ContainsFunc(p.aws, func(name string) bool {
		if name == who.AWS {
			return true
		}
		// An account, by its number or its root, means everybody in it.
		account, whole := strings.CutSuffix(name, ":root")
		if whole {
			account = account[strings.LastIndexByte(account, ':')+1:]
		}
		return (whole || !strings.Contains(name, ":")) && account == accountOf(who.AWS)
	})
}

// accountOf is the account of an ARN, or the name itself when it is an account's number.
func accountOf(name string) string {
	parts := strings.SplitN(name, ":", 6)
	if len(parts) < 6 {
		return name
	}
	return parts[4]
}

// glob matches with IAM's two wildcards, * and ?, over bytes: what policies match is ASCII. It never
// tries more than one position of the last star again, so a hostile pattern costs its length times
// the text's and no more.
func glob(pattern, text string) bool {
	p, t, star, resume := 0, 0, -1, 0
	for t < len(text) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, resume = p, t
			p++
		case p < len(pattern) && (pattern[p] == '?' || pattern[p] == text[t]):
			p++
			t++
		case star >= 0:
			resume++
			p, t = star+1, resume
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}
