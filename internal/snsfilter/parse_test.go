package snsfilter_test

import (
	"strconv"
	"strings"
	"testing"

	"github.com/stationmaster/worker/internal/snsfilter"
)

// list is a JSON array of n values.
func list(n int) string {
	values := make([]string, n)
	for i := range values {
		values[i] = strconv.Itoa(i)
	}
	return "[" + strings.Join(values, ",") + "]"
}

const (
	tooManyKeys = "FilterPolicy: Filter policy can not have more than 5 keys"
	tooComplex  = "FilterPolicy: Filter policy is too complex"
	noJSON      = "FilterPolicy: failed to parse JSON."
)

func TestParseRefusesWhatIsNoPolicy(t *testing.T) {
	for _, tt := range []struct{ policy, want string }{
		{``, noJSON},
		{`{`, noJSON},
		{`null`, noJSON},
		{`[]`, noJSON},
		{`"{}"`, noJSON},
		{`{} {}`, noJSON},
		{`{"a":[1],}`, noJSON},
		{`{"a":[nan]}`, noJSON},
		{"{\"a\":[\"\xff\"]}", noJSON},
		{strings.Repeat(`{"a":`, 30_000) + "1" + strings.Repeat("}", 30_000), noJSON}, // deeper than JSON is read
		{`{"a":["` + strings.Repeat("x", snsfilter.MaxSize) + `"]}`, "FilterPolicy: Filter policy can not have more than 262144 bytes, it has 262154"},
		{`{"a":"b"}`, `FilterPolicy: "a" must be an object or an array`},
		{`{"a":null}`, `FilterPolicy: "a" must be an object or an array`},
		{`{"a":{"suffix":"value"}}`, `FilterPolicy: "suffix" must be an object or an array`},
		{`{"a":[]}`, "FilterPolicy: Empty arrays are not allowed"},
		{`{"a":{}}`, "FilterPolicy: Empty objects are not allowed"},
		{`{"$or":[{},{}]}`, "FilterPolicy: Empty objects are not allowed"},
		{`{"$or":[{"a":[1]},{"b":2}]}`, `FilterPolicy: "b" must be an object or an array`},
		{`{"$or":[{"a":[1]}]}`, "FilterPolicy: Unrecognized match type a"},
		{`{"$or":[{"numeric":123},{"prefix":"abc"}]}`, "FilterPolicy: Value of numeric must be an array."},
		{`{"$or":1}`, `FilterPolicy: "$or" must be an object or an array`},
		{`{"a":[["b"]]}`, "FilterPolicy: Match value must be String, number, true, false, or null"},
		{`{"a":[{}]}`, "FilterPolicy: Match expression name not found"},
		{`{"a":[{"wrong-operator":true}]}`, "FilterPolicy: Unrecognized match type wrong-operator"},
		{`{"a":[{"Prefix":"x"}]}`, "FilterPolicy: Unrecognized match type Prefix"},
		{`{"a":[{"suffix":"x","prefix":"y"}]}`, "FilterPolicy: Only one key allowed in match expression"},
		{`{"a":[{"exists":true,"prefix":"y"}]}`, "FilterPolicy: Only one key allowed in match expression"},
		{`{"a":[{"numeric":["=",1],"prefix":"y"}]}`, "FilterPolicy: Too many elements in numeric expression"},
		// Of several faults the first in the text is told.
		{`{"z":[[]],"a":"b"}`, "FilterPolicy: Match value must be String, number, true, false, or null"},
		{`{"z":"b","a":[[]]}`, `FilterPolicy: "z" must be an object or an array`},
	} {
		refuses(t, tt.policy, snsfilter.Body, tt.want)
	}
}

