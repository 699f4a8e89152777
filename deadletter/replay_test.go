package deadletter_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/stationmaster/worker/deadletter"
	"github.com/stationmaster/worker/queue"
)

func sentBack() deadletter.Replay {
	return deadletter.Replay{ID: "r-01JD", By: "ada", FromID: "sqs-2", At: died.Add(time.Hour)}
}

func TestAReplayedRecordKeepsWhatStaysTrue(t *testing.T) {
	d := delivery(`{"a":1}`)
	first := deadletter.New(d, death(), errors.New("boom"))
	earlier := sentBack()
	earlier.ID = "r-0000"
	first.Replay = &earlier
	got := first.Replayed(sentBack())
	by := sentBack()
	want := deadletter.Record{V: 1, ID: "sqs-1", Deaths: 1, FirstReceived: died.Add(-time.Minute), Replay: &by}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if !first.Failed() || got.Failed() {
		t.Errorf("failed: before %t, after %t", first.Failed(), got.Failed())
	}
	if first.Replay.ID != "r-0000" {
		t.Error("the record itself has changed")
	}
	if r := (deadletter.Record{ID: "x"}).Replayed(by); r.V != deadletter.Version || r.ID != "x" {
		t.Errorf("of a record that was never written: %+v", r)
	}
}

// TestAReplayedMessageThatDiesAgain goes the whole way: a record, its mark, the record of the next death.
func TestAReplayedMessageThatDiesAgain(t *testing.T) {
	d := delivery(`{"a":1}`)
	if err := deadletter.New(d, death(), errors.New("boom")).Write(&d.Message); err != nil {
		t.Fatal(err)
	}
	dead, _ := deadletter.Read(&d.Message)
	if err := dead.Replayed(sentBack()).Write(&d.Message); err != nil {
		t.Fatal(err)
	}
	if text := d.Attributes[deadletter.Attribute].Text; strings.Contains(text, "boom") || strings.Contains(text, "fingerprint") {
		t.Errorf("the mark tells a failure: %s", text)
	}
	d.MessageID, d.Receives, d.FirstReceived, d.Sent = "sqs-3", 2, died.Add(2*time.Hour), died.Add(time.Hour)
	again := death()
	again.Now = died.Add(3 * time.Hour)
	r := deadletter.New(d, again, errors.New("bang"))
	by := sentBack()
	want := deadletter.Record{
		V: 1, ID: "sqs-1", Job: "email", Class: "error", Reason: "bang", Fingerprint: deadletter.Fingerprint("email", "error", "bang"),
		Origin: "email", OriginID: "sqs-3", Receives: 2, Deaths: 2, Sent: died.Add(time.Hour),
		FirstReceived: died.Add(-time.Minute), Died: died.Add(3 * time.Hour), Build: "v1", Host: "pod-1", Replay: &by,
	}
	if diff := cmp.Diff(want, r); diff != "" {
		t.Error(diff)
	}
}

func TestFailed(t *testing.T) {
	by := sentBack()
	for name, row := range map[string]struct {
		text string
		want bool
	}{
		"a producer's id":         {`{"v":1,"id":"job-1"}`, false},
		"a mark":                  {`{"v":1,"id":"job-1","deaths":2,"replay":{"id":"r-1"}}`, false},
		"the least of a record":   {`{"v":1,"id":"job-1","fingerprint":"abcdef","deaths":1}`, true},
		"a record of tomorrow":    {`{"v":2,"id":"job-1","class":"timeout","deaths":1}`, true},
		"a time and nothing else": {`{"v":1,"id":"job-1","died":"2026-11-23T12:00:00Z"}`, true},
	} {
		r, ok := deadletter.Read(&queue.Message{Attributes: map[string]queue.Attribute{deadletter.Attribute: {Type: "String", Text: row.text}}})
		if !ok || r.Failed() != row.want {
			t.Errorf("%s: read %t, failed %t, want %t", name, ok, r.Failed(), row.want)
		}
		if r.Replayed(by).Failed() {
			t.Errorf("%s: its mark tells a failure", name)
		}
	}
	if (deadletter.Record{}).Failed() {
		t.Error("no record tells a failure")
	}
}

