package ingress

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/stationmaster/worker/internal/snssign"
)

var errNoSNS = errors.New("nobody here may confirm subscriptions")

// confirm confirms a subscription of an expected topic, gives it what it is declared with and proves it
// by reading back. Any failure lets SNS post the token again, with which confirming is idempotent.
func (h *Handler) confirm(ctx context.Context, p *path, m *snssign.Message) answer {
	if h.o.SNS == nil {
		return again(errNoSNS)
	}
	topic := p.topics[m.TopicARN]
	arn, err := h.o.SNS.ConfirmSubscription(ctx, m.TopicARN, m.Token)
	if err != nil {
		return again(err)
	}
	// SNS goes by the token alone, whatever topic stands beside it.
	if !strings.HasPrefix(arn, m.TopicARN+":") {
		err := fmt.Errorf("a token of topic %s confirmed a subscription to another topic: %s", m.TopicARN, arn)
		if undo := h.o.SNS.Unsubscribe(ctx, arn); undo != nil {
			err = fmt.Errorf("%w; it could not be ended, so that its messages come and are refused: %w", err, undo)
		}
		p.Hooks.subscribed(ctx, Event{What: Foreign, Topic: m.TopicARN, SubscriptionARN: arn, Err: err})
		return answer{status: http.StatusForbidden, err: err, told: true}
	}
	p.Hooks.subscribed(ctx, Event{What: Confirmed, Topic: m.TopicARN, SubscriptionARN: arn})
	changed, err := attach(ctx, h.o.SNS, topic.Topic, arn)
	e := Event{What: Attached, Topic: m.TopicARN, SubscriptionARN: arn, Changed: changed, Err: err}
	if err != nil {
		e.What = NotAttached
		p.Hooks.subscribed(ctx, e)
		return answer{status: http.StatusServiceUnavailable, err: err, told: true}
	}
	p.Hooks.subscribed(ctx, e)
	return done
}

// unsubscribed says that a subscription was ended, and subscribes again if that is wanted. The URL in
// the message, which would undo it, is not fetched.
func (h *Handler) unsubscribed(ctx context.Context, p *path, m *snssign.Message) answer {
	topic := p.topics[m.TopicARN]
	p.Hooks.subscribed(ctx, Event{What: Unsubscribed, Topic: m.TopicARN})
	if !topic.Resubscribe {
		return done
	}
	if h.o.SNS == nil {
		return again(errNoSNS)
	}
	attributes := map[string]string{}
	for name, value := range topic.Attributes {
		if value != "" {
			attributes[name] = value
		}
	}
	arn, err := h.o.SNS.Subscribe(ctx, m.TopicARN, topic.Protocol, topic.Endpoint, attributes)
	p.Hooks.subscribed(ctx, Event{What: Resubscribed, Topic: m.TopicARN, SubscriptionARN: arn, Err: err})
	if err != nil {
		return answer{status: http.StatusServiceUnavailable, err: err, told: true}
	}
	return done
}
