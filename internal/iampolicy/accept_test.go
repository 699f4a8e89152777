package iampolicy_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stationmaster/worker/internal/iampolicy"
)

func repeat(n int, text func(i int) string) string {
	all := make([]string, n)
	for i := range all {
		all[i] = text(i)
	}
	return strings.Join(all, ",")
}

func condition(text string) string { return policy(statement(`"Sid":"s"`, `"Condition":`+text)) }

// TestAcceptRefuses: each row is set on a queue, and the reason names statement, operator and value.
func TestAcceptRefuses(t *testing.T) {
	const s = `statement "s": `
	for _, tt := range []struct{ policy, says string }{
		{`{`, "no JSON object"},
		{" \n", "it is blank"},
		{policy(statement(`"Effect":"Permit"`)), `statement 1: the Effect is "Permit": write Allow or Deny`},

		{condition(`{"StringMatches":{"k:s":"x"}}`), s + `condition StringMatches on k:s: StringMatches is no operator`},
		{condition(`{"Arnlike":{"k:s":"x"}}`), s + `condition Arnlike on k:s: Arnlike is no operator: write ArnLike`},
		{condition(`{"NumericNotLessThan":{"k:n":"1"}}`), "NumericNotLessThan is no operator"},
		{condition(`{"StringEqualsIfExistsIfExists":{"k:s":"x"}}`), "StringEqualsIfExists is no operator"},
		{condition(`{"ForSomeValues:StringEquals":{"k:s":"x"}}`), "ForSomeValues is no set operator: write ForAnyValue or ForAllValues"},
		{condition(`{"ForAnyValue:StringLikeIfExists":{"k:s":"x"}}`), "write a statement for each case"},
		{condition(`{"NullIfExists":{"k:s":"true"}}`), "the operator Null stands alone"},
		{condition(`{"ForAllValues:Null":{"k:s":"true"}}`), "the operator Null stands alone"},
		{condition(`{"Null":{"k:s":"yes"}}`), s + `condition Null on k:s: "yes" is neither true nor false`},
		{condition(`{"Bool":{"k:b":["true","1"]}}`), s + `condition Bool on k:b: "1" is neither true nor false`},
		{condition(`{"Bool":{"k:b":"${k:x}"}}`), `"${k:x}" is neither`},
		{condition(`{"StringEquals":{"source":"x"}}`), s + `condition StringEquals on source: "source" is no condition key: one is written as aws:SourceArn`},
		{condition(`{"StringEquals":{"aws:":"x"}}`), `"aws:" is no condition key`},
		{condition(`{"StringEquals":{}}`), "condition StringEquals: it has no key"},
		{condition(`null`), "Condition: no object of operators with keys"},
		{condition(`{"NumericEquals":{"k:n":"seven"}}`), `"seven" is no number`},
		{condition(`{"NumericEquals":{"k:n":"Inf"}}`), `"Inf" is no number`},
		{condition(`{"NumericEquals":{"k:n":"0x10"}}`), `"0x10" is no number`},
		{condition(`{"NumericEquals":{"k:n":1e999}}`), `"1e999" is no number`},
		{condition(`{"NumericEquals":{"k:n":"${k:x}"}}`), `"${k:x}" is no number`},
		{condition(`{"DateLessThan":{"k:d":"2026"}}`), `"2026" is no date`}, // or the 2026th second
		{condition(`{"DateLessThan":{"k:d":"1772366400000"}}`), `"1772366400000" is no date`},
		{condition(`{"DateLessThan":{"k:d":"2026-02-30"}}`), `"2026-02-30" is no date`},
		{condition(`{"DateLessThan":{"k:d":"2026-03-01T12:00:00"}}`), "is no date"},
		{condition(`{"DateLessThan":{"k:d":"2026-03-*"}}`), "is no date"},
		{condition(`{"DateLessThan":{"k:d":""}}`), `"" is no date`},
		{condition(`{"IpAddress":{"k:ip":"203.0.113.*"}}`), `"203.0.113.*" is no range of addresses`},
		{condition(`{"IpAddress":{"k:ip":"203.0.113.0/33"}}`), "is no range"},
		{condition(`{"IpAddress":{"k:ip":"2001:db8::7"}}`), "is no range"},
		{condition(`{"IpAddress":{"k:ip":"::ffff:203.0.113.0/120"}}`), "is no range"},
		{condition(`{"BinaryEquals":{"k:s":"*"}}`), `"*" is no base64`},
		{condition(`{"StringLike":{"k:s":"${"}}`), `the variable in "${" cannot be read`},
		{condition(`{"StringLike":{"k:s":"a${}b"}}`), "cannot be read"},
		{condition(`{"StringLike":{"k:s":"${username}"}}`), "cannot be read"},
		{condition(`{"StringLike":{"k:s":"${aws:username, nobody}"}}`), "cannot be read"},
		{condition(`{"ArnLike":{"k:s":"${aws:username ,}"}}`), "cannot be read"},
		{condition(`{"DateLessThan":{"k:d":"soon"},"IpAddress":{"k:ip":"here"}}`), `"soon" is no date: write 2006-01-02T15:04:05Z, 2006-01-02 or the seconds since 1970; statement "s": condition IpAddress on k:ip: "here"`},

		{policy(statement(`"Principal":{"AWS":"AIDAJQABLZS4A3QDU576Q"}`)), `statement 1: Principal: "AIDAJQABLZS4A3QDU576Q" is nobody`},
		{policy(statement(`"NotPrincipal":{"AWS":"1234"}`)), `NotPrincipal: "1234" is nobody`},
		{policy(statement(`"Principal":{"AWS":"arn:aws:iam::123456789012:*"}`)), "without wildcards"},
		{policy(statement(`"Principal":{"AWS":"arn:aws:sts::123456789012:assumed-role/worker/*"}`)), "without wildcards"},
		{policy(statement(`"Principal":{"AWS":"arn:aws:iam::123456789012:group/all"}`)), "is nobody"},
		{policy(statement(`"Principal":{"Service":"sns"}`)), `Principal: "sns" is no service: write its name as sns.amazonaws.com`},
		{policy(statement(`"Principal":{"Service":"*"}`)), `"*" is no service`},
		{policy(statement(`"Principal":{"Federated":"cognito-identity.amazonaws.com"}`)), "Federated: it cannot be evaluated"},
		{policy(statement(`"Principal":{"CanonicalUser":"x"}`)), "CanonicalUser: it cannot be evaluated"},
		{policy(statement(`"Principal":{}`)), "it names nobody"},
		{policy(statement(`"Action":"SendMessage"`)), `statement 1: Action: "SendMessage" is no action: write it as sqs:SendMessage`},
		{policy(statement(`"NotAction":["sqs:*","sqs:"]`)), `NotAction: "sqs:" is no action`},
		{policy(statement(`"Resource":"work"`)), `statement 1: Resource: "work" is neither an ARN nor "*"`},
		{policy(statement(`"NotResource":"*:work"`)), `NotResource: "*:work" is neither`},
		{policy(statement(`"Resource":"arn:aws:sqs:us-east-2:${aws:PrincipalAccount}:work"`)), "one may stand after the fifth colon only"},
		{policy(statement(`"Resource":"arn:aws:sqs:::${work"`)), `Resource: the variable in "arn:aws:sqs:::${work" cannot be read`},
	} {
		p, err := iampolicy.Accept(tt.policy, queueARN)
		refusal, ok := errors.AsType[*iampolicy.RefusalError](err)
		if p != nil || !ok || !strings.Contains(refusal.Reason, tt.says) || refusal.OverLimit || err.Error() != "policy: "+refusal.Reason {
			t.Errorf("%s: %v; want %q", tt.policy, err, tt.says)
		}
	}
}

