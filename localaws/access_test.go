package localaws_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/stationmaster/worker/localaws"
)

const (
	owner    = "111111111111"
	stranger = "222222222222"
)

func statement(effect, principal, action, condition string) string {
	if condition != "" {
		condition = `,"Condition":` + condition
	}
	return `{"Effect":"` + effect + `","Principal":` + principal + `,"Action":"` + action + `","Resource":"*"` + condition + `}`
}

func policyOf(statements ...string) string {
	return `{"Version":"2012-10-17","Statement":[` + strings.Join(statements, ",") + `]}`
}

// tell is an error as "code: message", or ok.
func tell(err error) string {
	if err == nil {
		return "ok"
	}
	code, text := snsCode(err)
	return code + ": " + text
}

func TestAQueuePolicyDecidesWhoMaySend(t *testing.T) {
	const (
		arn  = "arn:aws:sqs:us-east-1:111111111111:work"
		tail = " is not authorized to perform: sqs:sendmessage on resource: " + arn
		none = "AccessDenied: User: arn:aws:iam::222222222222:root" + tail + " because no resource-based policy allows the sqs:sendmessage action"
	)
	account := `{"AWS":"222222222222"}`
	for _, tt := range []struct {
		name, policy    string
		own, others, by string // what the owner, the stranger and the stranger's batch are told
	}{
		{"no policy", "", "ok", none, none},
		{"another account is allowed", policyOf(statement("Allow", account, "sqs:SendMessage", "")), "ok", "ok", "ok"},
		{"by its root's ARN", policyOf(statement("Allow", `{"AWS":"arn:aws:iam::222222222222:root"}`, "SQS:*", "")), "ok", "ok", "ok"},
		{"a third account is allowed", policyOf(statement("Allow", `{"AWS":"333333333333"}`, "sqs:*", "")), "ok", none, none},
		{"everybody is allowed to receive", policyOf(statement("Allow", `"*"`, "sqs:ReceiveMessage", "")), "ok", none, none},
		{"a batch has no action of its own", policyOf(statement("Allow", account, "sqs:SendMessageBatch", "")), "ok", none, none},
		{"everybody of that account", policyOf(statement("Allow", `"*"`, "sqs:*", `{"StringEquals":{"aws:PrincipalAccount":"222222222222"}}`)), "ok", "ok", "ok"},
		{"only without TLS, which stands for HTTPS here", policyOf(statement("Allow", account, "sqs:*", ""), statement("Deny", `"*"`, "sqs:*", `{"Bool":{"aws:SecureTransport":"false"}}`)), "ok", "ok", "ok"},
		{
			"a deny comes first and holds at home", policyOf(statement("Allow", `"*"`, "sqs:*", ""), statement("Deny", `"*"`, "sqs:SendMessage", "")),
			"AccessDenied: User: arn:aws:iam::111111111111:root" + tail + " with an explicit deny in a resource-based policy",
			"AccessDenied: User: arn:aws:iam::222222222222:root" + tail + " with an explicit deny in a resource-based policy",
			"AccessDenied: User: arn:aws:iam::222222222222:root" + tail + " with an explicit deny in a resource-based policy",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := localaws.New(localaws.Options{})
			home, away := enter(s, owner, "us-east-1").sqs, enter(s, stranger, "us-east-1").sqs
			queue, err := home.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: new("work"), Attributes: map[string]string{"Policy": tt.policy}})
			if err != nil {
				t.Fatal(err)
			}
			in := &sqs.SendMessageInput{QueueUrl: queue.QueueUrl, MessageBody: new("x")}
			if _, err := home.SendMessage(t.Context(), in); tell(err) != tt.own {
				t.Errorf("the owner: %s, want %s", tell(err), tt.own)
			}
			if _, err := away.SendMessage(t.Context(), in); tell(err) != tt.others {
				t.Errorf("the stranger: %s, want %s", tell(err), tt.others)
			}
			_, err = away.SendMessageBatch(t.Context(), &sqs.SendMessageBatchInput{QueueUrl: queue.QueueUrl, Entries: []types.SendMessageBatchRequestEntry{{Id: new("a"), MessageBody: new("x")}}})
			if tell(err) != tt.by {
				t.Errorf("the stranger's batch: %s, want %s", tell(err), tt.by)
			}
		})
	}
}

