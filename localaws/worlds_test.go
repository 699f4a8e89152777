package localaws_test

import (
	"context"
	"slices"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/stationmaster/worker/localaws"
)

// world is the clients of one account in one region.
type world struct {
	sqs *sqs.Client
	sns *sns.Client
	sts *sts.Client
}

func enter(s *localaws.Server, key, region string) world {
	cfg := sdkConfig(s, region)
	cfg.Credentials = aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		return aws.Credentials{AccessKeyID: key, SecretAccessKey: "secret"}, nil
	})
	return world{sqs.NewFromConfig(cfg), sns.NewFromConfig(cfg), sts.NewFromConfig(cfg)}
}

func TestTheAccessKeyNamesTheAccount(t *testing.T) {
	s := localaws.New(localaws.Options{Account: "999999999999"})
	for key, want := range map[string]string{
		"111111111111": "111111111111", "AKIA222222222222": "222222222222", "ASIA333333333333": "333333333333",
		"AKIAIOSFODNN7EXAMPLE": "999999999999", "1111": "999999999999",
	} {
		out, err := enter(s, key, "eu-west-1").sts.GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{})
		if err != nil || *out.Account != want || *out.Arn != "arn:aws:iam::"+want+":root" {
			t.Errorf("key %s: %+v, %v, want account %s", key, out, err, want)
		}
	}
}

func TestRegionsAndAccountsAreWorldsOfTheirOwn(t *testing.T) {
	s := localaws.New(localaws.Options{})
	home := enter(s, "111111111111", "us-east-1")
	made, err := home.sqs.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: new("work")})
	if err != nil {
		t.Fatal(err)
	}
	topic, err := home.sns.CreateTopic(t.Context(), &sns.CreateTopicInput{Name: new("news")})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := home.sns.Subscribe(t.Context(), &sns.SubscribeInput{
		TopicArn: topic.TopicArn, Protocol: new("sqs"), Endpoint: new("arn:aws:sqs:us-east-1:111111111111:work"),
	}); err != nil {
		t.Fatal(err)
	}
	for _, elsewhere := range []struct{ key, region string }{{"111111111111", "us-west-2"}, {"222222222222", "us-east-1"}} {
		w := enter(s, elsewhere.key, elsewhere.region)
		if _, err := w.sqs.GetQueueUrl(t.Context(), &sqs.GetQueueUrlInput{QueueName: new("work")}); !is[*types.QueueDoesNotExist](err) {
			t.Errorf("%v: the queue of another world: %v", elsewhere, err)
		}
		queues, err := w.sqs.ListQueues(t.Context(), &sqs.ListQueuesInput{})
		if err != nil || len(queues.QueueUrls) != 0 {
			t.Errorf("%v: queues %v, %v", elsewhere, queues, err)
		}
		topics, err := w.sns.ListTopics(t.Context(), &sns.ListTopicsInput{})
		if err != nil || len(topics.Topics) != 0 {
			t.Errorf("%v: topics %v, %v", elsewhere, topics, err)
		}
		subscriptions, err := w.sns.ListSubscriptions(t.Context(), &sns.ListSubscriptionsInput{})
		if err != nil || len(subscriptions.Subscriptions) != 0 {
			t.Errorf("%v: subscriptions %v, %v", elsewhere, subscriptions, err)
		}
		// The same names are free there.
		again, err := w.sqs.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: new("work"), Attributes: map[string]string{"DelaySeconds": "7"}})
		if err != nil || *again.QueueUrl != "http://localaws.test/"+elsewhere.key+"/work" {
			t.Errorf("%v: the same name: %v, %v", elsewhere, again, err)
		}
		if _, err := w.sns.CreateTopic(t.Context(), &sns.CreateTopicInput{Name: new("news"), Attributes: map[string]string{"DisplayName": "x"}}); err != nil {
			t.Errorf("%v: the same topic name: %v", elsewhere, err)
		}
	}
	queues, err := home.sqs.ListQueues(t.Context(), &sqs.ListQueuesInput{})
	if err != nil || !slices.Equal(queues.QueueUrls, []string{*made.QueueUrl}) {
		t.Errorf("at home: %v, %v", queues, err)
	}
	topics, err := home.sns.ListTopics(t.Context(), &sns.ListTopicsInput{})
	if err != nil || len(topics.Topics) != 1 || *topics.Topics[0].TopicArn != *topic.TopicArn {
		t.Errorf("at home: %v, %v", topics, err)
	}
}

// aws-semantics §1.2: ARNs begin with the partition of their region.
func TestTheRegionNamesThePartition(t *testing.T) {
	s := localaws.New(localaws.Options{})
	for region, partition := range map[string]string{"eu-west-1": "aws", "cn-north-1": "aws-cn", "us-gov-west-1": "aws-us-gov"} {
		w := enter(s, "111111111111", region)
		made, err := w.sqs.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: new("work")})
		if err != nil {
			t.Fatal(err)
		}
		got, err := w.sqs.GetQueueAttributes(t.Context(), &sqs.GetQueueAttributesInput{QueueUrl: made.QueueUrl, AttributeNames: []types.QueueAttributeName{"QueueArn"}})
		if want := "arn:" + partition + ":sqs:" + region + ":111111111111:work"; err != nil || got.Attributes["QueueArn"] != want {
			t.Errorf("queue %v, %v, want %s", got, err, want)
		}
		topic, err := w.sns.CreateTopic(t.Context(), &sns.CreateTopicInput{Name: new("news")})
		if want := "arn:" + partition + ":sns:" + region + ":111111111111:news"; err != nil || *topic.TopicArn != want {
			t.Errorf("topic %v, %v, want %s", topic, err, want)
		}
	}
}
