package localaws_test

import (
	"encoding/json"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/google/go-cmp/cmp"
)

// statements are those of the topic's policy, by name.
func (k *snsKit) statements(t *testing.T) map[string]string {
	t.Helper()
	var policy struct{ Statement []json.RawMessage }
	if err := json.Unmarshal([]byte(k.topicAttributes(t)["Policy"]), &policy); err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, s := range policy.Statement {
		var named struct{ Sid string }
		if err := json.Unmarshal(s, &named); err != nil {
			t.Fatal(err)
		}
		all[named.Sid] = string(s)
	}
	return all
}

// TestPermissionsAreStatementsOfTheTopicsPolicy, beside the one that every topic has.
func TestPermissionsAreStatementsOfTheTopicsPolicy(t *testing.T) {
	k := newSNSKit(t)
	k.topic(t, nil)
	before := k.statements(t)
	add := func(label string, accounts, actions []string) error {
		_, err := k.sns.AddPermission(t.Context(), &sns.AddPermissionInput{TopicArn: aws.String(snsTopicARN), Label: &label, AWSAccountId: accounts, ActionName: actions})
		return err
	}
	remove := func(label string) {
		if _, err := k.sns.RemovePermission(t.Context(), &sns.RemovePermissionInput{TopicArn: aws.String(snsTopicARN), Label: &label}); err != nil {
			t.Error(err)
		}
	}
	if err := add("one", []string{"111111111111"}, []string{"Publish"}); err != nil {
		t.Fatal(err)
	}
	if err := add("more", []string{"111111111111", "222222222222"}, []string{"Publish", "Subscribe"}); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"__default_statement_ID": before["__default_statement_ID"],
		"one":                    `{"Sid":"one","Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111111111111:root"},"Action":"SNS:Publish","Resource":"` + snsTopicARN + `"}`,
		"more": `{"Sid":"more","Effect":"Allow","Principal":{"AWS":["arn:aws:iam::111111111111:root","arn:aws:iam::222222222222:root"]},` +
			`"Action":["SNS:Publish","SNS:Subscribe"],"Resource":"` + snsTopicARN + `"}`,
	}
	if diff := cmp.Diff(want, k.statements(t)); diff != "" {
		t.Error(diff)
	}
	for text, err := range map[string]error{
		"Invalid parameter: Statement already exists":                                        add("one", []string{"111111111111"}, []string{"Publish"}),
		"Invalid parameter: Policy statement action out of service scope!":                   add("x", []string{"111111111111"}, []string{"Dance"}),
		"Invalid parameter: AWSAccountId Reason: it must name accounts, with 12 digits each": add("x", []string{"1"}, []string{"Publish"}),
		"Invalid parameter: Label":                                                           add("a b", []string{"111111111111"}, []string{"Publish"}),
	} {
		if code, got := snsCode(err); code != "InvalidParameter" || got != text {
			t.Errorf("%v, want %s", err, text)
		}
	}
	remove("one")
	remove("one")
	remove("more")
	if diff := cmp.Diff(before, k.statements(t)); diff != "" {
		t.Error(diff)
	}
}