// aws-semantics §1.4.
func TestQuotas(t *testing.T) {
	account := func(i int) string { return fmt.Sprintf(`"%012d"`, i) }
	statements := func(n int) string { return policy(repeat(n, func(int) string { return statement() })) }
	principals := func(n int) string { // of two statements
		return policy(statement(`"Principal":{"AWS":[`+repeat(n-1, account)+`]}`), statement())
	}
	actions := func(n int) string {
		return policy(statement(`"Action":[` + repeat(n, func(int) string { return `"sns:Publish"` }) + `]`))
	}
	conditions := func(n int) string {
		return policy(statement(`"Condition":{"StringEquals":{` + repeat(n, func(i int) string { return fmt.Sprintf(`"k:%d":"x"`, i) }) + `}}`))
	}
	long := func(n int) string {
		text := policy(statement(`"Sid":""`))
		return strings.Replace(text, `"Sid":""`, `"Sid":"`+strings.Repeat("x", n-len(text))+`"`, 1)
	}
	for _, tt := range []struct {
		what    string
		policy  func(n int) string
		arn     string
		most    int
		refusal iampolicy.RefusalError
	}{
		{"bytes of a queue", long, queueARN, iampolicy.MaxBytes, iampolicy.RefusalError{Answer: "Submitted policy is over max allowed size.", Reason: "8193 bytes, at most 8192"}},
		{"statements of a queue", statements, queueARN, iampolicy.MaxStatements, iampolicy.RefusalError{Answer: "21 statements were found in the submitted policy, max allowed is 20", Reason: "21 statements, at most 20"}},
		{"principals of a queue", principals, queueARN, 50, iampolicy.RefusalError{Answer: "51 principals were found in the submitted policy, max allowed is 50", Reason: "51 principals, at most 50"}},
		{"actions of a queue", actions, queueARN, 7, iampolicy.RefusalError{Answer: "8 actions were found in a statement from the submitted policy, max allowed is 7", Reason: "statement 1: 8 actions, at most 7"}},
		{"conditions of a queue", conditions, queueARN, 10, iampolicy.RefusalError{Answer: "11 conditions were found in a statement from the submitted policy, max allowed is 10", Reason: "statement 1: 11 conditions, at most 10"}},
		{"bytes of a topic", long, topicARN, 30720, iampolicy.RefusalError{Reason: "30721 bytes, at most 30720"}},
		{"statements of a topic", statements, topicARN, 100, iampolicy.RefusalError{Reason: "101 statements, at most 100"}},
		{"principals of a topic", principals, topicARN, 200, iampolicy.RefusalError{Reason: "201 principals, at most 200"}},
	} {
		t.Run(tt.what, func(t *testing.T) {
			fits := func(n int) string {
				if tt.arn == topicARN {
					return strings.ReplaceAll(tt.policy(n), "sqs:SendMessage", "sns:Publish    ") // as long
				}
				return tt.policy(n)
			}
			fitting := strings.ReplaceAll(fits(tt.most), "sns:Publish    ", "sns:Publish")
			if p, err := iampolicy.Accept(fitting, tt.arn); p == nil || err != nil {
				t.Errorf("%d: %v", tt.most, err)
			}
			tt.refusal.OverLimit = true
			_, err := iampolicy.Accept(fits(tt.most+1), tt.arn)
			if refusal, ok := errors.AsType[*iampolicy.RefusalError](err); !ok || *refusal != tt.refusal {
				t.Errorf("%d: %#v, want %#v", tt.most+1, err, tt.refusal)
			}
		})
	}
	// One statement for each of twenty topics, each with a condition, is what SQS takes.
	if _, err := iampolicy.Accept(policy(repeat(20, func(int) string { return statement(`"Condition":{"StringEquals":{"k:s":"x"}}`) })), queueARN); err != nil {
		t.Error(err)
	}
}

