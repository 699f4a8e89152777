package email_test

import (
	"context"
	"errors"
	"io"
	"net/mail"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-smtp"

	"github.com/stationmaster/worker/jobs"
	"github.com/stationmaster/worker/jobs/email"
	"github.com/stationmaster/worker/retry"
)

const body = `{"event":"user_invited","email":"ada@example.com","invited_by":"Grace"}`

// run opens the job with settings for a server and handles one message.
func run(ctx context.Context, t *testing.T, set func(*email.Job), raw string) error {
	t.Helper()
	r := jobs.NewRegistry()
	jobs.AddJobTo(r, "email", email.New)
	d, _ := r.Lookup("email")
	i, err := d.Open(ctx, func(into any) error { set(into.(*email.Job)); return nil }, nil)
	if err != nil {
		t.Fatal(err)
	}
	return i.Run(ctx, []*jobs.Info{{ID: "m-1", Raw: raw}})[0]
}

func to(s *server) func(*email.Job) {
	return func(j *email.Job) { j.SMTPAddr, j.From = s.addr, "Example <no-reply@example.com>" }
}

func TestAMailIsSent(t *testing.T) {
	s := serve(t, server{})
	if err := run(t.Context(), t, to(s), body); err != nil {
		t.Fatal(err)
	}
	got := s.mails[0]
	if got.from != "no-reply@example.com" || got.to != "ada@example.com" {
		t.Errorf("from %s to %s", got.from, got.to)
	}
	for name, want := range map[string]string{
		"From": `"Example" <no-reply@example.com>`, "To": "<ada@example.com>", "Subject": "You have been invited",
		"Auto-Submitted": "auto-generated", "Content-Type": "text/plain; charset=UTF-8",
	} {
		if h := got.read.Header.Get(name); h != want {
			t.Errorf("%s: %q, want %q", name, h, want)
		}
	}
	if !strings.Contains(got.body, "Grace has invited you.") {
		t.Errorf("text: %s", got.body)
	}
	if _, err := got.read.Header.Date(); err != nil {
		t.Error(err)
	}
}

func TestTheMessageIDFollowsTheMessage(t *testing.T) {
	s := serve(t, server{})
	for range 2 {
		if err := run(t.Context(), t, to(s), body); err != nil {
			t.Fatal(err)
		}
	}
	first, second := s.mails[0].read.Header.Get("Message-Id"), s.mails[1].read.Header.Get("Message-Id")
	if first != second || !strings.HasSuffix(first, "@example.com>") || len(first) < 40 {
		t.Errorf("Message-ID %q, then %q", first, second)
	}
}

func TestWhatTheServerAnswersDecides(t *testing.T) {
	for _, row := range []struct {
		name      string
		server    server
		want      string
		permanent bool
	}{
		{"no such user", server{onRcpt: answer(550, 5, 1, 1)}, "mail invitation: sending SMTP RCPT TO command: answer 550 5.1.1", true},
		{"mailbox busy", server{onRcpt: answer(450, 4, 2, 1)}, "mail invitation: sending SMTP RCPT TO command: answer 450 4.2.1", false},
		{"sender refused", server{onMail: answer(553, 5, 7, 1)}, "mail invitation: sending SMTP MAIL FROM command: answer 553 5.7.1", true},
		{"service busy", server{onMail: answer(451, 4, 3, 0)}, "mail invitation: sending SMTP MAIL FROM command: answer 451 4.3.0", false},
		{"content refused", server{onData: answer(554, 5, 7, 1)}, "mail invitation: closing SMTP DATA writer: answer 554 5.7.1", true},
		{"disk full", server{onData: answer(452, 4, 3, 1)}, "mail invitation: closing SMTP DATA writer: answer 452 4.3.1", false},
	} {
		t.Run(row.name, func(t *testing.T) {
			err := run(t.Context(), t, to(serve(t, row.server)), body)
			if err == nil || err.Error() != row.want || retry.IsNever(err) != row.permanent {
				t.Errorf("%v, permanent %v; want %s, permanent %v", err, retry.IsNever(err), row.want, row.permanent)
			}
		})
	}
}

