package awsapi

import (
	"context"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/sns"
	snstypes "github.com/aws/aws-sdk-go-v2/service/sns/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/stationmaster/worker/queue"
)

// Publish publishes m to a topic and returns SNS's MessageId, which every envelope carries. A
// request that the network or the service lost is repeated within ten seconds, which can publish
// twice.
func (c *Client) Publish(ctx context.Context, topicARN string, m queue.Message) (string, error) {
	in := &sns.PublishInput{TopicArn: &topicARN, Message: &m.Body, MessageAttributes: snsAttributes(m.Attributes)}
	if m.GroupID != "" {
		in.MessageGroupId = &m.GroupID
	}
	if m.DeduplicationID != "" {
		in.MessageDeduplicationId = &m.DeduplicationID
	}
	ctx, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	out, err := c.topics.Publish(ctx, in, traced(m.TraceHeader)...)
	if err != nil {
		return "", wrap("publish to", NameOf(topicARN), err)
	}
	return value(out.MessageId), nil
}

// PublishBatch publishes messages as one batch; the caller packs it, at most queue.MaxBatch. The answer
// is index-aligned, and a nil errs means that all were accepted. Requests are repeated as by Publish.
//
// SNS has one trace header for the whole request: that of the first message which has one.
func (c *Client) PublishBatch(ctx context.Context, topicARN string, messages []queue.Message) ([]string, []error) {
	b := batch{op: "publish to", queue: NameOf(topicARN), n: len(messages)}
	published := make([]string, b.n)
	if b.n == 0 || b.n > queue.MaxBatch {
		return published, b.wrongSize()
	}
	entries, header := make([]snstypes.PublishBatchRequestEntry, b.n), ""
	for i := range messages {
		m := &messages[i]
		entries[i] = snstypes.PublishBatchRequestEntry{Id: &ids[i], Message: &m.Body, MessageAttributes: snsAttributes(m.Attributes)}
		if m.GroupID != "" {
			entries[i].MessageGroupId = &m.GroupID
		}
		if m.DeduplicationID != "" {
			entries[i].MessageDeduplicationId = &m.DeduplicationID
		}
		if header == "" {
			header = m.TraceHeader
		}
	}
	ctx, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	out, err := c.topics.PublishBatch(ctx, &sns.PublishBatchInput{TopicArn: &topicARN, PublishBatchRequestEntries: entries}, traced(header)...)
	if err != nil {
		return published, b.failed(err)
	}
	for i := range out.Successful {
		if at, ok := b.accept(out.Successful[i].Id); ok {
			published[at] = value(out.Successful[i].MessageId)
		}
	}
	failed := make([]types.BatchResultErrorEntry, len(out.Failed))
	for i, f := range out.Failed {
		failed[i] = types.BatchResultErrorEntry{Id: f.Id, Code: f.Code, Message: f.Message, SenderFault: f.SenderFault}
	}
	return published, b.refused(failed)
}

// traced puts the trace header on a request: SNS has no parameter for it and passes the HTTP header on
// as AWSTraceHeader.
func traced(header string) []func(*sns.Options) {
	if header == "" {
		return nil
	}
	return []func(*sns.Options){sns.WithAPIOptions(smithyhttp.SetHeaderValue("X-Amzn-Trace-Id", header))}
}

// CreateTopic creates the topic and returns its ARN; a topic that exists is no error when the
// attributes and tags given match.
func (c *Client) CreateTopic(ctx context.Context, name string, attributes, tags map[string]string) (string, error) {
	in := &sns.CreateTopicInput{Name: &name, Attributes: attributes}
	for k, v := range tags {
		in.Tags = append(in.Tags, snstypes.Tag{Key: &k, Value: &v})
	}
	ctx, cancel := context.WithTimeout(ctx, controlTimeout)
	defer cancel()
	out, err := c.topics.CreateTopic(ctx, in)
	if err != nil {
		return "", wrap("create topic", name, err)
	}
	return value(out.TopicArn), nil
}

// TopicAttributes reads the attributes of a topic; an error that wraps queue.ErrNotFound when
// there is none.
func (c *Client) TopicAttributes(ctx context.Context, topicARN string) (map[string]string, error) {
	ctx, cancel := context.WithTimeout(ctx, controlTimeout)
	defer cancel()
	out, err := c.topics.GetTopicAttributes(ctx, &sns.GetTopicAttributesInput{TopicArn: &topicARN})
	if err != nil {
		return nil, wrap("read the attributes of topic", NameOf(topicARN), err)
	}
	return out.Attributes, nil
}