func TestSomeActionsAreNeverGrantedToOtherAccounts(t *testing.T) {
	s := localaws.New(localaws.Options{})
	home, away := enter(s, owner, "us-east-1").sqs, enter(s, stranger, "us-east-1").sqs
	out, err := home.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: new("work"), Attributes: map[string]string{"Policy": policyOf(statement("Allow", `"*"`, "*", ""))}})
	if err != nil {
		t.Fatal(err)
	}
	queue := out.QueueUrl
	for name, call := range map[string]func() error{
		"SetQueueAttributes": func() error {
			_, err := away.SetQueueAttributes(t.Context(), &sqs.SetQueueAttributesInput{QueueUrl: queue, Attributes: map[string]string{"DelaySeconds": "1"}})
			return err
		},
		"DeleteQueue": func() error {
			_, err := away.DeleteQueue(t.Context(), &sqs.DeleteQueueInput{QueueUrl: queue})
			return err
		},
		"TagQueue": func() error {
			_, err := away.TagQueue(t.Context(), &sqs.TagQueueInput{QueueUrl: queue, Tags: map[string]string{"a": "b"}})
			return err
		},
		"UntagQueue": func() error {
			_, err := away.UntagQueue(t.Context(), &sqs.UntagQueueInput{QueueUrl: queue, TagKeys: []string{"a"}})
			return err
		},
		"ListQueueTags": func() error {
			_, err := away.ListQueueTags(t.Context(), &sqs.ListQueueTagsInput{QueueUrl: queue})
			return err
		},
	} {
		if err := call(); code(err) != "AccessDenied" || !strings.Contains(err.Error(), "sqs:"+strings.ToLower(name)) {
			t.Errorf("%s: %v", name, err)
		}
	}
	got, err := away.GetQueueUrl(t.Context(), &sqs.GetQueueUrlInput{QueueName: new("work"), QueueOwnerAWSAccountId: new(owner)})
	if err != nil || *got.QueueUrl != *queue {
		t.Errorf("GetQueueUrl, which can be granted: %v, %v", got, err)
	}
	if _, err := away.PurgeQueue(t.Context(), &sqs.PurgeQueueInput{QueueUrl: queue}); err != nil {
		t.Errorf("PurgeQueue, which can be granted: %v", err)
	}
}

func TestTheOwnerCanTakeBackADenyOfEverything(t *testing.T) {
	k := newSQSKit()
	queue := k.create(t, "work", nil)
	if err := k.set(t, queue, map[string]string{"Policy": policyOf(statement("Deny", `"*"`, "sqs:*", ""))}); err != nil {
		t.Fatal(err)
	}
	if _, err := k.DeleteQueue(t.Context(), &sqs.DeleteQueueInput{QueueUrl: queue}); code(err) != "AccessDenied" {
		t.Errorf("DeleteQueue: %v", err)
	}
	if err := k.set(t, queue, map[string]string{"Policy": ""}); err != nil {
		t.Error(err)
	}
	k.send(t, queue, "x")
}

// aws-semantics §2.2 Q-25.
func TestAQueueCanBeOpenToTheAnonymous(t *testing.T) {
	k := newQueryKit(localaws.New(localaws.Options{}))
	open := k.create(t, "open", "Attribute.1.Name", "Policy", "Attribute.1.Value", policyOf(statement("Allow", `"*"`, "sqs:SendMessage", "")))
	shut := k.create(t, "shut", "Attribute.1.Name", "Policy", "Attribute.1.Value", policyOf(statement("Allow", `{"AWS":"000000000000"}`, "sqs:*", "")))
	nobody := k.as("", "")
	if a := nobody.get(t, open, "Action", "SendMessage", "MessageBody", "x"); a.status != http.StatusOK {
		t.Errorf("open: %d %s", a.status, a.text)
	}
	if a := nobody.get(t, shut, "Action", "SendMessage", "MessageBody", "x"); a.status != http.StatusForbidden || !a.says("<Code>AccessDenied</Code><Message>Access to the resource "+shut+" is denied.</Message>") {
		t.Errorf("shut: %d %s", a.status, a.text)
	}
	if a := nobody.get(t, open, "Action", "DeleteQueue"); a.status != http.StatusForbidden {
		t.Errorf("delete: %d %s", a.status, a.text)
	}
}

