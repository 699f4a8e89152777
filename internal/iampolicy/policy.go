// Package iampolicy reads, evaluates and merges the resource policies of queues and topics: the part
// of IAM's policy language that decides whether SNS may send to a queue. The embedded AWS evaluates
// the queue's policy at each delivery with it, and the topology merges its own statements into
// policies that others wrote too. Source: "IAM JSON policy elements reference", IAM User Guide.
package iampolicy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Policy is a policy document, ready to be evaluated. A nil Policy allows nothing.
type Policy struct {
	rules []rule
}

// rule is one statement. What a statement may give as one value or as a list is a list here.
type rule struct {
	sid                    string
	deny                   bool
	principals             principals
	notPrincipal           bool // principals names who is not meant
	actions, resources     []string
	notAction, notResource bool // the lists name what is not meant
	conditions             []condition
}

// principals is who a statement speaks of. AWS's other kinds (Federated, CanonicalUser) can send no
// message and match nobody here.
type principals struct {
	everyone      bool
	services, aws []string
}

// Parse reads a policy document. The empty text is no policy: nil, which allows nothing. What AWS
// would refuse to store is an error: a statement without its elements, an element nobody knows.
func Parse(text string) (*Policy, error) {
	if strings.TrimSpace(text) == "" {
		return nil, nil
	}
	document, statements, err := open(text)
	if err != nil {
		return nil, err
	}
	for name, value := range document {
		switch name {
		case "Id", "Statement":
		case "Version":
			var version string
			if err := json.Unmarshal(value, &version); err != nil || (version != "2012-10-17" && version != "2008-10-17") {
				return nil, fmt.Errorf("policy: Version is %s: write \"2012-10-17\"", value)
			}
		default:
			return nil, fmt.Errorf("policy: element %q is unknown: a policy has Version, Id and Statement", name)
		}
	}
	if len(statements) == 0 {
		return nil, errors.New("policy: it has no Statement: write at least one, or remove the policy")
	}
	p := &Policy{}
	for i, raw := range statements {
		r, err := parseRule(raw)
		if err != nil {
			return nil, fmt.Errorf("policy: statement %d: %w", i+1, err)
		}
		p.rules = append(p.rules, r)
	}
	return p, nil
}

// open takes a document apart without understanding its statements.
func open(text string) (document map[string]json.RawMessage, statements []json.RawMessage, err error) {
	if err := json.Unmarshal([]byte(text), &document); err != nil {
		return nil, nil, fmt.Errorf("policy: no JSON object: %w", err)
	}
	if document == nil {
		return nil, nil, errors.New("policy: null is no JSON object")
	}
	given := bytes.TrimSpace(document["Statement"])
	switch {
	case len(given) == 0:
		return document, nil, nil
	case given[0] == '{': // one statement may stand without its list
		return document, []json.RawMessage{given}, nil
	}
	if err := json.Unmarshal(given, &statements); err != nil {
		return nil, nil, fmt.Errorf("policy: Statement is no list of statements: %w", err)
	}
	return document, statements, nil
}

func parseRule(raw json.RawMessage) (r rule, err error) {
	var elements map[string]json.RawMessage
	if err := json.Unmarshal(raw, &elements); err != nil {
		return rule{}, fmt.Errorf("no JSON object: %w", err)
	}
	var effect string
	for name, value := range elements {
		switch name {
		case "Sid":
			err = json.Unmarshal(value, &r.sid)
		case "Effect":
			err = json.Unmarshal(value, &effect)
		case "Principal", "NotPrincipal":
			r.notPrincipal = name == "NotPrincipal"
			r.principals, err = parsePrincipals(value)
		case "Action", "NotAction":
			r.notAction = name == "NotAction"
			r.actions, err = list(value)
		case "Resource", "NotResource":
			r.notResource = name == "NotResource"
			r.resources, err = list(value)
		case "Condition":
			r.conditions, err = parseConditions(value)
		default:
			err = errors.New("unknown element")
		}
		if err != nil {
			return rule{}, fmt.Errorf("%s: %w", name, err)
		}
	}
	if effect != "Allow" && effect != "Deny" {
		return rule{}, fmt.Errorf("the Effect is %q: write Allow or Deny", effect)
	}
	r.deny = effect == "Deny"
	for _, name := range []string{"Principal", "Action", "Resource"} {
		_, positive := elements[name]
		_, negated := elements["Not"+name]
		if positive == negated {
			return rule{}, fmt.Errorf("it needs either %s or Not%s", name, name)
		}
	}
	return r, nil
}

func parsePrincipals(raw json.RawMessage) (p principals, err error) {
	var text string
	if json.Unmarshal(raw, &text) == nil {
		if text != "*" {
			return p, fmt.Errorf("%q: write \"*\", or an object such as {\"Service\":\"sns.amazonaws.com\"}", text)
		}
		return principals{everyone: true}, nil
	}
	var kinds map[string]json.RawMessage
	if err := json.Unmarshal(raw, &kinds); err != nil || kinds == nil {
		return p, errors.New("neither \"*\" nor an object")
	}
	for kind, value := range kinds {
		names, err := list(value)
		if err != nil {
			return p, fmt.Errorf("%s: %w", kind, err)
		}
		switch kind {
		case "AWS":
			p.aws = names
			p.everyone = slices.Contains(names, "*")
		case "Service":
			p.services = names
		case "Federated", "CanonicalUser":
		default:
			return p, fmt.Errorf("%s: unknown kind of principal", kind)
		}
	}
	return p, nil
}

// list reads a string, or a list of them; IAM takes either wherever it takes one.
func list(raw json.RawMessage) ([]string, error) {
	var one any
	if err := json.Unmarshal(raw, &one); err != nil {
		return nil, err
	}
	many, isList := one.([]any)
	if !isList {
		many = []any{one}
	}
	if len(many) == 0 {
		return nil, errors.New("an empty list")
	}
	texts := make([]string, len(many))
	for i, v := range many {
		text, ok := v.(string)
		if !ok {
			return nil, fmt.Errorf("%v is no string", v)
		}
		texts[i] = text
	}
	return texts, nil
}
