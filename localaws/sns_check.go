package localaws

import (
	"strings"
	"unicode/utf8"
)

// baseType is String, Number or Binary, with or without a label after a dot; else empty.
func baseType(kind string) string {
	base, label, labeled := strings.Cut(kind, ".")
	if labeled && label == "" {
		return ""
	}
	switch base {
	case "String", "Number", "Binary":
		return base
	}
	return ""
}

// checkAttributeName has SNS's rules and words for the name of a message attribute.
func checkAttributeName(name string) *apiError {
	switch {
	case name == "":
		return invalidValue("The message attribute name must not be empty.")
	case len(name) > 256:
		return invalidValue("Length of message attribute name must be less than 256 bytes.")
	case name[0] == '.':
		return invalidValue("Invalid message attribute name starting with character '.' was found.")
	case name[len(name)-1] == '.':
		return invalidValue("Invalid message attribute name ending with character '.' was found.")
	case strings.Contains(name, ".."):
		return invalidValue("Message attribute name can not have successive '.' character.")
	}
	for _, r := range name {
		if !isWord(r) && r != '.' {
			return invalidValue("Invalid non-alphanumeric character '#x%X' was found in the message attribute name. Can only include alphanumeric characters, hyphens, underscores, or dots.", r)
		}
	}
	return nil
}

// isWord tells the characters of names: letters, digits, hyphen and underscore, all ASCII.
func isWord(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_'
}

// checkTopicARN takes an ARN of this call's region, or says what is wrong with it.
func (c *call) checkTopicARN(arn string) *apiError {
	parts := strings.Split(arn, ":")
	if len(parts) < 6 {
		return invalidParameter("TopicArn Reason: An ARN must have at least 6 elements, not %d", len(parts))
	}
	if parts[0] != "arn" || parts[2] != "sns" || len(parts) != 6 || parts[5] == "" || parts[3] != c.region {
		return invalidParameter("TopicArn")
	}
	return nil
}

// topic finds a topic that the caller may use, by its ARN. c.s.mu is held.
func (c *call) topic(arn string) (*topic, *apiError) {
	if e := c.checkTopicARN(arn); e != nil {
		return nil, e
	}
	t := c.s.sns.topics[arn]
	if t == nil {
		return nil, snsNotFound("Topic")
	}
	if e := c.mayUseTopic(t); e != nil {
		return nil, e
	}
	return t, nil
}

// subscription finds the subscription that the call names. c.s.mu is held.
func (c *call) subscription() (*subscription, *apiError) {
	arn := c.form.Get("SubscriptionArn")
	if e := checkSubscriptionARN(arn); e != nil {
		return nil, e
	}
	sub := c.s.sns.subscriptions[arn]
	if sub == nil || sub.region != c.region {
		return nil, snsNotFound("Subscription")
	}
	if t := c.s.sns.topics[sub.topic]; sub.account != c.account && (t == nil || t.account != c.account) {
		return nil, c.snsDenied("SNS:"+c.action, sub.topic, "because no resource-based policy allows the SNS:"+c.action+" action")
	}
	return sub, nil
}

func checkSubscriptionARN(arn string) *apiError {
	switch n := len(strings.Split(arn, ":")); {
	case n < 6:
		return invalidParameter("SubscriptionArn Reason: An ARN must have at least 6 elements, not %d", n)
	case n == 6: // a topic's
		return invalidParameter("SubscriptionId")
	}
	return nil
}

// checkSubject: no line breaks, no control characters, at most 100 characters.
func checkSubject(subject string) *apiError {
	if subject == "" || !utf8.ValidString(subject) || utf8.RuneCountInString(subject) > 100 ||
		strings.ContainsFunc(subject, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return invalidParameter("Subject")
	}
	return nil
}

// checkID: of a group or for deduplication, 1 to 128 printable ASCII characters without spaces.
func checkID(name, id string) *apiError {
	if id == "" || len(id) > 128 || strings.ContainsFunc(id, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
		return invalidParameter("%s Reason: it must have 1 to 128 characters of a-z, A-Z, 0-9 and ASCII punctuation", name)
	}
	return nil
}
