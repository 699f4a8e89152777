package iampolicy

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// The set operators, for keys of several values.
const (
	forAny = "ForAnyValue"
	forAll = "ForAllValues"
)

// condition is one operator on one key: {"ArnEquals":{"aws:SourceArn":[…]}}.
type condition struct {
	operator, key string // as written
	tests         []test // one for each value
	negated       bool   // StringNotEquals and its kind
	null          bool   // Null: asks whether the key is there
	ifExists      bool
	set           string // forAny, forAll or nothing
	fault         error  // why this package cannot evaluate it
}

func (c *condition) String() string {
	if c.key == "" {
		return "condition " + c.operator
	}
	return "condition " + c.operator + " on " + c.key
}

// parseConditions reads a Condition in the order of its names: what a person is told must not change
// from one reading to the next.
func parseConditions(raw json.RawMessage, variables bool) ([]condition, error) {
	var blocks map[string]map[string]json.RawMessage
	if err := json.Unmarshal(raw, &blocks); err != nil || blocks == nil {
		return nil, errors.New("no object of operators with keys")
	}
	var all []condition
	for _, operator := range slices.Sorted(maps.Keys(blocks)) {
		if len(blocks[operator]) == 0 {
			all = append(all, condition{operator: operator, fault: errors.New("it has no key")})
		}
		for _, key := range slices.Sorted(maps.Keys(blocks[operator])) {
			values, err := scalars(blocks[operator][key])
			if err != nil {
				return nil, fmt.Errorf("%s: %s: %w", operator, key, err)
			}
			c := condition{operator: operator, key: key}
			c.fault = c.read(values, variables)
			all = append(all, c)
		}
	}
	return all, nil
}

// read understands the operator and its values, or says why not.
func (c *condition) read(values []string, variables bool) error {
	if service, name, _ := strings.Cut(c.key, ":"); service == "" || name == "" {
		return fmt.Errorf("%q is no condition key: one is written as aws:SourceArn", c.key)
	}
	name := c.operator
	if set, rest, found := strings.Cut(name, ":"); found {
		if set != forAny && set != forAll {
			return fmt.Errorf("%s is no set operator: write %s or %s", set, forAny, forAll)
		}
		c.set, name = set, rest
	}
	name, c.ifExists = strings.CutSuffix(name, "IfExists")
	o, known := operators[name]
	switch {
	case name == "Null" && (c.set != "" || c.ifExists):
		return errors.New("the operator Null stands alone: it asks whether the key is there")
	case name == "Null":
		c.null, o = true, operators["Bool"]
	case !known:
		return unknownOperator(name)
	case c.set == forAny && c.ifExists:
		// The guide says that IfExists makes an absent key true, and that ForAnyValue makes it false.
		return fmt.Errorf("what AWS makes of an absent key with both %s and IfExists is not told: write a statement for each case", forAny)
	}
	c.negated = o.negated
	for _, value := range values {
		t, err := o.read(value, variables)
		if err != nil {
			return err
		}
		c.tests = append(c.tests, t)
	}
	return nil
}

func unknownOperator(name string) error {
	for known := range operators {
		if strings.EqualFold(known, name) {
			return fmt.Errorf("%s is no operator: write %s", name, known)
		}
	}
	return fmt.Errorf("%s is no operator", name)
}

// met tells whether a request meets the condition; it has no fault. An absent key is equal to nothing,
// so that a negated operator holds for it.
func (c *condition) met(q *Request) bool {
	have := q.values(c.key)
	is := func(value string) bool {
		return slices.ContainsFunc(c.tests, func(t test) bool { return t(q, value) })
	}
	holds := func(value string) bool { return is(value) != c.negated }
	switch {
	case c.null:
		return is(strconv.FormatBool(len(have) == 0))
	case len(have) == 0:
		return c.ifExists || c.set == forAll || c.negated && c.set == ""
	case c.set == forAll, c.set == "" && c.negated:
		return !slices.ContainsFunc(have, func(v string) bool { return !holds(v) })
	default:
		return slices.ContainsFunc(have, holds)
	}
}

// scalars reads the values of a condition: strings, and the booleans and numbers that IAM lets stand
// for them.
func scalars(raw json.RawMessage) ([]string, error) {
	var many []json.RawMessage
	if json.Unmarshal(raw, &many) != nil || many == nil {
		many = []json.RawMessage{raw}
	}
	if len(many) == 0 {
		return nil, errors.New("an empty list")
	}
	texts := make([]string, len(many))
	for i, raw := range many {
		switch c := raw[0]; {
		case c == '"':
			if err := json.Unmarshal(raw, &texts[i]); err != nil {
				return nil, err
			}
		case c == 't' || c == 'f' || c == '-' || c >= '0' && c <= '9':
			texts[i] = string(raw)
		default:
			return nil, fmt.Errorf("%s is no string", raw)
		}
	}
	return texts, nil
}
