package localaws

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// describe tells a control function what a call is about.
func (c *call) describe() *Request {
	r := &Request{Service: c.service, Action: c.action, Region: c.region, Account: c.account, Header: c.header, Body: c.body}
	if c.form != nil {
		r.Target, r.Entries = c.target(), c.entryIDs()
		return r
	}
	var body struct {
		QueueURL string `json:"QueueUrl"`
		Entries  []struct {
			ID string `json:"Id"`
		}
	}
	if err := decodeJSON(c.body, &body); err != nil {
		return r // the action itself will say what is wrong with it
	}
	r.Target = body.QueueURL
	for _, entry := range body.Entries {
		r.Entries = append(r.Entries, entry.ID)
	}
	return r
}

// target is what a request of the Query protocol is for.
func (c *call) target() string {
	for _, name := range []string{"QueueUrl", "TopicArn", "TargetArn", "ResourceArn", "SubscriptionArn"} {
		if value := c.form.Get(name); value != "" {
			return value
		}
	}
	return c.queuePath
}

// entryIDs are the ids of a batch, in order.
func (c *call) entryIDs() []string {
	list := "PublishBatchRequestEntries.member."
	if c.service == "sqs" {
		list = entryName(c.action, "Entries") + "."
	}
	type entry struct {
		number int
		id     string
	}
	var all []entry
	for name, values := range c.form {
		if rest, ok := strings.CutPrefix(name, list); ok && strings.HasSuffix(rest, ".Id") {
			if number, err := strconv.Atoi(strings.TrimSuffix(rest, ".Id")); err == nil {
				all = append(all, entry{number, values[0]})
			}
		}
	}
	slices.SortFunc(all, func(a, b entry) int { return cmp.Compare(a.number, b.number) })
	var ids []string
	for _, e := range all {
		ids = append(ids, e.id)
	}
	return ids
}
