package iampolicy_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/stationmaster/worker/internal/iampolicy"
)

// Few of each, so that statements and requests meet often.
var (
	callers = []iampolicy.Principal{
		{},
		{Service: sender},
		{Service: "s3.amazonaws.com"},
		{AWS: "123456789012"},
		{AWS: "210987654321"},
		{AWS: ada},
		{AWS: pod},
	}
	principals = []string{
		`"*"`, `{"AWS":"*"}`, `{"AWS":["123456789012"]}`, `{"AWS":["` + ada + `","` + ownRoot + `"]}`, `{"AWS":"` + worker + `"}`,
		`{"Service":["` + sender + `"]}`, `{"AWS":"210987654321","Service":"s3.amazonaws.com"}`,
	}
	actions   = []string{`"*"`, `"sqs:*"`, `"SQS:SendMessage"`, `["sqs:ReceiveMessage","sqs:Delete*"]`, `"sqs:SetQueueAttributes"`}
	resources = []string{`"*"`, `"` + queueARN + `"`, `"arn:aws:sqs:*:*:w?rk"`, `["` + queueARN + `-dlq"]`, `"arn:aws:sqs:us-east-2:123456789012:${k:name, 'work'}"`}
	// The last two are not known, and only for policies that are not set.
	conditions = []string{
		`{}`, `{"ArnEquals":{"aws:SourceArn":"` + topicARN + `"}}`, `{"StringNotEquals":{"aws:SourceAccount":"123456789012"}}`,
		`{"Bool":{"aws:SecureTransport":false}}`, `{"DateLessThan":{"aws:CurrentTime":"2026-01-01"}}`, `{"NotIpAddressIfExists":{"aws:SourceIp":"127.0.0.0/8"}}`,
		`{"Null":{"aws:PrincipalOrgID":true},"StringLike":{"aws:PrincipalAccount":"1*"}}`, `{"ForAllValues:StringEquals":{"k:name":["work","play"]}}`,
		`{"StringMatches":{"aws:SourceArn":"x"}}`, `{"DateLessThan":{"aws:CurrentTime":"soon"}}`,
	}
)

func drawStatement(t *rapid.T, effect string, known bool) string {
	not := func(name string) string {
		if rapid.IntRange(0, 4).Draw(t, name) == 0 {
			return `"Not` + name + `":`
		}
		return `"` + name + `":`
	}
	most := len(conditions)
	if known {
		most -= 2
	}
	return statement(
		`"Effect":"`+effect+`"`,
		not("Principal")+rapid.SampledFrom(principals).Draw(t, "principal"),
		not("Action")+rapid.SampledFrom(actions).Draw(t, "action"),
		not("Resource")+rapid.SampledFrom(resources).Draw(t, "resource"),
		`"Condition":`+rapid.SampledFrom(conditions[:most]).Draw(t, "condition"),
	)
}

func drawStatements(t *rapid.T, known bool) []string {
	var all []string
	for range rapid.IntRange(1, 6).Draw(t, "statements") {
		all = append(all, drawStatement(t, rapid.SampledFrom([]string{"Allow", "Allow", "Deny"}).Draw(t, "effect"), known))
	}
	return all
}

func drawRequest(t *rapid.T) iampolicy.Request {
	q := iampolicy.Request{
		Principal: rapid.SampledFrom(callers).Draw(t, "caller"),
		Action:    rapid.SampledFrom([]string{"sqs:SendMessage", "sqs:ReceiveMessage", "sqs:SetQueueAttributes"}).Draw(t, "asked"),
		Resource:  rapid.SampledFrom([]string{queueARN, queueARN + "-dlq"}).Draw(t, "of"),
		Time:      time.Date(rapid.IntRange(2025, 2027).Draw(t, "year"), 6, 1, 0, 0, 0, 0, time.UTC),
		Context:   map[string][]string{},
	}
	for key, values := range map[string][]string{
		"aws:SourceArn": {topicARN, topicARN + "s"}, "aws:SourceAccount": {"123456789012", "210987654321"},
		"aws:SecureTransport": {"true", "false"}, "aws:SourceIp": {"127.0.0.1", "::1"}, "k:name": {"work", "rest"},
	} {
		if value := rapid.SampledFrom(append(values, "")).Draw(t, key); value != "" {
			q.Context[key] = []string{value}
		}
	}
	return q
}

