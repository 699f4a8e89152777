package snsfilter_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stationmaster/worker/internal/snsfilter"
)

func TestExplain(t *testing.T) {
	away := func(metric snsfilter.Metric, key, why string) snsfilter.Verdict {
		return snsfilter.Verdict{Metric: metric, Key: key, Why: why}
	}
	const (
		onBody       = snsfilter.MessageBody
		onAttributes = snsfilter.MessageAttributes
	)
	for _, tt := range []struct {
		policy     string
		scope      snsfilter.Scope
		body       string
		attributes map[string]snsfilter.Attribute
		want       snsfilter.Verdict
	}{
		{`{"event":["user_invited"]}`, snsfilter.Body, body, nil, snsfilter.Verdict{Passes: true}},
		{`{"event":["user_invited"]}`, snsfilter.Attributes, "", attributes, snsfilter.Verdict{Passes: true}},

		{`{"event":["x"]}`, snsfilter.Body, "[]", nil, away(snsfilter.InvalidMessageBody, "", "the body is no JSON object, and the filter looks at the body")},
		{`{"event":["x"]}`, snsfilter.Attributes, body, nil, away(snsfilter.NoMessageAttributes, "", "the message has no attributes, and the filter looks at attributes")},
		{`{"event":["x"]}`, snsfilter.Attributes, "", map[string]snsfilter.Attribute{"event": {Type: "Binary"}}, away(snsfilter.NoMessageAttributes, "", "the message has only Binary attributes, which filters ignore")},
		{`{"event":["user_invited"],"bad":["open"]}`, snsfilter.Attributes, "", attributes, away(snsfilter.InvalidAttributes, "bad", "the attribute bad is no valid String.Array")},
		{`{"word":[7]}`, snsfilter.Attributes, "", attributes, away(snsfilter.InvalidAttributes, "word", "the attribute word is no valid Number")},

		{`{"event":["user_invited"],"a":{"b":{"z":["x"]}}}`, snsfilter.Body, body, nil, away(onBody, "a.b.z", "the body has no value at a.b.z")},
		{`{"kind":["x"]}`, snsfilter.Body, body, attributes, away(onBody, "kind", "the body has no value at kind; there is an attribute of that name, but FilterPolicyScope is MessageBody")},
		{`{"absent":["x"]}`, snsfilter.Attributes, body, attributes, away(onAttributes, "absent", "there is no attribute absent")},
		{`{"Event":["x"]}`, snsfilter.Attributes, "", attributes, away(onAttributes, "Event", "there is no attribute Event, only event, and names are case-sensitive")},
		{`{"n":[7]}`, snsfilter.Attributes, body, attributes, away(onAttributes, "n", "there is no attribute n; the body has such a key, but FilterPolicyScope is MessageAttributes")},
		{`{"blob":["eA=="]}`, snsfilter.Attributes, "", attributes, away(onAttributes, "blob", "the attribute blob is Binary, which filters ignore")},
		{`{"none":[1]}`, snsfilter.Attributes, "", attributes, away(onAttributes, "none", "the attribute none has no values")},
		{`{"event":[{"exists":false}]}`, snsfilter.Body, body, nil, away(onBody, "event", "the filter wants event to be absent, and it is there")},

		{`{"event":["x",{"prefix":"y"}]}`, snsfilter.Body, body, nil, away(onBody, "event", "event has no value that the filter wants")},
		{`{"event":["x",{"exists":false}]}`, snsfilter.Body, body, nil, away(onBody, "event", "event has no value that the filter wants")},
		{`{"event":["User_Invited"]}`, snsfilter.Body, body, nil, away(onBody, "event", "event has no value that the filter wants: only upper and lower case differ")},
		{`{"n":["7"]}`, snsfilter.Body, body, nil, away(onBody, "n", "n has no value that the filter wants: the text is the same, but a string, a number and a boolean are never equal")},
		{`{"digits":[7]}`, snsfilter.Attributes, "", attributes, away(onAttributes, "digits", "digits has no value that the filter wants: the text is the same, but a string, a number and a boolean are never equal")},
		{`{"quote":["say \"hi\\\""]}`, snsfilter.Attributes, "", attributes, away(onAttributes, "quote", `quote has no value that the filter wants: in a filter on attributes, \ and " have to be escaped twice`)},

		{`{"$or":[{"hollow":["x"]},{"ok":[false]}]}`, snsfilter.Body, body, nil, away(onBody, "hollow", "none of 2 alternatives passes; in the nearest one, hollow has no value that the filter wants")},
		{`{"$or":[{"event":["x"]},{"ok":[true],"n":[8]},{"ok":[false]}]}`, snsfilter.Body, body, nil, away(onBody, "n", "none of 3 alternatives passes; in the nearest one, n has no value that the filter wants")},
	} {
		m := snsfilter.NewMessage(tt.body, tt.attributes)
		p := parse(t, tt.policy, tt.scope)
		got := p.Explain(m)
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s: %s", tt.policy, diff)
		}
		if p.Match(m) != got.Passes {
			t.Errorf("%s: Match and Explain disagree", tt.policy)
		}
	}
}
