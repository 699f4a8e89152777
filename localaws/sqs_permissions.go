package localaws

import (
	"encoding/json"
	"net/http"
	"regexp"
	"slices"
	"strings"
)

var (
	permissionLabel = regexp.MustCompile(`^[a-zA-Z0-9_-]{1,80}$`)
	accountID       = regexp.MustCompile(`^[0-9]{12}$`)
)

// Quotas of a queue's policy that the parameters can exceed already. Source: "Amazon SQS policy
// quotas", Developer Guide.
const (
	maxPrincipals = 50
	maxActions    = 7 // of a statement
)

// What AddPermission can grant, and what nobody can be granted. Actions on batches are granted with
// those on one message. Source: AddPermission, SQS API reference.
var (
	grantable = []string{
		"*", "ChangeMessageVisibility", "DeleteMessage", "GetQueueAttributes", "GetQueueUrl",
		"ListDeadLetterSourceQueues", "PurgeQueue", "ReceiveMessage", "SendMessage",
	}
	ownersOnly = []string{
		"AddPermission", "CancelMessageMoveTask", "CreateQueue", "DeleteQueue", "ListMessageMoveTasks", "ListQueueTags", "ListQueues",
		"RemovePermission", "SetQueueAttributes", "StartMessageMoveTask", "TagQueue", "UntagQueue",
	}
)

func overLimit(format string, args ...any) *apiError {
	e := refuse("OverLimit", format, args...)
	e.Status = http.StatusForbidden
	return e
}

// policyDocument is a policy of which only the statements are looked at.
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

// oneOrMore is a list as IAM writes it: a list of one is its value.
type oneOrMore []string

// MarshalJSON implements json.Marshaler.
func (o oneOrMore) MarshalJSON() ([]byte, error) {
	if len(o) == 1 {
		return json.Marshal(o[0])
	}
	return json.Marshal([]string(o))
}

type addPermissionInput struct {
	queueInput
	Label         string
	AWSAccountIDs []string `json:"AWSAccountIds"`
	Actions       []string
}

// check refuses with the messages of AWS, where they are known.
func (in *addPermissionInput) check() error {
	switch {
	case in.Label == "":
		return missing("Label")
	case !permissionLabel.MatchString(in.Label):
		return badValue("Value %s for parameter Label is invalid. Reason: Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length.", in.Label)
	case len(in.AWSAccountIDs) == 0:
		return missing("AWSAccountIds")
	case len(in.Actions) == 0:
		return missing("Actions")
	case len(in.Actions) > maxActions:
		return overLimit("%d Actions were found, maximum allowed is %d.", len(in.Actions), maxActions)
	case len(in.AWSAccountIDs) > maxPrincipals:
		return overLimit("%d principals were found, maximum allowed is %d.", len(in.AWSAccountIDs), maxPrincipals)
	}
	for _, id := range in.AWSAccountIDs {
		if !accountID.MatchString(id) {
			return badValue("Value [%s] for parameter PrincipalId is invalid. Reason: Unable to verify.", id)
		}
	}
	for _, name := range in.Actions {
		switch {
		case slices.Contains(ownersOnly, name):
			return badValue("Value SQS:%s for parameter ActionName is invalid. Reason: Only the queue owner is allowed to invoke this action.", name)
		case !slices.Contains(grantable, name):
			return badValue("Value SQS:%s for parameter ActionName is invalid. Reason: Please refer to the appropriate WSDL for a list of valid actions.", name)
		}
	}
	return nil
}

// addPermission adds a statement to the queue's policy, in the form recorded on AWS. It cannot have
// conditions.
func addPermission(c *call, in *addPermissionInput) (any, error) {
	if err := in.check(); err != nil {
		return nil, err
	}
	type statement struct {
		Sid, Effect string
		Principal   map[string]oneOrMore
		Action      oneOrMore
		Resource    string
	}
	return nil, c.changePolicy(in.QueueURL, func(q *sqsQueue, d *policyDocument) error {
		if d.find(in.Label) >= 0 {
			return badValue("Value %s for parameter Label is invalid. Reason: Already exists.", in.Label)
		}
		if len(d.Statement) == 0 {
			d.Version, d.ID = "2008-10-17", q.arn+"/SQSDefaultPolicy"
		}
		s := statement{Sid: in.Label, Effect: "Allow", Principal: map[string]oneOrMore{}, Resource: q.arn}
		for _, id := range in.AWSAccountIDs {
			s.Principal["AWS"] = append(s.Principal["AWS"], "arn:"+partition(q.region)+":iam::"+id+":root")
		}
		for _, name := range in.Actions {
			s.Action = append(s.Action, "SQS:"+name)
		}
		raw, err := json.Marshal(s)
		d.Statement = append(d.Statement, raw)
		return err
	})
}

func removePermission(c *call, in *struct {
	queueInput
	Label string
},
) (any, error) {
	if in.Label == "" {
		return nil, missing("Label")
	}
	return nil, c.changePolicy(in.QueueURL, func(_ *sqsQueue, d *policyDocument) error {
		i := d.find(in.Label)
		if i < 0 {
			return badValue("Value %s for parameter Label is invalid. Reason: can't find label.", in.Label)
		}
		d.Statement = slices.Delete(d.Statement, i, i+1)
		return nil
	})
}

// find returns the index of the statement with a Sid, or -1.
func (d *policyDocument) find(sid string) int {
	return slices.IndexFunc(d.Statement, func(raw json.RawMessage) bool {
		var s struct{ Sid string }
		return json.Unmarshal(raw, &s) == nil && s.Sid == sid
	})
}

// changePolicy reads, changes and writes the policy of a queue. Without statements there is none.
func (c *call) changePolicy(queueURL string, change func(*sqsQueue, *policyDocument) error) error {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	q, err := c.queue(queueURL)
	if err != nil {
		return err
	}
	document, text := readDocument(q.attributes["Policy"]), ""
	if err := change(q, &document); err != nil {
		return err
	}
	if len(document.Statement) > 0 {
		var b strings.Builder
		e := json.NewEncoder(&b)
		e.SetEscapeHTML(false)
		if err := e.Encode(document); err != nil {
			return err
		}
		text = strings.TrimSuffix(b.String(), "\n")
	}
	return c.setAttributes(q, map[string]string{"Policy": text})
}
