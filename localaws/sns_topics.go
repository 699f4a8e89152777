package localaws

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	// snsMaximumSize is what a topic takes unless its MaximumMessageSize says otherwise.
	snsMaximumSize = 262144
	maxTags        = 50
)

type topicAnswer struct {
	ARN string `xml:"TopicArn"`
}

// createTopic is idempotent only as far as the request asks for nothing that the topic is not.
func (c *call) createTopic() (any, error) {
	f := queryForm(c.form)
	name := f.get("Name")
	attributes, tags := f.entries("Attributes"), map[string]string(nil)
	fifo := strings.EqualFold(attributes["FifoTopic"], "true")
	if !topicName(name, fifo) {
		return nil, invalidParameter("Topic Name")
	}
	tags, e := f.tags()
	if e != nil {
		return nil, e
	}
	delete(attributes, "FifoTopic") // the name says the same
	for _, attribute := range slices.Sorted(maps.Keys(attributes)) {
		if e := checkTopicAttribute(attribute, attributes[attribute], fifo); e != nil {
			return nil, invalidParameter("Attributes Reason: %s", strings.TrimPrefix(e.Message, "Invalid parameter: "))
		}
	}
	arn := c.arn("sns", name)
	access, e := readTopicPolicy(attributes["Policy"], arn)
	if e != nil {
		return nil, invalidParameter("Attributes Reason: %s", strings.TrimPrefix(e.Message, "Invalid parameter: "))
	}
	if len(tags) > maxTags {
		return nil, refuse("TagLimitExceeded", "Could not complete request: tag quota of per resource exceeded")
	}

	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	t := c.s.sns.topics[arn]
	if t == nil {
		t = &topic{
			serial: c.s.sns.next(), arn: arn, region: c.region, account: c.account, fifo: fifo,
			attributes: map[string]string{}, access: access, tags: map[string]string{},
		}
		for attribute, value := range attributes {
			t.set(attribute, value)
		}
		maps.Copy(t.tags, tags)
		c.s.sns.topics[arn] = t
		return topicAnswer{arn}, nil
	}
	if have := t.describe(); !contains(have, attributes) {
		return nil, invalidParameter("Attributes Reason: Topic already exists with different attributes")
	}
	if !contains(t.tags, tags) {
		return nil, invalidParameter("Tags Reason: Topic already exists with different tags")
	}
	return topicAnswer{arn}, nil
}

// contains tells whether have holds everything of part, with the same values.
func contains(have, part map[string]string) bool {
	for key, value := range part {
		if got, has := have[key]; !has || got != value {
			return false
		}
	}
	return true
}

// deleteTopic is idempotent. Its subscriptions stay in the lists for a while.
func (c *call) deleteTopic() (any, error) {
	arn := c.form.Get("TopicArn")
	if e := c.checkTopicARN(arn); e != nil {
		return nil, e
	}
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	if t := c.s.sns.topics[arn]; t != nil {
		if e := c.mayUseTopic(t); e != nil {
			return nil, e
		}
		for _, sub := range t.subscriptions {
			sub.orphaned = time.Now()
		}
		delete(c.s.sns.topics, arn)
	}
	return nil, nil // an action that answers nothing
}

func (c *call) listTopics() (any, error) {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	var all []*topic
	for _, t := range c.s.sns.topics {
		if t.account == c.account && t.region == c.region {
			all = append(all, t)
		}
	}
	slices.SortFunc(all, func(a, b *topic) int { return cmp.Compare(a.serial, b.serial) })
	shown, next, e := page(c.form.Get("NextToken"), all, func(t *topic) int { return t.serial })
	if e != nil {
		return nil, e
	}
	var answer struct {
		Topics struct {
			Member []topicAnswer `xml:"member"`
		}
		NextToken string `xml:",omitempty"`
	}
	for _, t := range shown {
		answer.Topics.Member = append(answer.Topics.Member, topicAnswer{t.arn})
	}
	answer.NextToken = next
	return answer, nil
}

// page cuts the next 100 out of a sorted list. The token is the serial of the last one shown.
func page[T any](token string, all []T, serial func(T) int) (shown []T, next string, e *apiError) {
	after := 0
	if token != "" {
		var err error
		if after, err = strconv.Atoi(token); err != nil {
			return nil, "", invalidParameter("NextToken")
		}
	}
	from, _ := slices.BinarySearchFunc(all, after+1, func(v T, want int) int { return cmp.Compare(serial(v), want) })
	all = all[from:]
	if len(all) <= 100 {
		return all, "", nil
	}
	return all[:100], strconv.Itoa(serial(all[99])), nil
}
