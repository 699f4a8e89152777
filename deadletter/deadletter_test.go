package deadletter_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/stationmaster/worker/deadletter"
	"github.com/stationmaster/worker/queue"
)

var died = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func death() deadletter.Death {
	return deadletter.Death{Job: "email", Queue: "email", Build: "v1", Host: "pod-1", Now: died}
}

func delivery(body string) *queue.Delivery {
	return &queue.Delivery{
		Message: queue.Message{Body: body}, MessageID: "sqs-1", Receives: 3,
		Sent: died.Add(-time.Hour), FirstReceived: died.Add(-time.Minute),
	}
}

type declared struct{}

func (declared) Error() string { return "no such plan" }
func (declared) Class() string { return "billing" }

func TestRecordSurvivesTheWire(t *testing.T) {
	d := delivery(`{"email":"ada@example.com"}`)
	d.Attributes = map[string]queue.Attribute{"traceparent": {Type: "String", Text: "00-aa-bb-01"}}
	before := maps.Clone(d.Attributes)
	r := deadletter.New(d, death(), fmt.Errorf("send: %w", declared{}))
	m := d.Message
	if err := r.Write(&m); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, d.Attributes); diff != "" {
		t.Errorf("the delivery's own attributes changed: %s", diff)
	}
	got, ok := deadletter.Read(&m)
	if !ok {
		t.Fatal("no record")
	}
	want := deadletter.Record{
		V: 1, ID: "sqs-1", Job: "email", Class: "billing", Reason: "send: no such plan", Origin: "email",
		OriginID: "sqs-1", Receives: 3, Deaths: 1, Sent: died.Add(-time.Hour), FirstReceived: died.Add(-time.Minute),
		Died: died, Build: "v1", Host: "pod-1", Trace: "00-aa-bb-01",
		Fingerprint: deadletter.Fingerprint("email", "billing", "send: no such plan"),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestASecondDeathIsCounted(t *testing.T) {
	d := delivery("x")
	first := deadletter.New(d, death(), errors.New("boom"))
	first.Replay = &deadletter.Replay{ID: "r-1", By: "ada"}
	if err := first.Write(&d.Message); err != nil {
		t.Fatal(err)
	}
	d.MessageID, d.FirstReceived = "sqs-2", died
	second := deadletter.New(d, death(), errors.New("boom again"))
	if second.Deaths != 2 || second.ID != "sqs-1" || second.OriginID != "sqs-2" {
		t.Errorf("deaths %d, id %s, origin id %s; want 2, sqs-1, sqs-2", second.Deaths, second.ID, second.OriginID)
	}
	if second.Replay == nil || second.Replay.ID != "r-1" {
		t.Errorf("replay %+v: what sent it back must stay readable", second.Replay)
	}
	if !second.FirstReceived.Equal(died.Add(-time.Minute)) {
		t.Errorf("first received %v, want that of the first life", second.FirstReceived)
	}
}

func TestClass(t *testing.T) {
	for _, row := range []struct {
		err  error
		want string
	}{
		{fmt.Errorf("x: %w", declared{}), "billing"},
		{fmt.Errorf("x: %w", context.DeadlineExceeded), "timeout"},
		{fmt.Errorf("x: %w", &fs.PathError{Op: "open", Path: "/x", Err: fs.ErrNotExist}), "error"},
		{errors.New("x"), "error"},
		{errors.Join(&json.SyntaxError{}, errors.New("x")), "json.SyntaxError"},
	} {
		if got := deadletter.New(delivery("x"), death(), row.err).Class; got != row.want {
			t.Errorf("class of %v = %q, want %q", row.err, got, row.want)
		}
	}
}

func TestReasonIsATemplate(t *testing.T) {
	for _, row := range []struct{ err, want string }{
		{"dial tcp 10.0.3.7:587: i/o timeout", "dial tcp <ip>:<port>: i/o timeout"},
		{"dial tcp [::1]:25: refused", "dial tcp <ip>:<port>: refused"},
		{"smtp: 535 authentication failed", "smtp: 535 authentication failed"},
		{"order 81723 took 3.2s of 1m30s", "order <n> took <duration> of <duration>"},
		{`unknown plan "gold"`, "unknown plan <quoted>"},
		{"open /tmp/x/y.txt: no such file", "open <path>: no such file"},
		{"user 5b2d0c4c-1f3a-4b5c-8d9e-0123456789ab is gone", "user <uuid> is gone"},
		{"GET https://example.com/a?b=c: 404 Not Found", "GET <url> 404 Not Found"},
		{"mailbox ada@example.com is full", "mailbox <email> is full"},
		{"object deadbeef01 at 0xc000012", "object <hex> at <hex>"},
		{"line\nbreak \x1b[31mred\x00", "line break [<n>mred"},
		{"expired 2026-11-23T12:00:00Z", "expired <time>"},
	} {
		if got := deadletter.New(delivery("{}"), death(), errors.New(row.err)).Reason; got != row.want {
			t.Errorf("reason of %q\n got %q\nwant %q", row.err, got, row.want)
		}
	}
}

func TestReasonHoldsNothingOfTheBody(t *testing.T) {
	body := `{"name":"Ada Lovelace","plan":"gold","note":"call me after the meeting on the third floor","pin":407}`
	for _, row := range []struct{ err, want string }{
		{"no plan gold here", "no plan <body> here"},
		{"golden plan", "golden plan"},
		{"greet Ada Lovelace: refused", "greet <body>: refused"},
		{"pin 407 refused", "pin <body> refused"},
		{"cannot parse: call me after the meeti...", "cannot parse: <body>..."},
	} {
		if got := deadletter.New(delivery(body), death(), errors.New(row.err)).Reason; got != row.want {
			t.Errorf("reason of %q\n got %q\nwant %q", row.err, got, row.want)
		}
	}
}

// words are the whole words of a text, without the names that templates use.
func words(s string) map[string]bool {
	set := map[string]bool{}
	for _, mark := range []string{"body", "quoted", "url", "email", "uuid", "time", "ip", "port", "path", "duration", "hex", "n"} {
		s = strings.ReplaceAll(s, "<"+mark+">", " ")
	}
	for _, w := range strings.FieldsFunc(s, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) && r != '_' }) {
		set[w] = true
	}
	return set
}