func TestDeathsThatNobodyCanHaveDiedAreNotBelieved(t *testing.T) {
	for text, want := range map[string]int{"-3": 0, "9223372036854775807": 1_000_000, "4": 4} {
		m := queue.Message{Attributes: map[string]queue.Attribute{deadletter.Attribute: {Type: "String", Text: `{"v":1,"id":"x","deaths":` + text + `}`}}}
		if r, ok := deadletter.Read(&m); !ok || r.Deaths != want {
			t.Errorf("deaths %s: %d (%t), want %d", text, r.Deaths, ok, want)
		}
	}
}

func TestRefreshGroupsWhatOtherVersionsWrote(t *testing.T) {
	now := deadletter.Fingerprint("email", "timeout", "i/o timeout")
	r := deadletter.Record{V: 2, Job: "email", Class: "timeout", Reason: "i/o timeout", Fingerprint: "zzzzzz", Deaths: 1}
	if got := deadletter.Refresh(r); got.Fingerprint != now || got.V != 2 || got.Deaths != 1 {
		t.Errorf("of another version: %+v, want fingerprint %s", got, now)
	}
	for name, same := range map[string]deadletter.Record{
		"this version":   {V: 1, Job: "email", Class: "timeout", Reason: "i/o timeout", Fingerprint: "zzzzzz"},
		"a reason cut":   {V: 2, Job: "email", Class: "timeout", Fingerprint: "zzzzzz"},
		"a mark":         {V: 2, ID: "x", Deaths: 3},
		"nothing at all": {},
	} {
		if diff := cmp.Diff(same, deadletter.Refresh(same)); diff != "" {
			t.Errorf("%s changed: %s", name, diff)
		}
	}
}

func attributes(pairs ...string) map[string]queue.Attribute {
	all := map[string]queue.Attribute{}
	for i := 0; i+1 < len(pairs); i += 2 {
		all[pairs[i]] = queue.Attribute{Type: "String", Text: pairs[i+1]}
	}
	return all
}

func TestExplainReadsWhatAWSWrites(t *testing.T) {
	const rule = "arn:aws:events:us-east-1:123456789012:rule/"
	for name, row := range map[string]struct {
		m             queue.Message
		class, reason string
		ok            bool
	}{
		"nothing": {queue.Message{Body: "{}", Attributes: attributes("kind", "mail")}, "", "", false},
		"lambda, the function's error": {queue.Message{
			Body: `{"plan":"gold"}`,
			Attributes: attributes("RequestID", "b2a3", "ErrorCode", "200", "ErrorMessage",
				"order 81723 of gold: 2026-11-23T12:00:00Z 5b2d0c4c-1f3a-4b5c-8d9e-0123456789ab Task timed out after 3.00 seconds"),
		}, "lambda:200", "order <n> of <body>: <time> <uuid> Task timed out after <n> seconds", true},
		"lambda, throttled":       {queue.Message{Attributes: attributes("ErrorCode", "429", "ErrorMessage", "Rate Exceeded.")}, "lambda:429", "Rate Exceeded.", true},
		"lambda, a message alone": {queue.Message{Attributes: attributes("ErrorMessage", "boom")}, "error", "boom", true},
		"eventbridge": {queue.Message{
			Body: `{"detail-type":"Order"}`,
			Attributes: attributes("RULE_ARN", rule+"nightly", "TARGET_ARN", "arn:aws:sqs:us-east-1:123456789012:q",
				"ERROR_CODE", "NO_PERMISSIONS", "ERROR_MESSAGE", "Lack of permissions to invoke cross account target."),
		}, "NO_PERMISSIONS", "Lack of permissions to invoke cross account target. (rule nightly)", true},
		"eventbridge, of a bus, without a message": {queue.Message{
			Attributes: attributes("RULE_ARN", rule+"orders/all", "ERROR_CODE", "SDK_CLIENT_ERROR"),
		}, "SDK_CLIENT_ERROR", "(rule orders/all)", true},
		"eventbridge scheduler": {queue.Message{Attributes: attributes("ERROR_CODE", "THROTTLING", "ERROR_MESSAGE", "slow down", "SCHEDULE_ARN", "arn")}, "THROTTLING", "slow down", true},
	} {
		t.Run(name, func(t *testing.T) {
			class, reason, ok := deadletter.Explain(&row.m)
			if class != row.class || reason != row.reason || ok != row.ok {
				t.Errorf("got  %q, %q, %t\nwant %q, %q, %t", class, reason, ok, row.class, row.reason, row.ok)
			}
		})
	}
}

