package receivers

import (
	"io"
	"mime"
	"net/mail"
	"strings"

	"github.com/emersion/go-smtp"
)

func (r *Receivers) mailServer() *smtp.Server {
	s := smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) {
		return &session{receivers: r}, nil
	}))
	s.Domain = "localhost"
	s.MaxMessageBytes = maxBody
	s.MaxRecipients = 100
	s.ReadTimeout, s.WriteTimeout = readTimeout, readTimeout
	s.EnableSMTPUTF8 = true
	s.ErrorLog = quiet
	return s
}

// session receives the mails of one connection.
type session struct {
	receivers *Receivers
	to        []string
}

func (s *session) Mail(string, *smtp.MailOptions) error {
	if s.receivers.Broken(Mail) {
		return &smtp.SMTPError{Code: 451, EnhancedCode: smtp.EnhancedCode{4, 3, 0}, Message: "broken by worker dev break"}
	}
	return nil
}

func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.to = append(s.to, to)
	return nil
}

func (s *session) Data(body io.Reader) error {
	m, err := mail.ReadMessage(body)
	if err != nil {
		return &smtp.SMTPError{Code: 554, EnhancedCode: smtp.EnhancedCode{5, 6, 0}, Message: "not a mail"}
	}
	if _, err := io.Copy(io.Discard, m.Body); err != nil {
		return err
	}
	subject := m.Header.Get("Subject")
	if decoded, err := (&mime.WordDecoder{}).DecodeHeader(subject); err == nil {
		subject = decoded
	}
	s.receivers.arrived(Arrival{
		Kind: KindMail, ID: strings.Trim(m.Header.Get("Message-Id"), "<> "),
		To: strings.Join(s.to, ", "), Summary: subject,
	})
	return nil
}

func (s *session) Reset() { s.to = nil }

func (s *session) Logout() error { return nil }
