// Package iampolicy reads, evaluates and merges the resource policies of queues and topics: the part
// of IAM's policy language that decides whether SNS may send to a queue, and whether another account
// may use a queue or a topic. The embedded AWS asks it at each delivery and each request, and the
// topology merges its own statements into policies that others wrote too.
//
// There are two ways in. Accept is for a policy that is being set: it refuses whatever Evaluate could
// not judge. Parse is for a policy that stands on AWS already: what it does not understand is reported
// by each Decision that might depend on it.
//
// Source: "IAM JSON policy elements reference", IAM User Guide.
package iampolicy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Policy is a policy document, ready to be evaluated. A nil Policy allows nothing.
type Policy struct {
	rules []rule
}

// rule is one statement. What a statement may give as one value or as a list is a list here.
type rule struct {
	sid, name              string // name is how people are told of it
	deny                   bool
	principals             principals
	notPrincipal           bool // principals names who is not meant
	actions, resources     []template
	notAction, notResource bool // the lists name what is not meant
	conditions             []condition

	faults        []error // why no service takes it; those of conditions are with them
	resourceFault error   // one of them, of a resource that cannot be evaluated
}

// Parse reads a policy document. The empty text is no policy: nil, which allows nothing. A document
// that AWS cannot hold is an error: a statement without its elements, an element nobody knows. What AWS
// may know and this package does not is none: see Decision.Unknown.
func Parse(text string) (*Policy, error) {
	if strings.TrimSpace(text) == "" {
		return nil, nil
	}
	document, statements, err := open(text)
	if err != nil {
		return nil, err
	}
	if name, found := repeated(json.NewDecoder(strings.NewReader(text))); found {
		return nil, fmt.Errorf("policy: %q stands twice in one object: write a list of its values", name)
	}
	variables := false // of a document without a Version, which is of 2008
	for _, name := range slices.Sorted(maps.Keys(document)) {
		switch value := document[name]; name {
		case "Statement":
		case "Id":
			var id string
			if err := json.Unmarshal(value, &id); err != nil {
				return nil, fmt.Errorf("policy: Id is %s: write a string", value)
			}
		case "Version":
			var version string
			if err := json.Unmarshal(value, &version); err != nil || (version != "2012-10-17" && version != "2008-10-17") {
				return nil, fmt.Errorf("policy: Version is %s: write \"2012-10-17\"", value)
			}
			variables = version == "2012-10-17"
		default:
			return nil, fmt.Errorf("policy: element %q is unknown: a policy has Version, Id and Statement", name)
		}
	}
	if len(statements) == 0 {
		return nil, errors.New("policy: it has no Statement: write at least one, or remove the policy")
	}
	p := &Policy{}
	for i, raw := range statements {
		r, err := parseRule(raw, variables)
		if err != nil {
			return nil, fmt.Errorf("policy: statement %d: %w", i+1, err)
		}
		if r.name = fmt.Sprintf("statement %d", i+1); r.sid != "" {
			r.name = fmt.Sprintf("statement %q", r.sid)
		}
		p.rules = append(p.rules, r)
	}
	return p, nil
}

// repeated finds a name that stands twice in one object, where a JSON decoder would forget the first.
// The text is known to be JSON.
func repeated(d *json.Decoder) (name string, found bool) {
	opened, err := d.Token()
	if err != nil || (opened != json.Delim('{') && opened != json.Delim('[')) {
		return "", false
	}
	seen := map[string]bool{}
	for d.More() {
		if opened == json.Delim('{') {
			token, _ := d.Token()
			name, _ := token.(string)
			if seen[name] {
				return name, true
			}
			seen[name] = true
		}
		if name, found := repeated(d); found {
			return name, true
		}
	}
	_, _ = d.Token() // the end of it
	return "", false
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

func parseRule(raw json.RawMessage, variables bool) (r rule, err error) {
	var elements map[string]json.RawMessage
	if err := json.Unmarshal(raw, &elements); err != nil {
		return rule{}, fmt.Errorf("no JSON object: %w", err)
	}
	var effect string
	for _, name := range slices.Sorted(maps.Keys(elements)) {
		switch value := elements[name]; name {
		case "Sid":
			err = json.Unmarshal(value, &r.sid)
		case "Effect":
			err = json.Unmarshal(value, &effect)
		case "Principal", "NotPrincipal":
			r.notPrincipal = name == "NotPrincipal"
			err = r.readPrincipals(name, value)
		case "Action", "NotAction":
			r.notAction = name == "NotAction"
			err = r.readActions(name, value)
		case "Resource", "NotResource":
			r.notResource = name == "NotResource"
			err = r.readResources(name, value, variables)
		case "Condition":
			r.conditions, err = parseConditions(value, variables)
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

func (r *rule) readPrincipals(element string, raw json.RawMessage) error {
	p, faults, err := parsePrincipals(raw)
	r.principals = p
	for _, fault := range faults {
		r.faults = append(r.faults, fmt.Errorf("%s: %w", element, fault))
	}
	return err
}

func (r *rule) readActions(element string, raw json.RawMessage) error {
	names, err := list(raw)
	for _, name := range names {
		t, err := parseTemplate(strings.ToLower(name), false, true)
		if err != nil {
			return err
		}
		t.text = name
		r.actions = append(r.actions, t)
		if service, action, _ := strings.Cut(name, ":"); name != "*" && (service == "" || action == "") {
			r.faults = append(r.faults, fmt.Errorf("%s: %q is no action: write it as sqs:SendMessage", element, name))
		}
	}
	return err
}

func (r *rule) readResources(element string, raw json.RawMessage, variables bool) error {
	names, err := list(raw)
	for _, name := range names {
		t, fault := parseTemplate(name, variables, true)
		if fault != nil {
			r.resourceFault = fmt.Errorf("%s: %w", element, fault)
			r.faults = append(r.faults, r.resourceFault)
			continue
		}
		r.resources = append(r.resources, t)
		switch {
		case name != "*" && !strings.HasPrefix(name, "arn:"):
			r.faults = append(r.faults, fmt.Errorf("%s: %q is neither an ARN nor \"*\"", element, name))
		case t.variableBefore(5):
			r.faults = append(r.faults, fmt.Errorf("%s: %q has a variable before the resource's own part: one may stand after the fifth colon only", element, name))
		}
	}
	return err
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
