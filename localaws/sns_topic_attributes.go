package localaws

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/stationmaster/worker/internal/snsdelivery"
)

type attributesAnswer struct {
	Attributes xmlMap
}

func (c *call) getTopicAttributes() (any, error) {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	t, e := c.topic(c.form.Get("TopicArn"))
	if e != nil {
		return nil, e
	}
	return attributesAnswer{newXMLMap(t.describe())}, nil
}

// describe returns all attributes as they are read. MaximumMessageSize, SignatureVersion,
// TracingConfig and what concerns feedback are there only when they were set. Server.mu is held.
func (t *topic) describe() map[string]string {
	confirmed, pending := t.count()
	all := map[string]string{
		"TopicArn":                t.arn,
		"Owner":                   t.account,
		"DisplayName":             "",
		"Policy":                  defaultTopicPolicy(t.arn, t.account),
		"EffectiveDeliveryPolicy": t.delivery.Effective(),
		"SubscriptionsConfirmed":  strconv.Itoa(confirmed),
		"SubscriptionsPending":    strconv.Itoa(pending),
		"SubscriptionsDeleted":    strconv.Itoa(t.deleted),
	}
	if t.fifo {
		all["FifoTopic"], all["ContentBasedDeduplication"] = "true", "false"
	}
	maps.Copy(all, t.attributes)
	if t.delivery != nil {
		all["DeliveryPolicy"] = t.delivery.String()
	}
	return all
}

func defaultTopicPolicy(arn, account string) string {
	return fmt.Sprintf(`{"Version":"2008-10-17","Id":"__default_policy_ID","Statement":[{"Sid":"__default_statement_ID","Effect":"Allow","Principal":{"AWS":"*"},`+
		`"Action":["SNS:GetTopicAttributes","SNS:SetTopicAttributes","SNS:AddPermission","SNS:RemovePermission","SNS:DeleteTopic","SNS:Subscribe","SNS:ListSubscriptionsByTopic","SNS:Publish"],`+
		`"Resource":"%s","Condition":{"StringEquals":{"AWS:SourceOwner":"%s"}}}]}`, arn, account)
}

func (c *call) setTopicAttributes() (any, error) {
	name, value := c.form.Get("AttributeName"), c.form.Get("AttributeValue")
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	t, e := c.topic(c.form.Get("TopicArn"))
	if e == nil {
		e = checkTopicAttribute(name, value, t.fifo)
	}
	if e != nil {
		return nil, e
	}
	if name == "MaximumMessageSize" {
		if e := t.maySend(value); e != nil {
			return nil, e
		}
	}
	if name == "Policy" {
		return nil, asError(t.setPolicy(value))
	}
	t.set(name, value)
	return nil, nil // an action that answers nothing
}

// set changes an attribute that was checked, but Policy: see setPolicy. Nothing is back to its default.
func (t *topic) set(name, value string) {
	switch {
	case name == "DeliveryPolicy":
		t.delivery = nil
		if policy, err := snsdelivery.ParseTopic(value); err == nil {
			t.delivery = policy
		}
	case value == "":
		delete(t.attributes, name)
	default:
		t.attributes[name] = value
	}
}

// largeMost is how many subscriptions a topic can have that takes more than 256 KiB, and large the
// protocols of them. Source: "Large message payloads", Developer Guide.
const largeMost = 100

var large = []string{"sqs", "firehose", "lambda"}

// maySend tells whether a topic may have a MaximumMessageSize, by who is subscribed to it.
func (t *topic) maySend(size string) *apiError {
	n, err := strconv.Atoi(size)
	if err != nil {
		return invalidParameter("MaximumMessageSize: Invalid value [%s]. Must be between 1024 and 1048576.", size)
	}
	if n <= snsMaximumSize {
		return nil
	}
	if len(t.subscriptions) > largeMost {
		return invalidParameter("MaximumMessageSize Reason: above %d bytes a topic has at most %d subscriptions, not %d", snsMaximumSize, largeMost, len(t.subscriptions))
	}
	for _, sub := range t.subscriptions {
		if !slices.Contains(large, sub.options.protocol) {
			return invalidParameter("MaximumMessageSize Reason: above %d bytes a topic has subscriptions with %s, not with %s", snsMaximumSize, strings.Join(large, ", "), sub.options.protocol)
		}
	}
	return nil
}

