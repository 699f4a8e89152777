package receivers_test

import (
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-smtp"
	"github.com/google/go-cmp/cmp"
	webhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/stationmaster/worker/internal/receivers"
)

// start returns receivers and a function that takes what has arrived.
func start(t *testing.T) (*receivers.Receivers, func() []receivers.Arrival) {
	t.Helper()
	arrivals := make(chan receivers.Arrival, 100)
	r, err := receivers.Start(receivers.Options{Print: func(a receivers.Arrival) { arrivals <- a }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(r.Close(), r.Close()); err != nil {
			t.Errorf("Close, twice: %v", err)
		}
	})
	return r, func() (got []receivers.Arrival) {
		for {
			select {
			case a := <-arrivals:
				got = append(got, a)
			default:
				return got // each answer is sent after its arrival was printed
			}
		}
	}
}

func send(t *testing.T, r *receivers.Receivers, mail string) error {
	t.Helper()
	c, err := smtp.Dial(r.MailAddr())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	return c.SendMail("from@example.com", []string{"ada@example.com"}, strings.NewReader(mail))
}

func post(t *testing.T, url string, header map[string]string, body string) int {
	t.Helper()
	q, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range header {
		q.Header.Set(name, value)
	}
	a, err := http.DefaultClient.Do(q)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Body.Close()
	if _, err := io.Copy(io.Discard, a.Body); err != nil {
		t.Fatal(err)
	}
	return a.StatusCode
}

const invitation = "Message-ID: <m-1@example.com>\r\nSubject: =?UTF-8?q?You=E2=80=99re_invited?=\r\n\r\nHello\r\n"

func TestMailsArrive(t *testing.T) {
	r, arrived := start(t)
	for range 2 {
		if err := send(t, r, invitation); err != nil {
			t.Fatal(err)
		}
	}
	want := receivers.Arrival{Kind: "mail", ID: "m-1@example.com", To: "ada@example.com", Summary: "You’re invited"}
	again := want
	again.Duplicate = true
	if diff := cmp.Diff([]receivers.Arrival{want, again}, arrived()); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(receivers.Count{Arrived: 2, Duplicates: 1}, r.Counts()[receivers.KindMail]); diff != "" {
		t.Error(diff)
	}
}

func signed(t *testing.T, secret, body string, at time.Time) map[string]string {
	t.Helper()
	w, err := webhooks.NewWebhook(secret)
	if err != nil {
		t.Fatal(err)
	}
	signature, err := w.Sign("w-1", at, []byte(body))
	if err != nil {
		t.Fatal(err)
	}
	return map[string]string{
		"webhook-id": "w-1", "webhook-signature": signature, "webhook-timestamp": strconv.FormatInt(at.Unix(), 10),
	}
}

func TestWebhooksArriveWhenTheyAreSigned(t *testing.T) {
	r, arrived := start(t)
	body := `{"event":"user_invited","email":"ada@example.com"}`
	other := "whsec_" + base64.StdEncoding.EncodeToString([]byte("somebody else's"))
	for _, row := range []struct {
		name   string
		header map[string]string
		want   int
	}{
		{"unsigned", nil, 401},
		{"another secret", signed(t, other, body, time.Now()), 401},
		{"another body", signed(t, r.WebhookSecret(), body+" ", time.Now()), 401},
		{"too old", signed(t, r.WebhookSecret(), body, time.Now().Add(-time.Hour)), 401},
		{"signed", signed(t, r.WebhookSecret(), body, time.Now()), 204},
	} {
		if got := post(t, r.WebhookURL(), row.header, body); got != row.want {
			t.Errorf("%s: %d, want %d", row.name, got, row.want)
		}
	}
	want := []receivers.Arrival{{Kind: "webhook", ID: "w-1", To: "/webhook", Summary: "user_invited ada@example.com"}}
	if diff := cmp.Diff(want, arrived()); diff != "" {
		t.Error(diff)
	}
}

func TestEventsArrive(t *testing.T) {
	r, arrived := start(t)
	batch := map[string]string{"Content-Type": "application/cloudevents-batch+json; charset=utf-8"}
	one := `{"specversion":"1.0","id":"e-1","source":"/s","type":"t","data":{"a":1}}`
	two := `{"specversion":"1.0","id":"e-2","source":"/s","type":"\u001b[2Jt"}`
	for _, row := range []struct {
		name   string
		header map[string]string
		body   string
		want   int
	}{
		{"a batch", batch, "[" + one + "," + two + "]", 202},
		{"one alone", map[string]string{"Content-Type": "application/cloudevents+json"}, one, 202},
		{"one without an id", batch, `[` + one + `,{"specversion":"1.0","source":"/s","type":"t"}]`, 400},
		{"no JSON", batch, `[`, 400},
		{"another media type", map[string]string{"Content-Type": "application/json"}, one, 415},
		{"no media type", nil, one, 415},
		{"too large", batch, strings.Repeat(" ", 3<<20), 413},
	} {
		if got := post(t, r.CollectorURL(), row.header, row.body); got != row.want {
			t.Errorf("%s: %d, want %d", row.name, got, row.want)
		}
	}
	want := []receivers.Arrival{
		{Kind: "event", ID: "e-1", To: "/events", Summary: "t from /s"},
		{Kind: "event", ID: "e-2", To: "/events", Summary: "[2Jt from /s"},
		{Kind: "event", ID: "e-1", To: "/events", Summary: "t from /s", Duplicate: true},
	}
	if diff := cmp.Diff(want, arrived()); diff != "" {
		t.Error(diff)
	}
}

func TestBreakAndMend(t *testing.T) {
	r, arrived := start(t)
	for _, name := range receivers.Names() {
		if err := r.Break(name); err != nil || !r.Broken(name) {
			t.Fatalf("break %s: %v", name, err)
		}
	}
	err := send(t, r, invitation)
	if answer, ok := errors.AsType[*smtp.SMTPError](err); !ok || answer.Code != 451 {
		t.Errorf("mail: %v, want 451", err)
	}
	for _, url := range []string{r.WebhookURL(), r.CollectorURL()} {
		if got := post(t, url, nil, "{}"); got != http.StatusServiceUnavailable {
			t.Errorf("%s: %d, want 503", url, got)
		}
	}
	if got := arrived(); len(got) != 0 {
		t.Errorf("arrived: %v", got)
	}
	if err := r.Mend(receivers.Mail); err != nil || r.Broken(receivers.Mail) || !r.Broken(receivers.Webhook) {
		t.Errorf("mend mail: %v", err)
	}
	if err := send(t, r, invitation); err != nil {
		t.Error(err)
	}
	want := `receiver "post": unknown: must be one of mail, webhook, analytics`
	for _, change := range []func(string) error{r.Break, r.Mend} {
		if err := change("post"); err == nil || err.Error() != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

func TestWhatIsNoMailIsRefused(t *testing.T) {
	r, _ := start(t)
	err := send(t, r, "no header\r\n")
	if answer, ok := errors.AsType[*smtp.SMTPError](err); !ok || answer.Code != 554 {
		t.Errorf("%v, want 554", err)
	}
}
