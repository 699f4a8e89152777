package topology

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"

	"github.com/stationmaster/worker/queue"
)

// Finding is one thing that Verify did not find as declared.
type Finding struct {
	Kind string // "queue", "topic" or "subscription"
	Name string
	// Queue is the declared queue that suffers, empty for a topic. When it is Name, that queue
	// cannot be polled, or is not as declared.
	Queue string
	// Missing: it does not exist. Different: it does, and this is how it differs. Neither: it could
	// not be looked at, and Err says why.
	Missing   bool
	Different []string
	Err       error
	// Fix is the command or the permission that mends it.
	Fix string
}

// Error says the finding and the way out in a line.
func (f Finding) Error() string {
	var what string
	switch {
	case f.Missing:
		what = "does not exist"
	case len(f.Different) > 0:
		what = "is not as declared: " + strings.Join(f.Different, ", ")
	default:
		what = "cannot be verified: " + f.Err.Error()
	}
	return fmt.Sprintf("%s %s: %s; %s", f.Kind, f.Name, what, f.Fix)
}

// Unwrap offers the cause to errors.Is.
func (f Finding) Unwrap() error { return f.Err }

const (
	createFix = "create it with: worker topology apply"
	changeFix = "change it with: worker topology apply"
	queueFix  = "it is not managed here (manage = false): ask its owner, or correct its name, url or arn"
	topicFix  = "it is not managed here (manage = false): ask its owner, or correct its name or arn"
)

// withOwner adds the way out to the error of finding somebody else's queue.
func (q Queue) withOwner(err error) error {
	if q.Unmanaged && errors.Is(err, queue.ErrNotFound) {
		return fmt.Errorf("%w; %s", err, queueFix)
	}
	return err
}

// withOwner adds the way out to the error of finding somebody else's topic.
func (t Topic) withOwner(err error) error {
	if t.Unmanaged && errors.Is(err, queue.ErrNotFound) {
		return fmt.Errorf("%w; %s", err, topicFix)
	}
	return err
}

// Verify looks, without changing anything, whether the queues, topics and subscriptions are there
// and as declared. What is missing, differs or may not be looked at is a finding, so that the rest
// can work; an error is what concerns all of it: credentials, the network, an invalid topology.
// Of somebody else's queues and topics it looks only whether they exist.
func (t Topology) Verify(ctx context.Context, aws Reader, account Account) ([]Finding, error) {
	if err := t.check(account); err != nil {
		return nil, fmt.Errorf("verify topology: %w", err)
	}
	l := t.layout(account)
	s, err := l.observe(ctx, aws, ObserveOptions{Brief: true, tagless: true})
	if err != nil {
		return nil, fmt.Errorf("verify topology: %w", err)
	}
	v := &verifier{layout: &l, state: s}
	v.queues()
	v.topics()
	v.subscriptions()
	return v.findings, nil
}

type verifier struct {
	layout   *layout
	state    *State
	findings []Finding
}

// judge turns the error of reading a thing into a finding. It is done when there is nothing more to
// ask about the thing.
func (v *verifier) judge(err error, f Finding, permission string) (done bool) {
	switch {
	case err == nil:
		return false
	case errors.Is(err, queue.ErrNotFound):
		f.Missing, f.Err = true, err
		if f.Fix == "" {
			f.Fix = createFix
		}
	case errors.Is(err, queue.ErrDenied):
		f.Err, f.Fix = err, "allow "+permission+" to this worker's role"
	default:
		// Many workers that start at once must not keep each other from starting.
		f.Err, f.Fix = err, "too many ask at once: look again later"
	}
	v.findings = append(v.findings, f)
	return true
}

// differs notes how a thing differs, if it does.
func (v *verifier) differs(f Finding, different []string) {
	if len(different) > 0 {
		f.Different, f.Fix = different, changeFix
		v.findings = append(v.findings, f)
	}
}

