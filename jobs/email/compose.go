package email

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/mail"
	"strings"
	"unicode"

	gomail "github.com/wneessen/go-mail"

	"github.com/stationmaster/worker/jobs"
)

// maxAddress is RFC 5321's longest path, less its brackets.
const maxAddress = 254

var errAddress = errors.New("must be one mail address")

// recipient reads the address of a message. A name beside it is dropped: whoever wrote the message
// has no say in the mail's header. The error quotes nothing.
func recipient(s string) (string, error) {
	if s == "" {
		return "", errors.New("not set")
	}
	a, err := mail.ParseAddress(s)
	if err != nil || len(a.Address) > maxAddress || strings.ContainsFunc(a.Address, control) {
		return "", errAddress
	}
	return a.Address, nil
}

// compose writes the mail: plain text, from settings and the address alone, save for the name of who
// invites, which goes into the text.
func (j *Job) compose(to string, m *jobs.Info, invitedBy string) (*gomail.Msg, error) {
	mail := gomail.NewMsg(gomail.WithNoDefaultUserAgent())
	if err := mail.From(j.From); err != nil {
		return nil, fmt.Errorf("from: %w", err)
	}
	if err := mail.To("<" + to + ">"); err != nil {
		return nil, errAddress
	}
	mail.Subject(j.Subject)
	mail.SetDate()
	mail.SetMessageIDWithValue(j.messageID(m.ID))
	mail.SetGenHeader("Auto-Submitted", "auto-generated") // no vacation notices, please (RFC 3834)
	mail.SetBodyString(gomail.TypeTextPlain, text(invitedBy))
	return mail, nil
}

// messageID is the same whenever the same message is mailed, and tells nothing about it.
func (j *Job) messageID(id string) string {
	sum := sha256.Sum256([]byte("stationmaster/email/" + id))
	return hex.EncodeToString(sum[:16]) + "@" + j.domain
}

func text(invitedBy string) string {
	who := name(invitedBy)
	if who == "" {
		return "Hello,\r\n\r\nyou have been invited.\r\n"
	}
	return "Hello,\r\n\r\n" + who + " has invited you.\r\n"
}

// name is what may be said of who invites: one short line, so that nobody writes a letter of their
// own into our mail.
func name(s string) string {
	const most = 100
	s = strings.Join(strings.FieldsFunc(s, func(r rune) bool { return unicode.IsSpace(r) || control(r) }), " ")
	if runes := []rune(s); len(runes) > most {
		return string(runes[:most]) + "…"
	}
	return s
}

func control(r rune) bool {
	return unicode.IsControl(r) || r == '\u2028' || r == '\u2029'
}
