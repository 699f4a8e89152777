package iampolicy_test

import (
	"testing"
	"time"

	"github.com/stationmaster/worker/internal/iampolicy"
)

// asked is what a policy of one statement with a condition says to a request, in both ways in.
func asked(t *testing.T, document string, q iampolicy.Request) bool {
	t.Helper()
	lenient, err := iampolicy.Parse(document)
	if err != nil {
		t.Fatal(err)
	}
	strict, err := iampolicy.Accept(document, queueARN)
	if err != nil {
		t.Fatal(err)
	}
	l, s := lenient.Evaluate(q), strict.Evaluate(q)
	if l.Allowed != s.Allowed || len(l.Unknown)+len(s.Unknown) > 0 {
		t.Errorf("%s: %+v when read, %+v when set", document, l, s)
	}
	return s.Allowed
}

func TestConditionOperators(t *testing.T) {
	q := iampolicy.Request{Action: "sqs:SendMessage", Resource: queueARN, Context: map[string][]string{
		"k:s": {"Blue"}, "k:n": {"7"}, "k:b": {"true"}, "k:arn": {"arn:aws:sns:eu-west-1:1:a:b"}, "k:many": {"a", "b"},
		"k:date": {"2026-03-01T12:00:00Z"}, "k:epoch": {"1772366400"}, "k:ip": {"203.0.113.7"}, "k:ip6": {"2001:db8::7"},
		"k:mapped": {"::ffff:203.0.113.7"}, "k:odd": {"neither date nor address"},
	}}
	for condition, want := range map[string]bool{
		`{}`:                              true,
		`{"StringEquals":{"k:s":"Blue"}}`: true,
		` { "StringEquals" : { "k:s" : [ "Red" , "Blue" ] } } `:  true,
		`{"StringEquals":{"k:s":"blue"}}`:                        false,
		`{"StringEquals":{"k:s":"B*"}}`:                          false,
		`{"StringEquals":{"k:none":"x"}}`:                        false,
		`{"StringEqualsIfExists":{"k:none":"x"}}`:                true,
		`{"StringEqualsIfExists":{"k:s":"x"}}`:                   false,
		`{"StringNotEquals":{"k:s":["Red","Blue"]}}`:             false,
		`{"StringNotEquals":{"k:s":["Red","Green"]}}`:            true,
		`{"StringNotEquals":{"k:none":"x"}}`:                     true,
		`{"StringNotEqualsIfExists":{"k:none":"x"}}`:             true,
		`{"StringNotEqualsIfExists":{"k:s":"Blue"}}`:             false,
		`{"StringEqualsIgnoreCase":{"k:s":"bLUE"}}`:              true,
		`{"StringNotEqualsIgnoreCase":{"k:s":"bLUE"}}`:           false,
		`{"StringLike":{"k:s":"B?u*"}}`:                          true,
		`{"StringLike":{"k:s":"B?"}}`:                            false,
		`{"StringNotLike":{"k:s":"B*"}}`:                         false,
		`{"ArnLike":{"k:arn":"arn:aws:sns:*:1:a*"}}`:             true,
		`{"ArnLike":{"k:arn":"arn:aws:*:a:b"}}`:                  false, // a star stays in its part
		`{"ArnLike":{"k:arn":"*"}}`:                              false,
		`{"ArnLike":{"k:s":"*:*:*:*:*:*"}}`:                      false,
		`{"ArnEquals":{"k:arn":"arn:aws:sns:eu-west-?:1:*"}}`:    true,
		`{"ArnNotEquals":{"k:arn":"arn:aws:sns:eu-west-1:1:x"}}`: true,
		`{"ArnNotLike":{"k:arn":"arn:aws:sns:*:*:*"}}`:           false,
		`{"Bool":{"k:b":true}}`:                                  true,
		`{"Bool":{"k:b":"FALSE"}}`:                               false,
		`{"BoolIfExists":{"k:none":"false"}}`:                    true,
		`{"BinaryEquals":{"k:s":"Qmx1ZQ=="}}`:                    true,
		`{"BinaryEquals":{"k:s":"Qmx1ZTE="}}`:                    false,
		`{"Null":{"k:none":"true"}}`:                             true,
		`{"Null":{"k:none":"false"}}`:                            false,
		`{"Null":{"k:s":true}}`:                                  false,
		`{"Null":{"k:s":"false"}}`:                               true,
		`{"Null":{"k:s":["true","false"]}}`:                      true,
		`{"NumericEquals":{"k:n":7.0}}`:                          true,
		`{"NumericNotEquals":{"k:n":"7"}}`:                       false,
		`{"NumericLessThan":{"k:n":"7"}}`:                        false,
		`{"NumericLessThanEquals":{"k:n":7}}`:                    true,
		`{"NumericGreaterThan":{"k:n":"6.5"}}`:                   true,
		`{"NumericGreaterThanEquals":{"k:n":"8"}}`:               false,
		`{"NumericEquals":{"k:s":"7"}}`:                          false,
		`{"NumericLessThan":{"k:none":"7"}}`:                     false,

		`{"DateEquals":{"k:date":"2026-03-01T13:00:00+01:00"}}`:       true,
		`{"DateEquals":{"k:epoch":"2026-03-01T12:00Z"}}`:              true,
		`{"DateEquals":{"k:date":1772366400}}`:                        true,
		`{"DateEquals":{"k:date":"2026-03-01"}}`:                      false,
		`{"DateNotEquals":{"k:date":"2026-03-01"}}`:                   true,
		`{"DateNotEquals":{"k:none":"2026-03-01"}}`:                   true,
		`{"DateLessThan":{"k:date":"2026-03-01T12:00:00.5Z"}}`:        true,
		`{"DateLessThan":{"k:date":"2026-03-01T12:00:00Z"}}`:          false,
		`{"DateLessThanEquals":{"k:date":"2026-03-01T12:00:00Z"}}`:    true,
		`{"DateGreaterThan":{"k:date":"2026-03"}}`:                    true,
		`{"DateGreaterThan":{"k:date":"2026-03-01T12:00:00Z"}}`:       false,
		`{"DateGreaterThanEquals":{"k:date":"2026-03-01T12:00:00Z"}}`: true,
		`{"DateGreaterThan":{"k:odd":"1970-01-01"}}`:                  false,
		`{"DateGreaterThan":{"k:none":"1970-01-01"}}`:                 false,
		`{"DateGreaterThanIfExists":{"k:none":"1970-01-01"}}`:         true,

		`{"IpAddress":{"k:ip":"203.0.113.0/24"}}`:                    true,
		`{"IpAddress":{"k:ip":"203.0.113.99/24"}}`:                   true,
		`{"IpAddress":{"k:ip":["198.51.100.0/24","203.0.113.7"]}}`:   true,
		`{"IpAddress":{"k:ip":"203.0.113.8"}}`:                       false,
		`{"IpAddress":{"k:ip":"::/0"}}`:                              false,
		`{"IpAddress":{"k:ip6":"2001:DB8::/64"}}`:                    true,
		`{"IpAddress":{"k:ip6":"0.0.0.0/0"}}`:                        false,
		`{"IpAddress":{"k:mapped":"203.0.113.0/24"}}`:                true,
		`{"IpAddress":{"k:odd":"0.0.0.0/0"}}`:                        false,
		`{"IpAddress":{"k:none":"0.0.0.0/0"}}`:                       false,
		`{"NotIpAddress":{"k:ip":"203.0.113.0/24"}}`:                 false,
		`{"NotIpAddress":{"k:ip":["198.51.100.0/24","10.0.0.0/8"]}}`: true,
		`{"NotIpAddress":{"k:none":"203.0.113.0/24"}}`:               true,
		`{"NotIpAddressIfExists":{"k:ip":"203.0.113.0/24"}}`:         false,

		`{"ForAnyValue:StringEquals":{"k:many":["b","z"]}}`:              true,
		`{"ForAnyValue:StringEquals":{"k:many":"z"}}`:                    false,
		`{"ForAnyValue:StringEquals":{"k:none":"b"}}`:                    false,
		`{"ForAnyValue:StringNotEquals":{"k:many":"a"}}`:                 true,
		`{"ForAnyValue:StringNotEquals":{"k:many":["a","b"]}}`:           false,
		`{"ForAnyValue:StringNotEquals":{"k:none":"a"}}`:                 false,
		`{"ForAllValues:StringEquals":{"k:many":["a","b","c"]}}`:         true,
		`{"ForAllValues:StringEquals":{"k:many":"a"}}`:                   false,
		`{"ForAllValues:StringEquals":{"k:none":"a"}}`:                   true,
		`{"ForAllValues:StringNotEquals":{"k:many":["c","d"]}}`:          true,
		`{"ForAllValues:StringNotEquals":{"k:many":["b","d"]}}`:          false,
		`{"ForAllValues:StringNotLikeIfExists":{"k:none":"a"}}`:          true,
		`{"StringEquals":{"k:many":"b"}}`:                                true, // one that is meant is enough
		`{"StringNotEquals":{"k:many":"b"}}`:                             false,
		`{"StringEquals":{"k:s":"Blue","k:n":"7"}}`:                      true,
		`{"StringEquals":{"k:s":"Blue","k:n":"8"}}`:                      false,
		`{"StringEquals":{"k:s":"Blue"},"NumericLessThan":{"k:n":8}}`:    true,
		`{"StringEquals":{"k:s":"Blue"},"NumericGreaterThan":{"k:n":8}}`: false,
	} {
		if got := asked(t, policy(statement(`"Condition":`+condition)), q); got != want {
			t.Errorf("%s = %t, want %t", condition, got, want)
		}
	}
}

