package topology

import (
	"context"
	"errors"
	"fmt"

	"github.com/stationmaster/worker/queue"
)

// topics creates those that are missing and sets what differs, attribute by attribute as SNS wants
// it.
func (a *applier) topics(ctx context.Context) error {
	for _, t := range a.want.Topics {
		if t.Unmanaged {
			continue
		}
		if err := a.counted(func() error { return a.setTopic(ctx, t) }, false); err != nil {
			return err
		}
	}
	return nil
}

func (a *applier) setTopic(ctx context.Context, t Topic) error {
	arn := a.layout.topicARN(t.Name)
	have, err := a.aws.TopicAttributes(ctx, arn)
	if errors.Is(err, queue.ErrNotFound) {
		err = a.createTopic(ctx, t, arn)
	}
	if err != nil {
		return err
	}
	set, names := difference(have, t.Attributes)
	for _, name := range names {
		if err := a.aws.SetTopicAttribute(ctx, arn, name, set[name]); err != nil {
			return err
		}
		if !a.created[arn] {
			a.changed("topic", t.Name, describe(name, have[name], set[name]))
		}
	}
	return nil
}

// createTopic makes a topic, which is not read then: the server that is asked may not know it yet.
func (a *applier) createTopic(ctx context.Context, t Topic, arn string) error {
	made, err := a.aws.CreateTopic(ctx, t.Name, immutable(t.Name, attrFIFOTopic), t.Tags)
	if err != nil {
		return err
	}
	a.created[arn] = true
	a.changed("topic", t.Name, "create")
	if made != arn {
		// The policies name the ARN that was worked out; a message from another would be dropped.
		return fmt.Errorf("topic %s: created as %s, expected %s: the account, region or partition is not the one of the endpoint; "+
			"check AWS_REGION and AWS_ENDPOINT_URL", t.Name, made, arn)
	}
	return nil
}
