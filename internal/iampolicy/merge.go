package iampolicy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"sort"
)

// The quotas of a queue's policy. Source: "Amazon SQS policy quotas", Developer Guide. Beyond them SQS
// answers OverLimit, which reads like a throttle.
const (
	MaxBytes      = 8192
	MaxStatements = 20
)

// Statement is one statement of our own, to be merged into a policy. Its Sid is how it is found again.
// Condition maps operator and key to the values, any of which will do.
type Statement struct {
	Sid       string                         `json:"Sid"`
	Effect    string                         `json:"Effect"`
	Principal map[string]string              `json:"Principal"`
	Action    string                         `json:"Action"`
	Resource  string                         `json:"Resource"`
	Condition map[string]map[string][]string `json:"Condition,omitempty"`
}

// Merge puts own statements into a policy, each in the place of the one with its Sid or else at the
// end, and keeps what others wrote byte for byte. When all stand there already, whatever their
// spelling (a value or a list of one), nothing changed and the policy comes back as it was given.
// The result depends on its arguments only, so that a second merge changes nothing.
//
// The values of a condition are added to those that stand in the place of the statement, if it is
// the same statement otherwise: another configuration may have put them there.
func Merge(policy string, own ...Statement) (merged string, changed bool, err error) {
	document, statements := map[string]json.RawMessage{"Version": json.RawMessage(`"2012-10-17"`)}, []json.RawMessage(nil)
	if policy != "" {
		if document, statements, err = open(policy); err != nil {
			return "", false, fmt.Errorf("%w; mend or remove it by hand", err)
		}
	}
	for _, s := range own {
		if s.Sid == "" {
			return "", false, errors.New("policy: a statement of ours has no Sid: it would be added again each time")
		}
		raw, err := encode(grown(s, statements))
		if err != nil {
			return "", false, fmt.Errorf("policy: statement %s: %w", s.Sid, err)
		}
		var placed bool
		statements, placed = place(statements, s.Sid, raw)
		changed = changed || placed
	}
	if !changed {
		return policy, false, nil
	}
	if len(statements) > MaxStatements {
		return "", false, fmt.Errorf("policy: %d statements, at most %d: let fewer topics send to the queue, or remove statements of others", len(statements), MaxStatements)
	}
	text, err := write(document, statements)
	if err != nil {
		return "", false, fmt.Errorf("policy: %w", err)
	}
	if len(text) > MaxBytes {
		return "", false, fmt.Errorf("policy: %d bytes, at most %d: let fewer topics send to the queue, or remove statements of others", len(text), MaxBytes)
	}
	return text, true, nil
}

// write puts a document together by hand: encoding/json would take the spaces out of what others
// wrote and escape their characters.
func write(document map[string]json.RawMessage, statements []json.RawMessage) (string, error) {
	document["Statement"] = slices.Concat([]byte{'['}, bytes.Join(asBytes(statements), []byte{','}), []byte{']'})
	var b bytes.Buffer
	for _, name := range slices.Sorted(maps.Keys(document)) {
		key, err := encode(name)
		if err != nil {
			return "", err
		}
		b.WriteString(",")
		b.Write(key)
		b.WriteByte(':')
		b.Write(document[name])
	}
	return "{" + b.String()[1:] + "}", nil
}

func asBytes(statements []json.RawMessage) [][]byte {
	all := make([][]byte, len(statements))
	for i, s := range statements {
		all[i] = s
	}
	return all
}

// grown is own with the values that the conditions of the statement in its place have besides. A
// statement that differs in anything else, a Deny for example, lends nothing.
func grown(own Statement, statements []json.RawMessage) Statement {
	at := slices.IndexFunc(statements, func(s json.RawMessage) bool { return sidOf(s) == own.Sid })
	if at < 0 {
		return own
	}
	var there struct {
		Condition map[string]map[string]json.RawMessage
	}
	if json.Unmarshal(statements[at], &there) != nil {
		return own
	}
	all := own
	all.Condition = make(map[string]map[string][]string, len(own.Condition))
	for operator, keys := range own.Condition {
		all.Condition[operator] = make(map[string][]string, len(keys))
		for key, values := range keys {
			united, err := list(there.Condition[operator][key])
			if err != nil {
				return own
			}
			for _, v := range values {
				if !slices.Contains(united, v) {
					united = append(united, v)
				}
			}
			all.Condition[operator][key] = united
		}
	}
	if !sameBut(statements[at], all) {
		return own
	}
	return all
}

// sameBut compares everything but the values of the conditions.
func sameBut(raw json.RawMessage, s Statement) bool {
	var elements map[string]json.RawMessage
	if json.Unmarshal(raw, &elements) != nil {
		return false
	}
	var conditions map[string]map[string]json.RawMessage
	if json.Unmarshal(elements["Condition"], &conditions) != nil || len(conditions) != len(s.Condition) {
		return false
	}
	for operator, keys := range s.Condition {
		if len(conditions[operator]) != len(keys) {
			return false
		}
	}
	delete(elements, "Condition")
	s.Condition = nil
	have, err := encode(elements)
	if err != nil {
		return false
	}
	want, err := encode(s)
	return err == nil && equal(have, want)
}

// place puts a statement where its Sid stands; a Sid that stands twice is a remnant and goes.
func place(statements []json.RawMessage, sid string, raw json.RawMessage) (placed []json.RawMessage, changed bool) {
	found := false
	for _, s := range statements {
		switch {
		case sidOf(s) != sid:
			placed = append(placed, s)
		case found:
			changed = true
		case equal(s, raw):
			placed, found = append(placed, s), true
		default:
			placed, found, changed = append(placed, raw), true, true
		}
	}
	if !found {
		return append(placed, raw), true
	}
	return placed, changed
}

func sidOf(raw json.RawMessage) string {
	var s struct{ Sid string }
	if json.Unmarshal(raw, &s) != nil {
		return "" // not ours, whatever it is
	}
	return s.Sid
}

// equal compares what two statements say: a list of one is its value, and the order of a list is none.
func equal(a, b json.RawMessage) bool {
	var x, y any
	if json.Unmarshal(a, &x) != nil || json.Unmarshal(b, &y) != nil {
		return false
	}
	return reflect.DeepEqual(plain(x), plain(y))
}

func plain(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for key, value := range v {
			v[key] = plain(value)
		}
	case []any:
		if len(v) == 1 {
			return plain(v[0])
		}
		sort.Slice(v, func(i, j int) bool { return fmt.Sprint(v[i]) < fmt.Sprint(v[j]) })
	}
	return v
}

// encode is json.Marshal without the escapes for HTML, which would spend quota and rewrite what
// others wrote.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}
