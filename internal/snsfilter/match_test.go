package snsfilter_test

import (
	"strings"
	"testing"

	"github.com/stationmaster/worker/internal/snsfilter"
)

func parse(t *testing.T, policy string, scope snsfilter.Scope) *snsfilter.Policy {
	t.Helper()
	p, err := snsfilter.Parse(policy, scope)
	if err != nil {
		t.Fatalf("Parse(%s): %v", policy, err)
	}
	return p
}

// operators are what a value does to a condition, in both scopes alike.
var operators = []struct {
	fact  string
	wants string // the list of a policy
	pass  string // values in JSON that pass, one a line
	stay  string // values that do not
}{
	{"a string is equal byte by byte", `["rugby","tennis"]`, "\"rugby\"\n\"tennis\"", "\"Rugby\"\n\"rugby \"\n\"\"\n1\ntrue\nnull"},
	{"the empty string is a string", `[""]`, `""`, "\" \"\nnull\n0\nfalse"},
	{"numbers are equal by value", `[301.5]`, "301.5\n3.015e2\n301.50", "301.51\n\"301.5\""},
	{"numbers are told apart by five digits after the point", `[0.12345]`, "0.12345\n0.123451", "0.12344\n0.12346"},
	{"numbers are rounded, not cut", `[0.29]`, "0.29\n0.290001", "0.28999\n0.29001"},
	{"numbers beyond a billion are equal by spelling", `[123456789012,1e12]`, "123456789012\n1e12", "123456789013\n1000000000000\n\"123456789012\""},
	{"zero has no sign", `[0]`, "0\n-0\n0.0", "\"0\"\nfalse\nnull\n1e10"},
	{"booleans are no strings", `[true]`, "true", "false\n\"true\"\n1"},
	{"null is matched by null", `[null]`, "null", "\"null\"\nfalse\n0\n\"\""},

	{"prefix", `[{"prefix":"bas"}]`, "\"bas\"\n\"baseball\"", "\"Baseball\"\n\"ba\"\n\"abas\"\n1\nnull"},
	{"an empty prefix wants any string", `[{"prefix":""}]`, "\"\"\n\"x\"", "1\ntrue\nnull"},
	{"a prefix of digits wants no number", `[{"prefix":"1"}]`, `"12"`, "12"},
	{"suffix", `[{"suffix":"ball"}]`, "\"ball\"\n\"baseball\"", "\"ballad\"\n\"BALL\"\n1\nnull"},
	{"equals-ignore-case", `[{"equals-ignore-case":"tennis"}]`, "\"TENNIS\"\n\"teNNis\"\n\"tennis\"", "\"tennis \"\nnull"},
	{"equals-ignore-case beyond ASCII", `[{"equals-ignore-case":"ÄRGER"}]`, `"ärger"`, `"arger"`},

	{"anything-but one", `[{"anything-but":"rugby"}]`, "\"Rugby\"\n\"\"\n1\ntrue\nnull", `"rugby"`},
	{"anything-but one of a list", `[{"anything-but":["rugby","tennis"]}]`, "\"football\"\n1\nnull", "\"rugby\"\n\"tennis\""},
	{"anything-but a number", `[{"anything-but":100}]`, "100.1\n\"100\"\ntrue", "100\n1e2"},
	{"anything-but numbers", `[{"anything-but":[100,500]}]`, "101\n100.1\n\"100\"", "100\n500.0"},
	{"anything-but a prefix", `[{"anything-but":{"prefix":"order-"}}]`, "\"data-entry\"\n\"order_number\"\n1\nnull", `"order-cancelled"`},
	{"anything-but a suffix", `[{"anything-but":{"suffix":"ball"}}]`, "\"rugby\"\n1", "\"baseball\"\n\"ball\""},
	{"anything-but a wildcard", `[{"anything-but":{"wildcard":"*ball"}}]`, "\"rugby\"\n1", "\"baseball\"\n\"ball\""},
	{"anything-but equals-ignore-case", `[{"anything-but":{"equals-ignore-case":"rugby"}}]`, "\"rugb\"\n1", "\"RUGBY\"\n\"rugby\""},

	{"numeric equals", `[{"numeric":["=",301.5]}]`, "301.5\n3.015e2", "301.6\n\"301.5\""},
	{"numeric below", `[{"numeric":["<",0]}]`, "-1\n-0.00001", "0\n1\n-2e9\n\"-1\""},
	{"numeric up to", `[{"numeric":["<=",0]}]`, "0\n-1", "0.00001"},
	{"numeric above", `[{"numeric":[">",100]}]`, "100.00001\n1e9", "100\n99\n1.1e9\nnull"},
	{"numeric from", `[{"numeric":[">=",100]}]`, "100\n101", "99.99999"},
	{"numeric between, open and closed", `[{"numeric":[">",0,"<=",150]}]`, "0.00001\n150", "0\n150.00001\n-1"},
	{"numeric between, closed and open", `[{"numeric":[">=",-5.5,"<",5.5]}]`, "-5.5\n0\n5.49999", "5.5\n-5.50001"},
	{"numeric to the ends of the range", `[{"numeric":[">=",-1e9,"<=",1e9]}]`, "-1e9\n1000000000", "1000000000.1\n-1e10"},

	{"exists wants a value that is neither null nor empty", `[{"exists":true}]`, "\"x\"\n0\nfalse", "null\n\"\""},
	{"not exists wants no value", `[{"exists":false}]`, "", "\"x\"\n0\nfalse\nnull"},
	{"anything-but or not there", `[{"anything-but":["rugby"]},{"exists":false}]`, `"tennis"`, `"rugby"`},

	{"cidr of IPv4", `[{"cidr":"10.0.0.0/24"}]`, "\"10.0.0.0\"\n\"10.0.0.255\"", "\"10.0.1.0\"\n\"10.0.0\"\n\"10.0.0.0/24\"\n\"::ffff:10.0.0.1\"\n10.0\n\"x\""},
	{"cidr from the middle of its block", `[{"cidr":"10.0.0.77/24"}]`, "\"10.0.0.1\"\n\"10.0.0.200\"", `"10.0.1.77"`},
	{"cidr of everything", `[{"cidr":"0.0.0.0/0"}]`, `"8.8.8.8"`, "\"::1\"\n\"\""},
	{"cidr of IPv6", `[{"cidr":"2001:db8::/32"}]`, "\"2001:db8::1\"\n\"2001:0DB8:ffff:0:0:0:0:0\"", "\"2001:db9::\"\n\"10.0.0.1\""},

	{"wildcard in front", `[{"wildcard":"*ball"}]`, "\"ball\"\n\"baseball\"", "\"ballad\"\n\"Ball\"\n1\nnull"},
	{"wildcard behind", `[{"wildcard":"log*"}]`, "\"log\"\n\"logs\"", `"alog"`},
	{"wildcard in the middle", `[{"wildcard":"a*c"}]`, "\"ac\"\n\"abc\"\n\"acc\"", "\"a\"\n\"c\"\n\"acb\""},
	{"its ends do not share a character", `[{"wildcard":"aba*aba"}]`, "\"abaaba\"\n\"abaxaba\"", "\"aba\"\n\"ababa\""},
	{"nor does the middle with the end", `[{"wildcard":"*ab*b"}]`, "\"abb\"\n\"xabxb\"", "\"ab\"\n\"bab\""},
	{"nor two texts in the middle", `[{"wildcard":"*a*a*b"}]`, "\"aab\"\n\"xaxaxb\"", "\"ab\"\n\"xab\""},
	{"three wildcards", `[{"wildcard":"*a*b*"}]`, "\"ab\"\n\"xaxbx\"", "\"ba\"\n\"a\""},
	{"a lone wildcard wants any string", `[{"wildcard":"*"}]`, "\"\"\n\"x\"", "1\nnull"},
	{"no wildcard is an equal string", `[{"wildcard":"abc"}]`, `"abc"`, "\"abcd\"\n\"ab\""},
	{"stars and question marks can be meant", `[{"wildcard":"a\\*?"}]`, `"a*?"`, "\"ab?\"\n\"a*b\""},

	{"one of several conditions", `["x",{"prefix":"y"},{"numeric":[">",5]},null]`, "\"x\"\n\"yes\"\n6\nnull", "\"z\"\n5\ntrue"},
}

