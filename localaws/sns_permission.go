package localaws

import (
	"encoding/json"
	"slices"
)

// granted are the actions that a topic's policy can hold.
var granted = []string{
	"GetTopicAttributes", "SetTopicAttributes", "AddPermission", "RemovePermission", "DeleteTopic",
	"Subscribe", "ListSubscriptionsByTopic", "Publish", "Receive",
}

// grants is a policy of which nothing is understood but the names of its statements.
type grants struct {
	Version   string
	ID        string `json:"Id,omitempty"`
	Statement []json.RawMessage
}

// policy is the topic's, its own or the one that every topic begins with.
func (t *topic) policy() (g grants, err error) {
	err = json.Unmarshal([]byte(t.describe()["Policy"]), &g)
	return g, err
}

// sid is the name of a statement.
func sid(statement json.RawMessage) string {
	var named struct{ Sid string }
	if json.Unmarshal(statement, &named) != nil {
		return "" // a statement that is no object is nobody's
	}
	return named.Sid
}

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
	policy, err := t.policy()
	switch {
	case err != nil:
		return nil, invalidParameter("Policy Error: %s", err)
	case !permissionLabel.MatchString(label):
		return nil, invalidParameter("Label")
	case slices.ContainsFunc(policy.Statement, func(s json.RawMessage) bool { return sid(s) == label }):
		return nil, invalidParameter("Statement already exists")
	case len(accounts) == 0 || slices.ContainsFunc(accounts, func(a string) bool { return !accountID.MatchString(a) }):
		return nil, invalidParameter("AWSAccountId Reason: it must name accounts, with 12 digits each")
	case len(actions) == 0 || slices.ContainsFunc(actions, func(a string) bool { return !slices.Contains(granted, a) }):
		return nil, invalidParameter("Policy statement action out of service scope!")
	}
	var principals []string
	for _, account := range accounts {
		principals = append(principals, "arn:"+partition(t.region)+":iam::"+account+":root")
	}
	var names []string
	for _, action := range actions {
		names = append(names, "SNS:"+action)
	}
	policy.Statement = append(policy.Statement, json.RawMessage(plainText(struct {
		Sid, Effect string
		Principal   map[string]any
		Action      any
		Resource    string
	}{label, "Allow", map[string]any{"AWS": oneOrAll(principals)}, oneOrAll(names), t.arn})))
	return nil, asError(t.setPolicy(plainText(policy)))
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
	policy, err := t.policy()
	if err != nil {
		return nil, invalidParameter("Policy Error: %s", err)
	}
	policy.Statement = slices.DeleteFunc(policy.Statement, func(s json.RawMessage) bool { return sid(s) == label })
	text := ""
	if len(policy.Statement) > 0 {
		text = plainText(policy)
	}
	return nil, asError(t.setPolicy(text))
}

// oneOrAll is how AWS writes a list: without brackets when there is only one.
func oneOrAll(list []string) any {
	if len(list) == 1 {
		return list[0]
	}
	return list
}