func TestParseRefusesOperandsOfTheWrongKind(t *testing.T) {
	for _, tt := range []struct{ condition, want string }{
		{`{"prefix":1}`, "prefix match pattern must be a string"},
		{`{"prefix":{"equals-ignore-case":"x"}}`, "prefix match pattern must be a string"},
		{`{"suffix":100}`, "suffix match pattern must be a string"},
		{`{"suffix":null}`, "suffix match pattern must be a string"},
		{`{"suffix":[]}`, "suffix match pattern must be a string"},
		{`{"suffix":["test","test2"]}`, "suffix match pattern must be a string"},
		{`{"equals-ignore-case":true}`, "equals-ignore-case match pattern must be a string"},
		{`{"wildcard":1}`, "wildcard match pattern must be a string"},
		{`{"exists":null}`, "exists match pattern must be either true or false."},
		{`{"exists":"no"}`, "exists match pattern must be either true or false."},

		{`{"wildcard":"a**"}`, "Consecutive wildcard characters at pos 2"},
		{`{"wildcard":"a\\b"}`, "Invalid escape character at pos 2"},
		{`{"wildcard":"a\\"}`, "Invalid escape character at pos 2"},
		{`{"wildcard":"*a*b*c*"}`, "wildcard match pattern can not have more than 3 wildcards"},
		{`{"anything-but":{"wildcard":"**"}}`, "Consecutive wildcard characters at pos 1"},

		{`{"anything-but":null}`, "Value of anything-but must be an array or single string/number value."},
		{`{"anything-but":true}`, "Value of anything-but must be an array or single string/number value."},
		{`{"anything-but":[]}`, "Inside anything but list, either all values are number or string, mixed type is not supported"},
		{`{"anything-but":["a",1]}`, "Inside anything but list, either all values are number or string, mixed type is not supported"},
		{`{"anything-but":[true]}`, "Inside anything but list, start|null|boolean is not supported."},
		{`{"anything-but":[["a"]]}`, "Inside anything but list, start|null|boolean is not supported."},
		{`{"anything-but":2e9}`, "Value must be between -1.0E9 and 1.0E9, inclusive"},
		{`{"anything-but":{}}`, "Anything-But expression name not found"},
		{`{"anything-but":{"wrong-operator":null}}`, "Unsupported anything-but pattern: wrong-operator"},
		{`{"anything-but":{"exists":false}}`, "Unsupported anything-but pattern: exists"},
		{`{"anything-but":{"numeric":["=",1]}}`, "Unsupported anything-but pattern: numeric"},
		{`{"anything-but":{"prefix":false}}`, "prefix match pattern must be a string"},
		{`{"anything-but":{"prefix":["a"]}}`, "prefix match pattern must be a string"},
		{`{"anything-but":{"prefix":""}}`, "Null prefix/suffix not allowed"},
		{`{"anything-but":{"suffix":""}}`, "Null prefix/suffix not allowed"},
		{`{"anything-but":{"prefix":"a","suffix":"b"}}`, "Only one key allowed in match expression"},
		{`{"anything-but":"a","prefix":"b"}`, "Too many elements in numeric expression"},

		{`{"numeric":1}`, "Value of numeric must be an array."},
		{`{"numeric":[]}`, "Invalid member in numeric match: ]"},
		{`{"numeric":["operator"]}`, "Unrecognized numeric range operator: operator"},
		{`{"numeric":["!=",1]}`, "Unrecognized numeric range operator: !="},
		{`{"numeric":[1,"<="]}`, "Invalid member in numeric match: 1"},
		{`{"numeric":[["<"],1]}`, "Invalid member in numeric match: ["},
		{`{"numeric":["=","000"]}`, "Value of equals must be numeric"},
		{`{"numeric":["=",1,2]}`, "Too many elements in numeric expression"},
		{`{"numeric":["<"]}`, "Value of < must be numeric"},
		{`{"numeric":[">="]}`, "Value of >= must be numeric"},
		{`{"numeric":["<",100,">",10]}`, "Too many elements in numeric expression"},
		{`{"numeric":[">=",1,">",2]}`, "Bad numeric range operator: >"},
		{`{"numeric":[">",3,"<",1]}`, "Bottom must be less than top"},
		{`{"numeric":[">",3,"<",3]}`, "Bottom must be less than top"},
		{`{"numeric":[">",20,"<="]}`, "Value of <= must be numeric"},
		{`{"numeric":[">",20,30]}`, "Bad value in numeric range: 30"},
		{`{"numeric":[">",20,"test"]}`, "Bad numeric range operator: test"},
		{`{"numeric":[">","20","<","30"]}`, "Value of > must be numeric"},
		{`{"numeric":[">",20,"<","30"]}`, "Value of < must be numeric"},
		{`{"numeric":[">",20,"<",30,"<",50]}`, "Too many terms in numeric range expression"},
		{`{"numeric":["=",1000000001]}`, "Value must be between -1.0E9 and 1.0E9, inclusive"},
		{`{"numeric":["<",1e999]}`, "Value must be between -1.0E9 and 1.0E9, inclusive"},
		{`{"numeric":[">",0,"<",1e10]}`, "Value must be between -1.0E9 and 1.0E9, inclusive"},

		{`{"cidr":1}`, "prefix match pattern must be a string"},
		{`{"cidr":"10.0.0.0"}`, "Malformed CIDR, one '/' required"},
		{`{"cidr":"10.0.0.0/"}`, "Malformed CIDR, one '/' required"},
		{`{"cidr":"10.0.0.0/8/8"}`, "Malformed CIDR, one '/' required"},
		{`{"cidr":"10.0.0.0/x"}`, "Malformed CIDR, mask bits must be an integer"},
		{`{"cidr":"10.0.0.0/-1"}`, "Malformed CIDR, mask bits must not be negative"},
		{`{"cidr":"10.0.0.0/32"}`, "IPv4 mask bits must be < 32"},
		{`{"cidr":"::/128"}`, "IPv6 mask bits must be < 128"},
		{`{"cidr":"10.0.0/8"}`, "Nonstandard IP address: 10.0.0"},
		{`{"cidr":"host/8"}`, "Nonstandard IP address: host"},
		{`{"cidr":"fe80::1%eth0/64"}`, "Nonstandard IP address: fe80::1%eth0"},
	} {
		for _, scope := range []snsfilter.Scope{snsfilter.Attributes, snsfilter.Body} {
			refuses(t, `{"key":["x",`+tt.condition+`]}`, scope, "FilterPolicy: "+tt.want)
		}
	}
}