// aws-semantics §2.1 D-25.
func TestATopicPolicyDecidesWhoMayPublishAndSubscribe(t *testing.T) {
	const arn = "arn:aws:sns:us-east-1:111111111111:news"
	denied := func(action string) string {
		return "AuthorizationError: User: arn:aws:iam::222222222222:root is not authorized to perform: SNS:" + action + " on resource: " + arn
	}
	for _, tt := range []struct {
		name, policy       string
		publish, subscribe string
	}{
		{"the default policy", "", denied("Publish") + " because no resource-based policy allows the SNS:Publish action", denied("Subscribe") + " because no resource-based policy allows the SNS:Subscribe action"},
		{"another account may publish", policyOf(statement("Allow", `{"AWS":"222222222222"}`, "sns:Publish", "")), "ok", denied("Subscribe") + " because no resource-based policy allows the SNS:Subscribe action"},
		{"and subscribe queues", policyOf(statement("Allow", `"*"`, "sns:Publish", ""), statement("Allow", `{"AWS":"222222222222"}`, "sns:Subscribe", `{"StringEquals":{"sns:Protocol":"sqs"}}`)), "ok", "ok"},
		{"by https", policyOf(statement("Allow", `{"AWS":"222222222222"}`, "sns:Subscribe", `{"StringEquals":{"sns:Protocol":"https"}}`)), denied("Publish") + " because no resource-based policy allows the SNS:Publish action", denied("Subscribe") + " because no resource-based policy allows the SNS:Subscribe action"},
		{"for one endpoint", policyOf(statement("Allow", `{"AWS":"222222222222"}`, "sns:Subscribe", `{"ArnLike":{"SNS:Endpoint":"arn:aws:sqs:*:${aws:PrincipalAccount}:mine"}}`)), denied("Publish") + " because no resource-based policy allows the SNS:Publish action", "ok"},
		{"a deny comes first", policyOf(statement("Allow", `"*"`, "sns:Publish", ""), statement("Allow", `"*"`, "sns:Subscribe", ""), statement("Deny", `{"AWS":"222222222222"}`, "sns:Publish", "")), denied("Publish") + " with an explicit deny in a resource-based policy", "ok"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := localaws.New(localaws.Options{})
			home, away := enter(s, owner, "us-east-1"), enter(s, stranger, "us-east-1")
			attributes := map[string]string{}
			if tt.policy != "" {
				attributes["Policy"] = tt.policy
			}
			if _, err := home.sns.CreateTopic(t.Context(), &sns.CreateTopicInput{Name: new("news"), Attributes: attributes}); err != nil {
				t.Fatal(err)
			}
			if _, err := home.sns.Publish(t.Context(), &sns.PublishInput{TopicArn: aws.String(arn), Message: new("x")}); err != nil {
				t.Errorf("the owner: %v", err)
			}
			if _, err := away.sns.Publish(t.Context(), &sns.PublishInput{TopicArn: aws.String(arn), Message: new("x")}); tell(err) != tt.publish {
				t.Errorf("publish: %s, want %s", tell(err), tt.publish)
			}
			_, err := away.sns.Subscribe(t.Context(), &sns.SubscribeInput{TopicArn: aws.String(arn), Protocol: new("sqs"), Endpoint: new("arn:aws:sqs:us-east-1:222222222222:mine")})
			if tell(err) != tt.subscribe {
				t.Errorf("subscribe: %s, want %s", tell(err), tt.subscribe)
			}
			if _, err := away.sns.DeleteTopic(t.Context(), &sns.DeleteTopicInput{TopicArn: aws.String(arn)}); tt.policy == "" && err == nil {
				t.Error("a stranger deleted the topic")
			}
		})
	}
}

