package iampolicy_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/stationmaster/worker/internal/iampolicy"
)

// own is our statement that lets a topic send to the queue.
func own(topic string) iampolicy.Statement {
	return iampolicy.Statement{
		Sid: "stationmaster-sns-" + topic, Effect: "Allow", Principal: map[string]string{"Service": "sns.amazonaws.com"},
		Action: "sqs:SendMessage", Resource: queueARN,
		Condition: map[string]map[string][]string{"ArnEquals": {"aws:SourceArn": {strings.Replace(topicARN, "invitations", topic, 1)}}},
	}
}

func TestMergeIntoNothing(t *testing.T) {
	merged, changed, err := iampolicy.Merge("", own("invitations"))
	want := `{"Statement":[{"Sid":"stationmaster-sns-invitations","Effect":"Allow","Principal":{"Service":"sns.amazonaws.com"},"Action":"sqs:SendMessage",` +
		`"Resource":"` + queueARN + `","Condition":{"ArnEquals":{"aws:SourceArn":["` + topicARN + `"]}}}],"Version":"2012-10-17"}`
	if err != nil || !changed || merged != want {
		t.Errorf("merged %s, %t, %v\nwant   %s", merged, changed, err, want)
	}
}

func TestMergeKeepsOthersByteForByte(t *testing.T) {
	foreign := `{ "Sid":"theirs & <theirs>",
		"Effect" : "Deny","Principal":"*","Action":["sqs:*"],"Resource":"*","Condition":{"DateLessThan":{"aws:CurrentTime":1e3}},"Odd":"\u00e9 é"}`
	old := `{"Sid":"stationmaster-sns-invitations","Effect":"Deny"}`
	merged, changed, err := iampolicy.Merge(`{"Id":"kept","Statement":[`+old+`,`+foreign+`,`+old+`],"Version":"2008-10-17"}`, own("invitations"), own("b"))
	if err != nil || !changed {
		t.Fatal(changed, err)
	}
	var got struct {
		ID        string `json:"Id"`
		Version   string
		Statement []json.RawMessage
	}
	if err := json.Unmarshal([]byte(merged), &got); err != nil {
		t.Fatal(err)
	}
	if got.ID != "kept" || got.Version != "2008-10-17" || len(got.Statement) != 3 || string(got.Statement[1]) != foreign {
		t.Errorf("merged %s", merged)
	}
	if !strings.Contains(string(got.Statement[0]), `"Allow"`) || !strings.Contains(string(got.Statement[2]), `sns-b"`) {
		t.Errorf("own statements of %s", merged)
	}
}

func TestMergeSeesThroughSpelling(t *testing.T) {
	spelled := `{"Version":"2012-10-17", "Statement": {"Action":["sqs:SendMessage"],"Effect":"Allow","Principal":{"Service":["sns.amazonaws.com"]},
		"Condition":{"ArnEquals":{"aws:SourceArn":["` + topicARN + `"]}},"Resource":["` + queueARN + `"],"Sid":"stationmaster-sns-invitations"}}`
	merged, changed, err := iampolicy.Merge(spelled, own("invitations"))
	if err != nil || changed || merged != spelled {
		t.Errorf("changed = %t, err = %v\n%s", changed, err, merged)
	}
}