// TestKeysThatFollowFromTheRequest: nobody has to put them into its context.
func TestKeysThatFollowFromTheRequest(t *testing.T) {
	service := iampolicy.Principal{Service: "sns.amazonaws.com"}
	account := iampolicy.Principal{AWS: "123456789012"}
	user := iampolicy.Principal{AWS: "arn:aws:iam::123456789012:user/team/ada"}
	session := iampolicy.Principal{AWS: "arn:aws:sts::123456789012:assumed-role/worker/pod"}
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.FixedZone("", 3600))
	for _, tt := range []struct {
		who       iampolicy.Principal
		at        time.Time
		condition string
		want      bool
	}{
		{service, at, `{"StringEquals":{"aws:CurrentTime":"2026-03-01T11:00:00Z"}}`, true},
		{service, at, `{"DateLessThan":{"AWS:CurrentTime":"2026-03-01T11:00Z"}}`, false},
		{service, at, `{"NumericEquals":{"aws:EpochTime":1772362800}}`, true},
		{service, at, `{"DateGreaterThanEquals":{"aws:EpochTime":"2026-03-01T11:00:00Z"}}`, true},
		{service, time.Time{}, `{"Null":{"aws:CurrentTime":true,"aws:EpochTime":true}}`, true},
		{service, at, `{"Bool":{"aws:PrincipalIsAWSService":"true"}}`, true},
		{service, at, `{"StringEquals":{"aws:PrincipalServiceName":"sns.amazonaws.com"}}`, true},
		{service, at, `{"Null":{"aws:PrincipalArn":true,"aws:PrincipalAccount":true,"aws:PrincipalType":true}}`, true},
		{account, at, `{"Bool":{"aws:PrincipalIsAWSService":"false"},"Null":{"aws:PrincipalServiceName":true,"aws:username":true}}`, true},
		{account, at, `{"StringEquals":{"aws:PrincipalAccount":"123456789012","aws:PrincipalType":"Account","aws:SourceOwner":"123456789012","aws:userid":"123456789012"}}`, true},
		{account, at, `{"ArnEquals":{"aws:PrincipalArn":"arn:aws:iam::123456789012:root"}}`, true},
		{user, at, `{"ArnLike":{"aws:PrincipalArn":"arn:aws:iam::*:user/team/*"},"StringEquals":{"aws:username":"ada","aws:PrincipalType":"User"}}`, true},
		{session, at, `{"ArnEquals":{"aws:PrincipalArn":"arn:aws:iam::123456789012:role/worker"},"StringEquals":{"aws:PrincipalType":"AssumedRole"}}`, true},
		{session, at, `{"Null":{"aws:PrincipalOrgID":"true"}}`, true},
		{iampolicy.Principal{}, at, `{"Null":{"aws:PrincipalAccount":true},"StringEquals":{"aws:PrincipalType":"Anonymous","aws:userid":"anonymous"}}`, true},
	} {
		q := iampolicy.Request{Principal: tt.who, Time: tt.at, Action: "sqs:SendMessage", Resource: queueARN}
		if got := asked(t, policy(statement(`"Condition":`+tt.condition)), q); got != tt.want {
			t.Errorf("%s, %s = %t, want %t", tt.who, tt.condition, got, tt.want)
		}
	}
	q := iampolicy.Request{Principal: account, Action: "sqs:SendMessage", Resource: queueARN, Context: map[string][]string{"AWS:principalaccount": {"7"}}}
	if !asked(t, policy(statement(`"Condition":{"StringEquals":{"aws:PrincipalAccount":"7"}}`)), q) {
		t.Error("the context does not win over what follows from the principal")
	}
}

