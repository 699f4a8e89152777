package slack_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stationmaster/worker/jobs/jobstest"
	"github.com/stationmaster/worker/jobs/slack"
	"github.com/stationmaster/worker/retry"
)

const (
	path = "/services/T0000/B0000/hunter2"
	body = `{"event":"user_invited","email":"ada@example.com"}`
)

// channel is Slack as its documentation has it: it takes a POST of JSON with a text, and answers
// "ok", or as a test wants.
type channel struct {
	code  int
	says  string
	after string
	posts []string
}

func (c *channel) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var post struct{ Text *string }
	raw, err := io.ReadAll(r.Body)
	switch {
	case c.code != 0:
		if c.after != "" {
			w.Header().Set("Retry-After", c.after)
		}
		w.WriteHeader(c.code)
		_, _ = io.WriteString(w, c.says)
	case r.Method != http.MethodPost || r.URL.Path != path:
		http.Error(w, "no_service", http.StatusNotFound)
	case err != nil || r.Header.Get("Content-Type") != "application/json" || json.Unmarshal(raw, &post) != nil:
		http.Error(w, "invalid_payload", http.StatusBadRequest)
	case post.Text == nil || strings.TrimSpace(*post.Text) == "":
		http.Error(w, "no_text", http.StatusBadRequest)
	default:
		c.posts = append(c.posts, *post.Text)
		_, _ = io.WriteString(w, "ok")
	}
}

func settings(url, text string) jobstest.Option {
	return jobstest.Settings(map[string]any{"url": url, "text": text, "allow_private": true})
}

// post runs the job against a channel.
func post(t *testing.T, c *channel, text string, body any, o ...jobstest.Option) jobstest.Result {
	t.Helper()
	s := httptest.NewServer(c)
	defer s.Close()
	return jobstest.Run(t, "slack", body, append(o, settings(s.URL+path, text))...)
}

func TestAMessageIsPosted(t *testing.T) {
	c := &channel{}
	got := post(
		t, c, "*{{.Topic}}*: {{.Body.email}} has been invited by <@U012AB3CD> ({{.Attributes.plan}}, {{.ID}})", body,
		jobstest.Envelope("invitations"), jobstest.Attribute("plan", "pro"), jobstest.ID("m-1"),
	)
	want := "*invitations*: ada@example.com has been invited by <@U012AB3CD> (pro, m-1)"
	if got.Err != nil || len(c.posts) != 1 || c.posts[0] != want {
		t.Errorf("%v, posted %q, want %q", got.Err, c.posts, want)
	}
}

func TestValuesAreEscapedAndTheTemplateIsNot(t *testing.T) {
	const evil = `{"name":"<!channel> & <https://evil.example|our site>","list":["<a>",1],"id":1234567890123456789,"on":true,"none":null,"u":"\\u003c"}`
	for text, want := range map[string]string{
		`<!here> {{.Body.name}}`:                                  `<!here> &lt;!channel&gt; &amp; &lt;https://evil.example|our site&gt;`,
		`{{with .Body.name}}{{.}}{{end}}`:                         `&lt;!channel&gt; &amp; &lt;https://evil.example|our site&gt;`,
		`{{range .Body.list}}{{.}},{{end}}`:                       `&lt;a&gt;,1,`,
		`{{define "x"}}{{.}}{{end}}{{template "x" .Body.list}}`:   `["&lt;a&gt;",1]`,
		`{{if .Body.gone}}a{{else}}{{index .Body.list 0}}{{end}}`: `&lt;a&gt;`,
		`{{$n := .Body.list}}{{index $n 0 | printf "%s!"}}`:       `&lt;a&gt;!`,
		`{{printf "<%s>" .Body.id}}`:                              `&lt;1234567890123456789&gt;`,
		`{{.Body.id}} {{.Body.on}} {{.Body.u}} [{{.Body.none}}{{.Body.gone}}{{.Attributes.gone}}] {{.Attempt}}`: `1234567890123456789 true \u003c [] 1`,
		`{{.Body}}`: `{"id":1234567890123456789,"list":["&lt;a&gt;",1],"name":"&lt;!channel&gt; &amp; &lt;https://evil.example|our site&gt;","none":null,"on":true,"u":"\\u003c"}`,
	} {
		c := &channel{}
		got := post(t, c, text, evil)
		if got.Err != nil || len(c.posts) != 1 || c.posts[0] != want {
			t.Errorf("%s: %v, posted %q, want %q", text, got.Err, c.posts, want)
		}
	}
}

