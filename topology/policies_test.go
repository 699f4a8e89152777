package topology_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stationmaster/worker/topology"
)

// theirs is a policy of others of exactly so many bytes, spelled as no program would.
func theirs(t *testing.T, size int) string {
	t.Helper()
	const head, tail = `{ "Version" : "2012-10-17",  "Id":"theirs é \u0026" , "Statement":[ {"Sid":"a","Effect":"Allow","Principal":{"AWS":["111122223333"]},"Action":["sqs:SendMessage"],"Resource":"*"},` +
		"\n\t" + `{"Sid":"`, `","Effect":"Deny","Principal":"*","Action":"sqs:PurgeQueue","Resource":"*"} ] }`
	fill := size - len(head) - len(tail)
	if fill < 0 {
		t.Fatalf("%d bytes are too few", size)
	}
	return head + strings.Repeat("x", fill) + tail
}

// statements are what a policy has between the brackets.
func statements(policy string) string {
	_, rest, _ := strings.Cut(policy, `"Statement":[`)
	return rest
}

// Up to the last byte that SQS takes, the statements of others stay as they are, and ours is added; a
// policy with one byte more is refused with its size, by the plan as by Apply, before anything is set.
func TestPoliciesNearEightKilobytes(t *testing.T) {
	line := func() topology.Topology { return with(func(t *topology.Topology) { t.Settle = 0 }) }
	k := newKit(t)
	k.make(t, "email", nil)
	// How much ours adds, with the spaces that a merge drops between statements.
	k.set(t, "email", map[string]string{"Policy": theirs(t, 1000)})
	k.apply(t, line())
	added := len(k.state(t, []string{"email"})["queue email"]["Policy"]) - 1000
	for _, size := range []int{4000, 8000 - added, 8191 - added, 8192 - added, 8193 - added, 8192} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			k := newKit(t)
			k.make(t, "email", nil)
			before := theirs(t, size)
			k.set(t, "email", map[string]string{"Policy": before})
			k.took()
			plan, planErr := line().Plan(t.Context(), k, account)
			_, err := line().Apply(t.Context(), k, account, nil)
			if size+added > 8192 {
				says := fmt.Sprintf("queue email: policy: %d bytes, at most 8192", size+added)
				if err == nil || !strings.Contains(err.Error(), says) || planErr == nil || !strings.Contains(planErr.Error(), says) {
					t.Errorf("errors %v, %v, want %q in both", err, planErr, says)
				}
				if after := k.state(t, []string{"email"})["queue email"]["Policy"]; after != before {
					t.Error("the policy is another")
				}
				return
			}
			if err != nil || planErr != nil {
				t.Fatal(err, planErr)
			}
			if len(plan.Changes) == 0 {
				t.Error("an empty plan")
			}
			after := k.state(t, []string{"email"})["queue email"]["Policy"]
			for _, one := range []string{
				`{"Sid":"a","Effect":"Allow","Principal":{"AWS":["111122223333"]},"Action":["sqs:SendMessage"],"Resource":"*"}`,
				`"theirs é \u0026"`, statements(before)[strings.Index(statements(before), `{"Sid":"x`) : len(statements(before))-len(" ] }")],
			} {
				if !strings.Contains(after, one) {
					t.Errorf("%.60s… is not there byte for byte", one)
				}
			}
			if len(k.lost()) > 0 || len(after) != size+added {
				t.Errorf("%d bytes, want %d", len(after), size+added)
			}
		})
	}
}
