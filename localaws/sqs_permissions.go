package localaws

import (
	"net/http"
	"slices"

	"github.com/stationmaster/worker/internal/iampolicy"
)

// Quotas of a queue's policy that the parameters can exceed already. Source: "Amazon SQS policy
// quotas", Developer Guide.
const (
	maxPrincipals = 50
	maxActions    = 7 // of a statement
)

// grantable is what AddPermission can grant. Actions on batches are granted with those on one message.
// Source: AddPermission, SQS API reference.
var grantable = []string{
	"*", "ChangeMessageVisibility", "DeleteMessage", "GetQueueAttributes", "GetQueueUrl",
	"ListDeadLetterSourceQueues", "PurgeQueue", "ReceiveMessage", "SendMessage",
}

func overLimit(format string, args ...any) *apiError {
	e := refuse("OverLimit", format, args...)
	e.Status = http.StatusForbidden
	return e
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
		case iampolicy.OwnersOnly(name):
			return badValue("Value SQS:%s for parameter ActionName is invalid. Reason: Only the queue owner is allowed to invoke this action.", name)
		case !slices.Contains(grantable, name):
			return badValue("Value SQS:%s for parameter ActionName is invalid. Reason: Please refer to the appropriate WSDL for a list of valid actions.", name)
		}
	}
	return nil
}

// addPermission adds a statement to the queue's policy. It cannot have conditions.
func addPermission(c *call, in *addPermissionInput) (any, error) {
	if err := in.check(); err != nil {
		return nil, err
	}
	return nil, c.changePolicy(in.QueueURL, func(q *sqsQueue, d *policyDocument) error {
		if d.has(in.Label) {
			return badValue("Value %s for parameter Label is invalid. Reason: Already exists.", in.Label)
		}
		if len(d.Statement) == 0 {
			d.Version, d.ID = "2008-10-17", q.arn+"/SQSDefaultPolicy"
		}
		var actions []string
		for _, name := range in.Actions {
			actions = append(actions, "SQS:"+name)
		}
		d.allow(in.Label, q.arn, in.AWSAccountIDs, actions, partition(q.region))
		return nil
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
		if !d.has(in.Label) {
			return badValue("Value %s for parameter Label is invalid. Reason: can't find label.", in.Label)
		}
		d.remove(in.Label)
		return nil
	})
}

// changePolicy reads, changes and writes the policy of a queue.
func (c *call) changePolicy(queueURL string, change func(*sqsQueue, *policyDocument) error) error {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	q, err := c.queue(queueURL)
	if err != nil {
		return err
	}
	document := readDocument(q.attributes["Policy"])
	if err := change(q, &document); err != nil {
		return err
	}
	return c.setAttributes(q, map[string]string{"Policy": document.text()})
}