func TestMessagesThatCannotBeMailed(t *testing.T) {
	s := serve(t, server{})
	for _, raw := range []string{
		`{}`, `{"email":""}`, `{"email":"ada"}`, `{"email":"a@example.com, b@example.com"}`,
		`{"email":"a@example.com\r\nBcc: b@example.com"}`, `{"email":"\"a\r\nb\"@example.com"}`,
		`{"email":"` + strings.Repeat("a", 300) + `@example.com"}`, `{"email":7}`, `nonsense`,
		`{"event":"user_removed","email":"ada@example.com"}`,
	} {
		err := run(t.Context(), t, to(s), raw)
		if !retry.IsNever(err) || strings.Contains(err.Error(), "example.com") {
			t.Errorf("%s: %v, want permanent and without the address", raw, err)
		}
	}
	if len(s.mails) != 0 {
		t.Errorf("%d mails were sent", len(s.mails))
	}
}

func TestNoHeaderCanBeInjected(t *testing.T) {
	s := serve(t, server{})
	raw := `{"email":"Eve\tX <eve@example.com>","invited_by":"Eve\r\n\r\nBcc: b@example.com\r\n.\r\nMAIL FROM:<x@example.com>\u2028\u0000` + strings.Repeat("x", 200) + `"}`
	if err := run(t.Context(), t, to(s), raw); err != nil {
		t.Fatal(err)
	}
	got := s.mails[0]
	if got.to != "eve@example.com" || got.read.Header.Get("Bcc") != "" || got.read.Header.Get("To") != "<eve@example.com>" {
		t.Errorf("to %s, header %v", got.to, got.read.Header)
	}
	if lines := strings.Count(strings.TrimSpace(strings.ReplaceAll(got.body, "=\r\n", "")), "\n"); lines != 2 || len(s.mails) != 1 {
		t.Errorf("%d line breaks, %d mails: %q", lines, len(s.mails), got.body)
	}
}

func TestWhatFailsOnTheWayIsTriedAgain(t *testing.T) {
	nobody := func(j *email.Job) { j.SMTPAddr, j.From = "127.0.0.1:1", "a@example.com" }
	if err := run(t.Context(), t, nobody, body); err == nil || retry.IsNever(err) {
		t.Errorf("nobody listens: %v", err)
	}
	hold := make(chan struct{})
	defer close(hold)
	slow := serve(t, server{onMail: func() error { <-hold; return nil }})
	short := func(j *email.Job) { to(slow)(j); j.Timeout = 50 * time.Millisecond }
	if err := run(t.Context(), t, short, body); !errors.Is(err, context.DeadlineExceeded) || retry.IsNever(err) {
		t.Errorf("slow: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cut := serve(t, server{onMail: func() error { cancel(); <-hold; return nil }})
	if err := run(ctx, t, to(cut), body); !errors.Is(err, context.Canceled) || retry.IsNever(err) {
		t.Errorf("canceled: %v", err)
	}
}

func TestAMailThatWasTakenIsNotSentAgain(t *testing.T) {
	s := serve(t, server{closeAfterData: true})
	if err := run(t.Context(), t, to(s), body); err != nil {
		t.Errorf("%v: the server had taken the mail", err)
	}
}

// server is an SMTP server that answers as a test wants.
type server struct {
	onMail, onRcpt, onData func() error
	closeAfterData         bool

	addr  string
	mails []received
}

type received struct {
	from, to string
	read     *mail.Message
	body     string
}

func answer(code int, enhanced ...int) func() error {
	return func() error {
		return &smtp.SMTPError{
			Code: code, EnhancedCode: smtp.EnhancedCode{enhanced[0], enhanced[1], enhanced[2]},
			Message: "<ada@example.com> hunter2",
		}
	}
}

type session struct {
	*server
	conn     *smtp.Conn
	from, to string
}

func (s *session) Mail(from string, _ *smtp.MailOptions) error {
	s.from = from
	return s.say(s.onMail)
}

func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.to = to
	return s.say(s.onRcpt)
}

func (s *session) say(answer func() error) error {
	if answer == nil {
		return nil
	}
	return answer()
}

func (s *session) Data(r io.Reader) error {
	m, err := mail.ReadMessage(r)
	if err != nil {
		return err
	}
	text, err := io.ReadAll(m.Body)
	if err != nil {
		return err
	}
	if err := s.say(s.onData); err != nil {
		return err
	}
	s.mails = append(s.mails, received{s.from, s.to, m, string(text)})
	return nil
}

func (s *session) Reset() {
	if s.closeAfterData && len(s.mails) > 0 {
		_ = s.conn.Conn().Close()
	}
}
func (s *session) Logout() error { return nil }
