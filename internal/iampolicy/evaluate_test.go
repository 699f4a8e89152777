package iampolicy_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stationmaster/worker/internal/iampolicy"
)

const (
	queueARN = "arn:aws:sqs:us-east-2:123456789012:work"
	topicARN = "arn:aws:sns:us-east-2:123456789012:invitations"
	// canonical is what the SNS guide tells to write.
	canonical = `{"Version":"2012-10-17","Id":"x","Statement":[{"Sid":"sns","Effect":"Allow","Principal":{"Service":"sns.amazonaws.com"},
		"Action":"sqs:SendMessage","Resource":"arn:aws:sqs:us-east-2:123456789012:work",
		"Condition":{"ArnEquals":{"aws:SourceArn":"arn:aws:sns:us-east-2:123456789012:invitations"}}}]}`
)

// delivery is what SNS asks when it delivers from the topic to the queue.
func delivery() iampolicy.Request {
	return iampolicy.Request{
		Principal: iampolicy.Principal{Service: "sns.amazonaws.com"},
		Action:    "sqs:SendMessage",
		Resource:  queueARN,
		Context:   map[string][]string{"aws:SourceArn": {topicARN}, "aws:SourceAccount": {"123456789012"}},
	}
}

// statement is an allow of the delivery, with elements laid over it: statement(`"Action":"*"`).
func statement(overlay ...string) string {
	elements := map[string]string{"Effect": `"Allow"`, "Principal": `"*"`, "Action": `"sqs:SendMessage"`, "Resource": `"*"`}
	for _, o := range overlay {
		name, value, _ := strings.Cut(o, ":")
		name = strings.Trim(name, `"`)
		delete(elements, strings.TrimPrefix(name, "Not")) // NotAction stands in Action's place
		elements[name] = value
	}
	var parts []string
	for name, value := range elements {
		parts = append(parts, `"`+name+`":`+value)
	}
	return "{" + strings.Join(parts, ",") + "}"
}

func policy(statements ...string) string {
	return `{"Version":"2012-10-17","Statement":[` + strings.Join(statements, ",") + `]}`
}

func TestEvaluateDelivery(t *testing.T) {
	deny := func(condition string) string { return statement(`"Effect":"Deny"`, `"Condition":`+condition) }
	for _, tt := range []struct {
		name    string
		policy  string
		allowed bool
	}{
		{"none", "", false},
		{"canonical", canonical, true},
		{"one statement without its list", `{"Statement":` + statement() + `}`, true},
		{"everyone of AWS", policy(statement(`"Principal":{"AWS":"*"}`)), true},
		{"a list of services", policy(statement(`"Principal":{"Service":["s3.amazonaws.com","sns.amazonaws.com"]}`)), true},
		{"another service", policy(statement(`"Principal":{"Service":"s3.amazonaws.com"}`)), false},
		{"the opt-in region's service", policy(statement(`"Principal":{"Service":"sns.af-south-1.amazonaws.com"}`)), false},
		{"an account is no service", policy(statement(`"Principal":{"AWS":"123456789012"}`)), false},
		{"not another service", policy(statement(`"NotPrincipal":{"Service":"s3.amazonaws.com"}`)), true},
		{"not this service", policy(statement(`"NotPrincipal":{"Service":"sns.amazonaws.com"}`)), false},

		{"action in capitals", policy(statement(`"Action":"SQS:SENDMESSAGE"`)), true},
		{"action with a star", policy(statement(`"Action":"sqs:Send*"`)), true},
		{"any action", policy(statement(`"Action":["sns:Publish","*"]`)), true},
		{"another action", policy(statement(`"Action":"sqs:ReceiveMessage"`)), false},
		{"not another action", policy(statement(`"NotAction":"sqs:ReceiveMessage"`)), true},
		{"not this action", policy(statement(`"NotAction":"sqs:Send*"`)), false},

		{"resource with wildcards", policy(statement(`"Resource":"arn:aws:sqs:*:123456789012:w?rk"`)), true},
		{"another resource", policy(statement(`"Resource":"arn:aws:sqs:us-east-2:123456789012:Work"`)), false},
		{"not this resource", policy(statement(`"NotResource":"` + queueARN + `"`)), false},
		{"not another resource", policy(statement(`"NotResource":"` + queueARN + `-dlq"`)), true},

		{"another topic", strings.ReplaceAll(canonical, ":invitations", ":others"), false},
		{"another region's topic", strings.ReplaceAll(canonical, "sns:us-east-2", "sns:eu-west-1"), false},
		{"key in lower case", strings.ReplaceAll(canonical, "aws:SourceArn", "AWS:sourcearn"), true},
		{"one of two topics", policy(statement(`"Condition":{"ArnEquals":{"aws:SourceArn":["arn:aws:sns:a:b:c","` + topicARN + `"]}}`)), true},
		{"both conditions hold", policy(statement(`"Condition":{"ArnLike":{"aws:SourceArn":"arn:aws:sns:*:*:inv*"},"StringEquals":{"aws:SourceAccount":123456789012}}`)), true},
		{"one of two conditions fails", policy(statement(`"Condition":{"ArnLike":{"aws:SourceArn":"arn:aws:sns:*:*:inv*"},"StringEquals":{"aws:SourceAccount":"210987654321"}}`)), false},

		{"deny wins", policy(statement(), statement(`"Effect":"Deny"`)), false},
		{"deny wins from the front", policy(statement(`"Effect":"Deny"`), statement()), false},
		{"deny without TLS misses what says nothing of TLS", policy(statement(), deny(`{"Bool":{"aws:SecureTransport":"false"}}`)), true},
		{"deny outside an endpoint hits SNS", policy(statement(), deny(`{"StringNotEquals":{"aws:sourceVpce":"vpce-1"}}`)), false},
		{"deny outside an endpoint, if it is one", policy(statement(), deny(`{"StringNotEqualsIfExists":{"aws:sourceVpce":"vpce-1"},"Null":{"aws:sourceVpce":"false"}}`)), true},
		{"deny of another topic", policy(statement(), deny(`{"ArnNotEquals":{"aws:SourceArn":"`+topicARN+`"}}`)), true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p, err := iampolicy.Parse(tt.policy)
			if err != nil {
				t.Fatal(err)
			}
			d := p.Evaluate(delivery())
			if d.Allowed != tt.allowed {
				t.Errorf("allowed = %t, want %t: %s", d.Allowed, tt.allowed, d.Why)
			}
			if d.Why == "" || len(d.Unknown) > 0 {
				t.Errorf("why = %q, unknown = %q", d.Why, d.Unknown)
			}
		})
	}
}

