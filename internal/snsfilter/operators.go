package snsfilter

import (
	"slices"
	"strings"
)

// expression is an operator with its operand, compiled.
type expression struct {
	matches matcher
	absent  bool // {"exists": false}, which looks at no value
	points  int  // what it costs in a field with wildcards
	wild    bool
}

// compileExpression reads an object in the place of a value: one operator, and its operand.
func compileExpression(members []member) (x expression, err error) {
	if len(members) == 0 {
		return x, faultf("Match expression name not found")
	}
	operator, operand := members[0].name, members[0].value
	tooMany := "Only one key allowed in match expression"
	switch operator {
	case "prefix", "suffix", "equals-ignore-case", "wildcard":
		x, err = compileText(operator, operand)
	case "cidr":
		x.matches, err = compileCIDR(operand)
	case "exists":
		if operand.kind != 'b' {
			return x, faultf("exists match pattern must be either true or false.")
		}
		x.absent, x.matches = operand.text == "false", scalar.exists
	case "numeric":
		tooMany = "Too many elements in numeric expression"
		x.matches, err = compileNumeric(operand)
	case "anything-but":
		tooMany = "Too many elements in numeric expression"
		x, err = compileAnythingBut(operand)
	default:
		return x, faultf("Unrecognized match type %s", operator)
	}
	if err == nil && len(members) > 1 {
		err = fault("FilterPolicy: " + tooMany)
	}
	return x, err
}

// exists wants a value that is neither null nor empty. Source: "Key matching", Developer Guide.
func (s scalar) exists() bool { return s.kind != isNull && (s.kind != isText || s.text != "") }

// compileText reads the operators whose operand is one string, and which want strings.
func compileText(operator string, operand node) (x expression, err error) {
	if operand.kind != 's' {
		return x, faultf("%s match pattern must be a string", operator)
	}
	want := operand.text
	var wants func(string) bool
	switch operator {
	case "prefix":
		wants = func(s string) bool { return strings.HasPrefix(s, want) }
	case "suffix":
		wants = func(s string) bool { return strings.HasSuffix(s, want) }
	case "equals-ignore-case":
		wants = func(s string) bool { return strings.EqualFold(s, want) }
	default:
		w, err := compileWildcard(want)
		if err != nil {
			return x, err
		}
		wants, x.points, x.wild = w.match, w.points(), w.stars() > 0
	}
	x.matches = func(v scalar) bool { return v.kind == isText && wants(v.text) }
	return x, nil
}

// compileAnythingBut reads a value, a list of strings or of numbers, or an operator on strings. It
// wants each value that its operand does not, be it of another kind; but a value there must be.
func compileAnythingBut(operand node) (x expression, err error) {
	x.points = 1
	unwanted := func(scalar) bool { return false }
	switch operand.kind {
	case '{':
		var inner expression
		if inner, err = compileUnwantedText(operand.members); err != nil {
			return x, err
		}
		unwanted, x.points, x.wild = inner.matches, max(1, inner.points), inner.wild
	case '[', 's', 'n':
		list := operand.elements
		if operand.kind != '[' {
			list = []node{operand}
		}
		values, err := compileUnwanted(list)
		if err != nil {
			return x, err
		}
		unwanted = func(v scalar) bool { return slices.ContainsFunc(values, v.equal) }
	default:
		return x, faultf("Value of anything-but must be an array or single string/number value.")
	}
	x.matches = func(v scalar) bool { return !unwanted(v) }
	return x, nil
}

// compileUnwantedText reads the operator inside of an anything-but. AWS refused all but prefix in May
// 2024; suffix and wildcard are in the guide since, equals-ignore-case is what event-ruler has more.
func compileUnwantedText(members []member) (x expression, err error) {
	if len(members) == 0 {
		return x, faultf("Anything-But expression name not found")
	}
	operator, operand := members[0].name, members[0].value
	switch operator {
	case "prefix", "suffix":
		if operand.kind == 's' && operand.text == "" {
			return x, faultf("Null prefix/suffix not allowed")
		}
	case "equals-ignore-case", "wildcard":
	default:
		return x, faultf("Unsupported anything-but pattern: %s", operator)
	}
	if x, err = compileText(operator, operand); err == nil && len(members) > 1 {
		err = faultf("Only one key allowed in match expression")
	}
	return x, err
}

func compileUnwanted(list []node) ([]scalar, error) {
	values := make([]scalar, 0, len(list))
	for _, n := range list {
		v, _ := n.scalar()
		switch {
		case n.kind != 's' && n.kind != 'n':
			return nil, faultf("Inside anything but list, start|null|boolean is not supported.")
		case n.kind == 'n' && !v.inRange:
			return nil, errOutOfRange
		}
		values = append(values, v)
	}
	if len(values) == 0 || slices.ContainsFunc(values, func(v scalar) bool { return v.kind != values[0].kind }) {
		return nil, faultf("Inside anything but list, either all values are number or string, mixed type is not supported")
	}
	return values, nil
}
