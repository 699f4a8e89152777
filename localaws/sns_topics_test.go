package localaws_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	snstypes "github.com/aws/aws-sdk-go-v2/service/sns/types"
	"github.com/google/go-cmp/cmp"
)

// publishBy is the policy that lets an account publish to the topic.
func publishBy(account string) string {
	return `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"` + account + `"},"Action":"sns:Publish","Resource":"` + snsTopicARN + `"}]}`
}

func TestTopicAttributes(t *testing.T) {
	k := newSNSKit(t)
	k.topic(t, map[string]string{"SignatureVersion": "2"})
	for name, value := range map[string]string{
		"MaximumMessageSize": "1048576", "TracingConfig": "Active", "DisplayName": "Invitations",
		"SQSFailureFeedbackRoleArn": "arn:aws:iam::000000000000:role/feedback", "Policy": publishBy("210987654321"),
	} {
		if _, err := k.sns.SetTopicAttributes(t.Context(), &sns.SetTopicAttributesInput{TopicArn: aws.String(snsTopicARN), AttributeName: &name, AttributeValue: &value}); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	out, err := k.sns.GetTopicAttributes(t.Context(), &sns.GetTopicAttributesInput{TopicArn: aws.String(snsTopicARN)})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"DisplayName", "EffectiveDeliveryPolicy", "MaximumMessageSize", "Owner", "Policy", "SQSFailureFeedbackRoleArn",
		"SignatureVersion", "SubscriptionsConfirmed", "SubscriptionsDeleted", "SubscriptionsPending", "TopicArn", "TracingConfig",
	}
	if diff := cmp.Diff(want, slices.Sorted(maps.Keys(out.Attributes))); diff != "" {
		t.Error(diff)
	}
	if a := out.Attributes; a["SignatureVersion"] != "2" || a["Policy"] != publishBy("210987654321") || a["Owner"] != snsAccount || a["DisplayName"] != "Invitations" {
		t.Errorf("attributes %v", a)
	}
}

func TestCreateTopicAgain(t *testing.T) {
	tag := func(key, value string) snstypes.Tag { return snstypes.Tag{Key: &key, Value: &value} }
	for _, tt := range []struct {
		name       string
		attributes map[string]string
		tags       []snstypes.Tag
		says       string
	}{
		{name: "same", attributes: map[string]string{"DisplayName": "a"}, tags: []snstypes.Tag{tag("k", "v"), tag("l", "w")}},
		{name: "nothing"},
		{name: "fewer tags", tags: []snstypes.Tag{tag("l", "w")}},
		{name: "another value", attributes: map[string]string{"DisplayName": "b"}, says: "Invalid parameter: Attributes Reason: Topic already exists with different attributes"},
		{name: "an attribute that was never set", attributes: map[string]string{"SignatureVersion": "2"}, says: "Invalid parameter: Attributes Reason: Topic already exists with different attributes"},
		{name: "another tag", tags: []snstypes.Tag{tag("k", "other")}, says: "Invalid parameter: Tags Reason: Topic already exists with different tags"},
		{name: "one more tag", tags: []snstypes.Tag{tag("m", "x")}, says: "Invalid parameter: Tags Reason: Topic already exists with different tags"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			k := newSNSKit(t)
			first := &sns.CreateTopicInput{Name: aws.String("invitations"), Attributes: map[string]string{"DisplayName": "a"}, Tags: []snstypes.Tag{tag("k", "v"), tag("l", "w")}}
			if _, err := k.sns.CreateTopic(t.Context(), first); err != nil {
				t.Fatal(err)
			}
			out, err := k.sns.CreateTopic(t.Context(), &sns.CreateTopicInput{Name: aws.String("invitations"), Attributes: tt.attributes, Tags: tt.tags})
			if tt.says == "" {
				if err != nil || *out.TopicArn != snsTopicARN {
					t.Error(err)
				}
				return
			}
			if got, text := snsCode(err); got != "InvalidParameter" || text != tt.says {
				t.Errorf("%v, want %s", err, tt.says)
			}
		})
	}
}

