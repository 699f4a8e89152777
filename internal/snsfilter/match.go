package snsfilter

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
)

// Attribute is a message attribute of a publish: the exact DataType ("String", "String.Array",
// "Number", "Binary") and its text. The value of a Binary one is not looked at.
type Attribute struct{ Type, Value string }

// Match tells whether a message passes: every key of the policy must find one of its values.
func (p *Policy) Match(body string, attributes map[string]Attribute) bool {
	if p == nil || len(p.wanted) == 0 {
		return true
	}
	if p.scope == Body {
		return p.matchBody(body)
	}
	for key, wanted := range p.wanted {
		a, has := attributes[key[1:]] // without its dot
		if !has || !slices.ContainsFunc(values(a), func(v scalar) bool { return slices.Contains(wanted, v) }) {
			return false
		}
	}
	return true
}

// values are what an attribute offers to match: a String.Array each of its elements, a Binary none.
func values(a Attribute) []scalar {
	kind, _, _ := strings.Cut(a.Type, ".")
	switch {
	case a.Type == "String.Array":
		var elements []scalar
		if json.Unmarshal([]byte(a.Value), &elements) != nil {
			return nil // SNS counts it as FilteredOut-InvalidAttributes
		}
		return slices.DeleteFunc(elements, func(v scalar) bool { return !simple(v) })
	case kind == "String":
		return []scalar{a.Value}
	case kind == "Number":
		if f, err := strconv.ParseFloat(a.Value, 64); err == nil {
			return []scalar{f}
		}
	}
	return nil
}

// simple keeps arrays and objects away from ==, which would panic on them.
func simple(v any) bool {
	switch v.(type) {
	case nil, string, float64, bool:
		return true
	default:
		return false
	}
}

// matchBody looks into a body that is a JSON object; no other body passes any key.
func (p *Policy) matchBody(body string) bool {
	var object map[string]any
	if json.Unmarshal([]byte(body), &object) != nil {
		return false
	}
	missing := make(map[string]bool, len(p.wanted))
	for key := range p.wanted {
		missing[key] = true
	}
	p.find("", object, missing)
	return len(missing) == 0
}

// find walks a value of the body and strikes off the keys that found a value they want. An array
// stands for each of its elements, also when these are objects.
func (p *Policy) find(path string, value any, missing map[string]bool) {
	switch value := value.(type) {
	case map[string]any:
		for name, inner := range value {
			if below := path + "." + name; p.leads(below) {
				p.find(below, inner, missing)
			}
		}
	case []any:
		for _, element := range value {
			p.find(path, element, missing)
		}
	default:
		if slices.Contains(p.wanted[path], scalar(value)) {
			delete(missing, path)
		}
	}
}

// leads tells whether a path is, or leads to, a key of the policy: the rest of a body is not walked.
func (p *Policy) leads(path string) bool {
	for key := range p.wanted {
		if rest, found := strings.CutPrefix(key, path); found && (rest == "" || rest[0] == '.') {
			return true
		}
	}
	return false
}
