package iampolicy

import (
	"cmp"
	"encoding/base64"
	"fmt"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// test tells whether one value of a request is what one value of a condition means.
type test func(q *Request, value string) bool

// operator compares the values of a key. A negated one holds for a value that no value of the
// condition means.
type operator struct {
	read    func(value string, variables bool) (test, error)
	negated bool
}

// operators are those of IAM, except Null, which asks for no value. ArnEquals and ArnLike are one
// operator with two names. Source: "IAM JSON policy elements: Condition operators", IAM User Guide.
var operators = map[string]operator{
	"StringEquals":              {read: text(false, pattern.match)},
	"StringNotEquals":           {read: text(false, pattern.match), negated: true},
	"StringEqualsIgnoreCase":    {read: text(false, equalFold)},
	"StringNotEqualsIgnoreCase": {read: text(false, equalFold), negated: true},
	"StringLike":                {read: text(true, pattern.match)},
	"StringNotLike":             {read: text(true, pattern.match), negated: true},
	"ArnEquals":                 {read: text(true, pattern.matchARN)},
	"ArnNotEquals":              {read: text(true, pattern.matchARN), negated: true},
	"ArnLike":                   {read: text(true, pattern.matchARN)},
	"ArnNotLike":                {read: text(true, pattern.matchARN), negated: true},

	"NumericEquals":            {read: ordered(number, cmp.Compare, exact)},
	"NumericNotEquals":         {read: ordered(number, cmp.Compare, exact), negated: true},
	"NumericLessThan":          {read: ordered(number, cmp.Compare, less)},
	"NumericLessThanEquals":    {read: ordered(number, cmp.Compare, atMost)},
	"NumericGreaterThan":       {read: ordered(number, cmp.Compare, greater)},
	"NumericGreaterThanEquals": {read: ordered(number, cmp.Compare, atLeast)},
	"DateEquals":               {read: ordered(date, time.Time.Compare, exact)},
	"DateNotEquals":            {read: ordered(date, time.Time.Compare, exact), negated: true},
	"DateLessThan":             {read: ordered(date, time.Time.Compare, less)},
	"DateLessThanEquals":       {read: ordered(date, time.Time.Compare, atMost)},
	"DateGreaterThan":          {read: ordered(date, time.Time.Compare, greater)},
	"DateGreaterThanEquals":    {read: ordered(date, time.Time.Compare, atLeast)},

	"Bool":         {read: boolean},
	"BinaryEquals": {read: binary},
	"IpAddress":    {read: network},
	"NotIpAddress": {read: network, negated: true},
}

func exact(order int) bool   { return order == 0 }
func less(order int) bool    { return order < 0 }
func atMost(order int) bool  { return order <= 0 }
func greater(order int) bool { return order > 0 }
func atLeast(order int) bool { return order >= 0 }

func equalFold(p pattern, value string) bool { return strings.EqualFold(p.String(), value) }

// text reads the values of operators on strings and ARNs, the only ones that may hold variables.
func text(wildcards bool, holds func(pattern, string) bool) func(string, bool) (test, error) {
	return func(value string, variables bool) (test, error) {
		t, err := parseTemplate(value, variables, wildcards)
		if err != nil {
			return nil, err
		}
		return func(q *Request, have string) bool {
			p, ok := t.fill(q)
			return ok && holds(p, have)
		}, nil
	}
}

// ordered reads the values of operators on what is less or greater. What a request has is on the left.
func ordered[T any](parse func(string) (T, error), compare func(a, b T) int, holds func(order int) bool) func(string, bool) (test, error) {
	return func(value string, _ bool) (test, error) {
		want, err := parse(value)
		if err != nil {
			return nil, err
		}
		return func(_ *Request, have string) bool {
			v, err := parse(have)
			return err == nil && holds(compare(v, want))
		}, nil
	}
}

var decimal = regexp.MustCompile(`^[+-]?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?$`)

func number(value string) (float64, error) {
	n, err := strconv.ParseFloat(value, 64)
	if err != nil || !decimal.MatchString(value) {
		return 0, fmt.Errorf("%q is no number: write an integer or a decimal", value)
	}
	return n, nil
}

// dateLayouts are the formats of https://www.w3.org/TR/NOTE-datetime; fractions of a second are read
// with the first.
var dateLayouts = []string{time.RFC3339, "2006-01-02T15:04Z07:00", "2006-01-02", "2006-01"}

// date reads a date, or seconds since 1970. Four digits might be a year or the first hours of 1970.
func date(value string) (time.Time, error) {
	if n := len(value); n > 0 && n != 4 && n <= 11 && strings.Trim(value, "0123456789") == "" {
		seconds, err := strconv.ParseInt(value, 10, 64)
		return time.Unix(seconds, 0), err
	}
	for _, layout := range dateLayouts {
		if at, err := time.Parse(layout, value); err == nil {
			return at, nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is no date: write 2006-01-02T15:04:05Z, 2006-01-02 or the seconds since 1970", value)
}

func boolean(value string, _ bool) (test, error) {
	if !strings.EqualFold(value, "true") && !strings.EqualFold(value, "false") {
		return nil, fmt.Errorf("%q is neither true nor false", value)
	}
	return func(_ *Request, have string) bool { return strings.EqualFold(have, value) }, nil
}

func binary(value string, _ bool) (test, error) {
	want, err := base64.StdEncoding.DecodeString(value)
	if err != nil {
		return nil, fmt.Errorf("%q is no base64", value)
	}
	return func(_ *Request, have string) bool { return have == string(want) }, nil
}

// network reads an address or a range. IAM takes an address without a length for a /32, which is one
// address of IPv4 and a whole provider of IPv6.
func network(value string, _ bool) (test, error) {
	prefix, err := netip.ParsePrefix(value)
	if address, e := netip.ParseAddr(value); e == nil && address.Is4() {
		prefix, err = netip.PrefixFrom(address, 32), nil
	}
	if err != nil || prefix.Addr().Is4In6() {
		return nil, fmt.Errorf("%q is no range of addresses: write it as 203.0.113.0/24 or 2001:db8::/64", value)
	}
	return func(_ *Request, have string) bool {
		address, err := netip.ParseAddr(have)
		return err == nil && prefix.Contains(address.Unmap().WithZone(""))
	}, nil
}