// aws-semantics §1.2 (names, regions), §4.2 and D-29 of §2.1 (tracing), §1.6 (FIFO).
func TestTopicErrors(t *testing.T) {
	k := newSNSKit(t)
	k.topic(t, nil)
	create := func(name string, attributes map[string]string) error {
		_, err := k.sns.CreateTopic(t.Context(), &sns.CreateTopicInput{Name: &name, Attributes: attributes})
		return err
	}
	get := func(arn string) error {
		_, err := k.sns.GetTopicAttributes(t.Context(), &sns.GetTopicAttributesInput{TopicArn: &arn})
		return err
	}
	set := func(name, value string) error {
		_, err := k.sns.SetTopicAttributes(t.Context(), &sns.SetTopicAttributesInput{TopicArn: aws.String(snsTopicARN), AttributeName: &name, AttributeValue: &value})
		return err
	}
	for _, tt := range []struct {
		err        error
		code, text string
	}{
		{create("no good", nil), "InvalidParameter", "Invalid parameter: Topic Name"},
		{create("a.fifo", nil), "InvalidParameter", "Invalid parameter: Topic Name"},
		{create("a", map[string]string{"FifoTopic": "true"}), "InvalidParameter", "Invalid parameter: Topic Name"},
		{create(".fifo", map[string]string{"FifoTopic": "true"}), "InvalidParameter", "Invalid parameter: Topic Name"},
		{create("", nil), "InvalidParameter", "Invalid parameter: Topic Name"},
		{create(strings.Repeat("a", 257), nil), "InvalidParameter", "Invalid parameter: Topic Name"},
		{create("a", map[string]string{"ContentBasedDeduplication": "true"}), "InvalidParameter", "Invalid parameter: Attributes Reason: AttributeName Reason: ContentBasedDeduplication is an attribute of FIFO topics"},
		{create("a.fifo", map[string]string{"FifoTopic": "true", "FifoThroughputScope": "Queue"}), "InvalidParameter", "Invalid parameter: Attributes Reason: FifoThroughputScope: Invalid value [Queue]. Must be one of Topic, MessageGroup."},
		{create("a.fifo", map[string]string{"FifoTopic": "true", "TracingConfig": "Active"}), "InvalidParameter", "Invalid parameter: Attributes Reason: TracingConfig: Active is for standard topics only"},
		{create("a.fifo", map[string]string{"FifoTopic": "true", "ArchivePolicy": "{}"}), "InvalidParameter", ""},
		{set("FifoTopic", "false"), "InvalidParameter", "Invalid parameter: AttributeName"},
		{create("a", map[string]string{"Nonsense": "x"}), "InvalidParameter", "Invalid parameter: Attributes Reason: AttributeName"},
		{get("invitations"), "InvalidParameter", "Invalid parameter: TopicArn Reason: An ARN must have at least 6 elements, not 1"},
		{get("arn:aws:sns:eu-west-1:000000000000:invitations"), "InvalidParameter", "Invalid parameter: TopicArn"},
		{get("arn:aws:sns:us-east-1:000000000000:gone"), "NotFound", "Topic does not exist"},
		{set("SignatureVersion", "3"), "InvalidParameter", "Invalid parameter: SignatureVersion: Invalid value [3]. Must be one of 1, 2."},
		{set("MaximumMessageSize", "1048577"), "InvalidParameter", "Invalid parameter: MaximumMessageSize: Invalid value [1048577]. Must be between 1024 and 1048576."},
		{set("Policy", "{"), "InvalidParameter", ""},
		{set("Policy", publishBy("ada")), "InvalidParameter", `Invalid parameter: Policy Error: statement 1: Principal: "ada" is nobody: write "*", 12 digits, or the ARN of a root, user, role or session, without wildcards`},
		{set("Policy", strings.Replace(publishBy("210987654321"), ":Publish", ":*", 1)), "InvalidParameter", `Invalid parameter: Policy statement action out of service scope! (statement 1: Action: "sns:*" is not, or not only, an action on a topic, which are AddPermission, DeleteTopic, GetDataProtectionPolicy, GetTopicAttributes, ListSubscriptionsByTopic, ListTagsForResource, Publish, PutDataProtectionPolicy, Receive, RemovePermission, SetTopicAttributes, Subscribe)`},
		{set("Policy", strings.Replace(publishBy("210987654321"), snsTopicARN, snsTopicARN+"s", 1)), "InvalidParameter", `Invalid parameter: Policy Error: statement 1: Resource: "` + snsTopicARN + `s" is another than this topic: write ` + snsTopicARN},
		{create("a", map[string]string{"Policy": publishBy("210987654321")}), "InvalidParameter", `Invalid parameter: Attributes Reason: Policy Error: statement 1: Resource: "` + snsTopicARN + `" is another than this topic: write arn:aws:sns:us-east-1:000000000000:a`},
		{set("TopicArn", "x"), "InvalidParameter", "Invalid parameter: AttributeName"},
	} {
		if got, text := snsCode(tt.err); got != tt.code || tt.text != "" && text != tt.text {
			t.Errorf("got %v, want %s: %s", tt.err, tt.code, tt.text)
		}
	}
}

