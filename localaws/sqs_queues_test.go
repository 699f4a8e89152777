package localaws_test

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/smithy-go"
	"github.com/google/go-cmp/cmp"
)

func TestANewQueueHasAWSsDefaults(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newSQSKit()
		queue := k.create(t, "work", nil)
		if *queue != "http://localaws.test/000000000000/work" {
			t.Errorf("QueueUrl = %s", *queue)
		}
		want := map[string]string{
			"ApproximateNumberOfMessages": "0", "ApproximateNumberOfMessagesNotVisible": "0", "ApproximateNumberOfMessagesDelayed": "0",
			"CreatedTimestamp": "946684800", "LastModifiedTimestamp": "946684800", // the start of a bubble
			"DelaySeconds": "0", "MaximumMessageSize": "1048576", "MessageRetentionPeriod": "345600",
			"QueueArn": sqsARN("work"), "ReceiveMessageWaitTimeSeconds": "0", "VisibilityTimeout": "30", "SqsManagedSseEnabled": "true",
		}
		if diff := cmp.Diff(want, k.get(t, queue)); diff != "" {
			t.Error(diff)
		}
		wait(t, time.Minute)
		if err := k.set(t, queue, map[string]string{"VisibilityTimeout": "45"}); err != nil {
			t.Fatal(err)
		}
		want["VisibilityTimeout"], want["LastModifiedTimestamp"] = "45", "946684860"
		if diff := cmp.Diff(want, k.get(t, queue)); diff != "" {
			t.Error(diff)
		}
	})
}

// aws-semantics §1.3.
func TestCreateQueueAgain(t *testing.T) {
	k := newSQSKit()
	queue := k.create(t, "work", map[string]string{"VisibilityTimeout": "10"})
	again := func(attributes map[string]string) error {
		out, err := k.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: new("work"), Attributes: attributes})
		if err == nil && *out.QueueUrl != *queue {
			t.Errorf("another URL: %s", *out.QueueUrl)
		}
		return err
	}
	for name, attributes := range map[string]map[string]string{
		"none": nil, "the same": {"VisibilityTimeout": "10"}, "a default": {"DelaySeconds": "0"},
	} {
		if err := again(attributes); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := again(map[string]string{"VisibilityTimeout": "11"}); !is[*types.QueueNameExists](err) || code(err) != "QueueAlreadyExists" {
		t.Errorf("another value: %v", err)
	}
	// What counts is what the attributes are now: the very call that made the queue fails.
	if err := k.set(t, queue, map[string]string{"VisibilityTimeout": "11"}); err != nil {
		t.Fatal(err)
	}
	if err := again(map[string]string{"VisibilityTimeout": "10"}); !is[*types.QueueNameExists](err) {
		t.Errorf("the original value: %v", err)
	}
}

