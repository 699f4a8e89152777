package localaws_test

import (
	"context"
	"fmt"
	"net/http"
	"sync/atomic"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/stationmaster/worker/localaws"
)

// config is what a program needs to talk to a server instead of AWS: the server's Transport and any
// credentials. Here the access key is an account.
func config(s *localaws.Server, account string) aws.Config {
	return aws.Config{
		Region: "eu-west-1", BaseEndpoint: aws.String("http://localaws.test"),
		HTTPClient: &http.Client{Transport: s.Transport()},
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: account, SecretAccessKey: "any"}, nil
		}),
	}
}

// The first two sends are throttled, as AWS would; the SDK tries a third time.
func ExampleServer_Control() {
	ctx := context.Background()
	s := localaws.New(localaws.Options{})
	client := sqs.NewFromConfig(config(s, "111111111111"))
	queue, err := client.CreateQueue(ctx, &sqs.CreateQueueInput{QueueName: aws.String("work")})
	if err != nil {
		fmt.Println(err)
		return
	}
	var sends atomic.Int32
	stop := s.Control("SendMessage", func(r *localaws.Request) *localaws.Fault {
		if sends.Add(1) > 2 {
			return nil
		}
		return &localaws.Fault{Status: 403, Code: "RequestThrottled", Message: "Rate exceeded"}
	})
	defer stop()
	_, err = client.SendMessage(ctx, &sqs.SendMessageInput{QueueUrl: queue.QueueUrl, MessageBody: aws.String("hello")})
	fmt.Println(sends.Load(), "sends, error:", err)
	// Output: 3 sends, error: <nil>
}

// A message is lost because the queue's policy does not let SNS in. No call fails, as on AWS.
func ExampleServer_Dropped() {
	ctx := context.Background()
	s := localaws.New(localaws.Options{})
	s.Dropped(func(d localaws.Drop) { fmt.Println("lost:", d.Reason) })
	queues, topics := sqs.NewFromConfig(config(s, "111111111111")), sns.NewFromConfig(config(s, "111111111111"))
	_, err := queues.CreateQueue(ctx, &sqs.CreateQueueInput{QueueName: aws.String("work")})
	if err != nil {
		fmt.Println(err)
		return
	}
	topic, err := topics.CreateTopic(ctx, &sns.CreateTopicInput{Name: aws.String("news")})
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = topics.Subscribe(ctx, &sns.SubscribeInput{TopicArn: topic.TopicArn, Protocol: aws.String("sqs"), Endpoint: aws.String("arn:aws:sqs:eu-west-1:111111111111:work")})
	fmt.Println("subscribe:", err)
	_, err = topics.Publish(ctx, &sns.PublishInput{TopicArn: topic.TopicArn, Message: aws.String("hello")})
	fmt.Println("publish:", err)
	// Output:
	// subscribe: <nil>
	// lost: the queue's policy refuses: there is no policy
	// publish: <nil>
}

// An access key of 12 digits is an account of its own.
func ExampleNew() {
	ctx := context.Background()
	s := localaws.New(localaws.Options{})
	for _, account := range []string{"111111111111", "222222222222"} {
		who, err := sts.NewFromConfig(config(s, account)).GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(*who.Arn)
	}
	// Output:
	// arn:aws:iam::111111111111:root
	// arn:aws:iam::222222222222:root
}