func TestOperatorsOnTheBody(t *testing.T) {
	for _, tt := range operators {
		p := parse(t, `{"k":`+tt.wants+`}`, snsfilter.Body)
		each(tt.pass, func(v string) {
			if !p.Match(snsfilter.NewMessage(`{"k":`+v+`,"other":1}`, nil)) {
				t.Errorf("%s: %s keeps %s away", tt.fact, tt.wants, v)
			}
		})
		each(tt.stay, func(v string) {
			if p.Match(snsfilter.NewMessage(`{"k":`+v+`,"other":1}`, nil)) {
				t.Errorf("%s: %s lets %s pass", tt.fact, tt.wants, v)
			}
		})
	}
}

// An array of one is the way for null and booleans to be in an attribute.
func TestOperatorsOnAttributes(t *testing.T) {
	for _, tt := range operators {
		p := parse(t, `{"k":`+tt.wants+`}`, snsfilter.Attributes)
		match := func(v string) bool {
			return p.Match(snsfilter.NewMessage("", map[string]snsfilter.Attribute{"k": {Type: "String.Array", Value: "[" + v + "]"}, "other": {Type: "String", Value: "1"}}))
		}
		each(tt.pass, func(v string) {
			if !match(v) {
				t.Errorf("%s: %s keeps %s away", tt.fact, tt.wants, v)
			}
		})
		each(tt.stay, func(v string) {
			if match(v) {
				t.Errorf("%s: %s lets %s pass", tt.fact, tt.wants, v)
			}
		})
	}
}

