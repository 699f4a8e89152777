package iampolicy

import (
	"encoding/json"
	"fmt"
	"strings"
)

// defaultSid is that of the statement that SNS gives a new topic. Source: GetTopicAttributes, SNS API
// reference.
const defaultSid = "__default_statement_ID"

// Strangers tells whom the policy of a queue or a topic lets in by statements that Admission has not made,
// and SNS itself neither: how each statement is told to people. topics are those that our own statements
// name. An error says that nobody here can tell.
func Strangers(policy string) (statements, topics []string, err error) {
	if strings.TrimSpace(policy) == "" {
		return nil, nil, nil
	}
	_, all, err := open(policy)
	if err != nil {
		return nil, nil, err
	}
	for i, raw := range all {
		var s struct {
			Sid, Effect string
			Condition   map[string]map[string]json.RawMessage
		}
		if err := json.Unmarshal(raw, &s); err != nil {
			return nil, nil, fmt.Errorf("policy: statement %d: %w", i+1, err)
		}
		switch own := s.Sid == ownSid || strings.HasPrefix(s.Sid, ownSid+"-"); {
		case s.Effect == "Deny", s.Sid == defaultSid:
		case own:
			named, err := list(s.Condition["ArnEquals"]["aws:SourceArn"])
			if err != nil {
				return nil, nil, fmt.Errorf("policy: statement %q: aws:SourceArn: %w", s.Sid, err)
			}
			topics = append(topics, named...)
		case s.Sid != "":
			statements = append(statements, fmt.Sprintf("statement %q", s.Sid))
		default:
			statements = append(statements, fmt.Sprintf("statement %d", i+1))
		}
	}
	return statements, topics, nil
}
