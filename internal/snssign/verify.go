package snssign

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"time"
)

var (
	// ErrSignature says that SNS did not sign this.
	ErrSignature = errors.New("the signature is not that of SNS")
	// ErrCertificate says that a certificate cannot be used. That passes or is mended on this side,
	// so it says nothing about the message.
	ErrCertificate = errors.New("the certificate cannot be used")
)

// Text is what the signature covers: names and values in lines, sorted by name.
func (m *Message) Text() string {
	var b strings.Builder
	line := func(name, value string) {
		b.WriteString(name)
		b.WriteByte('\n')
		b.WriteString(value)
		b.WriteByte('\n')
	}
	line("Message", m.Message)
	line("MessageId", m.MessageID)
	if m.Type == Notification {
		if m.Subject != nil {
			line("Subject", *m.Subject)
		}
	} else {
		line("SubscribeURL", m.SubscribeURL)
	}
	line("Timestamp", m.Timestamp)
	if m.Type != Notification {
		line("Token", m.Token)
	}
	line("TopicArn", m.TopicARN)
	line("Type", m.Type)
	return b.String()
}

// algorithms are those of SNS by SignatureVersion. Who forges cannot gain by choosing the older one:
// it would take a second preimage of SHA-1.
var algorithms = map[string]x509.SignatureAlgorithm{"1": x509.SHA1WithRSA, "2": x509.SHA256WithRSA}

// Known returns an error that wraps ErrForm for a SignatureVersion that Verify has no algorithm for.
func (m *Message) Known() error {
	if _, known := algorithms[m.SignatureVersion]; !known {
		return fmt.Errorf("its SignatureVersion must be 1 or 2: %w", ErrForm)
	}
	return nil
}

// Verify proves that the owner of the certificate signed this message. The error wraps ErrSignature,
// ErrCertificate or ErrForm.
func (m *Message) Verify(c *x509.Certificate, now time.Time) error {
	if now.Before(c.NotBefore) || now.After(c.NotAfter) {
		return fmt.Errorf("%w: it is valid from %s to %s; is this machine's clock right?", ErrCertificate,
			c.NotBefore.UTC().Format(time.RFC3339), c.NotAfter.UTC().Format(time.RFC3339))
	}
	if err := m.Known(); err != nil {
		return err
	}
	signature, err := base64.StdEncoding.DecodeString(m.Signature)
	if err != nil || len(signature) == 0 {
		return fmt.Errorf("%w: it is no base64", ErrSignature)
	}
	if err := c.CheckSignature(algorithms[m.SignatureVersion], []byte(m.Text()), signature); err != nil {
		return fmt.Errorf("%w: %w", ErrSignature, err)
	}
	return nil
}

// ReadCertificate reads the certificate that a signing URL answered with.
func ReadCertificate(text []byte) (*x509.Certificate, error) {
	block, _ := pem.Decode(text)
	if block == nil || block.Type != "CERTIFICATE" {
		return nil, fmt.Errorf("%w: the answer is no PEM certificate", ErrCertificate)
	}
	c, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCertificate, err)
	}
	if _, ok := c.PublicKey.(*rsa.PublicKey); !ok {
		return nil, fmt.Errorf("%w: its key is no RSA key", ErrCertificate)
	}
	return c, nil
}
