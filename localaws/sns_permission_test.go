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

// TestAPermissionIsAddedToAPolicyThatIsOneStatement, which IAM lets stand without its list.
func TestAPermissionIsAddedToAPolicyThatIsOneStatement(t *testing.T) {
	k := newSNSKit(t)
	k.topic(t, nil)
	mine := `{"Sid":"mine","Effect":"Allow","Principal":"*","Action":"SNS:Publish","Resource":"` + snsTopicARN + `"}`
	if _, err := k.sns.SetTopicAttributes(t.Context(), &sns.SetTopicAttributesInput{
		TopicArn: aws.String(snsTopicARN), AttributeName: aws.String("Policy"), AttributeValue: aws.String(`{"Version":"2012-10-17","Statement":` + mine + `}`),
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := k.sns.AddPermission(t.Context(), &sns.AddPermissionInput{
		TopicArn: aws.String(snsTopicARN), Label: aws.String("one"), AWSAccountId: []string{"111111111111"}, ActionName: []string{"Publish"},
	}); err != nil {
		t.Fatal(err)
	}
	if got := k.statements(t); len(got) != 2 || got["mine"] != mine || got["one"] == "" {
		t.Errorf("statements %v, want mine as it was, and one", got)
	}
}
