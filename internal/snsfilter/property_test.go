package snsfilter_test

import (
	"encoding/json"
	"net"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/stationmaster/worker/internal/snsfilter"
)

// naive is a second evaluator that shares nothing with the first: it flattens the message, and reads
// the policy anew each time.
type naive map[string][]any

func (n naive) flatten(path string, value any) {
	switch value := value.(type) {
	case map[string]any:
		for name, inner := range value {
			n.flatten(path+"/"+strings.ReplaceAll(name, ".", "/"), inner)
		}
	case []any:
		for _, element := range value {
			n.flatten(path, element)
		}
	default:
		n[path] = append(n[path], value)
	}
}

func (n naive) object(path string, policy map[string]any) bool {
	for name, inner := range policy {
		passes := false
		switch inner := inner.(type) {
		case map[string]any:
			passes = n.object(path+"/"+strings.ReplaceAll(name, ".", "/"), inner)
		case []any:
			for _, condition := range inner {
				if name == "$or" {
					passes = passes || n.object(path, condition.(map[string]any))
				} else {
					passes = passes || n.condition(n[path+"/"+strings.ReplaceAll(name, ".", "/")], condition)
				}
			}
		}
		if !passes {
			return false
		}
	}
	return true
}

func (n naive) condition(values []any, condition any) bool {
	operator, is := condition.(map[string]any)
	if is && operator["exists"] == false {
		return len(values) == 0
	}
	for _, v := range values {
		if !is && same(v, condition) {
			return true
		}
		for name, operand := range operator {
			if name == "anything-but" && !unwanted(v, operand) || name != "anything-but" && wanted(v, name, operand) {
				return true
			}
		}
	}
	return false
}

func unwanted(v, operand any) bool {
	switch operand := operand.(type) {
	case map[string]any:
		for name, inner := range operand {
			return wanted(v, name, inner)
		}
	case []any:
		for _, o := range operand {
			if same(v, o) {
				return true
			}
		}
		return false
	}
	return same(v, operand)
}

func wanted(v any, operator string, operand any) bool {
	if operator == "exists" {
		return v != nil && v != ""
	}
	if operator == "numeric" {
		number, is := v.(json.Number)
		for pair := operand.([]any); is && len(pair) > 0; pair = pair[2:] {
			have, want := float(number), float(pair[1].(json.Number))
			is = have >= -1e9 && have <= 1e9 &&
				map[any]bool{"=": have == want, "<": have < want, "<=": have <= want, ">": have > want, ">=": have >= want}[pair[0]]
		}
		return is
	}
	have, is := v.(string)
	want := operand.(string)
	if !is {
		return false
	}
	switch operator {
	case "prefix":
		return len(have) >= len(want) && have[:len(want)] == want
	case "suffix":
		return len(have) >= len(want) && have[len(have)-len(want):] == want
	case "equals-ignore-case":
		return strings.ToLower(have) == strings.ToLower(want) //nolint:staticcheck // EqualFold is what is compared with
	case "wildcard":
		return regexp.MustCompile(`(?s)^` + strings.ReplaceAll(regexp.QuoteMeta(want), `\*`, `.*`) + `$`).MatchString(have)
	case "cidr":
		_, block, _ := net.ParseCIDR(want)
		ip := net.ParseIP(have)
		return ip != nil && block.Contains(ip)
	}
	panic(operator)
}

func float(n json.Number) float64 {
	f, _ := n.Float64()
	return f
}

// same is JSON's equality, but of numbers by value within SNS's range.
func same(v, w any) bool {
	a, isA := v.(json.Number)
	b, isB := w.(json.Number)
	if isA && isB && float(a) <= 1e9 && float(b) <= 1e9 {
		return float(a) == float(b)
	}
	return v == w
}

// The pools are small, so that policies and messages meet.
var (
	texts   = rapid.SampledFrom([]string{"", "x", "X", "xy", "yx", "y", "1", "true", "10.0.0.1", "10.0.1.1", "::1", "ä", "x\ny"})
	numbers = rapid.SampledFrom([]json.Number{"0", "-0.0", "1", "1.0", "1e0", "1.5", "-3", "100", "0.00001", "123456789012", "1e11"})
	small   = rapid.SampledFrom([]json.Number{"-3", "0", "1", "1.00", "1.5"})
	scalars = rapid.OneOf(texts.AsAny(), numbers.AsAny(), rapid.Bool().AsAny(), rapid.Just[any](nil))
)

func one(name string, operand any) any { return map[string]any{name: operand} }

