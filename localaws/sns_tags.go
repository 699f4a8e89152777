package localaws

import (
	"maps"
	"slices"
)

// tagged finds the topic that a tag action names; these actions have a code of their own for none.
// c.s.mu is held.
func (c *call) tagged() (*topic, *apiError) {
	t, e := c.topic(c.form.Get("ResourceArn"))
	if e != nil && e.Code == "NotFound" {
		return nil, &apiError{Status: 404, Code: "ResourceNotFound", Message: "Resource does not exist"}
	}
	return t, e
}

func (c *call) tagTopic() (any, error) {
	tags, e := queryForm(c.form).tags()
	if e != nil {
		return nil, e
	}
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	t, e := c.tagged()
	if e != nil {
		return nil, e
	}
	merged := maps.Clone(t.tags)
	maps.Copy(merged, tags)
	if len(merged) > maxTags {
		return nil, refuse("TagLimitExceeded", "Could not complete request: tag quota of per resource exceeded")
	}
	t.tags = merged
	return struct{}{}, nil
}

func (c *call) untagTopic() (any, error) {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	t, e := c.tagged()
	if e != nil {
		return nil, e
	}
	for _, key := range queryForm(c.form).members("TagKeys") {
		delete(t.tags, key)
	}
	return struct{}{}, nil
}

func (c *call) listTopicTags() (any, error) {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	t, e := c.tagged()
	if e != nil {
		return nil, e
	}
	type tag struct{ Key, Value string }
	var answer struct {
		Tags struct {
			Member []tag `xml:"member"`
		}
	}
	for _, key := range slices.Sorted(maps.Keys(t.tags)) {
		answer.Tags.Member = append(answer.Tags.Member, tag{key, t.tags[key]})
	}
	return answer, nil
}
