package snsfilter

import (
	"net/netip"
	"strconv"
	"strings"
)

var errOutOfRange = faultf("Value must be between -1.0E9 and 1.0E9, inclusive")

// compileNumeric reads an operator and a number, or the two of a range.
func compileNumeric(operand node) (matcher, error) {
	if operand.kind != '[' {
		return nil, faultf("Value of numeric must be an array.")
	}
	rest := operand.elements
	operator := next(&rest)
	if operator.kind != 's' {
		return nil, faultf("Invalid member in numeric match: %s", operator.token())
	}
	name, upper := operator.text, false
	switch operator.text {
	case "=":
		name = "equals"
	case "<", "<=":
	case ">", ">=":
		upper = true
	default:
		return nil, faultf("Unrecognized numeric range operator: %s", operator.text)
	}
	value := next(&rest)
	if value.kind != 'n' {
		return nil, faultf("Value of %s must be numeric", name)
	}
	bound, _ := value.scalar()
	if len(rest) == 0 {
		if !bound.inRange {
			return nil, errOutOfRange
		}
		return compare(operator.text, bound.hundredThousandths), nil
	}
	if !upper {
		return nil, faultf("Too many elements in numeric expression")
	}
	return compileRange(operator.text, bound, rest)
}

// compileRange reads the upper end of a range.
func compileRange(operator string, bottom scalar, rest []node) (matcher, error) {
	end := next(&rest)
	if end.kind != 's' {
		return nil, faultf("Bad value in numeric range: %s", end.token())
	}
	if end.text != "<" && end.text != "<=" {
		return nil, faultf("Bad numeric range operator: %s", end.text)
	}
	value := next(&rest)
	if value.kind != 'n' {
		return nil, faultf("Value of %s must be numeric", end.text)
	}
	top, _ := value.scalar()
	switch {
	case len(rest) > 0:
		return nil, faultf("Too many terms in numeric range expression")
	case !bottom.inRange || !top.inRange:
		return nil, errOutOfRange
	case bottom.hundredThousandths >= top.hundredThousandths:
		return nil, faultf("Bottom must be less than top")
	}
	above, below := compare(operator, bottom.hundredThousandths), compare(end.text, top.hundredThousandths)
	return func(v scalar) bool { return above(v) && below(v) }, nil
}

// next takes the first element off a list; at its end it is the bracket, as to SNS.
func next(list *[]node) node {
	if len(*list) == 0 {
		return node{kind: ']', text: "]"}
	}
	first := (*list)[0]
	*list = (*list)[1:]
	return first
}

// compare wants the numbers on one side of a bound. Those out of range are on none.
func compare(operator string, bound int64) matcher {
	return func(v scalar) bool {
		if !v.inRange {
			return false
		}
		switch n := v.hundredThousandths; operator {
		case "<":
			return n < bound
		case "<=":
			return n <= bound
		case ">":
			return n > bound
		case ">=":
			return n >= bound
		default:
			return n == bound
		}
	}
}

// compileCIDR reads a block of IPv4 or IPv6 addresses.
func compileCIDR(operand node) (matcher, error) {
	if operand.kind != 's' {
		return nil, faultf("prefix match pattern must be a string") // these are SNS's words for it
	}
	address, mask, found := strings.Cut(operand.text, "/")
	if !found || mask == "" || strings.Contains(mask, "/") {
		return nil, faultf("Malformed CIDR, one '/' required")
	}
	bits, err := strconv.Atoi(mask)
	if err != nil {
		return nil, faultf("Malformed CIDR, mask bits must be an integer")
	}
	ip, err := netip.ParseAddr(address)
	switch {
	case bits < 0:
		return nil, faultf("Malformed CIDR, mask bits must not be negative")
	case err != nil || ip.Zone() != "":
		return nil, faultf("Nonstandard IP address: %s", address)
	case ip.Is4() && bits >= 32:
		return nil, faultf("IPv4 mask bits must be < 32")
	case bits >= 128:
		return nil, faultf("IPv6 mask bits must be < 128")
	}
	block := netip.PrefixFrom(ip, bits)
	return func(v scalar) bool {
		if v.kind != isText {
			return false
		}
		ip, err := netip.ParseAddr(v.text)
		return err == nil && block.Contains(ip)
	}, nil
}
