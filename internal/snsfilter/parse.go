// Package snsfilter reads the filter policies of SNS subscriptions and tells which messages they let
// through: exact values of strings, numbers, booleans and null, on a message's attributes or on its
// body. The other operators are refused by name, never taken for something else. Source: "Amazon SNS
// subscription filter policies", Developer Guide.
package snsfilter

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"sort"
	"strconv"
	"strings"
)

// Scope is where a policy looks: the subscription's FilterPolicyScope.
type Scope string

// The two scopes. A subscription that names none has Attributes.
const (
	Attributes Scope = "MessageAttributes"
	Body       Scope = "MessageBody"
)

// The limits of a policy. Source: "Filter policy constraints", Developer Guide.
const (
	maxKeys         = 5
	maxCombinations = 150
)

// Policy is a filter policy, ready to match. The zero value lets everything through.
type Policy struct {
	scope Scope
	// wanted holds the accepted values of each key. Each level of a key begins with a dot: SNS too
	// takes "a.b" and {"a":{"b":…}} for one key.
	wanted map[string][]scalar
}

// scalar is a value that can be matched exactly: a string, a float64, a bool or nil. SNS promises
// five digits of a number; float64 keeps more.
type scalar any

// fault is what SNS says of a policy, in its own words.
type fault string

func (f fault) Error() string { return string(f) }

// UnsupportedError names an operator of the filter language that this package does not match with yet.
type UnsupportedError struct{ Operator string }

func (e *UnsupportedError) Error() string {
	return fmt.Sprintf("FilterPolicy: the operator %s is not supported yet by this local AWS: match exact values", e.Operator)
}

// operators of SNS that wait for their turn. Any other is none of SNS's either.
var operators = []string{"prefix", "suffix", "anything-but", "numeric", "exists", "equals-ignore-case", "cidr", "wildcard"}

// Parse reads a policy. Errors have SNS's words, without the prefix that depends on the call.
func Parse(text string, scope Scope) (*Policy, error) {
	var keys map[string]any
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber() // 1e999 is a fault of the policy and not of its JSON
	if err := d.Decode(&keys); err != nil || keys == nil {
		return nil, fault("FilterPolicy: failed to parse JSON.")
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, fault("FilterPolicy: failed to parse JSON.")
	}
	if len(keys) > maxKeys {
		return nil, fault(fmt.Sprintf("FilterPolicy: Filter policy can not have more than %d keys", maxKeys))
	}
	p := &parser{policy: Policy{scope: scope, wanted: map[string][]scalar{}}, combinations: 1}
	if err := p.object("", keys, 1); err != nil {
		return nil, err
	}
	if p.combinations > maxCombinations {
		return nil, fault("FilterPolicy: Filter policy is too complex")
	}
	return &p.policy, nil
}

type parser struct {
	policy       Policy
	combinations int
}

func (p *parser) object(prefix string, keys map[string]any, depth int) error {
	if depth > 1 && p.policy.scope != Body {
		return fault("Filter policy scope MessageAttributes does not support nested filter policy")
	}
	names := make([]string, 0, len(keys))
	for name := range keys {
		names = append(names, name)
	}
	sort.Strings(names) // of two faults, tell the same one each time
	for _, name := range names {
		if name == "$or" {
			return &UnsupportedError{Operator: "$or"}
		}
		switch value := keys[name].(type) {
		case map[string]any:
			if len(value) == 0 {
				return fault("FilterPolicy: Empty objects are not allowed")
			}
			if err := p.object(prefix+"."+name, value, depth+1); err != nil {
				return err
			}
		case []any:
			if err := p.values(prefix+"."+name, value, depth); err != nil {
				return err
			}
		default:
			return fault(fmt.Sprintf("FilterPolicy: %q must be an object or an array", name))
		}
	}
	return nil
}

func (p *parser) values(key string, values []any, depth int) error {
	if len(values) == 0 {
		return fault("FilterPolicy: Empty arrays are not allowed")
	}
	// Deeper keys count for more; beyond the limit the exact product does not matter.
	p.combinations = min(p.combinations*len(values)*depth, maxCombinations+1)
	for _, v := range values {
		value, err := exact(v)
		if err != nil {
			return err
		}
		p.policy.wanted[key] = append(p.policy.wanted[key], value)
	}
	return nil
}

func exact(v any) (scalar, error) {
	switch v := v.(type) {
	case nil, string, bool:
		return v, nil
	case json.Number:
		f, err := strconv.ParseFloat(v.String(), 64)
		if err != nil {
			return nil, fault(fmt.Sprintf("FilterPolicy: the number %s is out of range", v))
		}
		return f, nil
	case map[string]any:
		if len(v) != 1 {
			return nil, fault("FilterPolicy: Only one key allowed in match expression")
		}
		for operator := range v {
			if slices.Contains(operators, operator) {
				return nil, &UnsupportedError{Operator: operator}
			}
			return nil, fault(fmt.Sprintf("FilterPolicy: Unrecognized match type %s", operator))
		}
	}
	return nil, fault("FilterPolicy: Match value must be String, number, true, false, or null")
}