func TestMergeAddsToTheValuesOfItsOwnStatement(t *testing.T) {
	of := func(effect string, topics ...string) iampolicy.Statement {
		s := own("x")
		s.Effect = effect
		s.Condition = map[string]map[string][]string{"ArnEquals": {"aws:SourceArn": topics}}
		return s
	}
	text := func(s iampolicy.Statement) string {
		raw, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		return string(raw)
	}
	for _, tt := range []struct {
		name, have string
		own, want  iampolicy.Statement
		changed    bool
	}{
		{"what another configuration allowed stays", text(of("Allow", "a", "b")), of("Allow", "c", "b"), of("Allow", "a", "b", "c"), true},
		{"in any order it is there", text(of("Allow", "b", "c", "a")), of("Allow", "a", "b"), of("Allow", "b", "c", "a"), false},
		{"one value without its list", strings.ReplaceAll(text(of("Allow", "a")), `["a"]`, `"a"`), of("Allow", "b"), of("Allow", "a", "b"), true},
		{"a deny lends nothing", text(of("Deny", "a")), of("Allow", "b"), of("Allow", "b"), true},
		{"another key lends nothing", strings.ReplaceAll(text(of("Allow", "a")), "aws:SourceArn", "aws:SourceAccount"), of("Allow", "b"), of("Allow", "b"), true},
		{"another operator lends nothing", strings.ReplaceAll(text(of("Allow", "a")), "ArnEquals", "ArnNotEquals"), of("Allow", "b"), of("Allow", "b"), true},
		{"a further condition lends nothing", strings.ReplaceAll(text(of("Allow", "a")), `"aws:SourceArn"`, `"k":"v","aws:SourceArn"`), of("Allow", "b"), of("Allow", "b"), true},
		{"no conditions lend nothing", `{"Sid":"` + own("x").Sid + `","Condition":[]}`, of("Allow", "b"), of("Allow", "b"), true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			merged, changed, err := iampolicy.Merge(policy(tt.have), tt.own)
			if err != nil || changed != tt.changed {
				t.Fatal(changed, err)
			}
			var got struct{ Statement []iampolicy.Statement }
			if err := json.Unmarshal([]byte(merged), &got); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]iampolicy.Statement{tt.want}, got.Statement); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestMergeRefuses(t *testing.T) {
	var many []string
	for range iampolicy.MaxStatements {
		many = append(many, statement())
	}
	for _, tt := range []struct {
		name, policy, says string
		own                iampolicy.Statement
	}{
		{"no JSON", `{"Statement"`, "mend or remove it by hand", own("a")},
		{"statements that are none", `{"Statement":7}`, "mend or remove it by hand", own("a")},
		{"no Sid", "", "no Sid", iampolicy.Statement{}},
		{"too many", policy(many...), "21 statements, at most 20", own("a")},
		{"too long", policy(statement(`"Sid":"` + strings.Repeat("x", 8000) + `"`)), "bytes, at most 8192", own("a")},
	} {
		if merged, changed, err := iampolicy.Merge(tt.policy, tt.own); err == nil || !strings.Contains(err.Error(), tt.says) || changed || merged != "" {
			t.Errorf("%s: %q, %t, %v; want an error with %q", tt.name, merged, changed, err, tt.says)
		}
	}
}

func TestMergeTwiceChangesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		topics := rapid.SliceOfNDistinct(rapid.StringMatching(`[a-z]{1,8}`), 1, 6, rapid.ID).Draw(t, "topics")
		var foreign []string
		for i := range rapid.IntRange(0, 6).Draw(t, "foreign") {
			foreign = append(foreign, statement(fmt.Sprintf(`"Sid":"theirs-%d"`, i)))
		}
		have := ""
		if len(foreign) > 0 {
			have = policy(foreign...)
		}
		var all []iampolicy.Statement
		for _, topic := range topics {
			all = append(all, own(topic))
		}
		once, changed, err := iampolicy.Merge(have, all...)
		if err != nil || !changed {
			t.Fatal(changed, err)
		}
		for _, s := range foreign {
			if !strings.Contains(once, s) {
				t.Fatalf("%s is gone from %s", s, once)
			}
		}
		again, changed, err := iampolicy.Merge(once, all...)
		if err != nil || changed || again != once {
			t.Fatalf("second merge: %t, %v\n%s", changed, err, cmp.Diff(once, again))
		}
		p, err := iampolicy.Parse(once)
		if err != nil {
			t.Fatal(err)
		}
		for _, topic := range topics {
			r := delivery()
			r.Context["aws:SourceArn"] = []string{strings.Replace(topicARN, "invitations", topic, 1)}
			if d := p.Evaluate(r); !d.Allowed {
				t.Fatalf("%s: %s", topic, d.Why)
			}
		}
	})
}