func TestAttributesRefused(t *testing.T) {
	k := newSQSKit()
	queue := k.create(t, "work", nil)
	k.create(t, "closed", map[string]string{"RedriveAllowPolicy": `{"redrivePermission":"denyAll"}`})
	k.create(t, "listed", map[string]string{"RedriveAllowPolicy": `{"redrivePermission":"byQueue","sourceQueueArns":["` + sqsARN("other") + `"]}`})
	redrive := func(queue, count string) string {
		return `{"deadLetterTargetArn":"` + sqsARN(queue) + `","maxReceiveCount":` + count + `}`
	}
	before := k.get(t, queue)
	tests := []struct{ name, value, code string }{
		{"VisibilityTimeout", "43201", "InvalidAttributeValue"},
		{"VisibilityTimeout", "", "InvalidAttributeValue"},
		{"DelaySeconds", "901", "InvalidAttributeValue"},
		{"MaximumMessageSize", "1048577", "InvalidAttributeValue"},
		{"MaximumMessageSize", "1023", "InvalidAttributeValue"},
		{"MessageRetentionPeriod", "59", "InvalidAttributeValue"},
		{"ReceiveMessageWaitTimeSeconds", "many", "InvalidAttributeValue"},
		{"SqsManagedSseEnabled", "maybe", "InvalidAttributeValue"},
		{"Policy", "{", "InvalidAttributeValue"},
		{"Policy", strings.Repeat(" ", 8193), "OverLimit"},
		{"Policy", `{"Version":"2012-10-17","Statement":[` + strings.Repeat(sqsStatement+",", 20) + sqsStatement + `]}`, "OverLimit"},
		{"Policy", `{"Version":"2012-10-17","Statement":` + strings.Replace(sqsStatement, `"*"`, `{"Federated":"x"}`, 1) + `}`, "InvalidAttributeValue"},
		{"FifoQueue", "false", "InvalidAttributeName"},
		{"ContentBasedDeduplication", "true", "InvalidAttributeName"},
		{"DeduplicationScope", "queue", "InvalidAttributeName"},
		{"QueueArn", "arn", "InvalidAttributeName"},
		{"Speed", "fast", "InvalidAttributeName"},
		{"RedrivePolicy", "x", "InvalidParameterValue"},
		{"RedrivePolicy", `{"maxReceiveCount":3}`, "InvalidParameterValue"},
		{"RedrivePolicy", `{"deadLetterTargetArn":"` + sqsARN("listed") + `"}`, "InvalidParameterValue"},
		{"RedrivePolicy", redrive("work", "0"), "InvalidParameterValue"},
		{"RedrivePolicy", redrive("work", "1.5"), "InvalidParameterValue"},
		{"RedrivePolicy", redrive("work", `"a"`), "InvalidParameterValue"},
		{"RedrivePolicy", redrive("none", "3"), "InvalidParameterValue"},
		{"RedrivePolicy", redrive("closed", "3"), "InvalidParameterValue"},
		{"RedrivePolicy", redrive("listed", "3"), "InvalidParameterValue"},
		{"RedriveAllowPolicy", `{"redrivePermission":"byQueue"}`, "InvalidParameterValue"},
		{"RedriveAllowPolicy", `{"redrivePermission":"some"}`, "InvalidParameterValue"},
	}
	for _, tt := range tests {
		if err := k.set(t, queue, map[string]string{tt.name: tt.value}); code(err) != tt.code {
			t.Errorf("%s = %.60s: %v, want %s", tt.name, tt.value, err, tt.code)
		}
	}
	if diff := cmp.Diff(before, k.get(t, queue)); diff != "" {
		t.Errorf("refused attributes changed the queue: %s", diff)
	}
	_, err := k.GetQueueAttributes(t.Context(), &sqs.GetQueueAttributesInput{QueueUrl: queue, AttributeNames: []types.QueueAttributeName{"Speed"}})
	if !is[*types.InvalidAttributeName](err) {
		t.Errorf("read of an unknown attribute: %v", err)
	}
}

const sqsStatement = `{"Effect":"Allow","Principal":"*","Action":"sqs:SendMessage","Resource":"*"}`

// TestPolicyIsRefusedWithItsReason, in the words of SQS and then in ours.
func TestPolicyIsRefusedWithItsReason(t *testing.T) {
	k := newSQSKit()
	queue := k.create(t, "work", nil)
	for _, tt := range []struct{ policy, says string }{
		{strings.Replace(sqsStatement, `}`, `,"Condition":{"IpAddres":{"aws:SourceIp":"::1/128"}}}`, 1), "Invalid value for the parameter Policy. Reason: statement 1: condition IpAddres on aws:SourceIp: IpAddres is no operator"},
		{strings.Replace(sqsStatement, `}`, `,"Condition":{"IpAddress":{"aws:SourceIp":"localhost"}}}`, 1), `Invalid value for the parameter Policy. Reason: statement 1: condition IpAddress on aws:SourceIp: "localhost" is no range of addresses: write it as 203.0.113.0/24 or 2001:db8::/64`},
		{strings.Repeat(sqsStatement+",", 20) + sqsStatement, "21 statements were found in the submitted policy, max allowed is 20"},
	} {
		policy := map[string]string{"Policy": `{"Version":"2012-10-17","Statement":[` + tt.policy + `]}`}
		set := k.set(t, queue, policy)
		_, created := k.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: aws.String("other"), Attributes: policy})
		for _, err := range []error{set, created} {
			if e := smithy.APIError(nil); !errors.As(err, &e) || e.ErrorMessage() != tt.says {
				t.Errorf("%v\nwant %s", err, tt.says)
			}
		}
	}
}

func TestDocumentsAreTakenAway(t *testing.T) {
	k := newSQSKit()
	k.create(t, "listed", map[string]string{"RedriveAllowPolicy": `{"redrivePermission":"byQueue","sourceQueueArns":["` + sqsARN("work") + `"]}`})
	set := map[string]string{
		"Policy":        `{"Version":"2012-10-17","Statement":[` + sqsStatement + `]}`,
		"RedrivePolicy": `{"deadLetterTargetArn":"` + sqsARN("listed") + `","maxReceiveCount":"3"}`,
	}
	queue := k.create(t, "work", set)
	for name, value := range set {
		if got := k.get(t, queue)[name]; got != value {
			t.Errorf("%s = %s, want %s", name, got, value)
		}
		if err := k.set(t, queue, map[string]string{name: ""}); err != nil {
			t.Error(err)
		}
		if got, ok := k.get(t, queue)[name]; ok {
			t.Errorf("%s = %q after it was taken away", name, got)
		}
	}
}

