package dlqreplay_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stationmaster/worker/deadletter"
	"github.com/stationmaster/worker/dlqreplay"
	"github.com/stationmaster/worker/localaws"
	"github.com/stationmaster/worker/queue"
)

func TestDeathsReadAsPeopleWriteThem(t *testing.T) {
	for text, want := range map[string][]int{
		"2": {2}, "=2": {2}, "<2": {0, 1}, "<= 2": {0, 1, 2}, ">2": {3, 4}, ">=3": {3, 4}, "0": {0},
	} {
		is, err := dlqreplay.ParseDeaths(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		var got []int
		for d := range 5 {
			if is(d) {
				got = append(got, d)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s takes %v, want %v", text, got, want)
		}
	}
	for _, text := range []string{"", "two", "<", "<>2", "2<", "-1", "<2,>5", "99999999999999999999"} {
		if _, err := dlqreplay.ParseDeaths(text); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
}

func TestTimesAreResolvedOnceAgainstNow(t *testing.T) {
	zone := time.FixedZone("CET", 3600)
	now := time.Date(2026, 11, 25, 2, 30, 0, 0, zone)
	for text, want := range map[string]string{
		"2h": "2026-11-25T00:30:00+01:00", "90m": "2026-11-25T01:00:00+01:00", "3d": "2026-11-22T02:30:00+01:00", "1d12h": "2026-11-23T14:30:00+01:00",
		"02:00": "2026-11-25T02:00:00+01:00", "03:00": "2026-11-24T03:00:00+01:00", "2026-11-20": "2026-11-20T00:00:00+01:00",
		"2026-11-20 12:15": "2026-11-20T12:15:00+01:00", "2026-11-20T12:15:00Z": "2026-11-20T12:15:00Z",
	} {
		f, err := dlqreplay.Filter{{Key: "since", Value: text}, {Key: "job", Value: "mail"}}.Resolved(now)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if f[0].Value != want || f[1].Value != "mail" {
			t.Errorf("%s is %s, want %s", text, f[0].Value, want)
		}
	}
	for _, text := range []string{"yesterday", "25:00", "-2h", "2", "d", "2026-13-01"} {
		if _, err := (dlqreplay.Filter{{Key: "until", Value: text}}).Resolved(now); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("%q is no time", text)) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestAFilterReadsAsFlags(t *testing.T) {
	f := dlqreplay.Filter{
		{Key: "group", Value: "a3f9c1"}, {Key: "deaths", Value: "<2"}, {Key: "unannotated", Not: true}, {Key: "where", Value: `.body.name == "it's"`, Not: true},
	}
	if got, want := f.String(), `--group a3f9c1 --deaths '<2' --not-unannotated --not-where '.body.name == "it'\''s"'`; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestEveryFaultOfAFilterIsReportedWithItsPlace(t *testing.T) {
	f := dlqreplay.Filter{
		{Key: "where", Value: ".body.amount >"},
		{Key: "where", Value: ".body | foo(1)", Not: true},
		{Key: "where", Value: ".body.a = = 3"},
		{Key: "where", Value: "."},
		{Key: "deaths", Value: "few"},
		{Key: "since", Value: "noon"},
		{Key: "colour", Value: "red"},
		{Key: "attr", Value: "=x"},
		{Key: "group"},
		{Key: "where", Value: strings.Repeat(".", 20_000) + " "},
	}
	_, err := f.Resolved(time.Now())
	if err == nil {
		t.Fatal("no fault")
	}
	want := strings.TrimPrefix(`
--where '.body.amount >': the expression ends too soon, after ".body.amount >"
--not-where '.body | foo(1)': function not defined: foo/1; it sees .body .attrs .sys .failure .sns
--where '.body.a = = 3': unexpected "=" at character 11, after ".body.a = "
--deaths few: "few" says nothing of a number of deaths: write 2, '<2', '<=2', '>1' or '>=1'
--since noon: "noon" is no time: write 2h or 3d for so long ago, 03:00, 2026-11-24, or 2026-11-24T03:00:00Z
--colour red: "colour" is nothing that dead letters are chosen by: must be one of group, job, class, id, since, until, deaths, attr, where, unannotated
--attr '=x': must be name=value, or name
--group '': has no value
--where `+strings.Repeat(".", 200)+`…: the expression has 20001 bytes: must be at most 10000`, "\n")
	if diff := cmp.Diff(want, err.Error()); diff != "" {
		t.Errorf("faults (-want +got):\n%s", diff)
	}
}

// mixed are dead letters of several kinds, by a name for each.
func mixed(y *yard) map[string]string {
	y.t.Helper()
	sent := time.Now().Add(-3 * time.Hour)
	mail := deadletter.Death{Job: "email", Queue: "orders", Build: "v1", Host: "h1", Now: time.Now().Add(-time.Hour)}
	again := dead(`{"to":"a"}`, mail, sent, fmt.Errorf("dial tcp 10.0.0.7:587: i/o timeout"))
	for range 2 {
		d := queue.Delivery{Message: again, MessageID: "x", Sent: sent}
		if err := deadletter.New(&d, mail, fmt.Errorf("dial tcp 10.0.0.7:587: i/o timeout")).Write(&again); err != nil {
			y.t.Fatal(err)
		}
	}
	tagged := queue.Message{Body: `{"n":12345678901234567890}`, Attributes: map[string]queue.Attribute{
		"tenant": {Type: "String", Text: "acme"}, "count": {Type: "Number.int", Text: "7"},
	}}
	sns := queue.Message{Body: `{"Type":"Notification","MessageId":"sns-1","TopicArn":"arn:aws:sns:us-east-1:000000000000:news","Subject":"hello",` +
		`"Message":"{\"event\":\"born\"}","Timestamp":"2026-11-23T12:00:00.123Z","MessageAttributes":{"tenant":{"Type":"String","Value":"beta"}}}`}
	lambda := queue.Message{Body: `{"event":"x"}`, Attributes: map[string]queue.Attribute{
		"ErrorCode": {Type: "Number", Text: "200"}, "ErrorMessage": {Type: "String", Text: "Task timed out after 3.00 seconds"},
	}}
	ids := y.send(dead(`{"to":"b"}`, mail, sent, fmt.Errorf("550 no such user")), again, tagged, sns, lambda, queue.Message{Body: "not JSON"})
	return map[string]string{ids[0]: "once", ids[1]: "thrice", ids[2]: "tagged", ids[3]: "sns", ids[4]: "lambda", ids[5]: "text"}
}

func TestTermsChoose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		y := newYard(t, "orders-dlq", localaws.Nasty{})
		names := mixed(y)
		h := y.scan(nil)
		defer h.Release(t.Context(), nil)
		var once *dlqreplay.Letter
		for _, l := range h.Letters() {
			if names[l.MessageID] == "once" {
				once = l
			}
		}
		term := func(key, value string) dlqreplay.Term { return dlqreplay.Term{Key: key, Value: value} }
		not := func(key, value string) dlqreplay.Term { return dlqreplay.Term{Key: key, Value: value, Not: true} }
		for _, row := range []struct {
			f    dlqreplay.Filter
			want string
		}{
			{nil, "lambda once sns tagged text thrice"},
			{dlqreplay.Filter{term("job", "email")}, "once thrice"},
			{dlqreplay.Filter{term("job", "")}, "lambda sns tagged text"},
			{dlqreplay.Filter{term("group", strings.ToUpper(once.Fingerprint))}, "once"},
			{dlqreplay.Filter{term("group", deadletter.Unexplained)}, "text"},
			{dlqreplay.Filter{term("class", "lambda:200"), term("class", "error")}, "lambda once thrice"},
			{dlqreplay.Filter{term("id", once.MessageID)}, "once"},
			{dlqreplay.Filter{term("job", "email"), not("id", once.MessageID)}, "thrice"},
			{dlqreplay.Filter{term("deaths", ">=2")}, "thrice"},
			{dlqreplay.Filter{term("deaths", "1")}, "once"},
			{dlqreplay.Filter{term("unannotated", "")}, "lambda sns tagged text"},
			{dlqreplay.Filter{not("unannotated", "")}, "once thrice"},
			{dlqreplay.Filter{term("until", "2h")}, "once thrice"},
			{dlqreplay.Filter{term("since", "2h")}, "lambda sns tagged text"},
			{dlqreplay.Filter{term("attr", "tenant=acme")}, "tagged"},
			{dlqreplay.Filter{term("attr", "tenant=acme"), term("attr", "tenant=beta")}, "sns tagged"},
			{dlqreplay.Filter{term("attr", "tenant"), term("attr", "count=7")}, "tagged"},
			{dlqreplay.Filter{not("attr", "tenant")}, "lambda once text thrice"},
			{dlqreplay.Filter{term("where", `.body.event? == "born"`)}, "sns"},
			{dlqreplay.Filter{term("where", `.sns.subject == "hello" and .attrs.tenant == "beta"`)}, "sns"},
			{dlqreplay.Filter{term("where", `.body == "not JSON"`)}, "text"},
			{dlqreplay.Filter{term("where", `.body.n? == 12345678901234567890`)}, "tagged"},
			{dlqreplay.Filter{term("where", `.failure.deaths > 1`)}, "thrice"},
			{dlqreplay.Filter{term("where", `.failure == null`)}, "sns tagged text"},
			{dlqreplay.Filter{term("where", `.sys.receives == 1 and .sys.kind == "foreign" and (.attrs|length) == 2`)}, "lambda tagged"},
			{dlqreplay.Filter{term("where", `(.failure.died // "2100-01-01T00:00:00Z" | fromdate) < now`)}, "once thrice"},
			{dlqreplay.Filter{term("where", `empty`)}, ""},
			{dlqreplay.Filter{term("where", `false, null, 0`)}, "lambda once sns tagged text thrice"},
			{dlqreplay.Filter{term("where", `env | length > 0`)}, ""},
		} {
			p := y.plan(h, row.f, dlqreplay.Judge{})
			var got []string
			for _, id := range p.Selected {
				got = append(got, names[id])
			}
			slices.Sort(got)
			if strings.Join(got, " ") != row.want || p.Matched != len(got) || p.Unjudged != 0 {
				t.Errorf("%s chooses %v, want %s (unjudged %d: %s)", row.f, got, row.want, p.Unjudged, p.UnjudgedWhy)
			}
		}
	})
}

// An expression that fails on some letters does not choose these, whatever it says of the others, and the
// plan says so without a value of them.
func TestAnExpressionThatFailsOnALetterDoesNotChooseIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		y := newYard(t, "orders-dlq", localaws.Nasty{})
		names := mixed(y)
		h := y.scan(nil)
		defer h.Release(t.Context(), nil)
		for _, not := range []bool{false, true} {
			p := y.plan(h, dlqreplay.Filter{{Key: "where", Value: `.body.event == "x"`, Not: not}}, dlqreplay.Judge{})
			want := 1
			if not {
				want = 4
			}
			if p.Matched != want || p.Unjudged != 1 || names[p.UnjudgedExample] != "text" {
				t.Errorf("not %v: matched %d, unjudged %d (%s)", not, p.Matched, p.Unjudged, names[p.UnjudgedExample])
			}
			if !strings.Contains(p.UnjudgedWhy, "expected an object but got: string") || strings.Contains(p.UnjudgedWhy, "JSON") {
				t.Errorf("why: %s", p.UnjudgedWhy)
			}
		}
		_, err := h.Plan(t.Context(), dlqreplay.Filter{{Key: "job", Value: "email"}, {Key: "where", Value: `.body[0] > 1`}}, dlqreplay.Judge{}, time.Now())
		if err == nil || !strings.Contains(err.Error(), `filter: --job email --where '.body[0] > 1': on each of 2 dead letters the expression failed: `) {
			t.Errorf("error: %v", err)
		}
	})
}

func TestAnExpressionHasLittleTime(t *testing.T) {
	h := small(t)
	defer h.Release(t.Context(), nil)
	for _, expression := range []string{`def f: f; f`, `[range(1e12)] | length > 0`, `last(range(1e12))`, `[limit(1e9; repeat("x"))] | add`} {
		began := time.Now()
		_, err := h.Plan(t.Context(), dlqreplay.Filter{{Key: "where", Value: expression}}, dlqreplay.Judge{}, time.Now())
		if err == nil || !strings.Contains(err.Error(), "it took longer than 250ms") {
			t.Errorf("%s: %v after %s", expression, err, time.Since(began))
		}
	}
}

// small is one held letter, outside any bubble: what is bounded by time needs time that passes.
func small(t *testing.T) *dlqreplay.Held {
	t.Helper()
	y := newYard(t, "orders-dlq", localaws.Nasty{})
	only := y.sendPlain(1)
	return y.scan(func(o *dlqreplay.ScanOptions) { o.Only = only })
}
