package snsfilter_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/stationmaster/worker/internal/snsfilter"
)

func TestMatchAttributes(t *testing.T) {
	attributes := map[string]snsfilter.Attribute{
		"event": {Type: "String", Value: "user_invited"},
		"price": {Type: "Number", Value: "210.750"},
		"kind":  {Type: "String.custom", Value: "x"},
		"tags":  {Type: "String.Array", Value: `["soccer",7,true,null,["deep"],{"a":1}]`},
		"blob":  {Type: "Binary", Value: "eA=="},
		"bad":   {Type: "String.Array", Value: `["open`},
		"word":  {Type: "Number", Value: "seven"},
		"true":  {Type: "String", Value: "true"},
	}
	for policy, want := range map[string]bool{
		`{}`:                         true,
		`{"event":["user_invited"]}`: true,
		`{"event":["a","user_invited"],"kind":["x"]}`: true,
		`{"event":["user_invited"],"kind":["y"]}`:     false,
		`{"event":["User_invited"]}`:                  false,
		`{"Event":["user_invited"]}`:                  false,
		`{"absent":["x"]}`:                            false,
		`{"absent":[null]}`:                           false,
		`{"price":[210.75]}`:                          true,
		`{"price":[2.1075e2]}`:                        true,
		`{"price":["210.750"]}`:                       false,
		`{"word":[7]}`:                                false,
		`{"tags":["soccer"]}`:                         true,
		`{"tags":["rugby","soccer"]}`:                 true,
		`{"tags":["rugby"]}`:                          false,
		`{"tags":[7.0]}`:                              true,
		`{"tags":["7"]}`:                              false,
		`{"tags":[true]}`:                             true,
		`{"tags":[false]}`:                            false,
		`{"tags":[null]}`:                             true,
		`{"tags":["deep"]}`:                           false,
		`{"true":[true]}`:                             false,
		`{"blob":["eA=="]}`:                           false,
		`{"bad":["open"]}`:                            false,
	} {
		p, err := snsfilter.Parse(policy, snsfilter.Attributes)
		if err != nil {
			t.Fatal(err)
		}
		if got := p.Match(`{"event":"user_invited"}`, attributes); got != want {
			t.Errorf("%s = %t, want %t", policy, got, want)
		}
	}
}

func TestMatchBody(t *testing.T) {
	body := `{"event":"user_invited","n":7,"ok":true,"none":null,"a":{"b":{"c":"x","d":1}},"list":["p",2,[false]],
		"items":[{"sku":"1"},{"sku":"2","q":{"r":3}}],"dotted.key":"v","empty":[],"aa":1}`
	for policy, want := range map[string]bool{
		`{}`:                                        true,
		`{"event":["user_invited"]}`:                true,
		`{"event":["user_left"]}`:                   false,
		`{"event":[null]}`:                          false,
		`{"n":[7.0]}`:                               true,
		`{"n":["7"]}`:                               false,
		`{"ok":[true],"n":[6,7]}`:                   true,
		`{"ok":[true],"n":[6]}`:                     false,
		`{"ok":["true"]}`:                           false,
		`{"none":[null]}`:                           true,
		`{"absent":[null]}`:                         false,
		`{"a":{"b":{"c":["x"],"d":[1]}}}`:           true,
		`{"a":{"b":{"c":["x"],"d":[2]}}}`:           false,
		`{"a":{"b":["x"]}}`:                         false,
		`{"event":{"x":["y"]}}`:                     false,
		`{"list":["p"]}`:                            true,
		`{"list":[2]}`:                              true,
		`{"list":[false]}`:                          true,
		`{"list":["q"]}`:                            false,
		`{"items":{"sku":["2"],"q":{"r":[3]}}}`:     true,
		`{"items":{"sku":["3"]}}`:                   false,
		`{"items":{"sku":["1"],"q":{"r":[3,"x"]}}}`: true,
		`{"empty":["x"]}`:                           false,
		`{"dotted":{"key":["v"]}}`:                  true,
		`{"a.b.c":["x"]}`:                           true,
	} {
		p, err := snsfilter.Parse(policy, snsfilter.Body)
		if err != nil {
			t.Fatal(err)
		}
		// The attributes say something else; in this scope nobody listens.
		if got := p.Match(body, map[string]snsfilter.Attribute{"event": {Type: "String", Value: "user_left"}}); got != want {
			t.Errorf("%s = %t, want %t", policy, got, want)
		}
	}
}

func TestMatchBodyThatIsNoObject(t *testing.T) {
	p, err := snsfilter.Parse(`{"event":["a"]}`, snsfilter.Body)
	if err != nil {
		t.Fatal(err)
	}
	for _, body := range []string{"", "a", `"a"`, `["event"]`, `[{"event":"a"}]`, "null", `{"event":"a"`, `{"event":"a"} x`} {
		if p.Match(body, nil) {
			t.Errorf("%q passes", body)
		}
	}
	var none *snsfilter.Policy
	if !none.Match("anything", nil) {
		t.Error("no policy keeps a message away")
	}
}