// aws-semantics §1.5.
func TestEncryptionIsOfOneKind(t *testing.T) {
	k := newSQSKit()
	queue := k.create(t, "work", nil)
	steps := []struct {
		set       map[string]string
		key, mine string // KmsMasterKeyId, SqsManagedSseEnabled
		code      string
	}{
		{map[string]string{"KmsMasterKeyId": "any text"}, "any text", "false", ""},
		{map[string]string{"KmsMasterKeyId": "k", "SqsManagedSseEnabled": "true"}, "any text", "false", "InvalidAttributeName"},
		{map[string]string{"KmsMasterKeyId": ""}, "", "false", ""}, // silently without encryption, as on AWS
		{map[string]string{"SqsManagedSseEnabled": "true"}, "", "true", ""},
	}
	for i, step := range steps {
		if err := k.set(t, queue, step.set); code(err) != step.code {
			t.Errorf("step %d: %v, want %q", i, err, step.code)
		}
		all := k.get(t, queue)
		if all["KmsMasterKeyId"] != step.key || all["SqsManagedSseEnabled"] != step.mine {
			t.Errorf("step %d: %v", i, all)
		}
		if _, shown := all["KmsDataKeyReusePeriodSeconds"]; shown != (step.key != "") {
			t.Errorf("step %d: reuse period shown: %v", i, shown)
		}
	}
}

func TestListQueuesByPrefixRegionAndPage(t *testing.T) {
	k := newSQSKit()
	for _, name := range []string{"b-2", "a-1", "b-1", "b-3"} {
		k.create(t, name, nil)
	}
	elsewhere := sqs.NewFromConfig(sdkConfig(k.Server, "eu-west-1"))
	if _, err := elsewhere.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: new("b-4")}); err != nil {
		t.Fatal(err)
	}
	var got []string
	pages := sqs.NewListQueuesPaginator(k.Client, &sqs.ListQueuesInput{QueueNamePrefix: new("b-")}, func(o *sqs.ListQueuesPaginatorOptions) { o.Limit = 2 })
	n := 0
	for ; pages.HasMorePages(); n++ {
		out, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, u := range out.QueueUrls {
			got = append(got, u[strings.LastIndex(u, "/")+1:])
		}
	}
	if want := []string{"b-1", "b-2", "b-3"}; !slices.Equal(got, want) || n != 2 {
		t.Errorf("listed %v in %d pages, want %v in 2", got, n, want)
	}
	_, err := elsewhere.GetQueueUrl(t.Context(), &sqs.GetQueueUrlInput{QueueName: new("b-1")})
	if !is[*types.QueueDoesNotExist](err) {
		t.Errorf("a queue of another region: %v", err)
	}
	out, err := k.GetQueueUrl(t.Context(), &sqs.GetQueueUrlInput{QueueName: new("b-1")})
	if err != nil || !strings.HasSuffix(*out.QueueUrl, "/000000000000/b-1") {
		t.Errorf("GetQueueUrl: %v, %v", out, err)
	}
	for _, name := range []string{"", "a b", strings.Repeat("x", 81)} {
		if _, err := k.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: &name}); code(err) != "InvalidParameterValue" {
			t.Errorf("name %q: %v", name, err)
		}
	}
}

func TestTags(t *testing.T) {
	k := newSQSKit()
	out, err := k.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: new("work"), Tags: map[string]string{"team": "mail"}})
	if err != nil {
		t.Fatal(err)
	}
	tags := func() map[string]string {
		list, err := k.ListQueueTags(t.Context(), &sqs.ListQueueTagsInput{QueueUrl: out.QueueUrl})
		if err != nil {
			t.Fatal(err)
		}
		return list.Tags
	}
	if _, err := k.TagQueue(t.Context(), &sqs.TagQueueInput{QueueUrl: out.QueueUrl, Tags: map[string]string{"cost": "7"}}); err != nil {
		t.Fatal(err)
	}
	if got := tags(); !maps.Equal(got, map[string]string{"team": "mail", "cost": "7"}) {
		t.Errorf("tags %v", got)
	}
	if _, err := k.UntagQueue(t.Context(), &sqs.UntagQueueInput{QueueUrl: out.QueueUrl, TagKeys: []string{"team", "none"}}); err != nil {
		t.Fatal(err)
	}
	if got := tags(); !maps.Equal(got, map[string]string{"cost": "7"}) {
		t.Errorf("tags %v", got)
	}
}
