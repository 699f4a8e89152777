package iampolicy_test

import (
	"testing"

	"github.com/stationmaster/worker/internal/iampolicy"
)

const (
	ownRoot = "arn:aws:iam::123456789012:root"
	ada     = "arn:aws:iam::123456789012:user/team/ada"
	worker  = "arn:aws:iam::123456789012:role/service/worker"
	pod     = "arn:aws:sts::123456789012:assumed-role/worker/pod"
	sender  = "sns.amazonaws.com"
)

func TestPrincipal(t *testing.T) {
	account, user, session := iampolicy.Principal{AWS: "123456789012"}, iampolicy.Principal{AWS: ada}, iampolicy.Principal{AWS: pod}
	root, service, stranger := iampolicy.Principal{AWS: ownRoot}, iampolicy.Principal{Service: sender}, iampolicy.Principal{}
	all := []iampolicy.Principal{account, root, user, session, service, stranger}
	for _, tt := range []struct {
		name, principal string
		means           []iampolicy.Principal
	}{
		{"a star is everybody", `"*"`, all},
		{"so is a star of AWS", `{"AWS":"*"}`, all},
		{"a star in a list", `{"AWS":["210987654321","*"]}`, all},
		{"an account is everybody in it", `{"AWS":"123456789012"}`, []iampolicy.Principal{account, root, user, session}},
		{"its root is too", `{"AWS":"` + ownRoot + `"}`, []iampolicy.Principal{account, root, user, session}},
		{"another account", `{"AWS":["210987654321","arn:aws:iam::210987654321:root"]}`, nil},
		{"a user is himself", `{"AWS":"` + ada + `"}`, []iampolicy.Principal{user}},
		{"another user", `{"AWS":"arn:aws:iam::123456789012:user/ada"}`, nil},
		{"a role is its sessions", `{"AWS":"` + worker + `"}`, []iampolicy.Principal{session}},
		{"a role without its path", `{"AWS":"arn:aws:iam::123456789012:role/worker"}`, []iampolicy.Principal{session}},
		{"another role", `{"AWS":"arn:aws:iam::123456789012:role/service"}`, nil},
		{"a role of another account", `{"AWS":"arn:aws:iam::210987654321:role/worker"}`, nil},
		{"a session", `{"AWS":"` + pod + `"}`, []iampolicy.Principal{session}},
		{"another session", `{"AWS":"arn:aws:sts::123456789012:assumed-role/worker/other"}`, nil},
		{"a service", `{"Service":["s3.amazonaws.com","` + sender + `"]}`, []iampolicy.Principal{service}},
		{"a service and a user", `{"Service":"` + sender + `","AWS":"` + ada + `"}`, []iampolicy.Principal{user, service}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, who := range all {
				q := iampolicy.Request{Principal: who, Action: "sqs:SendMessage", Resource: queueARN}
				want := false
				for _, meant := range tt.means {
					want = want || who == meant
				}
				if got := asked(t, policy(statement(`"Principal":`+tt.principal)), q); got != want {
					t.Errorf("%s: %t, want %t", who, got, want)
				}
				// An Allow for all but those named is the opposite.
				if got := asked(t, policy(statement(`"NotPrincipal":`+tt.principal)), q); got == want {
					t.Errorf("%s with NotPrincipal: %t", who, got)
				}
			}
		})
	}
}

// TestDenyToAllBut: AWS asks for the account, the role and the session, so that whoever is to be spared
// must be named with all of them.
func TestDenyToAllBut(t *testing.T) {
	const worker, pod = `"` + worker + `"`, `"` + pod + `"`
	for _, tt := range []struct {
		name, but string
		who       iampolicy.Principal
		denied    bool
	}{
		{"a user with his account", `{"AWS":["` + ada + `","` + ownRoot + `"]}`, iampolicy.Principal{AWS: ada}, false},
		{"a user without his account", `{"AWS":"` + ada + `"}`, iampolicy.Principal{AWS: ada}, true},
		{"an account spares its root", `{"AWS":"123456789012"}`, iampolicy.Principal{AWS: ownRoot}, false},
		{"and not its users", `{"AWS":"123456789012"}`, iampolicy.Principal{AWS: ada}, true},
		{"a session with role and account", `{"AWS":["123456789012",` + worker + `,` + pod + `]}`, iampolicy.Principal{AWS: "arn:aws:sts::123456789012:assumed-role/worker/pod"}, false},
		{"a session without its role", `{"AWS":["123456789012",` + pod + `]}`, iampolicy.Principal{AWS: "arn:aws:sts::123456789012:assumed-role/worker/pod"}, true},
		{"another session of the role", `{"AWS":["123456789012",` + worker + `,` + pod + `]}`, iampolicy.Principal{AWS: "arn:aws:sts::123456789012:assumed-role/worker/other"}, true},
		{"a service", `{"Service":"` + sender + `"}`, iampolicy.Principal{Service: sender}, false},
		{"another service", `{"Service":"s3.amazonaws.com"}`, iampolicy.Principal{Service: sender}, true},
		{"accounts spare no service", `{"AWS":"123456789012"}`, iampolicy.Principal{Service: sender}, true},
		{"a stranger", `{"AWS":"123456789012"}`, iampolicy.Principal{}, true},
		{"nobody", `"*"`, iampolicy.Principal{}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			document := policy(statement(), statement(`"Effect":"Deny"`, `"NotPrincipal":`+tt.but))
			if got := asked(t, document, iampolicy.Request{Principal: tt.who, Action: "sqs:SendMessage", Resource: queueARN}); got == tt.denied {
				t.Errorf("allowed = %t", got)
			}
		})
	}
}

// TestPrincipalsThatCannotAskAreNobody, in a policy that stands already: Accept refuses them.
func TestPrincipalsThatCannotAskAreNobody(t *testing.T) {
	for _, principal := range []string{`{"CanonicalUser":"x"}`, `{"Federated":"cognito-identity.amazonaws.com"}`, `{"AWS":"AIDAJQABLZS4A3QDU576Q"}`, `{}`} {
		p, err := iampolicy.Parse(policy(statement(`"Principal":` + principal)))
		if err != nil {
			t.Fatal(err)
		}
		if d := p.Evaluate(iampolicy.Request{Principal: iampolicy.Principal{AWS: ada}, Action: "sqs:SendMessage", Resource: queueARN}); d.Allowed {
			t.Errorf("%s: %+v", principal, d)
		}
	}
}
