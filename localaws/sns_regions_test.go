package localaws_test

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/stationmaster/worker/localaws"
)

// TestFromAnOptInRegionSNSComesByItsRegionsName: aws-semantics §1.4 and D-04. Whoever forgets it loses
// every message in silence.
func TestFromAnOptInRegionSNSComesByItsRegionsName(t *testing.T) {
	for _, tt := range []struct {
		topic, queue, service string
		arrives               bool
	}{
		{"us-east-1", "eu-west-1", "sns.amazonaws.com", true},
		{"af-south-1", "us-east-1", "sns.amazonaws.com", false},
		{"af-south-1", "us-east-1", "sns.af-south-1.amazonaws.com", true},
		{"af-south-1", "us-east-1", "sns.me-south-1.amazonaws.com", false},
		{"af-south-1", "af-south-1", "sns.amazonaws.com", true},
		{"us-east-1", "af-south-1", "sns.amazonaws.com", true},
	} {
		s := localaws.New(localaws.Options{})
		lost := 0
		s.Dropped(func(localaws.Drop) { lost++ })
		here, there := enter(s, topicOwner, tt.topic), enter(s, topicOwner, tt.queue)
		topic, err := here.sns.CreateTopic(t.Context(), &sns.CreateTopicInput{Name: aws.String("news")})
		if err != nil {
			t.Fatal(err)
		}
		arn := "arn:aws:sqs:" + tt.queue + ":" + topicOwner + ":work"
		policy := strings.NewReplacer(snsQueueARN("work"), arn, `"sns.amazonaws.com"`, `"`+tt.service+`"`).Replace(letIn("work", *topic.TopicArn))
		made, err := there.sqs.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: aws.String("work"), Attributes: map[string]string{"Policy": policy}})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := here.sns.Subscribe(t.Context(), &sns.SubscribeInput{TopicArn: topic.TopicArn, Protocol: aws.String("sqs"), Endpoint: &arn}); err != nil {
			t.Fatal(err)
		}
		if _, err := here.sns.Publish(t.Context(), &sns.PublishInput{TopicArn: topic.TopicArn, Message: aws.String("m")}); err != nil {
			t.Fatal(err)
		}
		out, err := there.sqs.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: made.QueueUrl})
		if err != nil || len(out.Messages) == 1 != tt.arrives || lost == 1 == tt.arrives {
			t.Errorf("%+v: %d messages, %d lost, %v", tt, len(out.Messages), lost, err)
		}
	}
}
