package awsapi

import (
	"context"
	"fmt"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/stationmaster/worker/internal/awsarn"
)

// Identity is who the credentials are, and where.
type Identity struct{ Account, ARN, Partition, Region string }

// Identity asks STS who the caller is. ARNs of queues and topics follow from the answer.
func (c *Client) Identity(ctx context.Context) (Identity, error) {
	ctx, cancel := context.WithTimeout(ctx, controlTimeout)
	defer cancel()
	out, err := c.identity.GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	if err != nil {
		return Identity{}, wrap("get the caller's identity", "", err)
	}
	who := Identity{Account: value(out.Account), ARN: value(out.Arn), Partition: "aws", Region: c.region}
	if partition := awsarn.Parse(who.ARN).Partition; partition != "" {
		who.Partition = partition
	}
	return who, nil
}

// Counts are SQS's approximate numbers of messages: they settle about a minute after the last
// send.
type Counts struct{ Visible, InFlight, Delayed int64 }

// QueueCounts reads the counts of the queue at url.
func (c *Client) QueueCounts(ctx context.Context, url string) (Counts, error) {
	n, err := c.queueNumbers(ctx, "count the messages of", url, types.QueueAttributeNameApproximateNumberOfMessages,
		types.QueueAttributeNameApproximateNumberOfMessagesNotVisible, types.QueueAttributeNameApproximateNumberOfMessagesDelayed)
	if err != nil {
		return Counts{}, err
	}
	return Counts{Visible: n[0], InFlight: n[1], Delayed: n[2]}, nil
}

// queueNumbers reads attributes that are numbers, in the order asked.
func (c *Client) queueNumbers(ctx context.Context, op, url string, names ...types.QueueAttributeName) ([]int64, error) {
	ctx, cancel := context.WithTimeout(ctx, controlTimeout)
	defer cancel()
	out, err := c.control.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{QueueUrl: &url, AttributeNames: names})
	if err != nil {
		return nil, wrap(op, NameOf(url), err)
	}
	numbers := make([]int64, len(names))
	for i, name := range names {
		if numbers[i], err = strconv.ParseInt(out.Attributes[string(name)], 10, 64); err != nil {
			return nil, wrap(op, NameOf(url), fmt.Errorf("attribute %s is %q, must be a number", name, out.Attributes[string(name)]))
		}
	}
	return numbers, nil
}

// CreateQueue creates the queue and returns its URL; a queue that exists with these attributes is
// no error.
func (c *Client) CreateQueue(ctx context.Context, name string, attributes, tags map[string]string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, controlTimeout)
	defer cancel()
	out, err := c.control.CreateQueue(ctx, &sqs.CreateQueueInput{QueueName: &name, Attributes: attributes, Tags: tags})
	if err != nil {
		return "", wrap("create queue", name, err)
	}
	return value(out.QueueUrl), nil
}

// QueueURL returns the URL of a queue of account, or of the caller's own when account is empty;
// an error that wraps queue.ErrNotFound when there is none.
func (c *Client) QueueURL(ctx context.Context, name, account string) (string, error) {
	in := &sqs.GetQueueUrlInput{QueueName: &name}
	if account != "" {
		in.QueueOwnerAWSAccountId = &account
	}
	ctx, cancel := context.WithTimeout(ctx, controlTimeout)
	defer cancel()
	out, err := c.control.GetQueueUrl(ctx, in)
	if err != nil {
		return "", wrap("find queue", name, err)
	}
	return value(out.QueueUrl), nil
}

// QueueAttributes reads all attributes of the queue at url.
func (c *Client) QueueAttributes(ctx context.Context, url string) (map[string]string, error) {
	ctx, cancel := context.WithTimeout(ctx, controlTimeout)
	defer cancel()
	out, err := c.control.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{
		QueueUrl: &url, AttributeNames: []types.QueueAttributeName{types.QueueAttributeNameAll},
	})
	if err != nil {
		return nil, wrap("read the attributes of", NameOf(url), err)
	}
	return out.Attributes, nil
}

// SetQueueAttributes sets attributes and leaves the others; an empty value removes a policy.
func (c *Client) SetQueueAttributes(ctx context.Context, url string, attributes map[string]string) error {
	ctx, cancel := context.WithTimeout(ctx, controlTimeout)
	defer cancel()
	_, err := c.control.SetQueueAttributes(ctx, &sqs.SetQueueAttributesInput{QueueUrl: &url, Attributes: attributes})
	return wrap("set the attributes of", NameOf(url), err)
}