var conditions = rapid.Custom(func(t *rapid.T) any {
	text := texts.Draw(t, "text")
	some := text
	if some == "" {
		some = "x"
	}
	pattern := rapid.SampledFrom([]string{"x*", "*y", "x*y", "*", "*x*y*", "xy", "*x*", "1*1"}).Draw(t, "pattern")
	switch rapid.SampledFrom([]string{
		"exact", "exact", "prefix", "suffix", "fold", "wildcard", "cidr", "exists", "numeric", "range",
		"but", "but list", "but numbers", "but prefix", "but suffix", "but fold", "but wildcard",
	}).Draw(t, "operator") {
	case "prefix":
		return one("prefix", text)
	case "suffix":
		return one("suffix", text)
	case "fold":
		return one("equals-ignore-case", text)
	case "wildcard":
		return one("wildcard", pattern)
	case "cidr":
		return one("cidr", rapid.SampledFrom([]string{"10.0.0.0/24", "10.0.0.0/8", "::/64", "10.0.1.1/31"}).Draw(t, "block"))
	case "exists":
		return one("exists", rapid.Bool().Draw(t, "there"))
	case "numeric":
		return one("numeric", []any{rapid.SampledFrom([]string{"=", "<", "<=", ">", ">="}).Draw(t, "sign"), small.Draw(t, "bound")})
	case "range":
		return one("numeric", []any{rapid.SampledFrom([]string{">", ">="}).Draw(t, "from"), small.Draw(t, "bottom"), rapid.SampledFrom([]string{"<", "<="}).Draw(t, "to"), json.Number("2")})
	case "but":
		return one("anything-but", rapid.OneOf(texts.AsAny(), small.AsAny()).Draw(t, "value"))
	case "but list":
		return one("anything-but", rapid.SliceOfN(texts, 1, 3).Draw(t, "values"))
	case "but numbers":
		return one("anything-but", rapid.SliceOfN(small, 1, 3).Draw(t, "values"))
	case "but prefix":
		return one("anything-but", one("prefix", some))
	case "but suffix":
		return one("anything-but", one("suffix", some))
	case "but fold":
		return one("anything-but", one("equals-ignore-case", text))
	case "but wildcard":
		return one("anything-but", one("wildcard", pattern))
	}
	return scalars.Draw(t, "value")
})

// drawPolicy draws an object. No two of its keys are one path: which of them counts is no matter for
// the naive evaluator, and is told in TestOr.
func drawPolicy(t *rapid.T, pools [][]string, depth int) map[string]any {
	policy := map[string]any{}
	for _, name := range rapid.SliceOfNDistinct(rapid.SampledFrom(pools[0]), 1, 2, rapid.ID).Draw(t, "keys") {
		if depth > 0 && rapid.IntRange(0, 2).Draw(t, "nest") == 0 {
			policy[name] = drawPolicy(t, pools, depth-1)
		} else {
			policy[name] = rapid.SliceOfN(conditions, 1, 3).Draw(t, "values")
		}
	}
	if len(pools) > 1 && rapid.IntRange(0, 2).Draw(t, "or") == 0 {
		var or []any
		for range rapid.IntRange(2, 3).Draw(t, "alternatives") {
			or = append(or, drawPolicy(t, pools[1:], depth))
		}
		policy["$or"] = or
	}
	return policy
}

var pools = [][]string{{"a", "b", "c.d"}, {"p", "q"}, {"s", "t"}}

// drawBody draws an object of few names.
func drawBody(t *rapid.T, depth int) map[string]any {
	object := map[string]any{}
	for _, name := range rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"a", "b", "c", "d", "c.d", "a.b", "p", "q", "s", "t"}), 0, 6, rapid.ID).Draw(t, "names") {
		object[name] = drawValue(t, depth)
	}
	return object
}

func drawValue(t *rapid.T, depth int) any {
	switch kind := rapid.IntRange(0, 5).Draw(t, "kind"); {
	case depth > 0 && kind == 0:
		return drawBody(t, depth-1)
	case depth > 0 && kind == 1:
		list := []any{}
		for range rapid.IntRange(0, 3).Draw(t, "length") {
			list = append(list, drawValue(t, depth-1))
		}
		return list
	default:
		return scalars.Draw(t, "scalar")
	}
}

// marshal returns the JSON of a value, and the value as it is read back.
func marshal(t *rapid.T, v any) (text string, read map[string]any) {
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	d := json.NewDecoder(strings.NewReader(string(raw)))
	d.UseNumber()
	if err := d.Decode(&read); err != nil {
		t.Fatal(err)
	}
	return string(raw), read
}

