package localaws_test

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/google/go-cmp/cmp"
)

// The forms and messages are those recorded on AWS (LocalStack's test_sqs_permission_lifecycle).
func TestAddAndRemovePermission(t *testing.T) {
	k := newSQSKit()
	queue := k.create(t, "work", nil)
	add := func(label string, actions []string, accounts ...string) error {
		_, err := k.AddPermission(t.Context(), &sqs.AddPermissionInput{QueueUrl: queue, Label: &label, Actions: actions, AWSAccountIds: accounts})
		return err
	}
	remove := func(label string) error {
		_, err := k.RemovePermission(t.Context(), &sqs.RemovePermissionInput{QueueUrl: queue, Label: &label})
		return err
	}
	statement := func(sid string, action, principal any) any {
		return map[string]any{"Sid": sid, "Effect": "Allow", "Principal": map[string]any{"AWS": principal}, "Action": action, "Resource": sqsARN("work")}
	}
	root := func(account string) string { return "arn:aws:iam::" + account + ":root" }
	expect := func(statements ...any) {
		t.Helper()
		text, there := k.get(t, queue)["Policy"]
		if len(statements) == 0 {
			if there {
				t.Errorf("policy %s, want none", text)
			}
			return
		}
		var got any
		if err := json.Unmarshal([]byte(text), &got); err != nil {
			t.Fatalf("policy %q: %v", text, err)
		}
		want := any(map[string]any{"Version": "2008-10-17", "Id": sqsARN("work") + "/SQSDefaultPolicy", "Statement": statements})
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(add("one", []string{"ReceiveMessage"}, "111111111111", "222222222222"))
	expect(statement("one", "SQS:ReceiveMessage", []any{root("111111111111"), root("222222222222")}))
	must(remove("one"))
	expect()
	must(add("one", []string{"ReceiveMessage"}, "111111111111"))
	if err := add("one", []string{"ReceiveMessage"}, "222222222222"); code(err) != "InvalidParameterValue" || !strings.Contains(err.Error(), "Value one for parameter Label is invalid. Reason: Already exists.") {
		t.Errorf("a label again: %v", err)
	}
	must(add("two", []string{"SendMessage", "DeleteMessage"}, "111111111111"))
	expect(statement("one", "SQS:ReceiveMessage", root("111111111111")),
		statement("two", []any{"SQS:SendMessage", "SQS:DeleteMessage"}, root("111111111111")))
	must(remove("one"))
	expect(statement("two", []any{"SQS:SendMessage", "SQS:DeleteMessage"}, root("111111111111")))
	must(remove("two"))
	expect()
	if err := remove("two"); code(err) != "InvalidParameterValue" || !strings.Contains(err.Error(), "Value two for parameter Label is invalid. Reason: can't find label.") {
		t.Errorf("no such label: %v", err)
	}
}

func TestAddPermissionRefuses(t *testing.T) {
	k := newSQSKit()
	queue := k.create(t, "work", nil)
	one := []string{"111111111111"}
	for _, tt := range []struct {
		label             string
		actions, accounts []string
		code              string
	}{
		{"", []string{"SendMessage"}, one, "com.amazon.coral.service#MissingRequiredParameterException"},
		{"a b", []string{"SendMessage"}, one, "com.amazon.coral.service#InvalidParameterValueException"},
		{"a", nil, one, "com.amazon.coral.service#MissingRequiredParameterException"},
		{"a", []string{"SendMessage"}, nil, "com.amazon.coral.service#MissingRequiredParameterException"},
		{"a", []string{"SendMessage"}, []string{"1111"}, "com.amazon.coral.service#InvalidParameterValueException"},
		{"a", []string{"Dance"}, one, "com.amazon.coral.service#InvalidParameterValueException"},
		{"a", []string{"SendMessageBatch"}, one, "com.amazon.coral.service#InvalidParameterValueException"},
		{"a", []string{"DeleteQueue"}, one, "com.amazon.coral.service#InvalidParameterValueException"},
		{"a", strings.Split(strings.Repeat("* ", 7)+"*", " "), one, "com.amazonaws.sqs#OverLimit"},
		{"a", []string{"*"}, strings.Split(strings.Repeat("111111111111 ", 50)+"111111111111", " "), "com.amazonaws.sqs#OverLimit"},
	} {
		in := fmt.Sprintf(`{"QueueUrl":%q,"Label":%q,"Actions":%s,"AWSAccountIds":%s}`, *queue, tt.label, list(t, tt.actions), list(t, tt.accounts))
		if status, name, _ := k.raw(t, "AddPermission", in); status == 200 || name != tt.code {
			t.Errorf("%q %v %v: %d %s, want %s", tt.label, tt.actions, tt.accounts, status, name, tt.code)
		}
	}
	for i := range 21 {
		_, err := k.AddPermission(t.Context(), &sqs.AddPermissionInput{QueueUrl: queue, Label: new("l" + strconv.Itoa(i)), Actions: []string{"*"}, AWSAccountIds: one})
		if (err != nil) != (i == 20) || err != nil && code(err) != "OverLimit" {
			t.Errorf("statement %d: %v", i, err)
		}
	}
}

func list(t *testing.T, v []string) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// AddPermission leaves alone what others wrote, also when it is a single statement and no list.
func TestAddPermissionKeepsWhatIsThere(t *testing.T) {
	k := newSQSKit()
	const mine = `{"Sid":"mine","Effect":"Allow","Principal":{"Service":"sns.amazonaws.com"},"Action":"sqs:SendMessage","Resource":"*","Condition":{"ArnEquals":{"aws:SourceArn":"arn:aws:sns:us-east-1:000000000000:<t>"}}}`
	queue := k.create(t, "work", map[string]string{"Policy": `{"Version":"2012-10-17","Id":"i","Statement":` + mine + `}`})
	if _, err := k.AddPermission(t.Context(), &sqs.AddPermissionInput{QueueUrl: queue, Label: new("other"), Actions: []string{"*"}, AWSAccountIds: []string{"111111111111"}}); err != nil {
		t.Fatal(err)
	}
	got := k.get(t, queue)["Policy"]
	if !strings.HasPrefix(got, `{"Version":"2012-10-17","Id":"i","Statement":[`+mine+`,{"Sid":"other"`) {
		t.Errorf("the policy is %s", got)
	}
}

// aws-semantics §1.4: 8,192 bytes, 20 statements, 50 principals, 7 actions a statement.
func TestQueuePolicy_1_4_Quotas(t *testing.T) {
	k := newSQSKit()
	queue := k.create(t, "work", nil)
	statement := func(principals, actions, filler int) string {
		return `{"Sid":"` + strings.Repeat("x", filler) + `","Effect":"Allow","Principal":{"AWS":[` + strings.TrimSuffix(strings.Repeat(`"111111111111",`, principals), ",") +
			`]},"Action":[` + strings.TrimSuffix(strings.Repeat(`"sqs:SendMessage",`, actions), ",") + `],"Resource":"*"}`
	}
	policy := func(statements ...string) string {
		return `{"Version":"2012-10-17","Statement":[` + strings.Join(statements, ",") + `]}`
	}
	many := func(n int, s string) []string {
		return strings.Split(strings.TrimSuffix(strings.Repeat(s+"\n", n), "\n"), "\n")
	}
	size := len(policy(statement(1, 1, 0)))
	for _, tt := range []struct {
		name, policy, code string
	}{
		{"20 statements", policy(many(20, statement(1, 1, 0))...), ""},
		{"21 statements", policy(many(21, statement(1, 1, 0))...), "OverLimit"},
		{"50 principals", policy(statement(25, 1, 0), statement(25, 1, 0)), ""},
		{"51 principals", policy(statement(25, 1, 0), statement(26, 1, 0)), "OverLimit"},
		{"7 actions", policy(statement(1, 7, 0)), ""},
		{"8 actions", policy(statement(1, 8, 0)), "OverLimit"},
		{"8192 bytes", policy(statement(1, 1, 8192-size)), ""},
		{"8193 bytes", policy(statement(1, 1, 8193-size)), "OverLimit"},
	} {
		if err := k.set(t, queue, map[string]string{"Policy": tt.policy}); code(err) != tt.code {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.code)
		}
	}
}
