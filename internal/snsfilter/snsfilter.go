// Package snsfilter reads the filter policies of SNS subscriptions and tells which messages they let
// through: the whole language of the Developer Guide, in both scopes, with SNS's limits and in SNS's
// words. Explain tells why a message is kept away, which SNS never does.
//
// Sources: "Amazon SNS subscription filter policies" and its pages on constraints, string, numeric
// and key matching and AND/OR logic, Developer Guide; how AWS answered LocalStack's AWS-validated
// tests of May 2024; and, where both are silent, aws/event-ruler, whose words the answers of AWS are.
package snsfilter

import "fmt"

// Scope is where a policy looks: the subscription's FilterPolicyScope.
type Scope string

// The two scopes. A subscription that names none has Attributes.
const (
	Attributes Scope = "MessageAttributes"
	Body       Scope = "MessageBody"
)

// The limits of a policy. Source: "Filter policy constraints", Developer Guide.
const (
	// MaxSize is how many bytes the JSON of a policy may have: 256 KB.
	MaxSize = 256 << 10
	// maxKeys counts keys with values, not the objects that nest them. With $or each alternative
	// counts by itself: the guide's own example of nested ones names seven keys.
	maxKeys = 5
	// maxCombinations is the product, over the keys, of how many values each has and how deep it is
	// nested; the alternatives of $or add up.
	maxCombinations = 150
	// maxWildcards is how many * one pattern may have.
	maxWildcards = 3
	// maxWildcardPoints is what all fields with wildcards may cost together: see points.
	maxWildcardPoints = 100
)

// Policy is a filter policy, ready to match. The nil and the zero Policy let everything through.
// It does not change, and many goroutines may use it at once.
type Policy struct {
	scope Scope
	// alternatives are the ways to pass: what $or says, multiplied out. In each, every field must
	// find a value that it wants.
	alternatives [][]*field
}

// field is a key with the values that a policy wants of it.
type field struct {
	path   string    // the names that lead to it, with dots between
	cuts   []int     // where the dots are
	exact  []scalar  // values wanted as they are
	others []matcher // what operators want
	absent bool      // {"exists": false}: no value at all will do
	size   int       // how many values the policy lists
	cost   int       // in points, for its wildcards
}

// matcher tells whether an operator wants a value.
type matcher func(scalar) bool

// wants tells whether a value is one of those that the policy lists.
func (f *field) wants(v scalar) bool {
	for _, e := range f.exact {
		if e.equal(v) {
			return true
		}
	}
	for _, m := range f.others {
		if m(v) {
			return true
		}
	}
	return false
}

// fault is what SNS says of a policy, in its own words.
type fault string

func (f fault) Error() string { return string(f) }

func faultf(format string, args ...any) error {
	return fault("FilterPolicy: " + fmt.Sprintf(format, args...))
}

// Parse reads a policy. Errors have SNS's words, without the prefix that depends on the call and
// without the position that SNS adds; of several faults they tell the first.
func Parse(text string, scope Scope) (*Policy, error) {
	if len(text) > MaxSize {
		// No source has AWS's words for this one.
		return nil, faultf("Filter policy can not have more than %d bytes, it has %d", MaxSize, len(text))
	}
	root, err := readJSON(text)
	if err != nil || root.kind != '{' {
		return nil, faultf("failed to parse JSON.")
	}
	p := &Policy{scope: scope}
	if len(root.members) == 0 {
		return p, nil
	}
	top, err := compile(root)
	if err != nil {
		return nil, err
	}
	if scope != Body && top.nests() {
		return nil, fault("Filter policy scope MessageAttributes does not support nested filter policy")
	}
	combinations, keys := top.count(1)
	switch {
	case keys > maxKeys:
		return nil, faultf("Filter policy can not have more than %d keys", maxKeys)
	case combinations > maxCombinations, top.points() > maxWildcardPoints:
		return nil, faultf("Filter policy is too complex")
	}
	p.alternatives = top.expand("", [][]*field{nil})
	return p, nil
}
