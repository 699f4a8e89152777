// Package snssign reads what Amazon SNS posts to an HTTP endpoint and proves that SNS wrote it: the
// fields of the body, the text that a signature covers, the one place that its certificate may come
// from, and the signature itself. It fetches nothing and knows no clock; package ingress does both.
//
// Source of the rules: "Verifying the signatures of Amazon SNS messages", Developer Guide. What is
// stricter here than there is so on purpose, and says why.
package snssign

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode"
)

// Types of messages.
const (
	Notification             = "Notification"
	SubscriptionConfirmation = "SubscriptionConfirmation"
	UnsubscribeConfirmation  = "UnsubscribeConfirmation"
)

// ErrMalformed says that a body is nothing that SNS writes.
var ErrMalformed = errors.New("not a message of SNS")

// Message is the body of one request of SNS, unproved until Verify has returned nil. The attributes of
// a notification are not here: no signature covers them.
type Message struct {
	Type, MessageID, TopicARN, Message string
	// Subject is nil when the message has none: an empty one would be signed.
	Subject *string
	// Timestamp is the text that was signed, Sent the time that it says.
	Timestamp string
	Sent      time.Time
	// Token and SubscribeURL are of the confirmations. The URL is signed and never fetched.
	Token, SubscribeURL string
	// SignatureVersion is "1" (SHA1withRSA) or "2" (SHA256withRSA).
	SignatureVersion, Signature, SigningCertURL string
}

// fields are read of a body; everything else in it is not signed and not looked at.
func (m *Message) fields() map[string]any {
	return map[string]any{
		"Type": &m.Type, "MessageId": &m.MessageID, "TopicArn": &m.TopicARN, "Message": &m.Message, "Subject": &m.Subject,
		"Timestamp": &m.Timestamp, "Token": &m.Token, "SubscribeURL": &m.SubscribeURL,
		"SignatureVersion": &m.SignatureVersion, "Signature": &m.Signature, "SigningCertURL": &m.SigningCertURL,
	}
}

// Parse reads a body. Its keys are taken as SNS spells them, and none may come twice: two readers of
// one body must not be able to see two messages.
func Parse(body []byte) (*Message, error) {
	raw, err := object(body)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	m := &Message{}
	for name, into := range m.fields() {
		text, has := raw[name]
		if !has {
			continue
		}
		if err := json.Unmarshal(text, into); err != nil {
			return nil, fmt.Errorf("%w: field %s is no text", ErrMalformed, name)
		}
	}
	if err := m.check(raw); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return m, nil
}

// mostFields is how many fields a body may have. SNS writes a dozen; each costs more memory than its text,
// and anybody may post.
const mostFields = 32

// object reads one JSON object, and nothing after it.
func object(body []byte) (map[string]json.RawMessage, error) {
	d := json.NewDecoder(bytes.NewReader(body))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, errors.New("the body is no JSON object")
	}
	raw := make(map[string]json.RawMessage, 12)
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return nil, errors.New("the body is no JSON object")
		}
		name, _ := t.(string) // the decoder takes nothing else for a key
		if _, twice := raw[name]; twice {
			return nil, errors.New("a field comes twice")
		}
		if len(raw) == mostFields {
			return nil, fmt.Errorf("it has more than %d fields", mostFields)
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return nil, errors.New("the body is no JSON object")
		}
		raw[name] = value
	}
	if _, err := d.Token(); err != nil {
		return nil, errors.New("the body is no JSON object")
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("something follows the JSON object")
	}
	return raw, nil
}

// required are what each type must have, besides the fields of the signature.
var required = map[string][]string{
	Notification:             {"Message", "MessageId", "Timestamp", "TopicArn"},
	SubscriptionConfirmation: {"Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn"},
	UnsubscribeConfirmation:  {"Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn"},
}

func (m *Message) check(raw map[string]json.RawMessage) error {
	names, known := required[m.Type]
	if !known {
		return errors.New("its Type is unknown")
	}
	for _, name := range names {
		if text, has := raw[name]; !has || string(text) == "null" {
			return fmt.Errorf("field %s is missing", name)
		}
	}
	// The signed text separates its fields by lines. A line break in any but the first field could
	// move the border between two of them and leave the text, and so the signature, as it was.
	lines := []string{m.MessageID, m.TopicARN, m.Timestamp, m.Token, m.SubscribeURL}
	if m.Subject != nil {
		lines = append(lines, *m.Subject)
	}
	if slices.ContainsFunc(lines, func(s string) bool { return strings.ContainsFunc(s, unicode.IsControl) }) {
		return errors.New("a field has control characters")
	}
	const longest = 100 // AWS's are UUIDs
	if m.MessageID == "" || len(m.MessageID) > longest {
		return errors.New("its MessageId is none")
	}
	var err error
	if m.Sent, err = time.Parse(time.RFC3339, m.Timestamp); err != nil {
		return errors.New("its Timestamp is none")
	}
	return nil
}
