package awsapi

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/service/sns"
	snstypes "github.com/aws/aws-sdk-go-v2/service/sns/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
)

// QueueTags reads the tags of the queue at url.
func (c *Client) QueueTags(ctx context.Context, url string) (map[string]string, error) {
	ctx, cancel := context.WithTimeout(ctx, controlTimeout)
	defer cancel()
	out, err := c.control.ListQueueTags(ctx, &sqs.ListQueueTagsInput{QueueUrl: &url})
	if err != nil {
		return nil, wrap("list the tags of", NameOf(url), err)
	}
	return out.Tags, nil
}

// TagQueue sets tags of the queue at url and leaves the others.
func (c *Client) TagQueue(ctx context.Context, url string, tags map[string]string) error {
	ctx, cancel := context.WithTimeout(ctx, controlTimeout)
	defer cancel()
	_, err := c.control.TagQueue(ctx, &sqs.TagQueueInput{QueueUrl: &url, Tags: tags})
	return wrap("tag", NameOf(url), err)
}

// DeleteQueue deletes a queue and all that is in it.
func (c *Client) DeleteQueue(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, controlTimeout)
	defer cancel()
	_, err := c.control.DeleteQueue(ctx, &sqs.DeleteQueueInput{QueueUrl: &url})
	return wrap("delete queue", NameOf(url), err)
}

// queuesPage is how many queues a page of Queues brings: the most there can be.
const queuesPage = 1000

// Queues returns the URLs of all queues of this account and region.
func (c *Client) Queues(ctx context.Context) (urls []string, err error) {
	most := int32(queuesPage)
	in := &sqs.ListQueuesInput{MaxResults: &most}
	for {
		page, err := c.queuesPage(ctx, in)
		if err != nil {
			return nil, wrap("list the queues", "", err)
		}
		urls = append(urls, page.QueueUrls...)
		if value(page.NextToken) == "" {
			return urls, nil
		}
		in.NextToken = page.NextToken
	}
}

func (c *Client) queuesPage(ctx context.Context, in *sqs.ListQueuesInput) (*sqs.ListQueuesOutput, error) {
	ctx, cancel := context.WithTimeout(ctx, controlTimeout)
	defer cancel()
	return c.control.ListQueues(ctx, in)
}

// TopicTags reads the tags of a topic.
func (c *Client) TopicTags(ctx context.Context, topicARN string) (map[string]string, error) {
	ctx, cancel := context.WithTimeout(ctx, controlTimeout)
	defer cancel()
	out, err := c.topics.ListTagsForResource(ctx, &sns.ListTagsForResourceInput{ResourceArn: &topicARN})
	if err != nil {
		return nil, wrap("list the tags of topic", NameOf(topicARN), err)
	}
	tags := make(map[string]string, len(out.Tags))
	for _, tag := range out.Tags {
		tags[value(tag.Key)] = value(tag.Value)
	}
	return tags, nil
}

// TagTopic sets tags of a topic and leaves the others.
func (c *Client) TagTopic(ctx context.Context, topicARN string, tags map[string]string) error {
	in := &sns.TagResourceInput{ResourceArn: &topicARN}
	for k, v := range tags {
		in.Tags = append(in.Tags, snstypes.Tag{Key: &k, Value: &v})
	}
	ctx, cancel := context.WithTimeout(ctx, controlTimeout)
	defer cancel()
	_, err := c.topics.TagResource(ctx, in)
	return wrap("tag topic", NameOf(topicARN), err)
}

// DeleteTopic deletes a topic and ends its subscriptions.
func (c *Client) DeleteTopic(ctx context.Context, topicARN string) error {
	ctx, cancel := context.WithTimeout(ctx, controlTimeout)
	defer cancel()
	_, err := c.topics.DeleteTopic(ctx, &sns.DeleteTopicInput{TopicArn: &topicARN})
	return wrap("delete topic", NameOf(topicARN), err)
}

// Topics returns the ARNs of all topics of this account and region.
func (c *Client) Topics(ctx context.Context) (arns []string, err error) {
	var next *string
	for {
		page, err := c.topicsPage(ctx, next)
		if err != nil {
			return nil, wrap("list the topics", "", err)
		}
		for _, t := range page.Topics {
			arns = append(arns, value(t.TopicArn))
		}
		if next = page.NextToken; value(next) == "" {
			return arns, nil
		}
	}
}

func (c *Client) topicsPage(ctx context.Context, next *string) (*sns.ListTopicsOutput, error) {
	ctx, cancel := context.WithTimeout(ctx, controlTimeout)
	defer cancel()
	return c.topics.ListTopics(ctx, &sns.ListTopicsInput{NextToken: next})
}
