package doctor

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strings"

	"github.com/stationmaster/worker/internal/snsfilter"
)

// errNoMessage says that a filter is too much for Satisfying.
var errNoMessage = errors.New("no message that this filter lets through could be made up: give one with --sample")

// Satisfying makes up a message that a filter lets through, matched on "body" or "attributes". It
// does not lie: what it returns has been tried on the filter.
func Satisfying(filter, on string) (Sample, error) {
	scope := snsfilter.Scope(scopes[on])
	p, err := snsfilter.Parse(filter, scope)
	if err != nil {
		return Sample{}, fmt.Errorf("filter: %w", err)
	}
	d := json.NewDecoder(strings.NewReader(filter))
	d.UseNumber()
	var policy map[string]any
	if err := d.Decode(&policy); err != nil {
		return Sample{}, fmt.Errorf("filter: %w", err)
	}
	for _, values := range fulfil(policy) {
		s := Sample{Body: "{}"}
		if on == "body" {
			s.Body = compact(values)
		} else {
			s.Attributes = attributesOf(values)
		}
		if p.Match(s.filtered()) {
			return s, nil
		}
	}
	return Sample{}, errNoMessage
}

// mostTries bounds the alternatives that are tried.
const mostTries = 64

// fulfil returns values that may do, one for each combination of alternatives.
func fulfil(policy map[string]any) []map[string]any {
	all := []map[string]any{{}}
	for _, key := range slices.Sorted(maps.Keys(policy)) {
		var parts []map[string]any
		switch want := policy[key].(type) {
		case map[string]any:
			for _, inner := range fulfil(want) {
				parts = append(parts, map[string]any{key: inner})
			}
		case []any:
			parts = alternatives(key, want)
		}
		all = joined(all, parts)
	}
	return all
}

// alternatives are the ways to fulfil one key: a list of conditions, or of policies below $or.
func alternatives(key string, want []any) (parts []map[string]any) {
	for _, one := range want {
		if inner, ok := one.(map[string]any); ok && key == "$or" {
			parts = append(parts, fulfil(inner)...)
			continue
		}
		for _, v := range values(one) {
			if v == absent {
				parts = append(parts, map[string]any{})
			} else {
				parts = append(parts, map[string]any{key: v})
			}
		}
	}
	return parts
}

func joined(all, parts []map[string]any) (combined []map[string]any) {
	for _, a := range all {
		for _, b := range parts {
			if len(combined) == mostTries {
				return combined
			}
			combined = append(combined, merged(a, b))
		}
	}
	return combined
}

func merged(a, b map[string]any) map[string]any {
	m := maps.Clone(a)
	for key, v := range b {
		have, nested := m[key].(map[string]any)
		more, both := v.(map[string]any)
		if nested && both {
			m[key] = merged(have, more)
		} else {
			m[key] = v
		}
	}
	return m
}

// absent stands for a key that must not be there.
var absent any = struct{ absent bool }{true}

// values are candidates for one condition.
func values(condition any) []any {
	c, ok := condition.(map[string]any)
	if !ok {
		return []any{condition}
	}
	for operator, want := range c {
		switch operator {
		case "prefix", "suffix", "equals-ignore-case":
			return []any{innermost(want)}
		case "wildcard":
			return []any{strings.ReplaceAll(innermost(want), "*", "x"), strings.ReplaceAll(innermost(want), "*", "")}
		case "cidr":
			address, _, _ := strings.Cut(innermost(want), "/")
			return []any{address}
		case "exists":
			if want == false {
				return []any{absent}
			}
			return []any{"stationmaster-canary"}
		case "anything-but":
			return []any{"stationmaster-canary", json.Number("918273645"), "x", json.Number("0")}
		case "numeric":
			return numbers(want)
		}
	}
	return nil
}

// innermost is the text of an operator that may stand in another: {"prefix": {"equals-ignore-case": "x"}}.
func innermost(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case map[string]any:
		for _, inner := range v {
			return innermost(inner)
		}
	}
	return ""
}

// numbers are candidates for ["=", 5] or [">", 0, "<=", 5]: the bounds, what is between and beyond them.
func numbers(condition any) (all []any) {
	list, _ := condition.([]any)
	var bounds []*big.Rat
	for _, v := range list {
		if n, ok := v.(json.Number); ok {
			if r, ok := new(big.Rat).SetString(n.String()); ok {
				bounds = append(bounds, r)
			}
		}
	}
	if len(bounds) == 2 {
		middle := new(big.Rat).Add(bounds[0], bounds[1])
		bounds = append(bounds, middle.Quo(middle, big.NewRat(2, 1)))
	}
	one := big.NewRat(1, 1)
	for _, b := range bounds {
		for _, r := range []*big.Rat{b, new(big.Rat).Add(b, one), new(big.Rat).Sub(b, one)} {
			all = append(all, json.Number(strings.TrimSuffix(strings.TrimRight(r.FloatString(5), "0"), ".")))
		}
	}
	return all
}

func attributesOf(values map[string]any) map[string]Attribute {
	attributes := make(map[string]Attribute, len(values))
	for name, v := range values {
		switch v := v.(type) {
		case string:
			attributes[name] = Attribute{Type: "String", Value: v}
		case json.Number:
			attributes[name] = Attribute{Type: "Number", Value: v.String()}
		default:
			attributes[name] = Attribute{Type: "String.Array", Value: compact([]any{v})}
		}
	}
	return attributes
}