func each(lines string, f func(string)) {
	if lines == "" {
		return
	}
	for line := range strings.SplitSeq(lines, "\n") {
		f(line)
	}
}

var attributes = map[string]snsfilter.Attribute{
	"event":  {Type: "String", Value: "user_invited"},
	"price":  {Type: "Number", Value: "210.750"},
	"count":  {Type: "Number.int", Value: " 7 "},
	"kind":   {Type: "String.custom", Value: "x"},
	"tags":   {Type: "String.Array", Value: `["soccer",7,true,null,["deep"],{"a":1}]`},
	"prices": {Type: "Number.Array", Value: `[100, 50]`},
	"none":   {Type: "String.Array", Value: `[]`},
	"blob":   {Type: "Binary", Value: "eA=="},
	"bad":    {Type: "String.Array", Value: `["open`},
	"word":   {Type: "Number", Value: "seven"},
	"true":   {Type: "String", Value: "true"},
	"digits": {Type: "String", Value: "7"},
	"a.b":    {Type: "String", Value: "v"},
	"quote":  {Type: "String", Value: `say "hi\"`},
	"quotes": {Type: "String.Array", Value: `["say \"hi\\\""]`},
	"$or":    {Type: "String", Value: "x"},
}

func TestMatchOnAttributes(t *testing.T) {
	for _, tt := range []struct {
		fact, policy string
		want         bool
	}{
		{"an empty policy lets everything pass", `{}`, true},
		{"every key must pass", `{"event":["user_invited"],"kind":["x"]}`, true},
		{"one key that does not is enough", `{"event":["user_invited"],"kind":["y"]}`, false},
		{"names are case-sensitive", `{"Event":["user_invited"]}`, false},
		{"an absent key is not null", `{"absent":[null]}`, false},
		{"an absent key is not anything but", `{"absent":[{"anything-but":"x"}]}`, false},
		{"nor anything but a prefix", `{"absent":[{"anything-but":{"prefix":"x"}}]}`, false},
		{"an absent key does not exist", `{"absent":[{"exists":false}]}`, true},
		{"and does not exist whatever else would do", `{"absent":["x",{"exists":false}]}`, true},
		{"a Number is a number", `{"price":[210.75]}`, true},
		{"however it is labeled and spaced", `{"count":[{"numeric":["=",7]}]}`, true},
		{"a Number is no string", `{"price":["210.750"]}`, false},
		{"a String is no number", `{"digits":[7]}`, false},
		{"a String is no number in a range", `{"digits":[{"numeric":[">",0]}]}`, false},
		{"a String is no boolean", `{"true":[true]}`, false},
		{"one value of an array is enough", `{"tags":["rugby","soccer"]}`, true},
		{"an array has numbers", `{"tags":[7.0]}`, true},
		{"an array has booleans", `{"tags":[true]}`, true},
		{"an array has nulls", `{"tags":[null]}`, true},
		{"an array's number is no string", `{"tags":["7"]}`, false},
		{"an array inside of an array has no values", `{"tags":["deep"]}`, false},
		{"anything-but passes by one value that is not meant", `{"tags":[{"anything-but":["soccer"]}]}`, true},
		{"an array of numbers", `{"prices":[{"anything-but":[100,500]}]}`, true},
		{"an array of numbers, all of them meant", `{"prices":[{"anything-but":[100,50]}]}`, false},
		{"an array without values does not exist", `{"none":[{"exists":false}]}`, true},
		{"and has nothing that is not meant", `{"none":[{"anything-but":"x"}]}`, false},
		{"a Binary attribute has no value", `{"blob":["eA=="]}`, false},
		{"a Binary attribute does not exist", `{"blob":[{"exists":false}]}`, true},
		{"an array that is none has no values", `{"bad":["open"]}`, false},
		{"but is there", `{"bad":[{"exists":false}]}`, false},
		{"a number that is none has no value", `{"word":[{"anything-but":1}]}`, false},
		{"a dot is a letter of a name", `{"a.b":["v"]}`, true},
		{"quotation marks and backslashes have to be escaped twice", `{"quote":["say \\\"hi\\\\\\\""]}`, true},
		{"once is not enough", `{"quote":["say \"hi\\\""]}`, false},
		{"in arrays too", `{"quotes":["say \\\"hi\\\\\\\""]}`, true},
	} {
		// The body says something else; in this scope nobody listens.
		m := snsfilter.NewMessage(`{"event":"user_left","absent":null}`, attributes)
		if got := parse(t, tt.policy, snsfilter.Attributes).Match(m); got != tt.want {
			t.Errorf("%s: %s = %t, want %t", tt.fact, tt.policy, got, tt.want)
		}
	}
}

