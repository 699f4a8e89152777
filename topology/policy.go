package topology

import (
	"encoding/json"
	"fmt"
	"strings"
)

// Quotas of a queue's policy. Source: "Amazon SQS policy quotas", Developer Guide. Beyond them SQS
// answers OverLimit, which reads like a throttle.
const (
	maxPolicyBytes = 8192
	maxStatements  = 20
)

// statement lets one topic send to one queue. The condition names the topic and not its
// subscription, also on a dead-letter queue of a delivery.
type statement struct {
	Sid       string                       `json:"Sid"`
	Effect    string                       `json:"Effect"`
	Principal map[string]string            `json:"Principal"`
	Action    string                       `json:"Action"`
	Resource  string                       `json:"Resource"`
	Condition map[string]map[string]string `json:"Condition"`
}

func (l *layout) statement(queueName, topic string) statement {
	return statement{
		Sid: sid(topic), Effect: "Allow", Principal: map[string]string{"Service": "sns.amazonaws.com"},
		Action: "sqs:SendMessage", Resource: l.queueARN(queueName),
		Condition: map[string]map[string]string{"ArnEquals": {"aws:SourceArn": l.topicARN(topic)}},
	}
}

// sid names the statement that belongs to a topic; the dot of ".fifo" is not allowed in one.
func sid(topic string) string { return "stationmaster-sns-" + strings.ReplaceAll(topic, ".", "-") }

// policy merges our statements into the policy that a queue has, by Sid, and keeps what others
// wrote. It returns the topics that were not allowed before; none: the policy is right as it is.
func (l *layout) policy(queueName, have string) (policy string, granted []string, err error) {
	topics := l.senders[queueName]
	if len(topics) == 0 {
		return have, nil, nil
	}
	document, statements, err := parsePolicy(have)
	if err != nil {
		return "", nil, err
	}
	for _, topic := range topics {
		own, err := json.Marshal(l.statement(queueName, topic))
		if err != nil {
			return "", nil, fmt.Errorf("policy: statement %s: %w", sid(topic), err)
		}
		at := -1
		for i, s := range statements {
			if sidOf(s) == sid(topic) {
				at = i
			}
		}
		switch {
		case at < 0:
			statements = append(statements, own)
		case same(attrPolicy, string(statements[at]), string(own)):
			continue
		default:
			statements[at] = own
		}
		granted = append(granted, topic)
	}
	if len(granted) == 0 {
		return have, nil, nil
	}
	if len(statements) > maxStatements {
		return "", nil, fmt.Errorf("policy: %d statements, at most %d: let fewer topics send to it, or remove statements of others", len(statements), maxStatements)
	}
	if document["Statement"], err = json.Marshal(statements); err != nil {
		return "", nil, fmt.Errorf("policy: %w", err)
	}
	text, err := json.Marshal(document)
	if err != nil {
		return "", nil, fmt.Errorf("policy: %w", err)
	}
	if len(text) > maxPolicyBytes {
		return "", nil, fmt.Errorf("policy: %d bytes, at most %d: let fewer topics send to it, or remove statements of others", len(text), maxPolicyBytes)
	}
	return string(text), granted, nil
}

// parsePolicy reads a policy without understanding the statements of others; an empty one is new.
func parsePolicy(text string) (document map[string]json.RawMessage, statements []json.RawMessage, err error) {
	if text == "" {
		return map[string]json.RawMessage{"Version": json.RawMessage(`"2012-10-17"`)}, nil, nil
	}
	if err := json.Unmarshal([]byte(text), &document); err != nil {
		return nil, nil, fmt.Errorf("policy is no JSON object; mend or remove it by hand: %w", err)
	}
	given := document["Statement"]
	if len(given) == 0 {
		return document, nil, nil
	}
	if given[0] == '{' { // one statement may stand without its list
		return document, []json.RawMessage{given}, nil
	}
	if err := json.Unmarshal(given, &statements); err != nil {
		return nil, nil, fmt.Errorf("policy: Statement is no list; mend or remove it by hand: %w", err)
	}
	return document, statements, nil
}

func sidOf(raw json.RawMessage) string {
	var s struct{ Sid string }
	if json.Unmarshal(raw, &s) != nil {
		return "" // not ours, whatever it is
	}
	return s.Sid
}