func (v *verifier) queues() {
	for _, q := range v.layout.queues {
		f := Finding{Kind: "queue", Name: q.Name, Queue: q.Name}
		if victim, ok := v.layout.victims[q.Name]; ok {
			f.Queue = victim
		}
		if q.Unmanaged {
			f.Fix = queueFix
		}
		s := v.state.Queues[q.Name]
		permission := "sqs:GetQueueAttributes"
		if s.URL == "" {
			permission = "sqs:GetQueueUrl"
		}
		if q.Unmanaged && q.URL == "" && s.URL != "" {
			continue // it exists; the rest is its owner's
		}
		if !v.judge(s.Err, f, permission) && !q.Unmanaged {
			v.differs(f, v.queueDifference(q, s.Attributes))
		}
	}
}

func (v *verifier) queueDifference(q Queue, have map[string]string) []string {
	set, names := difference(have, v.layout.attributes(q))
	different := contrasts(have, set, names)
	// Whether a topic may send is asked of the policy, not whether our statement is in it: somebody
	// else's may let it in, or keep it out.
	for _, topic := range v.layout.senders[q.Name] {
		switch d := v.layout.evaluate(have[attrPolicy], q.Name, topic); {
		case d.Allowed:
		case len(d.Unknown) > 0:
			different = append(different, "its policy may keep topic "+topic+" out: "+d.Why+"; not understood: "+strings.Join(d.Unknown, ", "))
		default:
			different = append(different, "its policy does not let topic "+topic+" send: "+d.Why)
		}
	}
	return different
}

func (v *verifier) topics() {
	for _, topic := range v.layout.ordered {
		f := Finding{Kind: "topic", Name: topic.Name}
		if topic.Unmanaged {
			f.Fix = topicFix
		}
		s := v.state.Topics[topic.Name]
		if v.judge(s.Err, f, "sns:GetTopicAttributes") || topic.Unmanaged {
			continue
		}
		set, names := difference(s.Attributes, topic.Attributes)
		v.differs(f, contrasts(s.Attributes, set, names))
	}
}

func (v *verifier) subscriptions() {
	unlisted := make(map[string]bool)
	for _, s := range v.layout.subscriptions {
		topic := v.state.Topics[s.Topic]
		f := Finding{Kind: "subscription", Name: s.name(), Queue: s.Queue}
		switch {
		case topic.Missing() || unlisted[s.Topic]: // a finding has said it for all of them
		case v.judge(topic.ListErr, f, "sns:ListSubscriptionsByTopic"):
			unlisted[s.Topic] = true
		default:
			v.subscription(s, f, topic.Find(v.layout.endpoint(s)))
		}
	}
}

// subscription looks at one.
func (v *verifier) subscription(s Subscription, f Finding, found *SubscriptionState) {
	switch {
	case found == nil:
		v.judge(fmt.Errorf("subscription %s: %w", s.name(), queue.ErrNotFound), f, "")
		return
	case v.judge(found.Err, f, "sns:GetSubscriptionAttributes"):
		return
	case found.Pending():
		f.Different, f.Fix = []string{"it is pending, and nothing is delivered"}, pendingFix(s)
		v.findings = append(v.findings, f)
		return
	}
	have := maps.Clone(found.Attributes)
	set, names := subscriptionDifference(have, v.layout.subscription(s))
	v.differs(f, contrasts(have, set, names))
}

func pendingFix(s Subscription) string {
	switch {
	case s.Protocol == sqs:
		return "its queue's owner has to confirm it"
	case s.web():
		return "it has to confirm it; ask SNS for a new token with: worker topology apply"
	}
	return "its owner has to confirm it"
}

func contrasts(have, want map[string]string, names []string) []string {
	var all []string
	for _, name := range names {
		all = append(all, contrast(name, have[name], want[name]))
	}
	return all
}

// contrast says how one attribute differs. A document is not shown: it may be long, and what a
// filter looks for is nobody's business in a log.
func contrast(name, have, want string) string {
	switch {
	case want == "" || name == attrFilter && want == noFilter:
		return name + " is set"
	case have == "":
		return name + " is missing"
	case documents[name]:
		return name + " is another"
	}
	return fmt.Sprintf("%s is %s, not %s", name, have, want)
}