func TestAMessageWithoutAttributesPassesNoFilterOnThem(t *testing.T) {
	for _, policy := range []string{`{"a":["x"]}`, `{"a":[{"exists":false}]}`, `{"$or":[{"a":["x"]},{"b":[{"exists":false}]}]}`} {
		p := parse(t, policy, snsfilter.Attributes)
		for _, none := range []map[string]snsfilter.Attribute{nil, {}, {"blob": {Type: "Binary.png", Value: "x"}}} {
			if p.Match(snsfilter.NewMessage(`{"a":"x"}`, none)) {
				t.Errorf("%s lets a message with attributes %v pass", policy, none)
			}
		}
	}
}

const body = ` {"event":"user_invited","n":7,"ok":true,"none":null,"a":{"b":{"c":"x","d":1},"e.f":{"g":"y"}},
	"list":["p",2,[false,[null]]],"items":[{"sku":"1","n":1},[[{"sku":"2","q":{"r":3},"n":2}]]],"dotted.key":"v",
	"empty":[],"object":{},"hollow":"","aa":1,"":{"":"nameless"},"twice":1,"twice":2,"$or":"x"} `

func TestMatchOnTheBody(t *testing.T) {
	for _, tt := range []struct {
		fact, policy string
		want         bool
	}{
		{"an empty policy lets everything pass", `{}`, true},
		{"every key must pass", `{"ok":[true],"n":[6,7]}`, true},
		{"one key that does not is enough", `{"ok":[true],"n":[6]}`, false},
		{"an absent key is not null", `{"absent":[null]}`, false},
		{"an absent key is not anything but", `{"absent":[{"anything-but":"x"}]}`, false},
		{"an absent key does not exist", `{"absent":[{"exists":false}]}`, true},
		{"neither does one below what is there", `{"a":{"x":[{"exists":false}]}}`, true},
		{"nor below a value", `{"event":{"x":[{"exists":false}]}}`, true},
		{"nested keys", `{"a":{"b":{"c":["x"],"d":[1]}}}`, true},
		{"nested keys, one of which does not pass", `{"a":{"b":{"c":["x"],"d":[2]}}}`, false},
		{"an object is no value", `{"a":{"b":["x"]}}`, false},
		{"an object does not exist", `{"a":[{"exists":true}]}`, false},
		{"an object is not there", `{"a":[{"exists":false}]}`, true},
		{"an empty array is not there", `{"empty":[{"exists":false}]}`, true},
		{"an empty array has no values", `{"empty":[{"anything-but":"x"}]}`, false},
		{"an empty object is not there", `{"object":[{"exists":false}]}`, true},
		{"null is there", `{"none":[{"exists":false}]}`, false},
		{"null does not exist", `{"none":[{"exists":true}]}`, false},
		{"an empty string is there", `{"hollow":[{"exists":false}]}`, false},
		{"one value of an array is enough", `{"list":["p"]}`, true},
		{"arrays are numbers too", `{"list":[{"numeric":["<",3]}]}`, true},
		{"arrays in arrays are searched", `{"list":[null]}`, true},
		{"a value that is not there", `{"list":["q"]}`, false},
		{"anything-but passes by one value that is not meant", `{"list":[{"anything-but":"p"}]}`, true},
		{"objects in arrays are searched", `{"items":{"sku":["2"],"q":{"r":[3]}}}`, true},
		{"and need not be the same one", `{"items":{"sku":["1"],"q":{"r":[3]}}}`, true},
		{"a key missing in one of them is there", `{"items":{"q":{"r":[{"exists":false}]}}}`, false},
		{"a dot in a name is a level", `{"dotted":{"key":["v"]}}`, true},
		{"a dot in the policy is a level", `{"a.b.c":["x"]}`, true},
		{"wherever it is", `{"a.b":{"c":["x"]}}`, true},
		{"in both", `{"a":{"e":{"f.g":["y"]}}}`, true},
		{"a name does not end inside of another", `{"a":{"b":{"cc":["x"]}}}`, false},
		{"a name may be empty", `{"":{"":["nameless"]}}`, true},
		{"which is a dot at the top", `{".":["nameless"]}`, true},
		{"of a name given twice the last counts", `{"twice":[2]}`, true},
		{"and the first does not", `{"twice":[1]}`, false},
	} {
		// The attributes say something else; in this scope nobody listens.
		m := snsfilter.NewMessage(body, map[string]snsfilter.Attribute{"event": {Type: "String", Value: "user_left"}, "absent": {Type: "String", Value: "x"}})
		if got := parse(t, tt.policy, snsfilter.Body).Match(m); got != tt.want {
			t.Errorf("%s: %s = %t, want %t", tt.fact, tt.policy, got, tt.want)
		}
	}
}

