package snsfilter

import (
	"encoding/json"
	"slices"
	"strings"
)

// Match tells whether a message passes.
func (p *Policy) Match(m *Message) bool {
	missed, metric := p.judge(m)
	return missed == nil && metric == ""
}

// judge looks for an alternative in which every field finds a value. If there is none, it returns
// the field at which the nearest one fails; no field if the message as a whole cannot pass.
func (p *Policy) judge(m *Message) (missed *field, metric Metric) {
	if p == nil || len(p.alternatives) == 0 {
		return nil, ""
	}
	if p.scope == Body {
		if m.readBody() == nil {
			return nil, InvalidMessageBody
		}
	} else if len(m.readAttributes()) == 0 {
		// Not even {"exists": false} lets a message without attributes pass.
		return nil, NoMessageAttributes
	}
	nearest := -1
	for _, fields := range p.alternatives {
		passed := 0
		for passed < len(fields) && p.passes(fields[passed], m) {
			passed++
		}
		if passed == len(fields) {
			return nil, ""
		}
		if passed > nearest {
			nearest, missed = passed, fields[passed]
		}
	}
	switch {
	case p.scope == Body:
		return missed, MessageBody
	case m.invalid[missed.path]:
		return missed, InvalidAttributes
	default:
		return missed, MessageAttributes
	}
}

func (p *Policy) passes(f *field, m *Message) bool {
	if p.scope == Body {
		found := false
		wanted := f.walk(m.object, f.path, func(v scalar) bool {
			found = true
			return f.wants(v)
		})
		return wanted || f.absent && !found
	}
	values := m.values[f.path]
	return slices.ContainsFunc(values, f.wants) || f.absent && len(values) == 0 && !m.invalid[f.path]
}

// maxHashed is how long a path may be, in bytes, to be looked up by its hash. A longer one, and one with
// more dots than an object has names, is compared with the names: that costs no more than the body is
// long, whatever a policy says.
const maxHashed = 256

// walk calls see with each value at a path below an object, until it is true. A dot in a name and a
// step into an object are one to SNS: "a.b" leads to {"a":{"b":1}} and to {"a.b":1}.
func (f *field) walk(object map[string]any, path string, see func(scalar) bool) bool {
	if len(f.path) > maxHashed || len(f.cuts) > len(object) {
		for name, value := range object {
			rest, found := strings.CutPrefix(path, name)
			switch {
			case !found:
			case rest == "":
				if leaves(value, see) {
					return true
				}
			case rest[0] == '.':
				if f.descend(value, rest[1:], see) {
					return true
				}
			}
		}
		return false
	}
	if value, has := object[path]; has && leaves(value, see) {
		return true
	}
	// The cuts are of the whole path, which this one ends.
	offset := len(f.path) - len(path)
	for _, cut := range f.cuts {
		if cut < offset {
			continue
		}
		if value, has := object[path[:cut-offset]]; has && f.descend(value, path[cut-offset+1:], see) {
			return true
		}
	}
	return false
}

// descend goes on below a value: into an object, and into each element of an array.
func (f *field) descend(value any, path string, see func(scalar) bool) bool {
	switch value := value.(type) {
	case map[string]any:
		return f.walk(value, path, see)
	case []any:
		for _, element := range value {
			if f.descend(element, path, see) {
				return true
			}
		}
	}
	return false
}

// leaves calls see with a value, or with each of an array. An object is none.
func leaves(value any, see func(scalar) bool) bool {
	switch value := value.(type) {
	case []any:
		for _, element := range value {
			if leaves(element, see) {
				return true
			}
		}
		return false
	case string:
		return see(scalar{kind: isText, text: value})
	case json.Number:
		v, ok := newNumber(value.String())
		return ok && see(v)
	case bool:
		if value {
			return see(scalar{kind: isBool, text: "true"})
		}
		return see(scalar{kind: isBool, text: "false"})
	case nil:
		return see(scalar{kind: isNull, text: "null"})
	}
	return false
}
