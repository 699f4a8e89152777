package localaws

import (
	"encoding/json"
	"regexp"
	"slices"
)

var (
	permissionLabel = regexp.MustCompile(`^[a-zA-Z0-9_-]{1,80}$`)
	accountID       = regexp.MustCompile(`^[0-9]{12}$`)
)

// policyDocument is a policy of which only the statements are looked at: AddPermission and
// RemovePermission of queues and topics add and remove them, and leave the others as they are.
type policyDocument struct {
	Version   string `json:",omitempty"`
	ID        string `json:"Id,omitempty"`
	Statement []json.RawMessage
}

// readDocument reads a policy that was accepted before, so that it is known to be one.
func readDocument(text string) policyDocument {
	var d struct {
		Version, ID string
		Statement   json.RawMessage
	}
	if json.Unmarshal([]byte(text), &d) != nil {
		return policyDocument{}
	}
	out := policyDocument{Version: d.Version, ID: d.ID}
	if json.Unmarshal(d.Statement, &out.Statement) != nil && len(d.Statement) > 0 {
		out.Statement = []json.RawMessage{d.Statement} // a single one needs no list
	}
	return out
}

// has tells whether there is a statement with a Sid.
func (d *policyDocument) has(sid string) bool {
	return slices.ContainsFunc(d.Statement, func(s json.RawMessage) bool { return hasSid(s, sid) })
}

// remove takes the statements with a Sid out.
func (d *policyDocument) remove(sid string) {
	d.Statement = slices.DeleteFunc(d.Statement, func(s json.RawMessage) bool { return hasSid(s, sid) })
}

func hasSid(statement json.RawMessage, sid string) bool {
	var named struct{ Sid string }
	if json.Unmarshal(statement, &named) != nil {
		return sid == "" // a statement that is no object is nobody's
	}
	return named.Sid == sid
}

// allow adds a statement in the form recorded on AWS. The actions have their service before them.
func (d *policyDocument) allow(sid, arn string, accounts, actions []string, partition string) {
	principals := make(oneOrMore, len(accounts))
	for i, account := range accounts {
		principals[i] = "arn:" + partition + ":iam::" + account + ":root"
	}
	d.Statement = append(d.Statement, json.RawMessage(plainText(struct {
		Sid, Effect string
		Principal   map[string]oneOrMore
		Action      oneOrMore
		Resource    string
	}{sid, "Allow", map[string]oneOrMore{"AWS": principals}, actions, arn})))
}

// text is the policy as it is set; without statements there is none.
func (d *policyDocument) text() string {
	if len(d.Statement) == 0 {
		return ""
	}
	return plainText(d)
}

// oneOrMore is a list as IAM writes it: a list of one is its value.
type oneOrMore []string

// MarshalJSON implements json.Marshaler.
func (o oneOrMore) MarshalJSON() ([]byte, error) {
	if len(o) == 1 {
		return json.Marshal(o[0])
	}
	return json.Marshal([]string(o))
}