func TestListTopicsInPages(t *testing.T) {
	k := newSNSKit(t)
	var want []string
	for i := range 101 {
		out, err := k.sns.CreateTopic(t.Context(), &sns.CreateTopicInput{Name: aws.String(fmt.Sprintf("t%d", i))})
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, *out.TopicArn)
	}
	elsewhere, _ := k.clients("eu-west-1")
	if _, err := elsewhere.CreateTopic(t.Context(), &sns.CreateTopicInput{Name: aws.String("t0")}); err != nil {
		t.Fatal(err)
	}
	var got []string
	pages := 0
	for p := sns.NewListTopicsPaginator(k.sns, &sns.ListTopicsInput{}); p.HasMorePages(); pages++ {
		out, err := p.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, topic := range out.Topics {
			got = append(got, *topic.TopicArn)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" || pages != 2 {
		t.Errorf("%d pages\n%s", pages, diff)
	}
}

func TestTopicTags(t *testing.T) {
	k := newSNSKit(t)
	k.topic(t, nil)
	tag := func(key, value string) snstypes.Tag { return snstypes.Tag{Key: &key, Value: &value} }
	arn := aws.String(snsTopicARN)
	if _, err := k.sns.TagResource(t.Context(), &sns.TagResourceInput{ResourceArn: arn, Tags: []snstypes.Tag{tag("a", "1"), tag("b", "2")}}); err != nil {
		t.Fatal(err)
	}
	if _, err := k.sns.TagResource(t.Context(), &sns.TagResourceInput{ResourceArn: arn, Tags: []snstypes.Tag{tag("b", "3"), tag("c", "")}}); err != nil {
		t.Fatal(err)
	}
	if _, err := k.sns.UntagResource(t.Context(), &sns.UntagResourceInput{ResourceArn: arn, TagKeys: []string{"a", "never"}}); err != nil {
		t.Fatal(err)
	}
	out, err := k.sns.ListTagsForResource(t.Context(), &sns.ListTagsForResourceInput{ResourceArn: arn})
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, tag := range out.Tags {
		got[*tag.Key] = *tag.Value
	}
	if diff := cmp.Diff(map[string]string{"b": "3", "c": ""}, got); diff != "" {
		t.Error(diff)
	}
	_, err = k.sns.TagResource(t.Context(), &sns.TagResourceInput{ResourceArn: arn, Tags: []snstypes.Tag{tag("a", "1"), tag("a", "2")}})
	if got, text := snsCode(err); got != "InvalidParameter" || text != "Invalid parameter: Duplicated keys are not allowed." {
		t.Errorf("the same key twice: %v", err)
	}
	_, err = k.sns.ListTagsForResource(t.Context(), &sns.ListTagsForResourceInput{ResourceArn: aws.String(snsTopicARN + "x")})
	if got, _ := snsCode(err); got != "ResourceNotFound" {
		t.Errorf("tags of nothing: %v", err)
	}
}
