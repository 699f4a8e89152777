package topology

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/stationmaster/worker/internal/awsarn"
	"github.com/stationmaster/worker/internal/iampolicy"
)

// Errand is what somebody else has to do for messages to arrive, because it is theirs to do, or because
// it cannot be seen from here whether it is done.
type Errand struct {
	For  string // the subscription, topic or key that needs it
	What string // who has to do what
	// Statement is a policy statement in JSON to add, Command an aws command line that does it; one of
	// them, or neither.
	Statement, Command string
}

// Errands are those that follow from the declaration alone.
func (t Topology) Errands(account Account) []Errand {
	l := t.layout(account)
	return l.errands(nil)
}

// errands are those that what was read does not show to be done. The state may be nil.
func (l *layout) errands(state *State) []Errand {
	var all []Errand
	for _, t := range l.ordered {
		all = append(all, l.topicErrands(t, state)...)
	}
	for _, s := range l.subscriptions {
		all = append(all, l.subscriptionErrands(s, state)...)
	}
	return append(all, l.keyErrands()...)
}

func (l *layout) topicErrands(t Topic, state *State) (all []Errand) {
	arn := l.topicARN(t.Name)
	if owner := awsarn.Parse(arn).Account; owner != l.account.ID && !l.subscribed(t.Name, state) {
		all = append(all, Errand{
			For:  "topic " + t.Name,
			What: "account " + owner + " has to let this account subscribe, by a statement in the topic's policy",
			Statement: statement(map[string]any{
				"Sid": "stationmaster-subscribe", "Effect": "Allow",
				"Principal": map[string]string{"AWS": l.account.root()},
				"Action":    []string{"sns:Subscribe", "sns:GetTopicAttributes", "sns:ListSubscriptionsByTopic"}, "Resource": arn,
			}),
		})
	}
	roles := map[string]bool{}
	for name, value := range t.Attributes {
		if strings.HasSuffix(name, "FailureFeedbackRoleArn") && value != "" {
			roles[value] = true
		}
	}
	for _, role := range slices.Sorted(maps.Keys(roles)) {
		all = append(all, Errand{
			For:  "topic " + t.Name,
			What: "the role " + role + " has to trust sns.amazonaws.com, and to be allowed to write logs",
			Statement: statement(map[string]any{
				"Effect": "Allow", "Resource": "*",
				"Action": []string{"logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents", "logs:PutMetricFilter", "logs:PutRetentionPolicy"},
			}),
		})
	}
	return all
}

// subscribed tells whether a topic has all our subscriptions already.
func (l *layout) subscribed(topic string, state *State) bool {
	if state == nil || state.Topics[topic] == nil {
		return false
	}
	for _, s := range l.subscriptions {
		if s.Topic == topic && state.Topics[topic].Find(l.endpoint(s)) == nil {
			return false
		}
	}
	return true
}

func (l *layout) subscriptionErrands(s Subscription, state *State) []Errand {
	about := "subscription " + s.name()
	topicARN := l.topicARN(s.Topic)
	switch s.Protocol {
	case sqs:
		return l.queueErrands(about, s, state)
	case "lambda":
		return []Errand{{
			For: about, What: "the function has to let the topic invoke it",
			Command: fmt.Sprintf("aws lambda add-permission --function-name %s --statement-id stationmaster-%s --action lambda:InvokeFunction --principal %s --source-arn %s",
				s.Endpoint, strings.ReplaceAll(awsarn.Name(topicARN), ".", "-"), snsFor(topicARN, s.Endpoint), topicARN),
		}}
	case "firehose":
		return []Errand{{
			For:  about,
			What: "the role " + s.Role + " has to trust sns.amazonaws.com, and to be allowed to write to the delivery stream; whoever applies this needs iam:PassRole for it",
			Statement: statement(map[string]any{
				"Effect": "Allow", "Resource": s.Endpoint,
				"Action": []string{"firehose:DescribeDeliveryStream", "firehose:ListDeliveryStreams", "firehose:ListTagsForDeliveryStream", "firehose:PutRecord", "firehose:PutRecordBatch"},
			}),
		}}
	case "email", "email-json":
		if !l.exists(s, state) {
			return []Errand{{For: about, What: "somebody has to click the link in the mail that SNS sends to " + s.Endpoint}}
		}
	case "sms":
		return []Errand{{For: about, What: "the account has to be out of the SMS sandbox, or the number verified in it, and its spending limit not reached"}}
	case "http", "https":
		if !s.Served && !l.exists(s, state) {
			return []Errand{{For: about, What: "whoever answers at " + Shown(s.Endpoint) + " has to confirm the subscription"}}
		}
	}
	return nil
}

// exists tells whether a subscription is there; one that is pending says by itself what it waits for.
func (l *layout) exists(s Subscription, state *State) bool {
	return state != nil && state.Topics[s.Topic] != nil && state.Topics[s.Topic].Find(l.endpoint(s)) != nil
}

// queueErrands are what the owner of a queue that is not ours has to do.
func (l *layout) queueErrands(about string, s Subscription, state *State) []Errand {
	q, declared := l.byName[s.Queue]
	if declared && !q.Unmanaged {
		return nil
	}
	if state != nil && declared {
		if have := state.Queues[q.Name]; have.Known() && l.evaluate(have.Attributes[attrPolicy], q.Name, s.Topic).Allowed {
			return nil
		}
	}
	text, err := json.Marshal(l.admission(s.Queue, s.Topic)[0])
	if err != nil {
		return nil // strings and maps of them always marshal
	}
	return []Errand{{
		For: about, What: "the queue's owner has to let the topic in, by a statement in the queue's policy; without it SNS throws away what it delivers",
		Statement: string(text),
	}}
}

// keyErrands are what the policies of the keys have to say that queues are encrypted with.
func (l *layout) keyErrands() (all []Errand) {
	topics := map[string][]string{}
	for _, q := range l.queues {
		key := q.Attributes[attrKey]
		for _, topic := range l.senders[q.Name] {
			if arn := l.topicARN(topic); key != "" && !slices.Contains(topics[key], arn) {
				topics[key] = append(topics[key], arn)
			}
		}
	}
	for _, key := range slices.Sorted(maps.Keys(topics)) {
		slices.Sort(topics[key])
		all = append(all, Errand{
			For: "key " + key, What: "the key's policy has to let SNS use it; without it SNS throws away what it delivers to the queues that it encrypts",
			Statement: statement(map[string]any{
				"Sid": "stationmaster-sns", "Effect": "Allow", "Principal": map[string]string{"Service": iampolicy.SNS}, // key, queue and topic are in one region
				"Action": []string{"kms:Decrypt", "kms:GenerateDataKey*"}, "Resource": "*",
				"Condition": map[string]any{"ArnEquals": map[string]any{"aws:SourceArn": topics[key]}},
			}),
		})
	}
	return all
}

// root is everybody in the account whom it lets.
func (a Account) root() string {
	partition := a.Partition
	if partition == "" {
		partition = "aws"
	}
	return "arn:" + partition + ":iam::" + a.ID + ":root"
}

func statement(s map[string]any) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if e.Encode(s) != nil {
		return "" // strings and lists of them always marshal
	}
	return strings.TrimSpace(b.String())
}
