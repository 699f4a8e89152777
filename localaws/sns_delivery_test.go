package localaws_test

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	snstypes "github.com/aws/aws-sdk-go-v2/service/sns/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/stationmaster/worker/localaws"
)

// TestQueuePolicyDecidesEachDelivery: whoever forgets the policy loses messages and hears nothing;
// aws-semantics §1.4, and D-01 to D-03 of §2.1.
func TestQueuePolicyDecidesEachDelivery(t *testing.T) {
	const other = "arn:aws:sns:us-east-1:000000000000:other"
	deny := `{"Effect":"Deny","Principal":"*","Action":"sqs:*","Resource":"*","Condition":%s}`
	denying := func(condition string) string {
		return strings.Replace(letIn("q", snsTopicARN), `"Statement":[`, `"Statement":[`+strings.Replace(deny, "%s", condition, 1)+",", 1)
	}
	for _, tt := range []struct {
		name, policy, why string // why empty: delivered
	}{
		{"none", "", "the queue's policy refuses: there is no policy"},
		{"this topic", letIn("q", snsTopicARN), ""},
		{"another topic", letIn("q", other), "the queue's policy refuses: no statement allows sqs:SendMessage to sns.amazonaws.com (statement 1: condition ArnEquals on aws:SourceArn)"},
		{"another queue", letIn("p", snsTopicARN), "the queue's policy refuses: no statement allows sqs:SendMessage to sns.amazonaws.com (statement 1: another resource)"},
		{"this account", strings.Replace(letIn("q", snsTopicARN), `"ArnEquals":{"aws:SourceArn":"`+snsTopicARN, `"StringEquals":{"aws:SourceAccount":"`+snsAccount, 1), ""},
		{"another account", strings.Replace(letIn("q", snsTopicARN), `"ArnEquals":{"aws:SourceArn":"`+snsTopicARN, `"StringEquals":{"aws:SourceAccount":"111111111111`, 1), "the queue's policy refuses: no statement allows sqs:SendMessage to sns.amazonaws.com (statement 1: condition StringEquals on aws:SourceAccount)"},
		{"TLS only", denying(`{"Bool":{"aws:SecureTransport":"false"}}`), ""},
		{"our network only", denying(`{"StringNotEquals":{"aws:sourceVpce":"vpce-1"}}`), "the queue's policy refuses: statement 1 denies sqs:SendMessage to sns.amazonaws.com"},
		{"our network or a service", denying(`{"StringNotEquals":{"aws:sourceVpce":"vpce-1"},"BoolIfExists":{"aws:PrincipalIsAWSService":"false"}}`), ""},
		{"a day that has passed", strings.Replace(letIn("q", snsTopicARN), `"ArnEquals":{"aws:SourceArn":"`+snsTopicARN+`"}`, `"DateGreaterThan":{"aws:CurrentTime":"2020-01-01T00:00:00Z"}`, 1), ""},
		{"a day long ago", strings.Replace(letIn("q", snsTopicARN), `"ArnEquals":{"aws:SourceArn":"`+snsTopicARN+`"}`, `"DateLessThan":{"aws:CurrentTime":"2020-01-01T00:00:00Z"}`, 1), "the queue's policy refuses: no statement allows sqs:SendMessage to sns.amazonaws.com (statement 1: condition DateLessThan on aws:CurrentTime)"},
		{"a variable of the request", strings.Replace(letIn("q", snsTopicARN), `"ArnEquals":{"aws:SourceArn":"`+snsTopicARN, `"StringLike":{"aws:SourceArn":"arn:aws:sns:*:${aws:SourceAccount}:*`, 1), ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			k := newSNSKit(t)
			k.topic(t, nil)
			url := k.queue(t, "q", map[string]string{"Policy": tt.policy})
			sub := k.subscribe(t, "q", nil)
			id := k.publish(t, &sns.PublishInput{Message: aws.String("m")})
			var want []localaws.Drop
			arrives := 1
			if tt.why != "" {
				arrives = 0
				want = []localaws.Drop{{Reason: tt.why, TopicARN: snsTopicARN, SubscriptionARN: sub, QueueARN: snsQueueARN("q"), MessageID: id}}
			}
			// A deny would keep the test from looking, too.
			if _, err := k.sqs.SetQueueAttributes(t.Context(), &sqs.SetQueueAttributesInput{QueueUrl: &url, Attributes: map[string]string{"Policy": ""}}); err != nil {
				t.Fatal(err)
			}
			if got := len(k.receive(t, url)); got != arrives {
				t.Errorf("%d messages arrived, want %d", got, arrives)
			}
			if diff := cmp.Diff(want, k.dropped()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestPolicySurvivesOtherAttributes: it is read when it is set, and not when something else is.
func TestPolicySurvivesOtherAttributes(t *testing.T) {
	k := newSNSKit(t)
	k.topic(t, nil)
	url := k.open(t, "q")
	k.subscribe(t, "q", nil)
	if _, err := k.sqs.SetQueueAttributes(t.Context(), &sqs.SetQueueAttributesInput{QueueUrl: &url, Attributes: map[string]string{"VisibilityTimeout": "7"}}); err != nil {
		t.Fatal(err)
	}
	_, err := k.sqs.SetQueueAttributes(t.Context(), &sqs.SetQueueAttributesInput{QueueUrl: &url, Attributes: map[string]string{
		"Policy": strings.Replace(letIn("q", snsTopicARN), "ArnEquals", "ArnAlmostEquals", 1),
	}})
	if code, _ := snsCode(err); code != "InvalidAttributeValue" {
		t.Errorf("an operator nobody knows: %v", err)
	}
	k.publish(t, &sns.PublishInput{Message: aws.String("m")})
	if got := k.receive(t, url); len(got) != 1 || len(k.dropped()) > 0 {
		t.Errorf("messages %+v", got)
	}
}

// aws-semantics §1.1: a gap of a moment loses what is published in it.
func TestPolicyWrittenBetweenTwoMessages(t *testing.T) {
	k := newSNSKit(t)
	k.topic(t, nil)
	url := k.queue(t, "q", nil)
	k.subscribe(t, "q", map[string]string{"RawMessageDelivery": "true"})
	k.publish(t, &sns.PublishInput{Message: aws.String("too early")})
	for _, policy := range []string{letIn("q", snsTopicARN), ""} {
		if _, err := k.sqs.SetQueueAttributes(t.Context(), &sqs.SetQueueAttributesInput{QueueUrl: &url, Attributes: map[string]string{"Policy": policy}}); err != nil {
			t.Fatal(err)
		}
		k.publish(t, &sns.PublishInput{Message: aws.String("with the policy " + policy)})
	}
	got := k.receive(t, url)
	if len(got) != 1 || *got[0].Body != "with the policy "+letIn("q", snsTopicARN) {
		t.Errorf("messages %+v", got)
	}
	if drops := k.dropped(); len(drops) != 2 {
		t.Errorf("dropped %+v", drops)
	}
}

// aws-semantics §1.1 and D-10 of §2.1.
func TestQueueThatIsGone(t *testing.T) {
	k := newSNSKit(t)
	k.topic(t, nil)
	url := k.open(t, "q")
	sub := k.subscribe(t, "q", nil)
	if _, err := k.sqs.DeleteQueue(t.Context(), &sqs.DeleteQueueInput{QueueUrl: &url}); err != nil {
		t.Fatal(err)
	}
	id := k.publish(t, &sns.PublishInput{Message: aws.String("m")})
	want := []localaws.Drop{{Reason: "the queue does not exist", TopicARN: snsTopicARN, SubscriptionARN: sub, QueueARN: snsQueueARN("q"), MessageID: id}}
	if diff := cmp.Diff(want, k.dropped()); diff != "" {
		t.Error(diff)
	}
}

// TestQueueRefusesWhatSNSBrings: a message that fits the topic need not fit the queue.
func TestQueueRefusesWhatSNSBrings(t *testing.T) {
	k := newSNSKit(t)
	k.topic(t, nil)
	url := k.queue(t, "q", map[string]string{"Policy": letIn("q", snsTopicARN), "MaximumMessageSize": "1024"})
	k.subscribe(t, "q", nil)
	k.publish(t, &sns.PublishInput{Message: aws.String(strings.Repeat("m", 1000))}) // the envelope makes it longer
	drops := k.dropped()
	if len(drops) != 1 || !strings.HasPrefix(drops[0].Reason, "the queue refuses: ") || !strings.Contains(drops[0].Reason, "1024") {
		t.Errorf("dropped %+v", drops)
	}
	if got := k.receive(t, url); len(got) != 0 {
		t.Errorf("messages %+v", got)
	}
}

// TestSubscriptionDeadLetterQueue: its own policy counts, with the topic as the source; aws-semantics
// §1.2, §1.4, and D-18 of §2.1.
func TestSubscriptionDeadLetterQueue(t *testing.T) {
	for _, tt := range []struct {
		name    string
		raw     string
		dlq     map[string]string // nil: there is none
		arrives bool
		why     string
	}{
		{"enveloped", "false", map[string]string{"Policy": letIn("dlq", snsTopicARN)}, true, ""},
		{"raw", "true", map[string]string{"Policy": letIn("dlq", snsTopicARN)}, true, ""},
		{"it lets nobody in", "false", map[string]string{}, false, "the queue does not exist; dead-letter queue " + snsQueueARN("dlq") + ": the queue's policy refuses: there is no policy"},
		{"it is not there", "false", nil, false, "the queue does not exist; dead-letter queue " + snsQueueARN("dlq") + ": the queue does not exist"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			k := newSNSKit(t)
			k.topic(t, nil)
			url := ""
			if tt.dlq != nil {
				url = k.queue(t, "dlq", tt.dlq)
			}
			sub := k.subscribe(t, "gone", map[string]string{
				"RedrivePolicy": `{"deadLetterTargetArn":"` + snsQueueARN("dlq") + `"}`, "RawMessageDelivery": tt.raw,
			})
			id := k.publish(t, &sns.PublishInput{Message: aws.String("m"), MessageAttributes: map[string]snstypes.MessageAttributeValue{"a": snsText("String", "x")}})
			var want []localaws.Drop
			if tt.why != "" {
				want = []localaws.Drop{{Reason: tt.why, TopicARN: snsTopicARN, SubscriptionARN: sub, QueueARN: snsQueueARN("gone"), MessageID: id}}
			}
			if diff := cmp.Diff(want, k.dropped()); diff != "" {
				t.Error(diff)
			}
			if url == "" {
				return
			}
			got := k.receive(t, url)
			if (len(got) == 1) != tt.arrives {
				t.Fatalf("messages %+v", got)
			}
			if !tt.arrives {
				return
			}
			// SNS adds nothing: the dead letter is what the queue would have got.
			if raw := tt.raw == "true"; (*got[0].Body == "m") != raw || raw != (len(got[0].MessageAttributes) == 1) || !raw && !strings.Contains(*got[0].Body, id) {
				t.Errorf("dead letter %s with %v", *got[0].Body, got[0].MessageAttributes)
			}
		})
	}
}

// aws-semantics §1.3, and D-12 and D-13 of §2.1.
func TestFilters(t *testing.T) {
	k := newSNSKit(t)
	k.topic(t, nil)
	urls := map[string]string{}
	for name, attributes := range map[string]map[string]string{
		"all":       {},
		"attribute": {"FilterPolicy": `{"event":["user_invited"]}`},
		"body":      {"FilterPolicy": `{"event":["user_invited"],"user":{"plan":["pro"]}}`, "FilterPolicyScope": "MessageBody"},
		"dropped":   {"FilterPolicyScope": "MessageBody"}, // a scope alone filters nothing
	} {
		urls[name] = k.open(t, name)
		// A message that a filter keeps away is no failure: it goes to no dead-letter queue.
		attributes["RedrivePolicy"] = `{"deadLetterTargetArn":"` + snsQueueARN("nowhere") + `"}`
		attributes["RawMessageDelivery"] = "true"
		k.subscribe(t, name, attributes)
	}
	event := map[string]snstypes.MessageAttributeValue{"event": snsText("String", "user_invited")}
	k.publish(t, &sns.PublishInput{Message: aws.String("1"), MessageAttributes: event})
	k.publish(t, &sns.PublishInput{Message: aws.String(`{"event":"user_invited","user":{"plan":"pro"},"n":2}`)})
	k.publish(t, &sns.PublishInput{Message: aws.String(`{"event":"user_invited","user":{"plan":"free"},"n":3}`)})
	k.publish(t, &sns.PublishInput{Message: aws.String(`{"default":"4"}`), MessageStructure: aws.String("json"), MessageAttributes: event}) // attributes are not sent
	want := map[string]int{"all": 4, "attribute": 1, "body": 1, "dropped": 4}
	got := map[string]int{}
	for name, url := range urls {
		got[name] = len(k.receive(t, url))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if drops := k.dropped(); len(drops) > 0 {
		t.Errorf("dropped %+v", drops)
	}
}

// TestFanOut: one publish, one SNS id, a message of its own in each queue.
func TestFanOut(t *testing.T) {
	k := newSNSKit(t)
	k.topic(t, nil)
	sqsIDs := map[string]bool{}
	urls := []string{k.open(t, "email"), k.open(t, "webhook"), k.open(t, "analytics")}
	for _, name := range []string{"email", "webhook", "analytics"} {
		k.subscribe(t, name, nil)
	}
	id := k.publish(t, &sns.PublishInput{Message: aws.String("m")})
	for _, url := range urls {
		got := k.receive(t, url)
		if len(got) != 1 || !strings.Contains(*got[0].Body, id) {
			t.Fatalf("%s: %+v", url, got)
		}
		sqsIDs[*got[0].MessageId] = true
	}
	if len(sqsIDs) != 3 {
		t.Errorf("SQS ids %v", sqsIDs)
	}
}

// TestQueueOfAnotherRegion: a topic delivers across regions, but is called in its own; aws-semantics
// §1.2.
func TestQueueOfAnotherRegion(t *testing.T) {
	k := newSNSKit(t)
	k.topic(t, nil)
	_, there := k.clients("eu-west-1")
	arn := "arn:aws:sqs:eu-west-1:000000000000:far"
	out, err := there.CreateQueue(t.Context(), &sqs.CreateQueueInput{
		QueueName: aws.String("far"), Attributes: map[string]string{"Policy": strings.Replace(letIn("far", snsTopicARN), snsQueueARN("far"), arn, 1)},
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := k.trySubscribe(t, "sqs", arn, map[string]string{"RawMessageDelivery": "true"}); err != nil {
		t.Fatal(err)
	}
	k.publish(t, &sns.PublishInput{Message: aws.String("m")})
	got, err := there.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: out.QueueUrl})
	if err != nil || len(got.Messages) != 1 {
		t.Errorf("%v, %v", got, err)
	}
	if diff := cmp.Diff([]localaws.Drop(nil), k.dropped(), cmpopts.EquateEmpty()); diff != "" {
		t.Error(diff)
	}
}