// judged is what both questions are answered.
func judged(t *rapid.T, statements []string, q iampolicy.Request) (evaluated, authorized iampolicy.Decision) {
	if len(statements) == 0 {
		var none *iampolicy.Policy
		return none.Evaluate(q), none.Authorize(q)
	}
	p, err := iampolicy.Parse(policy(statements...))
	if err != nil {
		t.Fatal(err)
	}
	return p.Evaluate(q), p.Authorize(q)
}

func TestAddingADenyAllowsNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		statements, q := drawStatements(t, false), drawRequest(t)
		evaluated, authorized := judged(t, statements, q)
		at := rapid.IntRange(0, len(statements)).Draw(t, "at")
		more := slices.Insert(slices.Clone(statements), at, drawStatement(t, "Deny", false))
		then, authorizedThen := judged(t, more, q)
		if !evaluated.Allowed && then.Allowed || !authorized.Allowed && authorizedThen.Allowed || evaluated.ExplicitDeny && !then.ExplicitDeny {
			t.Fatalf("%s\nfrom %+v, %+v\nto   %+v, %+v", more[at], evaluated, authorized, then, authorizedThen)
		}
	})
}

func TestRemovingAnAllowAllowsNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		statements, q := drawStatements(t, false), drawRequest(t)
		evaluated, authorized := judged(t, statements, q)
		at := slices.IndexFunc(statements, func(s string) bool { return strings.Contains(s, `"Effect":"Allow"`) })
		if at < 0 {
			t.Skip("no allow")
		}
		then, authorizedThen := judged(t, slices.Delete(slices.Clone(statements), at, at+1), q)
		if !evaluated.Allowed && then.Allowed || !authorized.Allowed && authorizedThen.Allowed || evaluated.ExplicitDeny != then.ExplicitDeny {
			t.Fatalf("%s\nfrom %+v, %+v\nto   %+v, %+v", statements[at], evaluated, authorized, then, authorizedThen)
		}
	})
}

func TestTheOrderOfStatementsMeansNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		statements, q := drawStatements(t, false), drawRequest(t)
		verdict := func(statements []string) []iampolicy.Decision {
			evaluated, authorized := judged(t, statements, q)
			for _, d := range []*iampolicy.Decision{&evaluated, &authorized} {
				d.Sid, d.Why = "", "" // of the first that decides
				slices.Sort(d.Unknown)
			}
			return []iampolicy.Decision{evaluated, authorized}
		}
		if diff := cmp.Diff(verdict(statements), verdict(rapid.Permutation(statements).Draw(t, "order"))); diff != "" {
			t.Fatal(diff)
		}
	})
}

// TestWhatIsAcceptedIsUnderstood: nothing of a policy that was let in is unknown at any request, and
// what is not understood is not let in.
func TestWhatIsAcceptedIsUnderstood(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		known := rapid.Bool().Draw(t, "known")
		statements, q := drawStatements(t, known), drawRequest(t)
		p, err := iampolicy.Accept(policy(statements...), queueARN)
		foreign := strings.Contains(strings.Join(statements, ""), "StringMatches") || strings.Contains(strings.Join(statements, ""), "soon")
		if (err != nil) != foreign {
			t.Fatal(err)
		}
		if err != nil {
			return
		}
		read, _ := judged(t, statements, q)
		if diff := cmp.Diff(read, p.Evaluate(q)); diff != "" || len(read.Unknown) > 0 {
			t.Fatalf("unknown %q, %s", read.Unknown, diff)
		}
	})
}

func TestWildcardsAgreeWithARegularExpression(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		wild, text := rapid.StringMatching(`[ab*?]{0,8}`).Draw(t, "pattern"), rapid.StringMatching(`[ab]{0,8}`).Draw(t, "text")
		p, err := iampolicy.Parse(policy(statement(`"Condition":{"StringLike":{"k:s":"` + wild + `"}}`)))
		if err != nil {
			t.Fatal(err)
		}
		want := regexp.MustCompile(`^` + strings.NewReplacer(`*`, `.*`, `?`, `.`).Replace(wild) + `$`).MatchString(text)
		if d := p.Evaluate(iampolicy.Request{Action: "sqs:SendMessage", Context: map[string][]string{"k:s": {text}}}); d.Allowed != want {
			t.Fatalf("%q like %q = %t", text, wild, d.Allowed)
		}
	})
}