func TestVariables(t *testing.T) {
	const condition, resource = "condition", "resource"
	for _, tt := range []struct {
		name, where, text string // text is a value of k:value, or the name of the queue
		context           map[string][]string
		want              bool
	}{
		{"of an account", condition, `{"StringEquals":{"k:value":"${aws:PrincipalAccount}"}}`, map[string][]string{"k:value": {"123456789012"}}, true},
		{"of another account", condition, `{"StringEquals":{"k:value":"${aws:PrincipalAccount}"}}`, map[string][]string{"k:value": {"210987654321"}}, false},
		{"two in a text", condition, `{"StringEquals":{"k:value":"<${aws:username}@${AWS:principalaccount}>"}}`, map[string][]string{"k:value": {"<ada@123456789012>"}}, true},
		{"in an ARN", condition, `{"ArnLike":{"k:value":"arn:aws:sqs:*:${aws:PrincipalAccount}:${aws:username}-*"}}`, map[string][]string{"k:value": {"arn:aws:sqs:x:123456789012:ada-1"}}, true},
		{"an ARN as a whole", condition, `{"ArnEquals":{"k:value":"${aws:PrincipalArn}"}}`, map[string][]string{"k:value": {"arn:aws:iam::123456789012:user/ada"}}, true},
		{"ignoring case", condition, `{"StringEqualsIgnoreCase":{"k:value":"${aws:username}"}}`, map[string][]string{"k:value": {"ADA"}}, true},
		{"without a value, like nothing", condition, `{"StringLike":{"k:value":"*${k:none}*"}}`, map[string][]string{"k:value": {"x"}}, false},
		{"without a value, unlike everything", condition, `{"StringNotEquals":{"k:value":"${k:none}"}}`, map[string][]string{"k:value": {"x"}}, true},
		{"with several values, like nothing", condition, `{"StringLike":{"k:value":"*${k:many}"}}`, map[string][]string{"k:value": {"a"}, "k:many": {"a", "a"}}, false},
		{"a default where there is no value", condition, `{"StringEquals":{"k:value":"${k:none, 'nobody'}"}}`, map[string][]string{"k:value": {"nobody"}}, true},
		{"an empty default", condition, `{"StringEquals":{"k:value":"x${k:none, ''}"}}`, map[string][]string{"k:value": {"x"}}, true},
		{"a default with a brace", condition, `{"StringEquals":{"k:value":"${k:none,'}'}!"}}`, map[string][]string{"k:value": {"}!"}}, true},
		{"no default where there is a value", condition, `{"StringEquals":{"k:value":"${aws:username, 'nobody'}"}}`, map[string][]string{"k:value": {"nobody"}}, false},
		{"a star in a value is a star", condition, `{"StringLike":{"k:value":"${k:star}"}}`, map[string][]string{"k:value": {"x"}, "k:star": {"*"}}, false},
		{"a star that is none", condition, `{"StringLike":{"k:value":"a${*}*"}}`, map[string][]string{"k:value": {"a*b"}}, true},
		{"a star that is none, missed", condition, `{"StringLike":{"k:value":"a${*}*"}}`, map[string][]string{"k:value": {"abb"}}, false},
		{"a question mark and a dollar", condition, `{"StringLike":{"k:value":"${?}${$}{x}"}}`, map[string][]string{"k:value": {"?${x}"}}, true},
		{"special characters where nothing is special", condition, `{"StringEquals":{"k:value":"${*}${?}${$}$*"}}`, map[string][]string{"k:value": {"*?$$*"}}, true},
		{"no variables among numbers", condition, `{"NumericEquals":{"k:value":"7"}}`, map[string][]string{"k:value": {"7"}}, true},

		{"of a user", resource, "${aws:username}-queue", nil, true},
		{"of another user", resource, "${aws:username}-topic", nil, false},
		{"without a value, no resource", resource, "*${k:none}*", nil, false},
		{"with a default", resource, "${k:none, 'ada'}-queue", nil, true},
		{"with a star that is none", resource, "ada${*}", nil, false},
	} {
		t.Run(tt.where+" "+tt.name, func(t *testing.T) {
			q := iampolicy.Request{
				Principal: iampolicy.Principal{AWS: "arn:aws:iam::123456789012:user/ada"},
				Action:    "sqs:SendMessage", Resource: "arn:aws:sqs:us-east-2:123456789012:ada-queue", Context: tt.context,
			}
			element := `"Condition":` + tt.text
			if tt.where == resource {
				element = `"Resource":"arn:aws:sqs:*:123456789012:` + tt.text + `"`
			}
			if got := asked(t, policy(statement(element)), q); got != tt.want {
				t.Errorf("got %t, want %t", got, tt.want)
			}
		})
	}
}

// TestVariablesAreWordsOf2012: a document of 2008, or without a Version, has none.
func TestVariablesAreWordsOf2012(t *testing.T) {
	s := `"Statement":[` + statement(`"Condition":{"StringEquals":{"k:value":"${aws:username}"}}`) + `]}`
	q := iampolicy.Request{
		Principal: iampolicy.Principal{AWS: "arn:aws:iam::123456789012:user/ada"}, Action: "sqs:SendMessage", Resource: queueARN,
	}
	for document, want := range map[string]string{
		`{"Version":"2012-10-17",` + s: "ada",
		`{"Version":"2008-10-17",` + s: "${aws:username}",
		`{` + s:                        "${aws:username}",
	} {
		for _, value := range []string{"ada", "${aws:username}"} {
			q.Context = map[string][]string{"k:value": {value}}
			if got := asked(t, document, q); got != (value == want) {
				t.Errorf("%s: %q: %t", document, value, got)
			}
		}
	}
}
