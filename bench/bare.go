package main

import (
	"context"
	"fmt"
	"net/http"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"golang.org/x/sync/errgroup"
)

// loops is how many loops receive, on both sides.
const loops = 64

// config is where both sides find the stub.
func config(endpoint string) aws.Config {
	return aws.Config{
		Region:       "us-east-1",
		BaseEndpoint: &endpoint,
		Credentials:  credentials.NewStaticCredentialsProvider("test", "test", ""),
	}
}

// bare is the loop that people write first: receive ten, handle them, delete them, again. It has a
// connection per loop, which the SDK's default does not.
func bare(ctx context.Context, stub *child) error {
	cfg := config(stub.endpoint)
	cfg.HTTPClient = awshttp.NewBuildableClient().WithTransportOptions(func(t *http.Transport) {
		t.MaxIdleConnsPerHost = 2 * loops
	})
	client := sqs.NewFromConfig(cfg)
	group, ctx := errgroup.WithContext(ctx)
	for range loops {
		group.Go(func() error {
			for ctx.Err() == nil {
				if err := bareTurn(ctx, client, stub.queueURL()); err != nil && ctx.Err() == nil {
					return err
				}
			}
			return nil
		})
	}
	return group.Wait()
}

func bareTurn(ctx context.Context, client *sqs.Client, url string) error {
	received, err := client.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{
		QueueUrl:                    &url,
		MaxNumberOfMessages:         mostAtOnce,
		WaitTimeSeconds:             20,
		MessageAttributeNames:       []string{"All"},
		MessageSystemAttributeNames: []types.MessageSystemAttributeName{types.MessageSystemAttributeNameAll},
	})
	if err != nil {
		return fmt.Errorf("bare: receive: %w", err)
	}
	if len(received.Messages) == 0 {
		return nil
	}
	done := make([]types.DeleteMessageBatchRequestEntry, len(received.Messages))
	for i, m := range received.Messages {
		done[i] = types.DeleteMessageBatchRequestEntry{Id: aws.String(strconv.Itoa(i)), ReceiptHandle: m.ReceiptHandle}
	}
	deleted, err := client.DeleteMessageBatch(ctx, &sqs.DeleteMessageBatchInput{QueueUrl: &url, Entries: done})
	if err != nil {
		return fmt.Errorf("bare: delete: %w", err)
	}
	if n := len(deleted.Successful); n != len(done) {
		return fmt.Errorf("bare: delete: %d of %d accepted", n, len(done))
	}
	return nil
}