func TestShape(t *testing.T) {
	many := map[int]string{}
	for i := range 100 {
		many[i] = fmt.Sprintf("%q:0", strings.Repeat(string(rune('a'+i%26)), 5+i/26))
	}
	long := make([]string, 0, len(many))
	for _, k := range many {
		long = append(long, k)
	}
	for _, row := range []struct{ name, body, want string }{
		{"keys, sorted", `{"user_id":7,"event":"x","at":{"deep":1}}`, "{at, event, user_id}"},
		{"white space before", "\n\t {\"b\":1,\"a\":2} ", "{a, b}"},
		{"no keys", `{}`, "{}"},
		{"in an envelope", `{"Type":"Notification","MessageId":"m","TopicArn":"arn:aws:sns:us-east-1:1:t","Message":"{\"event\":1}"}`, "{event}"},
		{"names that differ", `{"5b2d0c4c-1f3a-4b5c-8d9e-0123456789ab":1,"ada@example.com":2,"order 81723":3}`, "{<email>, <uuid>, order <n>}"},
		{"names that are the same then", `{"order 1":1,"order 2":2}`, "{order <n>}"},
		{"a terminal's commands", "{\"a\\u001b[31m\":1}", "{a [<duration>}"},
		{"an array", `[{"a":1}]`, ""},
		{"a string", `"{a}"`, ""},
		{"not JSON", `{"a":`, ""},
		{"text after it", `{"a":1} x`, ""},
		{"nothing", "", ""},
	} {
		if got := deadletter.Shape(row.body); got != row.want {
			t.Errorf("%s: %q, want %q", row.name, got, row.want)
		}
	}
	got := deadletter.Shape("{" + strings.Join(long, ",") + "}")
	if len(got) > 130 || !strings.HasSuffix(got, "…}") || !strings.HasPrefix(got, "{aaaaa, ") {
		t.Errorf("many keys: %d bytes, %q", len(got), got)
	}
}

func sound(t *testing.T, what, text string, most int) {
	t.Helper()
	if len(text) > most || !utf8.ValidString(text) || strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		t.Errorf("%s: %d bytes: %q", what, len(text), text)
	}
}

func FuzzShape(f *testing.F) {
	f.Add(`{"a":1,"b":{"c":[]}}`)
	f.Add(`{"\u001b[31m":1,"é\u0000":2}`)
	f.Fuzz(func(t *testing.T, body string) {
		shape := deadletter.Shape(body)
		sound(t, "shape", shape, 130)
		if shape != "" && (shape[0] != '{' || shape[len(shape)-1] != '}') {
			t.Errorf("shape %q", shape)
		}
	})
}

func FuzzExplain(f *testing.F) {
	f.Add("429", "Rate Exceeded.", "arn:aws:events:us-east-1:1:rule/x", "{}")
	f.Add("", "\x1b[31m", ":rule/\x00", "x")
	f.Fuzz(func(t *testing.T, code, message, rule, body string) {
		for _, names := range [][2]string{{"ErrorCode", "ErrorMessage"}, {"ERROR_CODE", "ERROR_MESSAGE"}} {
			m := queue.Message{Body: body, Attributes: attributes(names[0], code, names[1], message, "RULE_ARN", rule)}
			class, reason, ok := deadletter.Explain(&m)
			if (message != "" && !ok) || (code+message == "" && ok) || ok != (class != "") {
				t.Errorf("class %q, reason %q, %t of %q, %q", class, reason, ok, code, message)
			}
			sound(t, "class", class, 80)
			sound(t, "reason", reason, 300)
		}
	})
}