func TestOr(t *testing.T) {
	for _, tt := range []struct {
		fact, policy string
		want         bool
	}{
		{"the first alternative", `{"$or":[{"event":["user_invited"]},{"n":[0]}]}`, true},
		{"the second alternative", `{"$or":[{"event":["x"]},{"n":[7]}]}`, true},
		{"neither", `{"$or":[{"event":["x"]},{"n":[0]}]}`, false},
		{"beside a key", `{"ok":[true],"$or":[{"event":["x"]},{"n":[7]}]}`, true},
		{"beside a key that does not pass", `{"ok":[false],"$or":[{"event":["x"]},{"n":[7]}]}`, false},
		{"all keys of an alternative", `{"$or":[{"event":["user_invited"],"n":[0]},{"n":[1]}]}`, false},
		{"in an alternative", `{"$or":[{"n":[7],"$or":[{"event":["x"]},{"ok":[true]}]},{"n":[0]}]}`, true},
		{"below a key", `{"a":{"b":{"$or":[{"c":["y"]},{"d":[1]}]}}}`, true},
		{"below a key, neither", `{"a":{"b":{"$or":[{"c":["y"]},{"d":[2]}]}}}`, false},
		{"a key below in an alternative", `{"$or":[{"a":{"b":{"c":["x"]}}},{"n":[0]}]}`, true},
		{"twice, at two levels", `{"$or":[{"n":[0]},{"ok":[true]}],"a":{"b":{"$or":[{"c":["y"]},{"d":[1]}]}}}`, true},
		{"twice, at one level", `{"$or":[{"n":[0]},{"ok":[true]}],"$or":[{"n":[1]},{"event":["x"]}]}`, false},
		{"of a key inside and before it the one inside counts", `{"n":[0],"$or":[{"n":[7]},{"ok":[false]}]}`, true},
		{"of a key inside and after it the one after counts", `{"$or":[{"n":[7]},{"ok":[false]}],"n":[0]}`, false},

		{"of a key inside and before it the one before counts in the others", `{"n":[7],"$or":[{"n":[0]},{"ok":[true]}]}`, true},
		{"alternatives do not share what they add", `{"n":[7],"ok":[true],"aa":[1],"$or":[{"event":["user_invited"]},{"event":["x"]}]}`, true},

		{"with one object is a name", `{"$or":[{"prefix":"x"}]}`, true},
		{"with values is a name", `{"$or":["x","y"]}`, true},
		{"with a value among objects is a name", `{"$or":[{"prefix":"z"},"x"]}`, true},
		{"with names of operators is a name", `{"$or":[{"prefix":"y"},{"suffix":"x"}]}`, true},
		{"as a name it can fail to match", `{"$or":[{"prefix":"y"},{"suffix":"z"}]}`, false},
		{"with an object is a name", `{"$or":{"x":[1]}}`, false},
	} {
		if got := parse(t, tt.policy, snsfilter.Body).Match(snsfilter.NewMessage(body, nil)); got != tt.want {
			t.Errorf("%s: %s = %t, want %t", tt.fact, tt.policy, got, tt.want)
		}
	}
	flat := parse(t, `{"event":["user_invited"],"$or":[{"kind":["y"]},{"price":[{"numeric":["<",300]}],"$or":[{"tags":["x"]},{"tags":["soccer"]}]}]}`, snsfilter.Attributes)
	if !flat.Match(snsfilter.NewMessage("", attributes)) {
		t.Error("$or is for attributes too")
	}
}