// SetTopicAttribute sets one attribute of a topic.
func (c *Client) SetTopicAttribute(ctx context.Context, topicARN, name, to string) error {
	ctx, cancel := context.WithTimeout(ctx, controlTimeout)
	defer cancel()
	_, err := c.topics.SetTopicAttributes(ctx, &sns.SetTopicAttributesInput{TopicArn: &topicARN, AttributeName: &name, AttributeValue: &to})
	return wrap("set "+name+" of topic", NameOf(topicARN), err)
}

// Subscribe subscribes endpoint with all attributes in one call and returns the subscription's
// ARN, also while it is pending. An existing subscription with the same attributes is no error;
// with others it is, wrapping queue.ErrRejected.
func (c *Client) Subscribe(ctx context.Context, topicARN, protocol, endpoint string, attributes map[string]string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, controlTimeout)
	defer cancel()
	out, err := c.topics.Subscribe(ctx, &sns.SubscribeInput{
		TopicArn: &topicARN, Protocol: &protocol, Endpoint: &endpoint, Attributes: attributes, ReturnSubscriptionArn: true,
	})
	if err != nil {
		name := NameOf(endpoint)
		if web := strings.HasPrefix(protocol, "http"); web {
			name = name[strings.LastIndexByte(name, '@')+1:] // what stands before it may be a password
		}
		return "", wrap("subscribe "+name+" to", NameOf(topicARN), err)
	}
	return value(out.SubscriptionArn), nil
}

// TopicSubscriptions returns all subscriptions of a topic, as they are listed.
func (c *Client) TopicSubscriptions(ctx context.Context, topicARN string) ([]queue.Subscription, error) {
	var all []queue.Subscription
	var next *string
	for {
		page, err := c.subscriptionPage(ctx, topicARN, next)
		if err != nil {
			return nil, wrap("list the subscriptions of", NameOf(topicARN), err)
		}
		all = append(all, listed(page.Subscriptions)...)
		if value(page.NextToken) == "" {
			return all, nil
		}
		next = page.NextToken
	}
}

func (c *Client) subscriptionPage(ctx context.Context, topicARN string, next *string) (*sns.ListSubscriptionsByTopicOutput, error) {
	ctx, cancel := context.WithTimeout(ctx, controlTimeout)
	defer cancel()
	return c.topics.ListSubscriptionsByTopic(ctx, &sns.ListSubscriptionsByTopicInput{TopicArn: &topicARN, NextToken: next})
}

// SubscriptionAttributes reads the attributes of a subscription.
func (c *Client) SubscriptionAttributes(ctx context.Context, subscriptionARN string) (map[string]string, error) {
	ctx, cancel := context.WithTimeout(ctx, controlTimeout)
	defer cancel()
	out, err := c.topics.GetSubscriptionAttributes(ctx, &sns.GetSubscriptionAttributesInput{SubscriptionArn: &subscriptionARN})
	if err != nil {
		return nil, wrap("read the attributes of subscription", subscriptionARN, err)
	}
	return out.Attributes, nil
}

// SetSubscriptionAttribute sets one attribute of a subscription. An empty RedrivePolicy is left out of
// the request: that is how SNS removes it.
func (c *Client) SetSubscriptionAttribute(ctx context.Context, subscriptionARN, name, to string) error {
	in := &sns.SetSubscriptionAttributesInput{SubscriptionArn: &subscriptionARN, AttributeName: &name}
	if to != "" || name != "RedrivePolicy" {
		in.AttributeValue = &to
	}
	ctx, cancel := context.WithTimeout(ctx, controlTimeout)
	defer cancel()
	_, err := c.topics.SetSubscriptionAttributes(ctx, in)
	return wrap("set "+name+" of subscription", subscriptionARN, err)
}

// Unsubscribe ends a subscription; one that has gone is no error, one that is pending is.
func (c *Client) Unsubscribe(ctx context.Context, subscriptionARN string) error {
	ctx, cancel := context.WithTimeout(ctx, controlTimeout)
	defer cancel()
	_, err := c.topics.Unsubscribe(ctx, &sns.UnsubscribeInput{SubscriptionArn: &subscriptionARN})
	return wrap("unsubscribe", subscriptionARN, err)
}