func refuses(t *testing.T, policy string, scope snsfilter.Scope, want string) {
	t.Helper()
	p, err := snsfilter.Parse(policy, scope)
	if err == nil || err.Error() != want || p != nil {
		t.Errorf("Parse(%.100s) = %v, want %s", policy, err, want)
	}
}

func TestLimits(t *testing.T) {
	for _, tt := range []struct {
		fact, policy string
		scope        snsfilter.Scope
		want         string
	}{
		{"five keys", `{"a":[1],"b":[1],"c":[1],"d":[1],"e":[1]}`, snsfilter.Attributes, ""},
		{"six keys", `{"a":[1],"b":[1],"c":[1],"d":[1],"e":[1],"f":[1]}`, snsfilter.Attributes, tooManyKeys},
		{"five keys nested in one", `{"a":{"b":[1],"c":[1],"d":[1],"e":[1],"f":[1]}}`, snsfilter.Body, ""},
		{"six keys nested in one", `{"a":{"b":[1],"c":[1],"d":[1],"e":[1],"f":[1],"g":[1]}}`, snsfilter.Body, tooManyKeys},
		{"six keys, at most four of them in one alternative", `{"a":[1],"$or":[{"b":[1],"c":[1],"$or":[{"d":[1]},{"e":[1]}]},{"f":[1]}]}`, snsfilter.Attributes, ""},
		{"six keys in one alternative", `{"a":[1],"$or":[{"b":[1]},{"b":[2],"c":[1],"d":[1],"e":[1],"f":[1]}]}`, snsfilter.Attributes, tooManyKeys},

		{"150 values", `{"a":` + list(150) + `}`, snsfilter.Attributes, ""},
		{"151 values", `{"a":` + list(151) + `}`, snsfilter.Attributes, tooComplex},
		{"15 x 10 values", `{"a":` + list(15) + `,"b":` + list(10) + `}`, snsfilter.Attributes, ""},
		{"100 x 51 values", `{"a":` + list(100) + `,"b":` + list(51) + `}`, snsfilter.Attributes, tooComplex},
		// The guide's example: 4 values at level 3, 3 at level 2, that is 4 x 3 x 3 x 2 = 72.
		{"72 with levels", `{"key_a":{"key_b":{"key_c":` + list(4) + `}},"key_d":{"key_e":` + list(3) + `}}`, snsfilter.Body, ""},
		{"216 with levels", `{"key_a":{"key_b":{"key_c":` + list(4) + `}},"key_d":{"key_e":` + list(3) + `},"key_f":` + list(3) + `}`, snsfilter.Body, tooComplex},
		{"150 levels", strings.Repeat(`{"a":`, 150) + "[1]" + strings.Repeat("}", 150), snsfilter.Body, ""},
		{"151 levels", strings.Repeat(`{"a":`, 151) + "[1]" + strings.Repeat("}", 151), snsfilter.Body, tooComplex},
		{"9000 levels", strings.Repeat(`{"a":`, 9000) + "[1]" + strings.Repeat("}", 9000), snsfilter.Body, tooComplex},
		{"a dot is no level", `{"a.b":` + list(150) + `}`, snsfilter.Body, ""},
		// AWS refuses and accepts these two: 4 x 6 + 4 x 4 x 4 + 4 x 4 x 4 = 152, 3 x 6 + 3 x 4 x 4 + 3 x 4 x 7 = 150.
		{"152 with $or", `{"source":` + list(4) + `,"$or":[{"name":` + list(6) + `},{"type":` + list(4) + `,"$or":[{"id":` + list(4) + `},{"space":` + list(4) + `}]}]}`, snsfilter.Attributes, tooComplex},
		{"150 with $or", `{"source":` + list(3) + `,"$or":[{"name":` + list(6) + `},{"type":` + list(4) + `,"$or":[{"id":` + list(4) + `},{"space":` + list(7) + `}]}]}`, snsfilter.Attributes, ""},
		// 3 x 4 x 2 + 3 x 4 x 6 + 2 x 4 x 2 + 2 x 4 x 6 = 160.
		{"160 with $or and levels", `{"$or":[{"name":` + list(3) + `},{"space":` + list(2) + `}],"detail":{"scope":` + list(2) + `,"$or":[{"source":` + list(1) + `},{"type":` + list(3) + `}]}}`, snsfilter.Body, tooComplex},
		{"alternatives that double", `{` + strings.Repeat(`"$or":[{"a":[1]},{"a":[2]}],`, 4) + `"b":[1]}`, snsfilter.Body, ""},
		{"alternatives that double 3000 times", `{` + strings.Repeat(`"$or":[{"a":[1]},{"a":[2]}],`, 3000) + `"b":[1]}`, snsfilter.Body, tooManyKeys},

		{"nested in attributes", `{"a":{"b":["c"]}}`, snsfilter.Attributes, "Filter policy scope MessageAttributes does not support nested filter policy"},
		{"nested in an alternative on attributes", `{"$or":[{"a":["b"]},{"a":{"b":["c"]}}]}`, snsfilter.Attributes, "Filter policy scope MessageAttributes does not support nested filter policy"},
		{"$or in attributes is not nested", `{"$or":[{"a":["b"]},{"b":["c"]}]}`, snsfilter.Attributes, ""},
		{"a fault is told before the nesting", `{"a":{"b":[]}}`, snsfilter.Attributes, "FilterPolicy: Empty arrays are not allowed"},

		{"the largest policy", `{"a":["` + strings.Repeat("x", snsfilter.MaxSize-len(`{"a":[""]}`)) + `"]}`, snsfilter.Attributes, ""},
		{"no exact number is out of range", `{"a":[1e999,-1e10,123456789012]}`, snsfilter.Attributes, ""},
	} {
		_, err := snsfilter.Parse(tt.policy, tt.scope)
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || err.Error() != tt.want) {
			t.Errorf("%s: %v, want %q", tt.fact, err, tt.want)
		}
	}
}

