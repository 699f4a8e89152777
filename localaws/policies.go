package localaws

import (
	"errors"
	"net/http"
	"strings"

	"github.com/stationmaster/worker/internal/iampolicy"
)

// readPolicy reads a queue's policy when it is set: it takes what SQS takes and this server can evaluate.
func readPolicy(text, arn string) (*iampolicy.Policy, error) {
	policy, err := iampolicy.Accept(text, arn)
	refusal, refused := errors.AsType[*iampolicy.RefusalError](err)
	switch {
	case refused && refusal.OverLimit:
		return nil, &apiError{Status: http.StatusForbidden, Code: "OverLimit", Message: refusal.Answer}
	case refused:
		return nil, refuse("InvalidAttributeValue", "Invalid value for the parameter Policy. Reason: %s", refusal.Reason)
	}
	return policy, err
}

// readTopicPolicy reads a topic's: it takes what SNS takes and this server can evaluate. The empty text
// is nil, which lets in the topic's account alone, as the default does.
func readTopicPolicy(text, arn string) (*iampolicy.Policy, *apiError) {
	policy, err := iampolicy.Accept(text, arn)
	refusal, refused := errors.AsType[*iampolicy.RefusalError](err)
	switch {
	case refused && refusal.Answer != "":
		return nil, invalidParameter("%s (%s)", refusal.Answer, refusal.Reason)
	case err != nil:
		return nil, invalidParameter("Policy Error: %s", strings.TrimPrefix(err.Error(), "policy: "))
	}
	return policy, nil
}

// setPolicy gives a topic a policy. Nothing changes when it is refused.
func (t *topic) setPolicy(text string) *apiError {
	access, e := readTopicPolicy(text, t.arn)
	if e != nil {
		return e
	}
	t.access = access
	t.set("Policy", text)
	return nil
}
