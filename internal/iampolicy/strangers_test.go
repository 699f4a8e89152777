package iampolicy_test

import (
	"slices"
	"testing"

	"github.com/stationmaster/worker/internal/iampolicy"
)

func TestStrangersAreWhoeverIsLetInByAnotherStatement(t *testing.T) {
	const (
		ours   = `{"Sid":"stationmaster-sns","Effect":"Allow","Principal":{"Service":"sns.amazonaws.com"},"Action":"sqs:SendMessage","Resource":"*","Condition":{"ArnEquals":{"aws:SourceArn":["a","b"]}}}`
		region = `{"Sid":"stationmaster-sns-me-south-1","Effect":"Allow","Principal":{"Service":"sns.me-south-1.amazonaws.com"},"Action":"sqs:SendMessage","Resource":"*","Condition":{"ArnEquals":{"aws:SourceArn":"c"}}}`
		theirs = `{"Sid":"ops","Effect":"Allow","Principal":"*","Action":"sqs:*","Resource":"*"}`
		bare   = `{"Effect":"Allow","Principal":"*","Action":"sqs:*","Resource":"*"}`
		deny   = `{"Sid":"tls","Effect":"Deny","Principal":"*","Action":"sqs:*","Resource":"*"}`
		usual  = `{"Sid":"__default_statement_ID","Effect":"Allow","Principal":{"AWS":"*"},"Action":"SNS:Publish","Resource":"*"}`
		odd    = `{"Sid":"stationmaster-sns","Effect":"Allow","Principal":"*","Action":"sqs:*","Resource":"*"}`
	)
	for _, tt := range []struct {
		name, policy       string
		statements, topics []string
		fails              bool
	}{
		{name: "none"},
		{name: "ours", policy: `{"Statement":[` + ours + `,` + region + `,` + deny + `]}`, topics: []string{"a", "b", "c"}},
		{name: "theirs", policy: `{"Statement":[` + bare + `,` + ours + `,` + theirs + `]}`, statements: []string{"statement 1", `statement "ops"`}, topics: []string{"a", "b"}},
		{name: "one without a list", policy: `{"Statement":` + theirs + `}`, statements: []string{`statement "ops"`}},
		{name: "SNS's own", policy: `{"Statement":[` + usual + `]}`},
		{name: "ours, and for everybody", policy: `{"Statement":[` + odd + `]}`, fails: true},
		{name: "no JSON", policy: `{`, fails: true},
		{name: "no statement", policy: `{"Statement":["x"]}`, fails: true},
	} {
		statements, topics, err := iampolicy.Strangers(tt.policy)
		if !slices.Equal(statements, tt.statements) || !slices.Equal(topics, tt.topics) || (err != nil) != tt.fails {
			t.Errorf("%s: statements %q, topics %q, error %v", tt.name, statements, topics, err)
		}
	}
}
