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

func TestUnknownIsNotSatisfiedAndTold(t *testing.T) {
	const foreign = `"Condition":{"StringEvenMore":{"aws:SourceAccount":"123456789012"}}`
	missed := strings.Replace(foreign, `}}`, `},"StringEquals":{"aws:SourceAccount":"210987654321"}}`, 1)
	what := "condition StringEvenMore on aws:SourceAccount: StringEvenMore is no operator"
	variable := `Resource: the variable in "arn:aws:sqs:::${oops" cannot be read: write ${key} or ${key, 'default'}, and ${$} for a dollar sign`
	for _, tt := range []struct {
		name    string
		policy  string
		allowed bool
		unknown []string
	}{
		{"an allow that nobody knows allows nothing", policy(statement(foreign)), false, []string{what}},
		{"beside a condition that fails it does not matter", policy(statement(missed)), false, nil},
		{"beside an allow that is known it does not matter", policy(statement(foreign), statement()), true, nil},
		{"beside a deny that is known it does not matter", policy(statement(foreign), statement(`"Effect":"Deny"`)), false, nil},
		{"a deny that nobody knows denies nothing and is told", policy(statement(), statement(foreign, `"Effect":"Deny"`)), true, []string{what}},
		{"a resource that cannot be read", policy(statement(`"Resource":"arn:aws:sqs:::${oops"`)), false, []string{variable}},
		{"all but a resource that cannot be read", policy(statement(`"NotResource":"arn:aws:sqs:::${oops"`)), false, []string{"Not" + variable}},
		{"all but one that is meant", policy(statement(`"NotResource":["arn:aws:sqs:::${oops","*"]`)), false, nil},
		{"beside a resource that is meant", policy(statement(`"Resource":["arn:aws:sqs:::${oops","*"]`)), true, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p, err := iampolicy.Parse(tt.policy)
			if err != nil {
				t.Fatal(err)
			}
			d := p.Evaluate(delivery())
			if d.Allowed != tt.allowed || cmp.Diff(tt.unknown, d.Unknown) != "" {
				t.Errorf("allowed = %t, want %t: %s\n%s", d.Allowed, tt.allowed, d.Why, cmp.Diff(tt.unknown, d.Unknown))
			}
			if _, err := iampolicy.Accept(tt.policy, queueARN); err == nil {
				t.Error("Accept lets it in")
			}
		})
	}
}