func TestAcceptTopic(t *testing.T) {
	const scope, single = "Policy statement action out of service scope!", "Policy statement must apply to a single resource!"
	on := func(elements ...string) string {
		return policy(statement(append([]string{`"Action":"sns:Publish"`}, elements...)...))
	}
	for _, tt := range []struct {
		name, policy string
		refused      bool
		answer, says string
	}{
		{"none", "", false, "", ""},
		{"the topic", on(`"Resource":"` + topicARN + `"`), false, "", ""},
		{"a wildcard that means the topic", on(`"Resource":"arn:aws:sns:*:*:inv*"`), false, "", ""},
		{"a variable in a name", on(`"Resource":"arn:aws:sns:us-east-2:123456789012:${aws:username}"`), false, "", ""},
		{"not another topic", on(`"NotResource":"` + topicARN + `s"`), false, "", ""},
		{"another topic", on(`"Resource":"` + topicARN + `s"`), true, "", `statement 1: Resource: "` + topicARN + `s" is another than this topic: write ` + topicARN},
		{"two topics", on(`"Resource":["` + topicARN + `","*"]`), true, single, "statement 1: 2 resources"},
		{"actions on a topic", on(`"Action":["SNS:GetTopicAttributes","sns:subscribe","SNS:Receive"]`), false, "", ""},
		{"a wildcard for one of them", on(`"Action":"sns:Publish*"`), false, "", ""},
		{"all actions of SNS", on(`"Action":"SNS:*"`), true, scope, `Action: "SNS:*" is not, or not only, an action on a topic`},
		{"all actions", on(`"Action":"*"`), true, scope, `"*"`},
		{"a wildcard for more", on(`"Action":"sns:Get*"`), true, scope, `"sns:Get*"`},
		{"an action on no topic", on(`"Action":["sns:Publish","sns:CreateTopic"]`), true, scope, `"sns:CreateTopic"`},
		{"an action of a queue", on(`"Action":"sqs:SendMessage"`), true, scope, `"sqs:SendMessage"`},
		{"all but an action", on(`"NotAction":"sns:Publish"`), false, "", ""},
		{"an operator nobody knows", on(`"Condition":{"StringMatches":{"k:s":"x"}}`), true, "", "StringMatches is no operator"},
		{"eight actions", on(`"Action":[` + repeat(8, func(int) string { return `"sns:Publish"` }) + `]`), false, "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := iampolicy.Accept(tt.policy, topicARN)
			refusal, refused := errors.AsType[*iampolicy.RefusalError](err)
			switch {
			case refused != tt.refused:
				t.Errorf("err = %v", err)
			case refused && (refusal.Answer != tt.answer || !strings.Contains(refusal.Reason, tt.says) || refusal.OverLimit):
				t.Errorf("%+v; want %q and %q", *refusal, tt.answer, tt.says)
			}
		})
	}
}
