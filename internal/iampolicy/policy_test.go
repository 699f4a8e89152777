package iampolicy_test

import (
	"strings"
	"testing"

	"github.com/stationmaster/worker/internal/iampolicy"
)

func TestParseRefuses(t *testing.T) {
	for _, tt := range []struct{ policy, says string }{
		{`nonsense`, "no JSON object"},
		{`null`, "null"},
		{`[]`, "no JSON object"},
		{`{}`, "no Statement"},
		{`{"Version":"2012-10-18","Statement":[]}`, `write "2012-10-17"`},
		{`{"Version":"2012-10-17","Statement":[]}`, "no Statement"},
		{`{"Version":"2012-10-17","Statement":"x"}`, "no list"},
		{`{"Statements":[]}`, `element "Statements" is unknown`},
		{`{"Id":7,"Statement":[]}`, "Id is 7"},
		{`{"Version":"2012-10-17","Version":"2008-10-17","Statement":[` + statement() + `]}`, `"Version" stands twice`},
		{policy(statement(`"Principal":{"AWS":"1","AWS":"2"}`)), `"AWS" stands twice in one object: write a list of its values`},
		{policy(statement(`"Condition":{"StringEquals":{"k:s":["x"],"k:s":["y"]}}`)), `"k:s" stands twice`},
		{policy(`7`), "statement 1: no JSON object"},
		{policy(statement(), statement(`"Effect":"allow"`)), `statement 2: the Effect is "allow"`},
		{policy(statement(`"Effekt":"x"`)), "Effekt: unknown element"},
		{policy(statement(`"Sid":7`)), "Sid: "},
		{policy(`{"Effect":"Allow","Action":"*","Resource":"*"}`), "Principal or NotPrincipal"},
		{policy(`{"Effect":"Allow","Principal":"*","Resource":"*"}`), "Action or NotAction"},
		{policy(`{"Effect":"Allow","Principal":"*","Action":"*"}`), "Resource or NotResource"},
		{policy(`{"Effect":"Allow","Principal":"*","Action":"*","NotAction":"*","Resource":"*"}`), "Action or NotAction"},
		{policy(statement(`"Principal":"me"`)), `"me": write "*"`},
		{policy(statement(`"Principal":7`)), "neither"},
		{policy(statement(`"Principal":null`)), "Principal"},
		{policy(statement(`"Principal":{"Robot":"x"}`)), "Robot: unknown kind"},
		{policy(statement(`"Principal":{"Service":[]}`)), "empty list"},
		{policy(statement(`"Action":[7]`)), "7 is no string"},
		{policy(statement(`"Resource":[]`)), "empty list"},
		{policy(statement(`"Condition":[]`)), "Condition: no object"},
		{policy(statement(`"Condition":{"StringEquals":{"k":{}}}`)), "StringEquals: k: "},
		{policy(statement(`"Condition":{"StringEquals":{"k":[]}}`)), "empty list"},
		{policy(statement(`"Condition":{"StringEquals":{"k":[null]}}`)), "null is no string"},
	} {
		p, err := iampolicy.Parse(tt.policy)
		if err == nil || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("Parse(%s) = %v, %v; want an error with %q", tt.policy, p, err, tt.says)
		}
	}
}

// FuzzParse reads anything, as it stands and as it is set, and asks about it.
func FuzzParse(f *testing.F) {
	f.Add(canonical)
	f.Add(`{"Statement":{"Effect":"Deny","NotPrincipal":{"AWS":["1"]},"NotAction":"a*?","NotResource":["*"],"Condition":{"ForAllValues:StringNotLikeIfExists":{"aws:SourceArn":["${x}",true,1]}}}}`)
	f.Add(`{"Version":null,"Statement":[{}]}`)
	f.Add(policy(statement(`"Resource":"arn:aws:sqs:::${aws:SourceArn, 'x'}${*}"`, `"Condition":{"ArnLike":{"aws:SourceArn":"${aws:SourceArn}"},"DateLessThan":{"aws:CurrentTime":"2026-01-01"},"IpAddress":{"aws:SourceIp":"::1/128"}}`)))
	f.Add(policy(statement(`"Condition":{"ForAnyValue:NumericLessThanIfExists":{"aws:EpochTime":[1e3]},"Null":{"aws:SourceArn":"true"},"BinaryEquals":{"k:s":"AA=="}}`)))
	f.Fuzz(func(t *testing.T, text string) {
		p, err := iampolicy.Parse(text)
		strict, refused := iampolicy.Accept(text, queueARN)
		if err != nil {
			if refused == nil {
				t.Fatalf("accepted, but not to be read: %v", err)
			}
			return
		}
		first, second := p.Evaluate(delivery()), p.Evaluate(delivery())
		if first.Allowed != second.Allowed || first.Why != second.Why || first.Allowed && first.ExplicitDeny {
			t.Errorf("two evaluations: %+v, %+v", first, second)
		}
		if authorized := p.Authorize(delivery()); authorized.Allowed != first.Allowed {
			t.Errorf("a service is authorized by another rule: %+v, %+v", first, authorized)
		}
		if d := strict.Evaluate(delivery()); refused == nil && (len(d.Unknown) > 0 || d.Allowed != first.Allowed) {
			t.Errorf("accepted as %+v, read as %+v", d, first)
		}
		merged, _, err := iampolicy.Merge(text, own("invitations"))
		if err != nil {
			return // over a quota
		}
		p, err = iampolicy.Parse(merged)
		if err != nil {
			t.Fatalf("a policy that was readable is not after Merge: %v\n%s", err, merged)
		}
		if d := p.Evaluate(delivery()); !d.Allowed && !d.ExplicitDeny {
			t.Errorf("our own statement does not allow: %s\n%s", d.Why, merged)
		}
	})
}