func TestConditionOperators(t *testing.T) {
	context := map[string][]string{
		"k:s": {"Blue"}, "k:n": {"7"}, "k:b": {"true"}, "k:arn": {"arn:aws:sns:eu-west-1:1:a:b"}, "k:many": {"a", "b"},
	}
	for condition, want := range map[string]bool{
		`{"StringEquals":{"k:s":"Blue"}}`:                        true,
		`{"StringEquals":{"k:s":"blue"}}`:                        false,
		`{"StringEquals":{"k:s":"B*"}}`:                          false,
		`{"StringEquals":{"k:none":"x"}}`:                        false,
		`{"StringEqualsIfExists":{"k:none":"x"}}`:                true,
		`{"StringEqualsIfExists":{"k:s":"x"}}`:                   false,
		`{"StringNotEquals":{"k:s":["Red","Blue"]}}`:             false,
		`{"StringNotEquals":{"k:s":["Red","Green"]}}`:            true,
		`{"StringNotEquals":{"k:none":"x"}}`:                     true,
		`{"StringEqualsIgnoreCase":{"k:s":"bLUE"}}`:              true,
		`{"StringNotEqualsIgnoreCase":{"k:s":"bLUE"}}`:           false,
		`{"StringLike":{"k:s":"B?u*"}}`:                          true,
		`{"StringLike":{"k:s":"B?"}}`:                            false,
		`{"StringNotLike":{"k:s":"B*"}}`:                         false,
		`{"ArnLike":{"k:arn":"arn:aws:sns:*:1:a*"}}`:             true,
		`{"ArnLike":{"k:arn":"arn:aws:*:a:b"}}`:                  false, // a star stays in its part
		`{"ArnLike":{"k:arn":"*"}}`:                              false,
		`{"ArnEquals":{"k:arn":"arn:aws:sns:eu-west-?:1:*"}}`:    true,
		`{"ArnNotEquals":{"k:arn":"arn:aws:sns:eu-west-1:1:x"}}`: true,
		`{"ArnNotLike":{"k:arn":"arn:aws:sns:*:*:*"}}`:           false,
		`{"Bool":{"k:b":true}}`:                                  true,
		`{"Bool":{"k:b":"FALSE"}}`:                               false,
		`{"Null":{"k:none":"true"}}`:                             true,
		`{"Null":{"k:s":true}}`:                                  false,
		`{"Null":{"k:s":"false"}}`:                               true,
		`{"NumericEquals":{"k:n":7.0}}`:                          true,
		`{"NumericNotEquals":{"k:n":"7"}}`:                       false,
		`{"NumericLessThan":{"k:n":"7"}}`:                        false,
		`{"NumericLessThanEquals":{"k:n":7}}`:                    true,
		`{"NumericGreaterThan":{"k:n":"6.5"}}`:                   true,
		`{"NumericGreaterThanEquals":{"k:n":"8"}}`:               false,
		`{"NumericEquals":{"k:s":"7"}}`:                          false,
		`{"ForAnyValue:StringEquals":{"k:many":["b","z"]}}`:      true,
		`{"ForAnyValue:StringEquals":{"k:none":"b"}}`:            false,
		`{"ForAllValues:StringEquals":{"k:many":["a","b","c"]}}`: true,
		`{"ForAllValues:StringEquals":{"k:many":"a"}}`:           false,
		`{"ForAllValues:StringEquals":{"k:none":"a"}}`:           true,
		`{"ForAnyValue:StringNotEquals":{"k:many":"a"}}`:         true,
		`{"StringEquals":{"k:s":"Blue","k:n":"7"}}`:              true,
		`{"StringEquals":{"k:s":"Blue","k:n":"8"}}`:              false,
	} {
		p, err := iampolicy.Parse(policy(statement(`"Condition":` + condition)))
		if err != nil {
			t.Fatal(err)
		}
		if d := p.Evaluate(iampolicy.Request{Action: "sqs:SendMessage", Context: context}); d.Allowed != want || len(d.Unknown) > 0 {
			t.Errorf("%s = %t, want %t (%s, unknown %q)", condition, d.Allowed, want, d.Why, d.Unknown)
		}
	}
}

