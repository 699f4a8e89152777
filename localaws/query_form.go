package localaws

import (
	"cmp"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// formNode is a parameter of a form, or a part of one: MessageAttribute.1.Value.StringValue is four
// nodes deep.
type formNode struct {
	value string
	given bool
	below map[string]*formNode
}

// deepest is how many parts a name can have that means anything:
// SendMessageBatchRequestEntry.1.MessageAttribute.1.Value.StringValue has six.
const deepest = 8

// newFormTree puts the parameters of a form into a tree. Names with too many parts mean nothing, and
// are left out; so is what a parameter says a second time.
func newFormTree(form url.Values) *formNode {
	root := &formNode{}
	for name, values := range form {
		if strings.Count(name, ".") >= deepest {
			continue
		}
		at := root
		for part := range strings.SplitSeq(name, ".") {
			if at.below == nil {
				at.below = map[string]*formNode{}
			}
			next := at.below[part]
			if next == nil {
				next = &formNode{}
				at.below[part] = next
			}
			at = next
		}
		if len(values) > 0 {
			at.value, at.given = values[0], true
		}
	}
	return root
}

// entries are the members of a list or a map, in the order of their numbers, whatever those are. A
// parameter without a number is a list of one: AWS's oldest examples have Attribute.Name and
// AttributeName=All.
func (n *formNode) entries() []*formNode {
	if n == nil {
		return nil
	}
	type numbered struct {
		number int
		node   *formNode
	}
	var all []numbered
	for part, node := range n.below {
		if number, err := strconv.Atoi(part); err == nil && number > 0 {
			all = append(all, numbered{number, node})
		}
	}
	if len(all) == 0 && (n.given || len(n.below) > 0) {
		return []*formNode{n}
	}
	slices.SortFunc(all, func(a, b numbered) int { return cmp.Compare(a.number, b.number) })
	nodes := make([]*formNode, len(all))
	for i, entry := range all {
		nodes[i] = entry.node
	}
	return nodes
}

// text is the value of a part, and whether there is one.
func (n *formNode) text(part string) (string, bool) {
	if n == nil || n.below[part] == nil {
		return "", false
	}
	return n.below[part].value, n.below[part].given
}