// agree checks that both evaluators say the same, and that both answers are met.
func agree(t *testing.T, scope snsfilter.Scope, depth int, draw func(*rapid.T) (*snsfilter.Message, naive)) {
	seen := map[string]int{}
	rapid.Check(t, func(t *rapid.T) {
		text, policy := marshal(t, drawPolicy(t, pools, depth))
		p, err := snsfilter.Parse(text, scope)
		if err != nil {
			if !strings.HasSuffix(err.Error(), tooComplex) && !strings.HasSuffix(err.Error(), tooManyKeys) {
				t.Fatalf("Parse(%s): %v", text, err)
			}
			seen["refused"]++
			return
		}
		for range 10 {
			m, n := draw(t)
			want := n.object("", policy)
			v := p.Explain(m)
			if got := p.Match(m); got != want || got != v.Passes || got == (v.Why != "") || got == (v.Metric != "") {
				t.Fatalf("%s: Match = %t, want %t; Explain = %+v; message %v", text, got, want, v, n)
			}
			seen[strconv.FormatBool(want)]++
		}
	})
	// With -short there are too few to tell.
	if seen["true"]+seen["false"] > 500 && (seen["true"] < 10 || seen["false"] < 10 || seen["refused"] > seen["false"]) {
		t.Errorf("the property was hardly tried: %v", seen)
	}
}

func TestMatchAgreesWithANaiveEvaluatorOnTheBody(t *testing.T) {
	agree(t, snsfilter.Body, 2, func(t *rapid.T) (*snsfilter.Message, naive) {
		text, read := marshal(t, drawBody(t, 3))
		n := naive{}
		n.flatten("", read)
		return snsfilter.NewMessage(text, nil), n
	})
}

func TestMatchAgreesWithANaiveEvaluatorOnAttributes(t *testing.T) {
	agree(t, snsfilter.Attributes, 0, func(t *rapid.T) (*snsfilter.Message, naive) {
		n := naive{"/other": {"x"}}
		attributes := map[string]snsfilter.Attribute{"other": {Type: "String", Value: "x"}}
		for _, name := range rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"a", "b", "c.d", "p", "q", "s", "t"}), 3, 7, rapid.ID).Draw(t, "names") {
			path := "/" + strings.ReplaceAll(name, ".", "/")
			switch kind := rapid.SampledFrom([]string{"String", "Number", "String.Array", "Binary"}).Draw(t, "type"); kind {
			case "String":
				v := texts.Draw(t, "text")
				attributes[name], n[path] = snsfilter.Attribute{Type: kind, Value: v}, []any{v}
			case "Number":
				v := numbers.Draw(t, "number")
				attributes[name], n[path] = snsfilter.Attribute{Type: kind, Value: v.String()}, []any{v}
			case "String.Array":
				text, read := marshal(t, map[string]any{"k": rapid.SliceOfN(scalars, 0, 3).Draw(t, "array")})
				attributes[name] = snsfilter.Attribute{Type: kind, Value: strings.TrimSuffix(strings.TrimPrefix(text, `{"k":`), "}")}
				n.flatten(path, read["k"])
			default:
				attributes[name] = snsfilter.Attribute{Type: kind, Value: "x"}
			}
		}
		return snsfilter.NewMessage("", attributes), n
	})
}

func FuzzParse(f *testing.F) {
	for _, tt := range operators {
		f.Add(`{"a":`+tt.wants+`}`, `{"a":["x",1,null]}`, true)
	}
	f.Add(`{"a":{"b":[7]},"$or":[{"a.c":["x"]},{"$or":[{"d":[1]},{"e":[{"exists":false}]}]}]}`, `{"a":[[{"b":7}]],"a.c":"x"}`, true)
	f.Add(`{"$or":[{"prefix":"x"},{"a":[1]}]}`, `[`, false)
	f.Add(`{"a":[{"numeric":[">",0,"<=",1e9]},{"cidr":"::/0"},{"wildcard":"*\\**"}]}`, `{"a":1}`, false)
	f.Add(`{"a":[],"b":{}}`, ``, true)
	f.Add(`{"":{"":[0]}}`, `{"":{"":0}}`, true)
	f.Fuzz(func(t *testing.T, policy, body string, nested bool) {
		scope := snsfilter.Attributes
		if nested {
			scope = snsfilter.Body
		}
		p, err := snsfilter.Parse(policy, scope)
		if err != nil {
			if p != nil || !strings.Contains(strings.ToLower(err.Error()), "filter") {
				t.Errorf("Parse = %v, %v", p, err)
			}
			return
		}
		attributes := map[string]snsfilter.Attribute{"a": {Type: "String.Array", Value: body}, "b": {Type: "Number", Value: body}, "c": {Type: "String", Value: body}}
		m := snsfilter.NewMessage(body, attributes)
		first, v := p.Match(m), p.Explain(m)
		if second := p.Match(snsfilter.NewMessage(body, attributes)); first != second || first != v.Passes {
			t.Errorf("one question, several answers: %t, %t, %+v", first, second, v)
		}
		if first == (v.Metric != "") || first == (v.Why != "") {
			t.Errorf("passes %t with %+v", first, v)
		}
	})
}