func TestUnknownIsNotSatisfiedAndTold(t *testing.T) {
	p, err := iampolicy.Parse(policy(
		statement(`"Condition":{"DateGreaterThan":{"aws:CurrentTime":"2020-01-01"}}`),
		statement(`"Condition":{"StringEquals":{"aws:SourceAccount":"${aws:PrincipalAccount}"}}`),
		statement(`"Condition":{"ForSomeValues:StringEquals":{"aws:SourceAccount":"123456789012"}}`),
		statement(`"Effect":"Deny"`, `"Condition":{"IpAddress":{"aws:SourceIp":"0.0.0.0/0"}}`),
	))
	if err != nil {
		t.Fatal(err)
	}
	d := p.Evaluate(delivery())
	want := []string{"DateGreaterThan", "variable in ${aws:PrincipalAccount}", "ForSomeValues:StringEquals", "IpAddress"}
	if d.Allowed || d.ExplicitDeny || cmp.Diff(want, d.Unknown) != "" {
		t.Errorf("decision %+v, want neither and unknown %q", d, want)
	}
}

func TestEvaluateAccounts(t *testing.T) {
	who := iampolicy.Principal{AWS: "arn:aws:sts::123456789012:assumed-role/worker/pod"}
	for principal, want := range map[string]bool{
		`{"AWS":"123456789012"}`:                                          true,
		`{"AWS":"arn:aws:iam::123456789012:root"}`:                        true,
		`{"AWS":["arn:aws:sts::123456789012:assumed-role/worker/pod"]}`:   true,
		`{"AWS":"arn:aws:iam::210987654321:root"}`:                        false,
		`{"AWS":"arn:aws:sts::123456789012:assumed-role/worker/other"}`:   false,
		`{"Service":"sns.amazonaws.com"}`:                                 false,
		`{"CanonicalUser":"x"}`:                                           false,
		`{"Federated":"cognito-identity.amazonaws.com","AWS":["1", "*"]}`: true,
	} {
		p, err := iampolicy.Parse(policy(statement(`"Principal":` + principal)))
		if err != nil {
			t.Fatal(err)
		}
		if d := p.Evaluate(iampolicy.Request{Principal: who, Action: "sqs:SendMessage", Resource: queueARN}); d.Allowed != want {
			t.Errorf("%s: allowed = %t, want %t", principal, d.Allowed, want)
		}
	}
}

func TestDecisionNamesTheStatement(t *testing.T) {
	p, err := iampolicy.Parse(policy(
		statement(`"Sid":"mine"`, `"Condition":{"ArnEquals":{"aws:SourceArn":"arn:aws:sns:us-east-2:123456789012:x"}}`),
		statement(`"Resource":"arn:other"`),
	))
	if err != nil {
		t.Fatal(err)
	}
	want := `no statement allows sqs:SendMessage to sns.amazonaws.com (statement "mine": condition ArnEquals on aws:SourceArn; statement 2: another resource)`
	if d := p.Evaluate(delivery()); d.Why != want {
		t.Errorf("why = %s\nwant  %s", d.Why, want)
	}
	p, err = iampolicy.Parse(policy(statement(`"Sid":"a"`), statement(`"Sid":"b"`, `"Effect":"Deny"`)))
	if err != nil {
		t.Fatal(err)
	}
	d := p.Evaluate(delivery())
	if d.Sid != "b" || !d.ExplicitDeny || d.Why != `statement "b" denies sqs:SendMessage to sns.amazonaws.com` {
		t.Errorf("decision %+v", d)
	}
}