func TestWhatSlackAnswersDecides(t *testing.T) {
	for _, row := range []struct {
		code        int
		says, after string
		action      retry.Action
		class, err  string
		delay       time.Duration // 0: the policy's
	}{
		{code: 400, says: "invalid_payload", action: retry.DeadLetter, class: "slack_invalid_payload"},
		{code: 400, says: "user_not_found", action: retry.DeadLetter, class: "slack_user_not_found"},
		{code: 403, says: "action_prohibited", action: retry.DeadLetter, class: "slack_action_prohibited"},
		{code: 403, says: "invalid_token", action: retry.DeadLetter, class: "slack_invalid_token"},
		{code: 404, says: "channel_not_found", action: retry.DeadLetter, class: "slack_channel_not_found"},
		{code: 404, says: "no_service\n", action: retry.DeadLetter, class: "slack_no_service"},
		{code: 410, says: "channel_is_archived", action: retry.DeadLetter, class: "slack_channel_is_archived"},
		{code: 404, says: "<html>hunter2", action: retry.DeadLetter, class: "http_404"},
		{code: 400, says: "hunter2", action: retry.DeadLetter, class: "http_400"},
		{code: 302, says: "", action: retry.DeadLetter, class: "http_302"},
		{code: 429, says: "rate_limited", after: "90", action: retry.Rest, delay: 90 * time.Second},
		{code: 429, says: "", after: "1", action: retry.Rest, delay: retry.MinRest},
		{code: 429, says: "", action: retry.Rest, delay: retry.MinRest},
		{code: 500, says: "rollup_error", action: retry.Again},
		{code: 503, says: "", after: "40", action: retry.Again, delay: 40 * time.Second},
		{code: 408, says: "", action: retry.Again},
	} {
		got := post(t, &channel{code: row.code, says: row.says, after: row.after}, "{{.Body.email}}", body)
		if got.Decision.Action != row.action || got.Record.Class != row.class {
			t.Errorf("%d %s: %s, class %q, want %s, %q", row.code, row.says, got.Decision.Action, got.Record.Class, row.action, row.class)
		}
		if d := got.Decision.Delay; row.delay != 0 && (d > row.delay || d < row.delay-time.Second) {
			t.Errorf("%d after %q: delay %s, want %s", row.code, row.after, d, row.delay)
		}
		if got.Decision.Spends == (row.action == retry.Rest) {
			t.Errorf("%d: a pause spends no attempt, and all else does", row.code)
		}
		for _, hidden := range []string{"hunter2", "services", "ada"} {
			if got.Err == nil || strings.Contains(got.Err.Error(), hidden) {
				t.Errorf("%d: the error tells too much: %v", row.code, got.Err)
			}
		}
	}
}

func TestTheQueueRestsForAsLongAsSlackAsks(t *testing.T) {
	before := time.Now()
	got := post(t, &channel{code: 429, after: "120"}, "x", body)
	pause, ok := errors.AsType[*retry.PauseError](got.Err)
	if !ok || pause.Until.Before(before.Add(2*time.Minute)) || pause.Until.After(time.Now().Add(2*time.Minute)) {
		t.Errorf("%v, until %v", got.Err, pause)
	}
}

func TestMessagesThatMakeNoText(t *testing.T) {
	for _, row := range []struct{ text, body, reason string }{
		{"{{.Body.email.domain}}", body, "slack: text: <.Body.email.domain> does not fit the message"},
		{`{{index .Body.email 99}}`, body, `slack: text: <index .Body.email <n>> does not fit the message`},
		{"{{.Body.name}} ", `{}`, "slack: text: the template printed nothing: does the body hold what it names?"},
		{"x", "hello", "decode body: not JSON"},
	} {
		c := &channel{}
		got := post(t, c, row.text, row.body)
		if got.Decision.Action != retry.DeadLetter || got.Record.Reason != row.reason || len(c.posts) != 0 {
			t.Errorf("%s: %s because %q, want %q; %d posts", row.text, got.Decision.Action, got.Record.Reason, row.reason, len(c.posts))
		}
	}
}

