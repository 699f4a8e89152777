package localaws_test

import (
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sns"

	"github.com/stationmaster/worker/localaws"
)

// posted is a request that reached an endpoint.
type posted struct {
	at     time.Time
	url    string
	header http.Header
	body   string
}

// fields are those of the body's JSON.
func (p posted) fields(t *testing.T) map[string]string {
	t.Helper()
	var all map[string]any
	if err := json.Unmarshal([]byte(p.body), &all); err != nil {
		t.Fatalf("%s: %v", p.body, err)
	}
	texts := map[string]string{}
	for name, value := range all {
		if text, ok := value.(string); ok {
			texts[name] = text
		}
	}
	return texts
}

// endpoint is every HTTP endpoint there is, in this process.
type endpoint struct {
	mu       sync.Mutex
	requests []posted
	// answer decides what happens to the nth request, from 1: its status, or no answer at all. Nil is
	// 200 for all.
	answer func(n int, r *http.Request) (status int, err error)
}

func (e *endpoint) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	if r.Method != http.MethodPost {
		return nil, errors.New("not a POST")
	}
	e.mu.Lock()
	e.requests = append(e.requests, posted{time.Now(), r.URL.String(), r.Header.Clone(), string(body)})
	n, answer := len(e.requests), e.answer
	e.mu.Unlock()
	status := http.StatusOK
	if answer != nil {
		if status, err = answer(n, r); err != nil {
			return nil, err
		}
	}
	return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader("thanks")), Request: r}, nil
}

// always answers every request with a status.
func (e *endpoint) always(status int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.answer = func(int, *http.Request) (int, error) { return status, nil }
}

// taken takes what was posted since the last call.
func (e *endpoint) taken() []posted {
	e.mu.Lock()
	defer e.mu.Unlock()
	taken := e.requests
	e.requests = nil
	return taken
}

// newEndpointKit is a server whose posts end in an endpoint of this process.
func newEndpointKit(t *testing.T) (*snsKit, *endpoint) {
	t.Helper()
	e := &endpoint{}
	return newSNSKitWith(t, localaws.Options{Deliver: e}), e
}

// confirmed subscribes a URL to the topic, and confirms it as soon as it is asked to; it must be
// called in a synctest bubble.
func (k *snsKit) confirmed(t *testing.T, e *endpoint, url string, attributes map[string]string) string {
	t.Helper()
	protocol, _, _ := strings.Cut(url, ":")
	arn, err := k.trySubscribe(t, protocol, url, attributes)
	if err != nil {
		t.Fatal(err)
	}
	k.confirm(t, await(t, e).fields(t)["Token"])
	return arn
}

func (k *snsKit) confirm(t *testing.T, token string) {
	t.Helper()
	if _, err := k.sns.ConfirmSubscription(t.Context(), &sns.ConfirmSubscriptionInput{TopicArn: aws.String(snsTopicARN), Token: &token}); err != nil {
		t.Fatal(err)
	}
}

// get fetches a URL of the server without credentials.
func (k *snsKit) get(t *testing.T, url string) (status int, body string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := (&http.Client{Transport: k.Transport()}).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(text)
}

// verify checks the signature of what SNS sent as AWS tells its customers to: fetch the certificate,
// put the signed fields together by name, let the certificate check. It shares nothing with the
// server that signed.
func (k *snsKit) verify(t *testing.T, body string) {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal([]byte(body), &m); err != nil {
		t.Fatal(err)
	}
	text := func(name string) string { s, _ := m[name].(string); return s }
	status, file := k.get(t, text("SigningCertURL"))
	block, rest := pem.Decode([]byte(file))
	if status != http.StatusOK || block == nil || block.Type != "CERTIFICATE" || len(bytes.TrimSpace(rest)) > 0 {
		t.Fatalf("certificate at %q: %d %q", text("SigningCertURL"), status, file)
	}
	certificate, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	if now := time.Now(); now.Before(certificate.NotBefore) || now.After(certificate.NotAfter) {
		t.Errorf("the certificate is valid from %v to %v", certificate.NotBefore, certificate.NotAfter)
	}
	var b strings.Builder
	add := func(names ...string) {
		for _, name := range names {
			b.WriteString(name + "\n" + text(name) + "\n")
		}
	}
	add("Message", "MessageId")
	switch _, has := m["Subject"]; {
	case text("Type") != "Notification":
		add("SubscribeURL", "Timestamp", "Token")
	case has:
		add("Subject", "Timestamp")
	default:
		add("Timestamp")
	}
	add("TopicArn", "Type")
	algorithm := map[string]x509.SignatureAlgorithm{"1": x509.SHA1WithRSA, "2": x509.SHA256WithRSA}[text("SignatureVersion")]
	signature, err := base64.StdEncoding.DecodeString(text("Signature"))
	if err != nil {
		t.Fatal(err)
	}
	if err := certificate.CheckSignature(algorithm, []byte(b.String()), signature); err != nil {
		t.Errorf("signature of %s: %v", body, err)
	}
}
