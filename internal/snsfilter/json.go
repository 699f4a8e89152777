package snsfilter

import (
	"encoding/json"
	"errors"
	"strings"
	"unicode/utf8"
)

// node is a value of a policy's JSON that remembers the order of things: which fault is the first,
// and which of two values of one key the last, depends on it.
type node struct {
	kind     byte // '{', '[', or 's'tring, 'n'umber, 'b'oolean, '0' for null
	text     string
	members  []member
	elements []node
}

type member struct {
	name  string
	value node
}

var errNoJSON = errors.New("no JSON")

// readJSON reads one value and nothing after it. The depth is bounded by json.Valid.
func readJSON(text string) (node, error) {
	if !utf8.ValidString(text) || !json.Valid([]byte(text)) {
		return node{}, errNoJSON
	}
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber() // what is out of range for a float64 is a value all the same
	return readNode(d)
}

func readNode(d *json.Decoder) (n node, err error) {
	token, err := d.Token()
	if err != nil {
		return node{}, errNoJSON
	}
	switch token := token.(type) {
	case json.Delim:
		n.kind = byte(token)
		for d.More() {
			var name string
			if n.kind == '{' {
				key, err := d.Token()
				if err != nil {
					return node{}, errNoJSON
				}
				name, _ = key.(string)
			}
			value, err := readNode(d)
			if err != nil {
				return node{}, err
			}
			if n.kind == '{' {
				n.members = append(n.members, member{name, value})
			} else {
				n.elements = append(n.elements, value)
			}
		}
		_, err = d.Token() // the end
	case json.Number:
		n.kind, n.text = 'n', token.String()
	case string:
		n.kind, n.text = 's', token
	case bool:
		n.kind, n.text = 'b', "false"
		if token {
			n.text = "true"
		}
	default:
		n.kind, n.text = '0', "null"
	}
	return n, err
}

// scalar is a node as a value to match; arrays and objects are none.
func (n node) scalar() (scalar, bool) {
	switch n.kind {
	case 's':
		return scalar{kind: isText, text: n.text}, true
	case 'n':
		return newNumber(n.text)
	case 'b':
		return scalar{kind: isBool, text: n.text}, true
	case '0':
		return scalar{kind: isNull, text: n.text}, true
	}
	return scalar{}, false
}

// token is what SNS shows of a value that it did not expect.
func (n node) token() string {
	if n.kind == '{' || n.kind == '[' {
		return string(rune(n.kind))
	}
	return n.text
}
