package webhook_test

import (
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	webhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/stationmaster/worker/jobs"
	"github.com/stationmaster/worker/jobs/webhook"
	"github.com/stationmaster/worker/retry"
)

const (
	secret = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
	body   = "{\"event\": \"user_invited\",\n \"email\":\"ada@example.com\"}"
)

func open(t *testing.T, set func(*webhook.Job)) (*jobs.Instance, error) {
	t.Helper()
	r := jobs.NewRegistry()
	jobs.AddJobTo(r, "webhook", webhook.New)
	d, _ := r.Lookup("webhook")
	return d.Open(t.Context(), func(into any) error { set(into.(*webhook.Job)); return nil }, nil)
}

// run posts one message to a server of this test.
func run(t *testing.T, m *jobs.Info, h http.HandlerFunc) error {
	t.Helper()
	s := httptest.NewServer(h)
	defer s.Close()
	i, err := open(t, func(j *webhook.Job) { j.URL, j.Secret, j.AllowPrivate = s.URL+"/hook?token=hunter2", secret, true })
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := i.Close(); err != nil {
			t.Error(err)
		}
	}()
	return i.Run(t.Context(), []*jobs.Info{m})[0]
}

func TestAWebhookIsSignedAndItsBodyIsTheMessages(t *testing.T) {
	verify, err := webhooks.NewWebhook(secret)
	if err != nil {
		t.Fatal(err)
	}
	err = run(t, &jobs.Info{ID: "m-1", Raw: body}, func(_ http.ResponseWriter, r *http.Request) {
		got, err := io.ReadAll(r.Body)
		if err != nil || string(got) != body {
			t.Errorf("body %q, %v", got, err)
		}
		if err := verify.Verify(got, r.Header); err != nil {
			t.Errorf("verify: %v", err)
		}
		if err := verify.Verify(append(got, ' '), r.Header); err == nil {
			t.Error("the signature does not cover the body")
		}
		if id, kind := r.Header.Get("webhook-id"), r.Header.Get("Content-Type"); id != "m-1" || kind != "application/json" {
			t.Errorf("webhook-id %q, content-type %q", id, kind)
		}
	})
	if err != nil {
		t.Error(err)
	}
}

func TestAnswersDecide(t *testing.T) {
	for _, row := range []struct {
		code      int
		after     string
		permanent bool
		delay     time.Duration
	}{
		{code: 204},
		{code: 404, permanent: true},
		{code: 302, permanent: true},
		{code: 410, after: "9", permanent: true},
		{code: 408},
		{code: 425},
		{code: 429, after: "30", delay: 30 * time.Second},
		{code: 503, after: "120", delay: 2 * time.Minute},
		{code: 500},
	} {
		err := run(t, &jobs.Info{ID: "m-1", Raw: body}, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", row.after)
			w.Header().Set("Location", "http://127.0.0.1:1/")
			w.WriteHeader(row.code)
		})
		if (err == nil) != (row.code < 300) || retry.IsNever(err) != row.permanent {
			t.Errorf("%d: %v, permanent %v", row.code, err, retry.IsNever(err))
		}
		var delay time.Duration
		if after, ok := errors.AsType[*retry.AfterError](err); ok {
			delay = after.Delay
		}
		if delay != row.delay {
			t.Errorf("%d: delay %s, want %s", row.code, delay, row.delay)
		}
		if err != nil && (strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), "ada")) {
			t.Errorf("%d: the error tells too much: %v", row.code, err)
		}
	}
}

func TestWhatIsNoJSONIsNotPosted(t *testing.T) {
	err := run(t, &jobs.Info{ID: "m-1", Raw: "hello"}, func(http.ResponseWriter, *http.Request) { t.Error("was posted") })
	if _, ok := errors.AsType[*jobs.DecodeError](err); !ok {
		t.Errorf("%v, want a DecodeError", err)
	}
}

func TestAPrivateAddressBehindANameIsRefused(t *testing.T) {
	// ip6-localhost stands for any name that its owner lets resolve to an address of ours; where it
	// does not resolve, the test has nothing to say.
	i, err := open(t, func(j *webhook.Job) { j.URL, j.Secret = "http://ip6-localhost:1/", secret })
	if err != nil {
		t.Fatal(err)
	}
	err = i.Run(t.Context(), []*jobs.Info{{ID: "m-1", Raw: body}})[0]
	if err != nil && strings.Contains(err.Error(), "lookup") {
		t.Skip(err)
	}
	if !retry.IsNever(err) || !strings.Contains(err.Error(), "is refused: loopback") {
		t.Errorf("%v, want a permanent refusal", err)
	}
}

func TestProvisionTellsAllFaultsAtOnce(t *testing.T) {
	_, err := open(t, func(j *webhook.Job) { j.Timeout = -1 })
	if err == nil || strings.Count(err.Error(), "\n") != 2 {
		t.Errorf("Open: %v, want three faults", err)
	}
	short := "whsec_" + base64.StdEncoding.EncodeToString([]byte("short"))
	for _, row := range []struct{ url, secret, want string }{
		{"http://127.0.0.1/x", secret, "url: address 127.0.0.1 is refused: loopback; allow_private = true allows it"},
		{"https://example.com", "hunter2", "secret: must begin with whsec_"},
		{"https://example.com", "whsec_hunter2!", "secret: must be base64 after whsec_"},
		{"https://example.com", short, "secret: has 5 bytes: must have 24 to 64"},
		{"https://example.com", secret, ""},
	} {
		_, err := open(t, func(j *webhook.Job) { j.URL, j.Secret = row.url, jobs.Secret(row.secret) })
		got := ""
		if err != nil {
			got = strings.TrimPrefix(err.Error(), "job webhook: settings: ")
		}
		if got != row.want {
			t.Errorf("%s: %q, want %q", row.url, got, row.want)
		}
	}
}
