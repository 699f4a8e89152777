package snsfilter

import "slices"

// object is what an object of a policy says: all of its entries must pass.
type object []entry

// entry is one of: a key with values, a key with an object, or the alternatives of $or.
type entry struct {
	name   string
	values *field
	inner  object
	or     []object
}

// reserved are the names that make of "$or" a key as any other, when an object of its array has one.
// Source: "OR operator", Developer Guide, and the list of event-ruler.
var reserved = []string{
	"exactly", "equals-ignore-case", "prefix", "suffix", "anything-but", "exists", "wildcard", "numeric", "cidr",
	"=", "<", "<=", ">", ">=", "regex", "not-wildcard", "not-equals-ignore-case",
	"date-after", "date-on-or-after", "date-before", "date-on-or-before", "in-date-range",
	"ip-address-in-range", "ip-address-not-in-range",
}

// isOr tells whether a member is the operator: an array of two objects or more, none with a name
// that is reserved.
func isOr(m member) bool {
	if m.name != "$or" || len(m.value.elements) < 2 {
		return false
	}
	for _, e := range m.value.elements {
		if e.kind != '{' || slices.ContainsFunc(e.members, func(m member) bool { return slices.Contains(reserved, m.name) }) {
			return false
		}
	}
	return true
}

// compile checks an object and everything below it, in the order of the text.
func compile(n node) (object, error) {
	if len(n.members) == 0 {
		return nil, faultf("Empty objects are not allowed")
	}
	o := make(object, 0, len(n.members))
	for _, m := range n.members {
		e := entry{name: m.name}
		var err error
		switch {
		case isOr(m):
			for _, alternative := range m.value.elements {
				inner, err := compile(alternative)
				if err != nil {
					return nil, err
				}
				e.or = append(e.or, inner)
			}
		case m.value.kind == '{':
			e.inner, err = compile(m.value)
		case m.value.kind == '[':
			e.values, err = compileValues(m.value.elements)
		default:
			err = faultf("%q must be an object or an array", m.name)
		}
		if err != nil {
			return nil, err
		}
		o = append(o, e)
	}
	return o, nil
}

func compileValues(values []node) (*field, error) {
	if len(values) == 0 {
		return nil, faultf("Empty arrays are not allowed")
	}
	f := &field{size: len(values)}
	points, wild := 0, false
	for _, v := range values {
		if s, ok := v.scalar(); ok {
			f.exact = append(f.exact, s)
			continue
		}
		if v.kind != '{' {
			return nil, faultf("Match value must be String, number, true, false, or null")
		}
		x, err := compileExpression(v.members)
		if err != nil {
			return nil, err
		}
		if x.absent {
			f.absent = true
		} else {
			f.others = append(f.others, x.matches)
		}
		points += x.points
		wild = wild || x.wild
	}
	if wild {
		f.cost = points * len(values)
	}
	return f, nil
}

// nests tells whether a key leads to an object.
func (o object) nests() bool {
	return slices.ContainsFunc(o, func(e entry) bool {
		return e.inner != nil || slices.ContainsFunc(e.or, object.nests)
	})
}

// count returns the combinations of an object at a depth, which is 1 at the top, and the keys of its
// largest alternative. Beyond the limit the exact numbers do not matter.
func (o object) count(depth int) (combinations, keys int) {
	combinations = 1
	for _, e := range o {
		factor, more := 0, 0
		switch {
		case e.values != nil:
			factor, more = e.values.size*depth, 1
		case e.inner != nil:
			factor, more = e.inner.count(depth + 1)
		}
		for _, alternative := range e.or {
			c, k := alternative.count(depth)
			factor, more = min(factor+c, maxCombinations+1), max(more, k)
		}
		combinations, keys = min(combinations*factor, maxCombinations+1), keys+more
	}
	return combinations, keys
}

// points is what the wildcards of all fields cost.
func (o object) points() int {
	sum := 0
	for _, e := range o {
		if e.values != nil {
			sum += e.values.cost
		}
		sum += e.inner.points()
		for _, alternative := range e.or {
			sum += alternative.points()
		}
	}
	return sum
}

// expand adds what an object wants to each alternative so far. There are at most as many as
// combinations, so that the limits bound them. Of two values for one key the last counts.
func (o object) expand(prefix string, alternatives [][]*field) [][]*field {
	for _, e := range o {
		switch {
		case e.values != nil:
			e.values.locate(prefix + e.name)
			for i, fields := range alternatives {
				alternatives[i] = put(fields, e.values)
			}
		case e.inner != nil:
			alternatives = e.inner.expand(prefix+e.name+".", alternatives)
		default:
			var all [][]*field
			for _, inner := range e.or {
				all = append(all, inner.expand(prefix, slices.Clone(alternatives))...)
			}
			alternatives = all
		}
	}
	return alternatives
}

func (f *field) locate(path string) {
	f.path, f.cuts = path, nil
	for i := range len(path) {
		if path[i] == '.' {
			f.cuts = append(f.cuts, i)
		}
	}
}

// put leaves the slice that it is given alone: other alternatives share it.
func put(fields []*field, f *field) []*field {
	if at := slices.IndexFunc(fields, func(other *field) bool { return other.path == f.path }); at >= 0 {
		fields = slices.Clone(fields)
		fields[at] = f
		return fields
	}
	return append(slices.Clip(fields), f)
}
