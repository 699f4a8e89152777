package snsfilter

import (
	"encoding/json"
	"strings"
)

// Attribute is a message attribute of a publish: the exact DataType ("String", "String.Array",
// "Number", "Binary", any of them with a label after a dot) and its text. The value of a Binary one
// is not looked at.
type Attribute struct{ Type, Value string }

// Message is what the policies of a topic's subscriptions look at. It reads body and attributes once,
// when the first policy asks for them, and is for one goroutine.
type Message struct {
	body       string
	attributes map[string]Attribute

	bodyRead bool
	object   map[string]any // nil: the body is no JSON object

	attributesRead bool
	values         map[string][]scalar // of the attributes that are not Binary
	invalid        map[string]bool     // arrays that are none
}

// NewMessage makes a message of a body and its attributes, which may be nil.
func NewMessage(body string, attributes map[string]Attribute) *Message {
	return &Message{body: body, attributes: attributes}
}

// readBody returns the body's object, or nil.
func (m *Message) readBody() map[string]any {
	if !m.bodyRead {
		m.bodyRead = true
		d := json.NewDecoder(strings.NewReader(m.body))
		d.UseNumber()
		if d.Decode(&m.object) != nil || d.InputOffset() < int64(len(strings.TrimRight(m.body, " \t\r\n"))) {
			m.object = nil
		}
	}
	return m.object
}

// readAttributes returns the values of the attributes that filters look at.
func (m *Message) readAttributes() map[string][]scalar {
	if m.attributesRead {
		return m.values
	}
	m.attributesRead, m.values = true, make(map[string][]scalar, len(m.attributes))
	for name, a := range m.attributes {
		values, ok := a.read()
		if a.binary() {
			continue
		}
		m.values[name] = values
		if !ok {
			if m.invalid == nil {
				m.invalid = map[string]bool{}
			}
			m.invalid[name] = true
		}
	}
	return m.values
}

// binary tells whether filters ignore an attribute.
func (a Attribute) binary() bool {
	base, _, _ := strings.Cut(a.Type, ".")
	return base != "String" && base != "Number"
}

// read returns what an attribute offers to match: an array each of its elements. It is false for an
// array or a number that is none.
func (a Attribute) read() (values []scalar, ok bool) {
	base, label, _ := strings.Cut(a.Type, ".")
	switch {
	case label == "Array":
		array, err := readJSON(a.Value)
		if err != nil || array.kind != '[' {
			return nil, false
		}
		for _, e := range array.elements {
			if v, ok := e.scalar(); ok { // objects and arrays inside are no values
				values = append(values, v.escaped())
			}
		}
		return values, true
	case base == "Number":
		v, ok := newNumber(strings.TrimSpace(a.Value))
		if !ok {
			return nil, false
		}
		return []scalar{v}, true
	default:
		return []scalar{scalar{kind: isText, text: a.Value}.escaped()}, true
	}
}

var escapes = strings.NewReplacer(`\`, `\\`, `"`, `\"`)

// escaped is how a filter sees the text of an attribute: "you must double-escape" quotation marks and
// backslashes in a policy, or else "the notification won't be delivered". Source: "Policy constraints
// for attribute-based filtering", Developer Guide.
func (s scalar) escaped() scalar {
	if s.kind == isText {
		s.text = escapes.Replace(s.text)
	}
	return s
}