func TestParseRefuses(t *testing.T) {
	tooMany := `"` + strings.Join(strings.Split(strings.Repeat("x", 13), ""), `","`) + `"`
	for _, tt := range []struct {
		policy string
		scope  snsfilter.Scope
		want   string
	}{
		{`{`, snsfilter.Body, "FilterPolicy: failed to parse JSON."},
		{`null`, snsfilter.Body, "FilterPolicy: failed to parse JSON."},
		{`[]`, snsfilter.Body, "FilterPolicy: failed to parse JSON."},
		{`{} {}`, snsfilter.Body, "FilterPolicy: failed to parse JSON."},
		{`{"a":[1],"b":[1],"c":[1],"d":[1],"e":[1],"f":[1]}`, snsfilter.Attributes, "FilterPolicy: Filter policy can not have more than 5 keys"},
		{`{"a":[` + tooMany + `],"b":[` + tooMany + `]}`, snsfilter.Attributes, "FilterPolicy: Filter policy is too complex"},
		// 3 × 4 × 2 × 3 = 72 passes (below); one more level does not.
		{`{"a":{"b":{"c":{"d":[1,2,3,4]}}},"k":{"e":{"f":[1,2,3,4]}}}`, snsfilter.Body, "FilterPolicy: Filter policy is too complex"},
		{`{"a":"b"}`, snsfilter.Attributes, `FilterPolicy: "a" must be an object or an array`},
		{`{"a":null}`, snsfilter.Body, `FilterPolicy: "a" must be an object or an array`},
		{`{"a":[]}`, snsfilter.Attributes, "FilterPolicy: Empty arrays are not allowed"},
		{`{"a":{}}`, snsfilter.Body, "FilterPolicy: Empty objects are not allowed"},
		{`{"a":{"b":["c"]}}`, snsfilter.Attributes, "Filter policy scope MessageAttributes does not support nested filter policy"},
		{`{"a":[["b"]]}`, snsfilter.Body, "FilterPolicy: Match value must be String, number, true, false, or null"},
		{`{"a":[{"prefix":"x","suffix":"y"}]}`, snsfilter.Body, "FilterPolicy: Only one key allowed in match expression"},
		{`{"a":[{"begins":"x"}]}`, snsfilter.Body, "FilterPolicy: Unrecognized match type begins"},
		{`{"a":[1e999]}`, snsfilter.Body, "FilterPolicy: the number 1e999 is out of range"},
	} {
		_, err := snsfilter.Parse(tt.policy, tt.scope)
		if err == nil || err.Error() != tt.want {
			t.Errorf("Parse(%s) = %v, want %s", tt.policy, err, tt.want)
		}
	}
	if _, err := snsfilter.Parse(`{"a":{"b":{"c":[1,2,3,4]}},"d":{"e":[1,2,3]}}`, snsfilter.Body); err != nil {
		t.Errorf("72 combinations: %v", err)
	}
}

func TestParseNamesWhatIsNotSupportedYet(t *testing.T) {
	for operator, policy := range map[string]string{
		"prefix":             `{"a":[{"prefix":"x"}]}`,
		"suffix":             `{"a":["b",{"suffix":"x"}]}`,
		"anything-but":       `{"a":[{"anything-but":["x"]}]}`,
		"numeric":            `{"a":[{"numeric":["=",1]}]}`,
		"exists":             `{"a":[{"exists":false}]}`,
		"equals-ignore-case": `{"a":[{"equals-ignore-case":"x"}]}`,
		"cidr":               `{"a":[{"cidr":"10.0.0.0/8"}]}`,
		"wildcard":           `{"a":[{"wildcard":"x*"}]}`,
		"$or":                `{"$or":[{"a":["x"]},{"b":["y"]}]}`,
	} {
		_, err := snsfilter.Parse(policy, snsfilter.Body)
		var unsupported *snsfilter.UnsupportedError
		if !errors.As(err, &unsupported) || unsupported.Operator != operator || !strings.Contains(err.Error(), operator+" is not supported yet") {
			t.Errorf("Parse(%s) = %v", policy, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(`{"a":[1,"b",true,null],"c":["d"]}`, `{"a":[{"x":1},"b"],"c":"d"}`, true)
	f.Add(`{"a":{"b":[7]}}`, `{"a":[[{"b":7}]]}`, true)
	f.Add(`{"a":[{"exists":true}]}`, `[`, false)
	f.Fuzz(func(t *testing.T, policy, body string, nested bool) {
		scope := snsfilter.Attributes
		if nested {
			scope = snsfilter.Body
		}
		p, err := snsfilter.Parse(policy, scope)
		if err != nil {
			return
		}
		attributes := map[string]snsfilter.Attribute{"a": {Type: "String.Array", Value: body}, "b": {Type: "Number", Value: body}}
		if first, second := p.Match(body, attributes), p.Match(body, attributes); first != second {
			t.Error("two answers to one question")
		}
		// A policy is a message that it lets pass: its arrays hold the values that it wants.
		if nested && !p.Match(policy, nil) {
			t.Error("the policy keeps its own values away")
		}
	})
}
