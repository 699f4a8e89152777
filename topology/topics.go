package topology

import (
	"context"
	"errors"
	"fmt"
	"maps"

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
		have, err = a.createTopic(ctx, t, arn)
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
			a.changed("topic", t.Name, describe(name, have[name], set[name]), whyTopic(name))
		}
	}
	if a.created[arn] || len(t.Tags) == 0 {
		return nil
	}
	tags, err := a.aws.TopicTags(ctx, arn)
	if err != nil {
		return err
	}
	return a.tag("topic", t.Name, tags, t.Tags, func(missing map[string]string) error { return a.aws.TagTopic(ctx, arn, missing) })
}

// createTopic makes a topic, which is not read then: the server that is asked may not know it yet.
func (a *applier) createTopic(ctx context.Context, t Topic, arn string) (have map[string]string, err error) {
	made, err := a.aws.CreateTopic(ctx, t.Name, immutable(t.Name, attrFIFOTopic), a.tagsOf(t.Tags))
	if errors.Is(err, queue.ErrRejected) {
		// Another one may have made it meanwhile with other tags, which SNS takes for another topic.
		if have, readErr := a.aws.TopicAttributes(ctx, arn); readErr == nil {
			return have, nil
		}
	}
	if err != nil {
		return nil, err
	}
	a.created[arn] = true
	a.changed("topic", t.Name, "create", "there is none", details(t.Attributes)...)
	if made != arn {
		// The policies name the ARN that was worked out; a message from another would be dropped.
		return nil, fmt.Errorf("topic %s: created as %s, expected %s: the account, region or partition is not the one of the endpoint; "+
			"check AWS_REGION and AWS_ENDPOINT_URL", t.Name, made, arn)
	}
	return nil, nil
}

// tagsOf are the tags of what is made here: those that are declared, and whose it is.
func (a *applier) tagsOf(declared map[string]string) map[string]string {
	if a.want.Owner == "" {
		return declared
	}
	all := map[string]string{OwnerTag: a.want.Owner}
	maps.Copy(all, declared)
	return all
}

// tag sets the declared tags that are missing or have another value. Others stay.
func (a *applier) tag(kind, name string, have, want map[string]string, set func(map[string]string) error) error {
	missing, names := difference(have, want)
	if len(missing) == 0 {
		return nil
	}
	if err := set(missing); err != nil {
		return err
	}
	for _, tag := range names {
		a.changed(kind, name, fmt.Sprintf("tag %s=%s", tag, want[tag]), "it is declared")
	}
	return nil
}

// withOwner adds the way out to the error of finding somebody else's topic.
func (t Topic) withOwner(err error) error {
	if t.Unmanaged && errors.Is(err, queue.ErrNotFound) {
		return fmt.Errorf("%w; it is not managed here (manage = false): ask its owner, or correct its name or arn", err)
	}
	return err
}
