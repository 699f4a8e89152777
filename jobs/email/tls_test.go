package email_test

import (
	"encoding/pem"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"

	"github.com/stationmaster/worker/jobs"
	"github.com/stationmaster/worker/jobs/email"
	"github.com/stationmaster/worker/retry"
)

// certified lends its certificate, which is good for 127.0.0.1 and not for localhost.
var certified *httptest.Server

func TestMain(m *testing.M) {
	certified = httptest.NewTLSServer(http.NotFoundHandler())
	dir, err := os.MkdirTemp("", "email")
	if err != nil {
		log.Fatal(err)
	}
	file := filepath.Join(dir, "ca.pem")
	block := &pem.Block{Type: "CERTIFICATE", Bytes: certified.Certificate().Raw}
	if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
		log.Fatal(err)
	}
	// Roots are read once, at the first handshake of the process.
	if err := os.Setenv("SSL_CERT_FILE", file); err != nil {
		log.Fatal(err)
	}
	m.Run()
	certified.Close()
	_ = os.RemoveAll(dir)
}

func serve(t *testing.T, with server, options ...func(*smtp.Server)) *server {
	t.Helper()
	s := &with
	b := smtp.NewServer(smtp.BackendFunc(func(c *smtp.Conn) (smtp.Session, error) {
		return &session{server: s, conn: c}, nil
	}))
	b.ErrorLog = log.New(io.Discard, "", 0)
	b.Domain = "localhost"
	for _, o := range options {
		o(b)
	}
	l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	s.addr = l.Addr().String()
	done := make(chan struct{})
	go func() { defer close(done); _ = b.Serve(l) }()
	t.Cleanup(func() { _ = b.Close(); _ = l.Close(); <-done })
	return s
}

func withTLS(s *smtp.Server) { s.TLSConfig = certified.TLS.Clone() }

// secured remembers who has logged in.
type secured struct {
	session
	user *string
}

func (s *secured) AuthMechanisms() []string { return []string{sasl.Plain} }

func (s *secured) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, user, password string) error {
		if password != "hunter2" {
			return &smtp.SMTPError{Code: 535, EnhancedCode: smtp.EnhancedCode{5, 7, 8}, Message: "no: " + password}
		}
		*s.user = user
		return nil
	}), nil
}

func TestSTARTTLS(t *testing.T) {
	for _, row := range []struct {
		name    string
		setting string
		offered bool
		host    string
		tls     bool
		fails   bool
	}{
		{name: "used when offered", setting: "opportunistic", offered: true, tls: true},
		{name: "done without when not offered", setting: "opportunistic"},
		{name: "required and offered", setting: "required", offered: true, tls: true},
		{name: "required and not offered", setting: "required", fails: true},
		{name: "a certificate for somebody else", setting: "opportunistic", offered: true, host: "localhost", fails: true},
		{name: "switched off", setting: "none", offered: true},
	} {
		t.Run(row.name, func(t *testing.T) {
			s, overTLS, _ := serveSecured(t, row.offered)
			set := func(j *email.Job) {
				to(s)(j)
				j.TLS = row.setting
				if row.host != "" {
					j.SMTPAddr = strings.Replace(j.SMTPAddr, "127.0.0.1", row.host, 1)
				}
			}
			err := run(t.Context(), t, set, body)
			if (err != nil) != row.fails || retry.IsNever(err) || *overTLS != row.tls || len(s.mails) == 0 != row.fails {
				t.Errorf("%v; over TLS %v, %d mails", err, *overTLS, len(s.mails))
			}
		})
	}
}

func TestLogin(t *testing.T) {
	for _, row := range []struct {
		name     string
		offered  bool
		password jobs.Secret
		user     string
	}{
		{name: "over TLS", offered: true, password: "hunter2", user: "me"},
		{name: "a wrong password is not the mail's fault", offered: true, password: "hunter3"},
		{name: "no password in the clear", password: "hunter2"},
	} {
		t.Run(row.name, func(t *testing.T) {
			s, _, user := serveSecured(t, row.offered)
			err := run(t.Context(), t, func(j *email.Job) { to(s)(j); j.Username, j.Password = "me", row.password }, body)
			if (err == nil) != (row.user != "") || *user != row.user || retry.IsNever(err) {
				t.Errorf("%v, user %q", err, *user)
			}
			if err != nil && strings.Contains(err.Error(), "hunter") {
				t.Errorf("the password is in %v", err)
			}
		})
	}
}

func serveSecured(t *testing.T, offered bool) (*server, *bool, *string) {
	t.Helper()
	overTLS, user := new(bool), new(string)
	var s *server
	s = serve(t, server{}, func(b *smtp.Server) {
		if offered {
			withTLS(b)
		}
		b.AllowInsecureAuth = true
		b.Backend = smtp.BackendFunc(func(c *smtp.Conn) (smtp.Session, error) {
			_, *overTLS = c.TLSConnectionState()
			return &secured{session: session{server: s, conn: c}, user: user}, nil
		})
	})
	return s, overTLS, user
}

func TestProvisionTellsAllFaultsAtOnce(t *testing.T) {
	r := jobs.NewRegistry()
	jobs.AddJobTo(r, "email", email.New)
	d, _ := r.Lookup("email")
	_, err := d.Open(t.Context(), func(into any) error {
		*into.(*email.Job) = email.Job{
			SMTPAddr: "example.com:0", From: "nobody", TLS: "maybe", Subject: "a\r\nb", Password: "hunter2", Timeout: -1,
		}
		return nil
	}, nil)
	want := "job email: settings: " + `smtp_addr: port "0": must be 1 to 65535
from: "nobody": must be an address, like Example <no-reply@example.com>
tls: "maybe": must be opportunistic, required or none
subject: must be one line
timeout: -1ns: must be more than 0
username, password: only one is set: set both, or neither`
	if err == nil || err.Error() != want {
		t.Errorf("Open: %v\nwant: %s", err, want)
	}
	for _, row := range []struct{ addr, want string }{
		{"", "smtp_addr: not set"}, {"example.com", `smtp_addr: "example.com": must be host:port`}, {":25", `smtp_addr: ":25": must be`},
	} {
		_, err := d.Open(t.Context(), func(into any) error {
			j := into.(*email.Job)
			j.SMTPAddr, j.From = row.addr, ""
			return nil
		}, nil)
		if err == nil || !strings.Contains(err.Error(), row.want) || !strings.Contains(err.Error(), "from: not set") {
			t.Errorf("%q: %v", row.addr, err)
		}
	}
}
