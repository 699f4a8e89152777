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

func FuzzParse(f *testing.F) {
	f.Add(canonical)
	f.Add(`{"Statement":{"Effect":"Deny","NotPrincipal":{"AWS":["1"]},"NotAction":"a*?","NotResource":["*"],"Condition":{"ForAllValues:StringNotLikeIfExists":{"aws:SourceArn":["${x}",true,1]}}}}`)
	f.Add(`{"Version":null,"Statement":[{}]}`)
	f.Fuzz(func(t *testing.T, text string) {
		p, err := iampolicy.Parse(text)
		if err != nil {
			return
		}
		first, second := p.Evaluate(delivery()), p.Evaluate(delivery())
		if first.Allowed != second.Allowed || first.Why != second.Why || first.Allowed && first.ExplicitDeny {
			t.Errorf("two evaluations: %+v, %+v", first, second)
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