// A field with wildcards costs the sum of its patterns' points times their number, all fields
// together at most 100.
func TestWildcardsCostPoints(t *testing.T) {
	stars := func(n int, pattern string) string {
		return strings.TrimSuffix(strings.Repeat(`{"wildcard":"`+pattern+`"},`, n), ",")
	}
	for _, tt := range []struct {
		fact, policy string
		want         string
	}{
		{"ten patterns with one star: 10 x 10", `{"a":[` + stars(10, "*x") + `]}`, ""},
		{"eleven: 11 x 11", `{"a":[` + stars(11, "*x") + `]}`, tooComplex},
		{"five with more stars: 15 x 5", `{"a":[` + stars(5, "*x*y*") + `]}`, ""},
		{"six: 18 x 6", `{"a":[` + stars(6, "*x*") + `]}`, tooComplex},
		{"two fields: 49 + 49", `{"a":[` + stars(7, "*x") + `],"b":[` + stars(7, "*x") + `]}`, ""},
		{"two fields: 64 + 49", `{"a":[` + stars(8, "*x") + `],"b":[` + stars(7, "*x") + `]}`, tooComplex},
		{"two alternatives: 64 + 49", `{"$or":[{"a":[` + stars(8, "*x") + `]},{"b":[` + stars(7, "*x") + `]}]}`, tooComplex},
		{"a value beside them is a pattern too: 1 x 100", `{"a":[{"wildcard":"*x"},` + list(99)[1:] + `}`, ""},
		{"one more: 1 x 101", `{"a":[{"wildcard":"*x"},` + list(100)[1:] + `}`, tooComplex},
		{"anything-but costs a point: 10 x 10", `{"a":[` + stars(9, "*x") + `,{"anything-but":{"prefix":"y"}}]}`, ""},
		{"one more: 11 x 11", `{"a":[` + stars(9, "*x") + `,{"anything-but":"x"},{"anything-but":{"wildcard":"*"}}]}`, tooComplex},
		{"also of a pattern without stars: 11 x 10", `{"a":[` + stars(7, "*x") + `,{"wildcard":"*x*"},"x",{"anything-but":{"wildcard":"x"}}]}`, tooComplex},
		{"or the points of the pattern: 18 x 6", `{"a":[` + strings.Repeat(`{"anything-but":{"wildcard":"*x*"}},`, 5) + `{"anything-but":{"wildcard":"x*y*"}}]}`, tooComplex},
		{"without any star nothing costs", `{"a":[` + stars(50, "x") + `]}`, ""},
		{"nor does anything-but", `{"a":[` + strings.Repeat(`{"anything-but":"x"},`, 20) + `1]}`, ""},
	} {
		_, err := snsfilter.Parse(tt.policy, snsfilter.Attributes)
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || err.Error() != tt.want) {
			t.Errorf("%s: %v, want %q", tt.fact, err, tt.want)
		}
	}
}
