// Package email mails invitations: job "email", settings in [jobs.email].
//
// What the mail server answers to the mail decides: 5xx is permanent, 4xx and whatever fails on the
// way are tried again. A retried mail keeps its Message-ID, so that a mail which was sent twice can
// be recognised as one.
package email

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/mail"
	"strconv"
	"strings"
	"time"

	gomail "github.com/wneessen/go-mail"

	"github.com/stationmaster/worker/jobs"
	"github.com/stationmaster/worker/retry"
)

func init() { jobs.RegisterJob("email", New) }

// The settings of tls.
const (
	opportunistic = "opportunistic"
	required      = "required"
	none          = "none"
)

// Invitation is the message.
type Invitation struct {
	Event     string `json:"event"`
	Email     string `json:"email"`
	InvitedBy string `json:"invited_by"`
}

// Job mails invitations.
type Job struct {
	// SMTPAddr is host:port of the mail server.
	SMTPAddr string `config:"smtp_addr"`
	// From is the sender, with or without a name.
	From string `config:"from"`
	// Username and Password log in; without a user name nobody does. Over a connection without TLS a
	// password is never sent in the clear.
	Username string      `config:"username"`
	Password jobs.Secret `config:"password"`
	// TLS is "opportunistic" (STARTTLS when it is offered), "required" or "none".
	TLS string `config:"tls"`
	// Subject of each mail.
	Subject string `config:"subject"`
	// Timeout bounds one mail, from dialling to the answer.
	Timeout time.Duration `config:"timeout"`

	host   string
	port   int
	domain string
}

// New returns the job with its defaults.
func New() *Job {
	return &Job{TLS: opportunistic, Subject: "You have been invited", Timeout: 15 * time.Second}
}

// CheckSettings tells all that is wrong with the settings. Nothing dials before the first mail: a
// server that is down for a moment must not keep a worker from starting.
func (j *Job) CheckSettings() error {
	return errors.Join(j.checkAddr(), j.checkFrom(), j.checkRest())
}

func (j *Job) checkAddr() error {
	if j.SMTPAddr == "" {
		return errors.New("smtp_addr: not set: give the mail server as host:port")
	}
	host, port, err := net.SplitHostPort(j.SMTPAddr)
	if err != nil || host == "" {
		return fmt.Errorf("smtp_addr: %q: must be host:port, like smtp.example.com:587", j.SMTPAddr)
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 {
		return fmt.Errorf("smtp_addr: port %q: must be 1 to 65535", port)
	}
	j.host, j.port = host, int(n)
	return nil
}

func (j *Job) checkFrom() error {
	if j.From == "" {
		return errors.New("from: not set: give the sender, like Example <no-reply@example.com>")
	}
	from, err := mail.ParseAddress(j.From)
	if err != nil {
		return fmt.Errorf("from: %q: must be an address, like Example <no-reply@example.com>", j.From)
	}
	j.domain = from.Address[strings.LastIndexByte(from.Address, '@')+1:]
	return nil
}

func (j *Job) checkRest() error {
	var errs []error
	switch j.TLS {
	case opportunistic, required, none:
	default:
		errs = append(errs, fmt.Errorf("tls: %q: must be %s, %s or %s", j.TLS, opportunistic, required, none))
	}
	if strings.ContainsFunc(j.Subject, control) {
		errs = append(errs, errors.New("subject: must be one line"))
	}
	if j.Timeout <= 0 {
		errs = append(errs, fmt.Errorf("timeout: %s: must be more than 0", j.Timeout))
	}
	if (j.Username == "") != (j.Password == "") {
		errs = append(errs, errors.New("username, password: only one is set: set both, or neither"))
	}
	return errors.Join(errs...)
}

// Handle mails one invitation.
func (j *Job) Handle(ctx context.Context, m *jobs.Message[Invitation]) error {
	// A mail cannot be taken back, so a queue without a filter must not make invitations of
	// whatever else is published.
	if m.Body.Event != "" && m.Body.Event != "user_invited" {
		return retry.Never(errors.New("mail invitation: field event: must be user_invited: filter the subscription by event"))
	}
	to, err := recipient(m.Body.Email)
	if err != nil {
		return retry.Never(fmt.Errorf("mail invitation: field email: %w", err))
	}
	mail, err := j.compose(to, &m.Info, m.Body.InvitedBy)
	if err != nil {
		return retry.Never(fmt.Errorf("mail invitation: compose: %w", err))
	}
	ctx, cancel := context.WithTimeout(ctx, j.Timeout)
	defer cancel()
	if err := j.send(ctx, mail); err != nil {
		return fmt.Errorf("mail invitation: %w", err)
	}
	return nil
}

func (j *Job) tlsPolicy() gomail.TLSPolicy {
	switch j.TLS {
	case required:
		return gomail.TLSMandatory
	case none:
		return gomail.NoTLS
	}
	return gomail.TLSOpportunistic
}
