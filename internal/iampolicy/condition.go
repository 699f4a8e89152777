package iampolicy

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sort"
	"strconv"
	"strings"
)

// condition is one operator on one key: {"ArnEquals":{"aws:SourceArn":[…]}}.
type condition struct {
	operator, key string // as written
	values        []string

	compare  func(pattern, value string) bool // nil: an operator that this package does not know
	negated  bool                             // StringNotEquals and its kind
	null     bool                             // Null: asks whether the key is there
	ifExists bool
	set      string // "ForAnyValue", "ForAllValues" or nothing
}

// operators without their Not, which negates what they find. ArnEquals and ArnLike are one operator
// with two names. Dates and addresses are missing: nothing that sends to a queue here carries them.
var operators = map[string]func(pattern, value string) bool{
	"StringEquals":           func(p, v string) bool { return p == v },
	"StringEqualsIgnoreCase": strings.EqualFold,
	"StringLike":             glob,
	"ArnEquals":              arnLike,
	"ArnLike":                arnLike,
	"Bool":                   strings.EqualFold,

	"NumericEquals":            numeric(func(p, v float64) bool { return v == p }),
	"NumericLessThan":          numeric(func(p, v float64) bool { return v < p }),
	"NumericLessThanEquals":    numeric(func(p, v float64) bool { return v <= p }),
	"NumericGreaterThan":       numeric(func(p, v float64) bool { return v > p }),
	"NumericGreaterThanEquals": numeric(func(p, v float64) bool { return v >= p }),
}

func parseConditions(raw json.RawMessage) ([]condition, error) {
	var blocks map[string]map[string]json.RawMessage
	if err := json.Unmarshal(raw, &blocks); err != nil {
		return nil, fmt.Errorf("no object of operators with keys: %w", err)
	}
	var all []condition
	for operator, keys := range blocks {
		for key, raw := range keys {
			values, err := scalars(raw)
			if err != nil {
				return nil, fmt.Errorf("%s: %s: %w", operator, key, err)
			}
			all = append(all, newCondition(operator, key, values))
		}
	}
	// The order of a map is none: what Why says must not change from one evaluation to the next.
	sort.Slice(all, func(i, j int) bool {
		return all[i].operator+"\x00"+all[i].key < all[j].operator+"\x00"+all[j].key
	})
	return all, nil
}

func newCondition(operator, key string, values []string) condition {
	c := condition{operator: operator, key: key, values: values}
	name := operator
	if set, rest, found := strings.Cut(name, ":"); found {
		c.set, name = set, rest
	}
	name, c.ifExists = strings.CutSuffix(name, "IfExists")
	if name == "Null" {
		c.null = true
		return c
	}
	if c.set != "" && c.set != "ForAnyValue" && c.set != "ForAllValues" {
		return c
	}
	for _, family := range []string{"String", "Arn", "Numeric"} {
		if rest, found := strings.CutPrefix(name, family+"Not"); found {
			name, c.negated = family+rest, true
		}
	}
	c.compare = operators[name]
	return c
}

// met tells whether a request meets the condition; unknown names what kept this package from knowing.
func (c *condition) met(context map[string][]string) (met bool, unknown string) {
	var have []string
	for key, values := range context {
		if strings.EqualFold(key, c.key) {
			have = append(have, values...)
		}
	}
	if c.null {
		return slices.ContainsFunc(c.values, func(v string) bool { return strings.EqualFold(v, strconv.FormatBool(len(have) == 0)) }), ""
	}
	if c.compare == nil {
		return false, c.operator
	}
	if i := slices.IndexFunc(c.values, func(v string) bool { return strings.Contains(v, "${") }); i >= 0 {
		return false, "variable in " + c.values[i]
	}
	// One value of the request holds when it is among the condition's, or, negated, when it is not.
	holds := func(v string) bool {
		return slices.ContainsFunc(c.values, func(p string) bool { return c.compare(p, v) }) != c.negated
	}
	all := !slices.ContainsFunc(have, func(v string) bool { return !holds(v) })
	switch {
	case len(have) == 0 && c.set == "ForAllValues", len(have) == 0 && c.ifExists:
		return true, ""
	case c.set == "ForAnyValue":
		return slices.ContainsFunc(have, holds), ""
	case c.set == "ForAllValues", c.negated: // a key that is absent is not equal to anything
		return all, ""
	default:
		return slices.ContainsFunc(have, holds), ""
	}
}

// arnLike compares part by part: a wildcard stays inside its part, and only the last part, the
// resource, may hold colons.
func arnLike(pattern, value string) bool {
	p, v := strings.SplitN(pattern, ":", 6), strings.SplitN(value, ":", 6)
	if len(p) != 6 || len(v) != 6 {
		return false
	}
	for i := range p {
		if !glob(p[i], v[i]) {
			return false
		}
	}
	return true
}

func numeric(holds func(pattern, value float64) bool) func(pattern, value string) bool {
	return func(pattern, value string) bool {
		p, err := strconv.ParseFloat(pattern, 64)
		if err != nil {
			return false
		}
		v, err := strconv.ParseFloat(value, 64)
		return err == nil && holds(p, v)
	}
}

// scalars reads the values of a condition: strings, and the booleans and numbers that IAM lets stand
// for them.
func scalars(raw json.RawMessage) ([]string, error) {
	var one json.RawMessage
	var many []json.RawMessage
	if json.Unmarshal(raw, &many) != nil || many == nil {
		one = raw
		many = []json.RawMessage{one}
	}
	if len(many) == 0 {
		return nil, errors.New("an empty list")
	}
	texts := make([]string, len(many))
	for i, raw := range many {
		var v any
		if err := json.Unmarshal(raw, &v); err != nil {
			return nil, err
		}
		switch v := v.(type) {
		case string:
			texts[i] = v
		case bool, float64:
			texts[i] = string(raw)
		default:
			return nil, fmt.Errorf("%s is no string", raw)
		}
	}
	return texts, nil
}
