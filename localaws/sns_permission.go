package localaws

import "slices"

// granted are the actions that a topic's policy can hold.
var granted = []string{
	"GetTopicAttributes", "SetTopicAttributes", "AddPermission", "RemovePermission", "DeleteTopic",
	"Subscribe", "ListSubscriptionsByTopic", "Publish", "Receive",
}

// policy is the topic's, its own or the one that every topic begins with.
func (t *topic) policy() policyDocument { return readDocument(t.describe()["Policy"]) }

// addPermission adds a statement to the topic's policy, which cannot have conditions.
func (c *call) addPermission() (any, error) {
	f := queryForm(c.form)
	label, accounts, actions := f.get("Label"), f.members("AWSAccountId"), f.members("ActionName")
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	t, e := c.topic(f.get("TopicArn"))
	if e != nil {
		return nil, e
	}
	policy := t.policy()
	switch {
	case !permissionLabel.MatchString(label):
		return nil, invalidParameter("Label")
	case policy.has(label):
		return nil, invalidParameter("Statement already exists")
	case len(accounts) == 0 || slices.ContainsFunc(accounts, func(a string) bool { return !accountID.MatchString(a) }):
		return nil, invalidParameter("AWSAccountId Reason: it must name accounts, with 12 digits each")
	case len(actions) == 0 || slices.ContainsFunc(actions, func(a string) bool { return !slices.Contains(granted, a) }):
		return nil, invalidParameter("Policy statement action out of service scope!")
	}
	var names []string
	for _, action := range actions {
		names = append(names, "SNS:"+action)
	}
	policy.allow(label, t.arn, accounts, names, partition(t.region))
	return nil, asError(t.setPolicy(policy.text()))
}

// removePermission is idempotent. Without its last statement a topic has the policy of a new one.
func (c *call) removePermission() (any, error) {
	label := c.form.Get("Label")
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	t, e := c.topic(c.form.Get("TopicArn"))
	if e != nil {
		return nil, e
	}
	policy := t.policy()
	policy.remove(label)
	return nil, asError(t.setPolicy(policy.text()))
}