func TestABodyThatIsNoObjectPassesNoFilterOnIt(t *testing.T) {
	for _, policy := range []string{`{"event":["a"]}`, `{"event":[{"exists":false}]}`} {
		p := parse(t, policy, snsfilter.Body)
		for _, body := range []string{"", "a", `"a"`, `["event"]`, `[{"event":"a"}]`, "null", "7", `{"event":"a"`, `{"event":"a"} x`, `{"event":"a"}{}`, strings.Repeat(`{"a":`, 20_000)} {
			if p.Match(snsfilter.NewMessage(body, nil)) {
				t.Errorf("%s lets %.20q pass", policy, body)
			}
		}
		if p.Match(snsfilter.NewMessage("{}\n", nil)) != strings.Contains(policy, "exists") {
			t.Errorf("%s and an object without keys", policy)
		}
	}
}

func TestNoPolicyLetsEverythingPass(t *testing.T) {
	for _, p := range []*snsfilter.Policy{nil, {}, parse(t, `{}`, snsfilter.Body), parse(t, " {\n} ", snsfilter.Attributes)} {
		if m := snsfilter.NewMessage("anything", nil); !p.Match(m) || !p.Explain(m).Passes {
			t.Error("no policy keeps a message away")
		}
	}
}

// A publish asks each subscription's policy. What can be done once is done once.
func TestASecondPolicyReadsNothingAgain(t *testing.T) {
	for scope, policy := range map[snsfilter.Scope]string{
		snsfilter.Body:       `{"event":["x","user_invited"],"a":{"b":{"d":[{"numeric":[">",0]}]}},"$or":[{"n":[6]},{"items":{"sku":[{"wildcard":"*2*"}]}}]}`,
		snsfilter.Attributes: `{"event":["x",{"prefix":"user"}],"price":[{"numeric":[">",0]}],"tags":[{"anything-but":["soccer"]}]}`,
	} {
		p, m := parse(t, policy, scope), snsfilter.NewMessage(body, attributes)
		if !p.Match(m) {
			t.Fatalf("%s keeps the message away", policy)
		}
		if n := testing.AllocsPerRun(10, func() { p.Match(m) }); n > 0 {
			t.Errorf("%s: %.0f allocations for a message that has been read", scope, n)
		}
	}
}

// With backtracking these would not end.
func TestHostilePatternsAreMatchedInOnePass(t *testing.T) {
	long := strings.Repeat("a", 250_000)
	p := parse(t, `{"k":[{"wildcard":"*a*a*b"},{"wildcard":"*`+long[:50_000]+`b*"},{"anything-but":{"wildcard":"a*a*a"}}]}`, snsfilter.Body)
	if p.Match(snsfilter.NewMessage(`{"k":"`+long+`"}`, nil)) {
		t.Error("there is no b")
	}
}

// Each level of the body can be entered in one way only, however many dots lead there.
func TestHostilePathsAreWalkedInOnePass(t *testing.T) {
	p := parse(t, `{"`+strings.Repeat(".", 200)+`":[1]}`, snsfilter.Body)
	if p.Match(snsfilter.NewMessage(`{"":[`+strings.Repeat(`{"":1},`, 30_000)+`1]}`, nil)) {
		t.Error("200 levels lead into two")
	}
	for _, name := range []string{"a", "a.a", "", "."} {
		for _, depth := range []int{100, 1000} {
			path := strings.Repeat(name+".", depth) + "end"
			object := strings.Repeat(`{"`+name+`":`, depth) + `{"end":1}` + strings.Repeat("}", depth)
			p := parse(t, `{"`+path+`":[1]}`, snsfilter.Body)
			if !p.Match(snsfilter.NewMessage(object, nil)) {
				t.Errorf("%d levels of %q do not lead to the end", depth, name)
			}
			if p.Match(snsfilter.NewMessage(strings.Replace(object, "end", "out", 1), nil)) {
				t.Errorf("%d levels of %q lead elsewhere", depth, name)
			}
		}
	}
}