// TestAuthorize: account 111111111111 owns the queue and the topic.
func TestAuthorize(t *testing.T) {
	const (
		owner, other = "111111111111", "222222222222"
		queue        = "arn:aws:sqs:us-east-2:" + owner + ":work"
		topic        = "arn:aws:sns:us-east-2:" + owner + ":invitations"
		user         = "arn:aws:iam::" + other + ":user/ada"
		sns          = "sns.amazonaws.com"
	)
	to := func(principal, action string) string {
		return policy(statement(`"Principal":`+principal, `"Action":"`+action+`"`))
	}
	// What SNS gives to a new topic.
	preset := policy(statement(`"Principal":{"AWS":"*"}`, `"Action":["SNS:Publish","SNS:Subscribe"]`, `"Resource":"`+topic+`"`,
		`"Condition":{"StringEquals":{"AWS:SourceOwner":"`+owner+`"}}`))
	secure := `{"Sid":"tls","Effect":"Deny","Principal":"*","Action":"*","Resource":"*","Condition":{"Bool":{"aws:SecureTransport":"false"}}}`
	httpsOnly := policy(statement(`"Action":"sns:Subscribe"`, `"Condition":{"StringEquals":{"sns:Protocol":"https"},"StringLike":{"SNS:Endpoint":"https://*.example.com/*"}}`))
	who := func(aws string) iampolicy.Principal { return iampolicy.Principal{AWS: aws} }
	subscription := func(protocol, endpoint string) map[string][]string {
		return map[string][]string{"sns:Protocol": {protocol}, "sns:Endpoint": {endpoint}}
	}
	for _, tt := range []struct {
		name, policy string
		caller       iampolicy.Principal
		action       string
		resource     string
		context      map[string][]string
		allowed      bool
	}{
		{"the owner needs no policy", "", who(owner), "sqs:SendMessage", queue, nil, true},
		{"a user of the owner needs none either", "", who("arn:aws:iam::" + owner + ":user/bob"), "sqs:DeleteQueue", queue, nil, true},
		{"a policy for others takes nothing from the owner", to(`{"AWS":"`+other+`"}`, "sqs:SendMessage"), who(owner), "sqs:ReceiveMessage", queue, nil, true},
		{"a deny binds the owner", policy(secure), who(owner), "sqs:SendMessage", queue, map[string][]string{"aws:SecureTransport": {"false"}}, false},
		{"a deny that misses does not", policy(secure), who(owner), "sqs:SendMessage", queue, map[string][]string{"aws:SecureTransport": {"true"}}, true},
		{"another account needs a policy", "", who(other), "sqs:SendMessage", queue, nil, false},
		{"another account may do what the policy says", to(`{"AWS":"`+other+`"}`, "sqs:SendMessage"), who(other), "sqs:SendMessage", queue, nil, true},
		{"and nothing else", to(`{"AWS":"`+other+`"}`, "sqs:SendMessage"), who(other), "sqs:ReceiveMessage", queue, nil, false},
		{"its users may too", to(`{"AWS":"arn:aws:iam::`+other+`:root"}`, "sqs:SendMessage"), who(user), "sqs:SendMessage", queue, nil, true},
		{"a user alone", to(`{"AWS":"`+user+`"}`, "sqs:SendMessage"), who(user), "sqs:SendMessage", queue, nil, true},
		{"a user is not the account", to(`{"AWS":"`+user+`"}`, "sqs:SendMessage"), who(other), "sqs:SendMessage", queue, nil, false},
		{"everybody", to(`"*"`, "sqs:SendMessage"), who(other), "sqs:SendMessage", queue, nil, true},
		{"everybody is nobody with a deny", policy(statement(), secure), who(other), "sqs:SendMessage", queue, map[string][]string{"aws:SecureTransport": {"false"}}, false},
		{"some actions are never shared", to(`"*"`, "sqs:*"), who(other), "sqs:SetQueueAttributes", queue, nil, false},
		{"whatever their spelling", to(`"*"`, "sqs:*"), who(other), "SQS:tagqueue", queue, nil, false},
		{"a stranger is everybody", to(`"*"`, "sqs:SendMessage"), iampolicy.Principal{}, "sqs:SendMessage", queue, nil, true},
		{"a stranger without a policy", "", iampolicy.Principal{}, "sqs:SendMessage", queue, nil, false},
		{"a service needs a policy of the owner too", "", iampolicy.Principal{Service: sns}, "sqs:SendMessage", queue, nil, false},
		{"a service with one", to(`{"Service":"`+sns+`"}`, "sqs:SendMessage"), iampolicy.Principal{Service: sns}, "sqs:SendMessage", queue, nil, true},

		{"a new topic is open to its account", preset, who(owner), "sns:Publish", topic, nil, true},
		{"and closed to others", preset, who(other), "sns:Publish", topic, nil, false},
		{"publish across accounts", to(`{"AWS":"`+other+`"}`, "sns:Publish"), who(user), "sns:Publish", topic, nil, true},
		{"publish is not subscribe", to(`{"AWS":"`+other+`"}`, "sns:Publish"), who(user), "sns:Subscribe", topic, subscription("sqs", queue), false},
		{"subscribe by https", httpsOnly, who(other), "sns:Subscribe", topic, subscription("https", "https://a.example.com/in"), true},
		{"subscribe by http", httpsOnly, who(other), "sns:Subscribe", topic, subscription("http", "https://a.example.com/in"), false},
		{"subscribe elsewhere", httpsOnly, who(other), "sns:Subscribe", topic, subscription("https", "https://example.com/in"), false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p, err := iampolicy.Parse(tt.policy)
			if err != nil {
				t.Fatal(err)
			}
			d := p.Authorize(iampolicy.Request{Principal: tt.caller, Action: tt.action, Resource: tt.resource, Context: tt.context})
			if d.Allowed != tt.allowed || d.Why == "" || d.Allowed && d.ExplicitDeny || len(d.Unknown) > 0 {
				t.Errorf("%+v, want allowed = %t", d, tt.allowed)
			}
		})
	}
}
