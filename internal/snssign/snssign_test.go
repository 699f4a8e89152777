package snssign_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1" // SignatureVersion 1 is made with it
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"maps"
	"math/big"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stationmaster/worker/internal/snssign"
)

const topic = "arn:aws:sns:us-east-1:123456789012:invitations"

var now = time.Date(2026, 11, 25, 2, 0, 0, 0, time.UTC)

var key = sync.OnceValue(func() *rsa.PrivateKey {
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return k
})

// certify makes a certificate of a public key, as text.
func certify(t testing.TB, public, private any, from, to time.Time) []byte {
	t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "sns.amazonaws.com"}, NotBefore: from, NotAfter: to}
	der, err := x509.CreateCertificate(rand.Reader, template, template, public, private)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

func certificate(t testing.TB, k *rsa.PrivateKey) *x509.Certificate {
	t.Helper()
	c, err := snssign.ReadCertificate(certify(t, &k.PublicKey, k, now.Add(-time.Hour), now.Add(time.Hour)))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// text is AWS's rule, written again: the fields that are there, by name.
func text(fields map[string]string) string {
	var b strings.Builder
	names := []string{"Message", "MessageId", "Subject", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"}
	for _, name := range names {
		if value, has := fields[name]; has {
			b.WriteString(name + "\n" + value + "\n")
		}
	}
	return b.String()
}

func signed(t testing.TB, version string, fields map[string]string) []byte {
	t.Helper()
	all := maps.Clone(fields)
	var digest []byte
	hash := crypto.SHA256
	if version == "1" {
		sum := sha1.Sum([]byte(text(fields)))
		hash, digest = crypto.SHA1, sum[:]
	} else {
		sum := sha256.Sum256([]byte(text(fields)))
		digest = sum[:]
	}
	signature, err := rsa.SignPKCS1v15(nil, key(), hash, digest)
	if err != nil {
		t.Fatal(err)
	}
	all["SignatureVersion"], all["Signature"] = version, base64.StdEncoding.EncodeToString(signature)
	return body(t, all)
}

func body(t testing.TB, fields any) []byte {
	t.Helper()
	data, err := json.Marshal(fields)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func notification() map[string]string {
	return map[string]string{
		"Type": "Notification", "MessageId": "5b2d0c4c-0001", "TopicArn": topic, "Subject": "Grüße",
		"Message": "{\"a\":\"<b> & \u2028\"}\nMessageId\nx", "Timestamp": "2026-11-25T01:59:00.123Z",
	}
}

func confirmation(kind string) map[string]string {
	return map[string]string{
		"Type": kind, "MessageId": "5b2d0c4c-0002", "TopicArn": topic, "Message": "You have chosen.\nVisit.",
		"Timestamp": "2026-11-25T01:59:00.123Z", "Token": "00ff", "SubscribeURL": "https://sns.us-east-1.amazonaws.com/?Action=ConfirmSubscription",
	}
}

func parse(t testing.TB, body []byte) *snssign.Message {
	t.Helper()
	m, err := snssign.Parse(body)
	if err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	return m
}

func TestVerifyTakesWhatWasSigned(t *testing.T) {
	bare := notification()
	delete(bare, "Subject")
	for name, fields := range map[string]map[string]string{
		"notification": notification(), "without subject": bare,
		"subscription": confirmation(snssign.SubscriptionConfirmation), "end of one": confirmation(snssign.UnsubscribeConfirmation),
	} {
		for _, version := range []string{"1", "2"} {
			t.Run(name+" by version "+version, func(t *testing.T) {
				m := parse(t, signed(t, version, fields))
				if err := m.Verify(certificate(t, key()), now); err != nil {
					t.Error(err)
				}
				if diff := cmp.Diff(text(fields), m.Text()); diff != "" {
					t.Error(diff)
				}
			})
		}
	}
}

// TestVerifyRefusesAChangedField changes each field that is signed, takes it away, or adds it.
func TestVerifyRefusesAChangedField(t *testing.T) {
	c := certificate(t, key())
	for _, fields := range []map[string]string{notification(), confirmation(snssign.SubscriptionConfirmation)} {
		var sent map[string]string
		if err := json.Unmarshal(signed(t, "2", fields), &sent); err != nil {
			t.Fatal(err)
		}
		changes := map[string]string{
			"Message": "other", "MessageId": "other", "Subject": "other", "Timestamp": "2026-11-25T01:59:01Z", "Token": "01ff",
			"SubscribeURL": "https://example.com", "TopicArn": topic + "2", "Type": snssign.UnsubscribeConfirmation,
			"SignatureVersion": "1", "Signature": base64.StdEncoding.EncodeToString([]byte("other")),
		}
		for name, value := range changes {
			if _, has := sent[name]; !has {
				continue
			}
			changed := maps.Clone(sent)
			changed[name] = value
			if name == "Type" && fields["Type"] == "Notification" {
				changed["Token"], changed["SubscribeURL"] = "00", "x"
			}
			if err := parse(t, body(t, changed)).Verify(c, now); !errors.Is(err, snssign.ErrSignature) {
				t.Errorf("%s with another %s: %v", fields["Type"], name, err)
			}
		}
		if _, has := sent["Subject"]; has {
			changed := maps.Clone(sent)
			delete(changed, "Subject")
			if err := parse(t, body(t, changed)).Verify(c, now); !errors.Is(err, snssign.ErrSignature) {
				t.Errorf("without its subject: %v", err)
			}
		}
	}
}

func TestVerifyRefusesOtherSigners(t *testing.T) {
	other, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	m := parse(t, signed(t, "2", notification()))
	for name, row := range map[string]struct {
		change func(*snssign.Message)
		key    *rsa.PrivateKey
		at     time.Time
		want   error
	}{
		"another key":           {nil, other, now, snssign.ErrSignature},
		"version 3":             {func(m *snssign.Message) { m.SignatureVersion = "3" }, key(), now, snssign.ErrForm},
		"no version":            {func(m *snssign.Message) { m.SignatureVersion = "" }, key(), now, snssign.ErrForm},
		"no signature":          {func(m *snssign.Message) { m.Signature = "" }, key(), now, snssign.ErrSignature},
		"no base64":             {func(m *snssign.Message) { m.Signature = "*" }, key(), now, snssign.ErrSignature},
		"a certificate expired": {nil, key(), now.Add(2 * time.Hour), snssign.ErrCertificate},
		"one of the future":     {nil, key(), now.Add(-2 * time.Hour), snssign.ErrCertificate},
	} {
		t.Run(name, func(t *testing.T) {
			changed := *m
			if row.change != nil {
				row.change(&changed)
			}
			if err := changed.Verify(certificate(t, row.key), row.at); !errors.Is(err, row.want) {
				t.Errorf("%v, want %v", err, row.want)
			}
		})
	}
}

func TestReadCertificateWantsAnRSAKey(t *testing.T) {
	curve, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	good := certify(t, &key().PublicKey, key(), now, now.Add(time.Hour))
	for name, text := range map[string][]byte{
		"nothing": nil, "HTML": []byte("<html>"), "a key": []byte(strings.ReplaceAll(string(good), "CERTIFICATE", "PRIVATE KEY")),
		"garbage":    pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("x")}),
		"ECDSA's":    certify(t, &curve.PublicKey, curve, now, now.Add(time.Hour)),
		"a half one": good[:len(good)/2],
	} {
		if _, err := snssign.ReadCertificate(text); !errors.Is(err, snssign.ErrCertificate) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestParseRefuses: no two readers of a body may see two messages, and no border between two signed
// fields may move.
func TestParseRefuses(t *testing.T) {
	with := func(name string, value any) []byte {
		all := map[string]any{}
		for k, v := range notification() {
			all[k] = v
		}
		all[name] = value
		return body(t, all)
	}
	without := func(name string) []byte {
		all := notification()
		delete(all, name)
		return body(t, all)
	}
	good := string(body(t, notification()))
	lower := strings.Replace(good, `"TopicArn"`, `"topicarn"`, 1)
	moved := notification() // the signed text of another message, with a border elsewhere
	moved["MessageId"], moved["Message"] = "x\nMessageId\n"+moved["MessageId"], "{}"
	for name, text := range map[string][]byte{
		"nothing": nil, "a number": []byte("1"), "an array": []byte("[]"), "half an object": []byte(good[:len(good)-1]),
		"two objects": []byte(good + good), "a field twice": []byte(`{"Message":"x",` + good[1:]), "another spelling": []byte(lower),
		"a number for a text": with("Message", 1), "null": with("Message", nil), "another type": with("Type", "Order"),
		"no type": without("Type"), "no topic": without("TopicArn"), "no message": without("Message"), "no id": without("MessageId"),
		"no time": without("Timestamp"), "a time that is none": with("Timestamp", "yesterday"), "an empty id": with("MessageId", ""),
		"a long id": with("MessageId", strings.Repeat("x", 101)), "a moved border": body(t, moved), "a subject of two lines": with("Subject", "a\nb"),
		"no token": body(t, func() any { c := confirmation(snssign.SubscriptionConfirmation); delete(c, "Token"); return c }()),
	} {
		if m, err := snssign.Parse(text); !errors.Is(err, snssign.ErrMalformed) {
			t.Errorf("%s: %+v, %v", name, m, err)
		}
	}
	if _, err := snssign.Parse([]byte(" " + good + "\n")); err != nil {
		t.Error(err)
	}
}

func TestPlaceIsMadeOfTheTopic(t *testing.T) {
	name := "SimpleNotificationService-" + strings.Repeat("0f", 16) + ".pem"
	good := "https://sns.us-east-1.amazonaws.com/" + name
	for _, row := range []struct{ name, topic, url string }{
		{"AWS", topic, good},
		{"China", "arn:aws-cn:sns:cn-north-1:1:t", "https://sns.cn-north-1.amazonaws.com.cn/" + name},
		{"government", "arn:aws-us-gov:sns:us-gov-west-1:1:t", "https://sns.us-gov-west-1.amazonaws.com/" + name},
		{"isolated", "arn:aws-iso:sns:us-iso-east-1:1:t", "https://sns.us-iso-east-1.c2s.ic.gov/" + name},
	} {
		p, err := snssign.PlaceOf(row.topic)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := p.Certificate(row.url); err != nil || got != row.url {
			t.Errorf("%s: %q, %v", row.name, got, err)
		}
	}
	p, err := snssign.PlaceOf(topic)
	if err != nil {
		t.Fatal(err)
	}
	for _, url := range []string{
		"", "http" + strings.TrimPrefix(good, "https"), strings.ToUpper(good), good + "?", good + "?x=1", good + "#", good + "/", good + "%00",
		"https://sns.us-east-1.amazonaws.com:443/" + name, "https://sns.us-east-1.amazonaws.com:8443/" + name,
		"https://sns.us-east-1.amazonaws.com./" + name, "https://sns.us-east-1.amazonaws.com@evil.example/" + name,
		"https://user@sns.us-east-1.amazonaws.com/" + name, "https://evil.example/" + name,
		"https://sns.us-east-1.amazonaws.com.evil.example/" + name, "https://evil.sns.us-east-1.amazonaws.com/" + name,
		// Buckets that somebody has called sns.
		"https://sns.s3-us-west-2.amazonaws.com/" + name, "https://sns.s3-accelerate.amazonaws.com/" + name,
		"https://sns.s3-website-us-east-1.amazonaws.com/" + name, "https://sns.s3.amazonaws.com/" + name,
		"https://s3.us-east-1.amazonaws.com/sns/" + name,
		"https://sns.us-east-2.amazonaws.com/" + name, "https://sns.us-east-1.amazonaws.com.cn/" + name,
		"https://sns.us-east-1.amazonaws.com//" + name, "https://sns.us-east-1.amazonaws.com/x/" + name, "https://sns.us-east-1.amazonaws.com/_aws/sns/" + name,
		"https://sns.us-east-1.amazonaws.com/../" + name, "https://sns.us-east-1.amazonaws.com/", "https://sns.us-east-1.amazonaws.com/other.pem",
		"https://sns.us-east-1.amazonaws.com/" + strings.Replace(name, "0f", "0F", 1), "https://sns.us-east-1.amazonaws.com/" + strings.Replace(name, "0f", "", 1),
		"https://sns.us-east-1.amazonaws.com/" + name + "\n", "\thttps://sns.us-east-1.amazonaws.com/" + name,
	} {
		if got, err := p.Certificate(url); !errors.Is(err, snssign.ErrPlace) || got != "" {
			t.Errorf("%q: %q, %v", url, got, err)
		}
	}
	for _, arn := range []string{"", "invitations", "arn:aws:sqs:us-east-1:1:t", "arn:aws:sns:us-east-1:1", "arn:moon:sns:us-east-1:1:t", "arn:aws:sns:s3-us-west-2.x:1:t", "arn:aws:sns::1:t"} {
		if _, err := snssign.PlaceOf(arn); err == nil {
			t.Errorf("%q is a topic", arn)
		}
	}
}

func TestPlaceOfALocalServer(t *testing.T) {
	name := "SimpleNotificationService-" + strings.Repeat("0f", 16) + ".pem"
	p, err := snssign.PlaceAt("http://127.0.0.1:4566")
	if err != nil {
		t.Fatal(err)
	}
	for url, want := range map[string]string{
		"http://127.0.0.1:4566/" + name:                           "http://127.0.0.1:4566/" + name,
		"http://localhost:4566/" + name:                           "http://127.0.0.1:4566/" + name,
		"http://localhost.localstack.cloud:4566/_aws/sns/" + name: "http://127.0.0.1:4566/_aws/sns/" + name,
		"http://localhost:4567/" + name:                           "",
		"https://localhost:4566/" + name:                          "",
		"http://evil.example:4566/" + name:                        "",
		"http://localhost:4566/x/" + name:                         "",
		"http://127.0.0.1:4566/_aws/../" + name:                   "",
		"https://sns.us-east-1.amazonaws.com/" + name:             "",
		"http://localhost:4566":                                   "",
	} {
		if got, err := p.Certificate(url); got != want || (want == "") != errors.Is(err, snssign.ErrPlace) {
			t.Errorf("%s: %q, %v, want %q", url, got, err, want)
		}
	}
	elsewhere, err := snssign.PlaceAt("http://aws.test:4566/")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := elsewhere.Certificate("http://localhost:4566/" + name); err == nil {
		t.Errorf("a name of this machine stands for another: %s", got)
	}
	for _, endpoint := range []string{"", "127.0.0.1:4566", "ftp://x", "http://u:p@x", "http://x/?a", "http://"} {
		if _, err := snssign.PlaceAt(endpoint); err == nil {
			t.Errorf("%q is an endpoint", endpoint)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(body(f, notification()))
	f.Add(body(f, confirmation(snssign.SubscriptionConfirmation)))
	f.Add([]byte(`{"Type":"Notification","Type":null}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		m, err := snssign.Parse(text)
		if err != nil {
			if !errors.Is(err, snssign.ErrMalformed) {
				t.Errorf("%q: %v", text, err)
			}
			return
		}
		// The borders between the signed fields can be found again, whatever the message says.
		lines := strings.Split(m.Text(), "\n")
		slices.Reverse(lines)
		if lines[1] != m.Type || lines[3] != m.TopicARN {
			t.Errorf("%q: lines %q", text, lines)
		}
		again, err := snssign.Parse(body(t, map[string]any{
			"Type": m.Type, "MessageId": m.MessageID, "TopicArn": m.TopicARN, "Message": m.Message, "Subject": m.Subject,
			"Timestamp": m.Timestamp, "Token": m.Token, "SubscribeURL": m.SubscribeURL,
		}))
		if err != nil || again.Text() != m.Text() {
			t.Errorf("%q: again %v", text, err)
		}
	})
}

func FuzzCertificate(f *testing.F) {
	name := "SimpleNotificationService-" + strings.Repeat("0f", 16) + ".pem"
	f.Add("https://sns.us-east-1.amazonaws.com/" + name)
	f.Add("http://localhost:4566/_aws/sns/" + name)
	aws, err := snssign.PlaceOf(topic)
	if err != nil {
		f.Fatal(err)
	}
	local, err := snssign.PlaceAt("http://127.0.0.1:4566")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, url string) {
		if got, err := aws.Certificate(url); err == nil && (got != url || len(got) != len("https://sns.us-east-1.amazonaws.com/")+len(name)) {
			t.Errorf("%q: %q", url, got)
		}
		if got, err := local.Certificate(url); err == nil && !strings.HasPrefix(got, "http://127.0.0.1:4566/") {
			t.Errorf("%q: %q", url, got)
		}
	})
}