func TestARefusedTopicPolicyChangesNothing(t *testing.T) {
	s := localaws.New(localaws.Options{})
	home, away := enter(s, owner, "us-east-1").sns, enter(s, stranger, "us-east-1").sns
	allowed := policyOf(statement("Allow", `{"AWS":"222222222222"}`, "sns:Publish", ""))
	made, err := home.CreateTopic(t.Context(), &sns.CreateTopicInput{Name: new("news"), Attributes: map[string]string{"Policy": allowed}})
	if err != nil {
		t.Fatal(err)
	}
	set := func(policy string) error {
		_, err := home.SetTopicAttributes(t.Context(), &sns.SetTopicAttributesInput{TopicArn: made.TopicArn, AttributeName: new("Policy"), AttributeValue: &policy})
		return err
	}
	many := make([]string, 201)
	for i := range many {
		many[i] = stranger
	}
	_, added := home.AddPermission(t.Context(), &sns.AddPermissionInput{TopicArn: made.TopicArn, Label: new("many"), AWSAccountId: many, ActionName: []string{"Publish"}})
	for name, err := range map[string]error{
		"a condition nobody knows": set(policyOf(statement("Allow", `"*"`, "sns:Publish", `{"StringMatches":{"sns:Protocol":"sqs"}}`))),
		"too many principals":      added,
	} {
		if code, _ := snsCode(err); code != "InvalidParameter" {
			t.Errorf("%s: %v", name, err)
		}
	}
	got, err := home.GetTopicAttributes(t.Context(), &sns.GetTopicAttributesInput{TopicArn: made.TopicArn})
	if err != nil || got.Attributes["Policy"] != allowed {
		t.Errorf("the policy is %v, %v", got, err)
	}
	publish := &sns.PublishInput{TopicArn: made.TopicArn, Message: new("x")}
	if _, err := away.Publish(t.Context(), publish); err != nil {
		t.Errorf("after the refusals: %v", err)
	}
	if err := set(""); err != nil {
		t.Fatal(err)
	}
	if _, err := away.Publish(t.Context(), publish); err == nil {
		t.Error("without a policy of its own the topic is open to others")
	}
}

func TestASubscriptionIsItsSubscribersAndTheTopicOwners(t *testing.T) {
	s := localaws.New(localaws.Options{})
	home, away, third := enter(s, owner, "us-east-1").sns, enter(s, stranger, "us-east-1").sns, enter(s, "333333333333", "us-east-1").sns
	made, err := home.CreateTopic(t.Context(), &sns.CreateTopicInput{Name: new("news"), Attributes: map[string]string{"Policy": policyOf(statement("Allow", `{"AWS":"222222222222"}`, "sns:Subscribe", ""))}})
	if err != nil {
		t.Fatal(err)
	}
	sub, err := away.Subscribe(t.Context(), &sns.SubscribeInput{TopicArn: made.TopicArn, Protocol: new("sqs"), Endpoint: new("arn:aws:sqs:us-east-1:222222222222:mine"), ReturnSubscriptionArn: true})
	if err != nil {
		t.Fatal(err)
	}
	read := &sns.GetSubscriptionAttributesInput{SubscriptionArn: sub.SubscriptionArn}
	for name, client := range map[string]*sns.Client{"the subscriber": away, "the topic's owner": home} {
		out, err := client.GetSubscriptionAttributes(t.Context(), read)
		if err != nil || out.Attributes["Owner"] != stranger {
			t.Errorf("%s: %v, %v", name, out, err)
		}
	}
	if _, err := third.GetSubscriptionAttributes(t.Context(), read); code(err) != "AuthorizationError" {
		t.Errorf("a third account: %v", err)
	}
}
