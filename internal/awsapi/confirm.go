package awsapi

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/service/sns"
)

// ConfirmSubscription confirms the subscription that a token belongs to and returns its ARN: SNS goes
// by the token alone, and the topic must only be one of this region. The subscription can be ended
// with credentials only from then on, not by whoever sees the URL in one of its messages.
func (c *Client) ConfirmSubscription(ctx context.Context, topicARN, token string) (subscriptionARN string, err error) {
	yes := "true"
	ctx, cancel := context.WithTimeout(ctx, controlTimeout)
	defer cancel()
	out, err := c.topics.ConfirmSubscription(ctx, &sns.ConfirmSubscriptionInput{
		TopicArn: &topicARN, Token: &token, AuthenticateOnUnsubscribe: &yes,
	})
	if err != nil {
		return "", wrap("confirm a subscription to", NameOf(topicARN), err)
	}
	return value(out.SubscriptionArn), nil
}