// takesAnother tells whether another subscription leaves a topic its MaximumMessageSize.
func (t *topic) takesAnother(protocol string) *apiError {
	switch {
	case t.maximumSize() <= snsMaximumSize:
		return nil
	case len(t.subscriptions) >= largeMost:
		return invalidParameter("TopicArn Reason: a topic with a MaximumMessageSize above %d bytes has at most %d subscriptions", snsMaximumSize, largeMost)
	case !slices.Contains(large, protocol):
		return invalidParameter("Protocol Reason: a topic with a MaximumMessageSize above %d bytes has subscriptions with %s, not with %s", snsMaximumSize, strings.Join(large, ", "), protocol)
	}
	return nil
}

// feedback attributes are kept and read back; nothing is ever written to a log group.
func isFeedback(name string) bool {
	for _, protocol := range []string{"HTTP", "Firehose", "Lambda", "Application", "SQS"} {
		switch rest, found := strings.CutPrefix(name, protocol); {
		case !found:
		case rest == "SuccessFeedbackRoleArn", rest == "FailureFeedbackRoleArn", rest == "SuccessFeedbackSampleRate":
			return true
		}
	}
	return false
}

func checkTopicAttribute(name, value string, fifo bool) *apiError {
	switch name {
	case "DisplayName", "KmsMasterKeyId":
		return nil
	case "Policy": // readTopicPolicy does, which knows the topic
		return nil
	case "SignatureVersion":
		return oneOf(name, value, "1", "2")
	case "TracingConfig":
		if fifo && value == "Active" {
			return invalidParameter("TracingConfig: Active is for standard topics only")
		}
		return oneOf(name, value, "PassThrough", "Active")
	case "MaximumMessageSize":
		if size, err := strconv.Atoi(value); err != nil || size < 1024 || size > 1<<20 {
			return invalidParameter("MaximumMessageSize: Invalid value [%s]. Must be between 1024 and 1048576.", value)
		}
		return nil
	case "DeliveryPolicy":
		if value == "" {
			return nil // which takes it away
		}
		if _, err := snsdelivery.ParseTopic(value); err != nil {
			return invalidParameter("DeliveryPolicy: %s", err)
		}
		return nil
	case "ContentBasedDeduplication", "FifoThroughputScope", "ArchivePolicy":
		return checkFIFOAttribute(name, value, fifo)
	}
	if isFeedback(name) {
		return nil
	}
	return invalidParameter("AttributeName")
}

func checkFIFOAttribute(name, value string, fifo bool) *apiError {
	switch {
	case !fifo:
		return invalidParameter("AttributeName Reason: %s is an attribute of FIFO topics", name)
	case name == "ContentBasedDeduplication":
		return oneOf(name, strings.ToLower(value), "true", "false")
	case name == "FifoThroughputScope":
		return oneOf(name, value, "Topic", "MessageGroup")
	default:
		return unsupported("the topic attribute " + name + ", as topics keep no archive here,")
	}
}

// topicName: letters, digits, hyphens and underscores, and ".fifo" at the end of a FIFO topic's.
func topicName(name string, fifo bool) bool {
	word := name
	if fifo {
		word = strings.TrimSuffix(name, ".fifo")
	}
	return word != "" && len(name) <= 256 && isFIFO(name) == fifo && !strings.ContainsFunc(word, func(r rune) bool { return !isWord(r) })
}

func oneOf(name, value string, allowed ...string) *apiError {
	if slices.Contains(allowed, value) {
		return nil
	}
	return invalidParameter("%s: Invalid value [%s]. Must be one of %s.", name, value, strings.Join(allowed, ", "))
}