func TestALongTextIsCutWhereSlackWouldCutIt(t *testing.T) {
	for _, row := range []struct{ text, value string }{
		{"{{.Body}}", strings.Repeat("ä", 50_000)},
		{"{{.Body}}", strings.Repeat("&", 50_000)},
		{"{{range .Body}}{{$.Body}}{{end}}", ""},
	} {
		body := any(row.value)
		if row.value == "" {
			body = make([]int, 2_000)
		}
		c := &channel{}
		raw, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		if got := post(t, c, row.text, raw); got.Err != nil || len(c.posts) != 1 {
			t.Fatalf("%v, %d posts", got.Err, len(c.posts))
		}
		n, whole := utf8.RuneCountInString(c.posts[0]), strings.TrimSuffix(c.posts[0], "…")
		if n > 40_000 || n < 39_990 || whole == c.posts[0] || (whole[0] == '&' && !strings.HasSuffix(whole, ";")) {
			t.Errorf("%d characters, ends in %q", n, whole[len(whole)-6:])
		}
	}
}

func TestAPrivateAddressIsRefused(t *testing.T) {
	got := jobstest.Run(t, "slack", body, jobstest.Settings(map[string]any{"url": "https://ip6-localhost:1" + path, "text": "x"}))
	if strings.Contains(got.Err.Error(), "lookup") {
		t.Skip(got.Err) // the name does not resolve here
	}
	if got.Record.Class != "refused_address" || !strings.Contains(got.Err.Error(), "is refused: loopback") {
		t.Errorf("%v, class %s", got.Err, got.Record.Class)
	}
}

func TestWhatFailsOnTheWayIsTriedAgain(t *testing.T) {
	got := jobstest.Run(t, "slack", body, settings("http://127.0.0.1:1"+path, "x"))
	if got.Decision.Action != retry.Again || strings.Contains(got.Err.Error(), "hunter2") {
		t.Errorf("%v: %s", got.Err, got.Decision.Action)
	}
}

func TestAllFaultsOfTheSettingsAtOnce(t *testing.T) {
	err := jobstest.Provision(t, "slack", jobstest.Settings(map[string]any{"timeout": "-1s"}))
	if err == nil || strings.Count(err.Error(), "\n") != 2 {
		t.Errorf("%v, want three faults", err)
	}
	for _, row := range []struct{ url, text, want string }{
		{"https://hooks.slack.com" + path, "x", ""},
		{"http://hooks.slack.com" + path, "x", "url: must begin with https://: the URL is a credential"},
		{"hunter2", "x", "url: must begin with https://: the URL is a credential"},
		{"https://127.0.0.1" + path, "x", "url: address 127.0.0.1 is refused: loopback; allow_private = true allows it"},
		{"https://h.example/%zz" + path, "x", "url: not a URL: must be like https://example.com/path"},
		{"https://hooks.slack.com" + path, "{{.Body", "text: not a template: line 1: unclosed action"},
		{"https://hooks.slack.com" + path, "{{escape .ID}}", `text: not a template: line 1: function "escape" not defined`},
		{"https://hooks.slack.com" + path, "  ", `text: not set: give a template, like "{{.Body.email}} has been invited"`},
	} {
		err := jobstest.Provision(t, "slack", jobstest.Settings(map[string]any{"url": row.url, "text": row.text}))
		got := ""
		if err != nil {
			got = strings.TrimPrefix(err.Error(), "job slack: settings: ")
		}
		if got != row.want {
			t.Errorf("%s, %s: %q, want %q", row.url, row.text, got, row.want)
		}
	}
}

func TestTheURLIsShownNowhere(t *testing.T) {
	j := slack.New()
	j.URL = "https://hooks.slack.com" + path
	shown, err := json.Marshal(j)
	if all := fmt.Sprintf("%s %+v %#v", shown, *j, *j); err != nil || strings.Contains(all, "hunter2") || !strings.Contains(all, "[redacted]") {
		t.Errorf("%s, %v", all, err)
	}
}