func TestNoValueOfTheBodyIsInTheRecord(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		value := rapid.StringMatching(`[a-zA-Z][a-zA-Z0-9_]{0,20}`).Draw(t, "value")
		number := rapid.IntRange(-1e9, 1e9).Draw(t, "number")
		around := rapid.SampledFrom([]string{"cannot use %s now", "%s", "a=%s,b=%s", "(%s)", "x: %s: refused", "%s-%s"}).Draw(t, "around")
		body, err := json.Marshal(map[string]any{"a": []any{value}, "b": number})
		if err != nil {
			t.Fatal(err)
		}
		spoken := rapid.SampledFrom([]string{value, fmt.Sprint(number)}).Draw(t, "spoken")
		r := deadletter.New(delivery(string(body)), deadletter.Death{Now: died}, errors.New(strings.ReplaceAll(around, "%s", spoken)))
		if words(r.Reason)[strings.TrimPrefix(spoken, "-")] {
			t.Fatalf("%q is in the reason %q", spoken, r.Reason)
		}
	})
}

func TestALongQuotationOfTheBodyIsTakenOut(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		body := rapid.StringMatching(`[a-z ]{40,200}`).Draw(t, "body")
		from := rapid.IntRange(0, len(body)-20).Draw(t, "from")
		to := rapid.IntRange(from+14, len(body)).Draw(t, "to")
		quotation := strings.Join(strings.Fields(body[from:to]), " ")
		r := deadletter.New(delivery(body), death(), errors.New("parse: "+body[from:to]+": no"))
		if len(quotation) >= 12 && strings.Contains(r.Reason, quotation) {
			t.Fatalf("%q is in %q", quotation, r.Reason)
		}
	})
}

func TestWriteShrinksAndThenGivesUp(t *testing.T) {
	r := deadletter.New(delivery("x"), death(), errors.New(strings.Repeat("long ", 200)))
	r.Host = strings.Repeat("h", 4000)
	full := map[string]queue.Attribute{}
	for i := range queue.MaxAttributes {
		full[fmt.Sprint("k", i)] = queue.Attribute{Type: "String", Text: "v"}
	}
	for _, row := range []struct {
		name    string
		m       queue.Message
		reason  bool
		fits    bool
		atLeast int
	}{
		{"a long host is cut", queue.Message{Body: "x"}, true, true, 0},
		{"hardly any room: class and fingerprint", queue.Message{Body: strings.Repeat("x", queue.MaxBytes-300)}, false, true, 0},
		{"no byte left", queue.Message{Body: strings.Repeat("x", queue.MaxBytes)}, false, false, 0},
		{"ten attributes", queue.Message{Body: "x", Attributes: full}, false, false, 0},
	} {
		t.Run(row.name, func(t *testing.T) {
			err := r.Write(&row.m)
			if row.fits != (err == nil) || (!row.fits && !errors.Is(err, deadletter.ErrNoRoom)) {
				t.Fatalf("Write = %v", err)
			}
			if row.m.Size() > queue.MaxBytes || len(row.m.Attributes) > queue.MaxAttributes {
				t.Errorf("%d bytes, %d attributes", row.m.Size(), len(row.m.Attributes))
			}
			got, ok := deadletter.Read(&row.m)
			if ok != row.fits {
				t.Fatalf("Read = %v", ok)
			}
			if ok && (got.Fingerprint != r.Fingerprint || got.Class != r.Class || (got.Reason != "") != row.reason) {
				t.Errorf("record %+v", got)
			}
			if len(row.m.Attributes[deadletter.Attribute].Text) > deadletter.MaxBytes {
				t.Errorf("%d bytes of record", len(row.m.Attributes[deadletter.Attribute].Text))
			}
		})
	}
}

func FuzzRead(f *testing.F) {
	f.Add(`{"v":1,"id":"x"}`)
	f.Add(`{"v":0}`)
	f.Fuzz(func(t *testing.T, text string) {
		m := queue.Message{Attributes: map[string]queue.Attribute{deadletter.Attribute: {Type: "String", Text: text}}}
		r, ok := deadletter.Read(&m)
		if ok && r.V < 1 {
			t.Errorf("read %+v", r)
		}
		_ = deadletter.New(&queue.Delivery{Message: m}, deadletter.Death{}, errors.New(text))
	})
}
