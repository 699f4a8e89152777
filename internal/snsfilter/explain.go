package snsfilter

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Metric is the CloudWatch metric, in the namespace AWS/SNS, that counts a message which a filter kept
// away, beside NumberOfNotificationsFilteredOut. Source: "Amazon SNS metrics", Developer Guide.
type Metric string

// The reasons that SNS counts apart.
const (
	NoMessageAttributes Metric = "NumberOfNotificationsFilteredOut-NoMessageAttributes"
	InvalidAttributes   Metric = "NumberOfNotificationsFilteredOut-InvalidAttributes"
	MessageAttributes   Metric = "NumberOfNotificationsFilteredOut-MessageAttributes"
	MessageBody         Metric = "NumberOfNotificationsFilteredOut-MessageBody"
	InvalidMessageBody  Metric = "NumberOfNotificationsFilteredOut-InvalidMessageBody"
)

// Verdict is what a policy makes of a message, and why. It holds no value of the message.
type Verdict struct {
	Passes bool
	// Metric counts a message that does not pass.
	Metric Metric
	// Key is where the policy found nothing that it wants, with dots between the levels; of several
	// alternatives, in the one that is the nearest. It is empty if no key could have passed.
	Key string
	// Why is a sentence for people. It is empty if the message passes.
	Why string
}

// Explain is Match, with reasons.
func (p *Policy) Explain(m *Message) Verdict {
	missed, metric := p.judge(m)
	v := Verdict{Passes: metric == "", Metric: metric}
	switch {
	case v.Passes:
	case metric == InvalidMessageBody:
		v.Why = "the body is no JSON object, and the filter looks at the body"
	case missed == nil:
		v.Why = "the message has no attributes, and the filter looks at attributes"
		if len(m.attributes) > 0 {
			v.Why = "the message has only Binary attributes, which filters ignore"
		}
	default:
		v.Key, v.Why = missed.path, p.why(missed, m)
		if len(p.alternatives) > 1 {
			v.Why = fmt.Sprintf("none of %d alternatives passes; in the nearest one, %s", len(p.alternatives), v.Why)
		}
	}
	return v
}

func (p *Policy) why(f *field, m *Message) string {
	values := p.values(f, m)
	switch {
	case m.invalid[f.path] && p.scope != Body:
		return fmt.Sprintf("the attribute %s is no valid %s", f.path, m.attributes[f.path].Type)
	case len(values) == 0:
		return p.whyMissing(f, m)
	case f.absent && len(f.exact)+len(f.others) == 0:
		return fmt.Sprintf("the filter wants %s to be absent, and it is there", f.path)
	default:
		return fmt.Sprintf("%s has no value that the filter wants%s", f.path, p.hint(f, values))
	}
}

// values are what a message has for a field.
func (p *Policy) values(f *field, m *Message) []scalar {
	if p.scope != Body {
		return m.readAttributes()[f.path]
	}
	return inBody(f, m)
}

func inBody(f *field, m *Message) (values []scalar) {
	f.walk(m.readBody(), f.path, func(v scalar) bool {
		values = append(values, v)
		return false
	})
	return values
}

// whyMissing tells where the value is instead, if it is anywhere.
func (p *Policy) whyMissing(f *field, m *Message) string {
	attribute, has := m.attributes[f.path]
	switch {
	case p.scope == Body && has:
		return fmt.Sprintf("the body has no value at %s; there is an attribute of that name, but FilterPolicyScope is MessageBody", f.path)
	case p.scope == Body:
		return fmt.Sprintf("the body has no value at %s", f.path)
	case has && attribute.binary():
		return fmt.Sprintf("the attribute %s is Binary, which filters ignore", f.path)
	case has:
		return fmt.Sprintf("the attribute %s has no values", f.path)
	case len(inBody(f, m)) > 0:
		return fmt.Sprintf("there is no attribute %s; the body has such a key, but FilterPolicyScope is MessageAttributes", f.path)
	}
	for _, name := range slices.Sorted(maps.Keys(m.attributes)) {
		if strings.EqualFold(name, f.path) {
			return fmt.Sprintf("there is no attribute %s, only %s, and names are case-sensitive", f.path, name)
		}
	}
	return fmt.Sprintf("there is no attribute %s", f.path)
}

// hint tells of values that were close.
func (p *Policy) hint(f *field, values []scalar) string {
	near := func(how func(want, have scalar) bool) bool {
		return slices.ContainsFunc(f.exact, func(want scalar) bool {
			return slices.ContainsFunc(values, func(have scalar) bool { return how(want, have) })
		})
	}
	switch {
	case near(func(w, h scalar) bool { return w.kind != h.kind && w.text == h.text }):
		return ": the text is the same, but a string, a number and a boolean are never equal"
	case near(func(w, h scalar) bool {
		return w.kind == isText && h.kind == isText && strings.EqualFold(w.text, h.text)
	}):
		return ": only upper and lower case differ"
	case p.scope != Body && near(func(w, h scalar) bool { return h.kind == isText && w.escaped().text == h.text }):
		return `: in a filter on attributes, \ and " have to be escaped twice`
	}
	return ""
}
