package awsapi

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// template is what the SDK's requests of one operation have in common: where they go, what their
// head says, and how they are signed. It is learned from a request of the SDK, so that endpoints,
// FIPS, dual stack, user agent and everything else that the SDK derives from its configuration hold
// here too.
type template struct {
	to     *url.URL
	head   []byte // request line, Host and the headers that never change
	path   string
	scope  string // "/region/service/aws4_request"
	region string
	name   string // of the service, as it signs
	signed []signedHeader
}

// signedHeader is one header that the signature covers, in the order of the signature.
type signedHeader struct {
	name  string
	value string // "" where what says it
	what  varying
}

// varying says what a signed header tells of each request anew.
type varying int

const (
	constant varying = iota
	lengthOf
	dateOf
	tokenOf
	hashOf
)

// ofEach are the headers that differ from request to request, by their canonical names. What the SDK
// says of its own retries is left out: the service does not need it.
var ofEach = map[string]varying{
	"content-length": lengthOf, "x-amz-date": dateOf, "x-amz-security-token": tokenOf, "x-amz-content-sha256": hashOf,
}

const (
	algorithm   = "AWS4-HMAC-SHA256"
	termination = "aws4_request"
	longDate    = "20060102T150405Z"
	shortLength = len("20060102")
)

// learn makes a template of a signed request; nil when there is anything in it that a template does
// not know.
func learn(r *http.Request) *template {
	if r.Method != http.MethodPost || r.URL.RawQuery != "" || !plainPath(r.URL.Path) {
		return nil
	}
	scope, names, ok := readAuthorization(r.Header.Get("Authorization"))
	if !ok {
		return nil
	}
	host := r.Host
	if host == "" {
		host = r.URL.Host
	}
	t := &template{to: r.URL, path: r.URL.RequestURI(), scope: "/" + scope}
	if parts := strings.Split(scope, "/"); len(parts) == 3 && parts[2] == termination {
		t.region, t.name = parts[0], parts[1]
	} else {
		return nil
	}
	t.head = append(t.head, "POST "+t.path+" HTTP/1.1\r\nHost: "+host+"\r\n"...)
	constants := map[string]string{"host": host}
	for _, key := range slices.Sorted(mapKeys(r.Header)) {
		name, values := strings.ToLower(key), r.Header[key]
		switch {
		case name == "authorization" || name == "amz-sdk-invocation-id" || name == "amz-sdk-request":
			continue
		case ofEach[name] != constant:
			continue
		case name == "x-amzn-trace-id" || len(values) != 1 || values[0] != strings.Join(strings.Fields(values[0]), " "):
			return nil
		}
		constants[name] = values[0]
		t.head = append(t.head, key+": "+values[0]+"\r\n"...)
	}
	if !slices.Contains(names, "x-amz-security-token") { // credentials may get one later
		names = append(names, "x-amz-security-token")
	}
	slices.Sort(names)
	for _, name := range names {
		if strings.HasPrefix(name, "amz-sdk-") {
			continue
		}
		value, has := constants[name]
		what := ofEach[name]
		if !has && what == constant {
			return nil
		}
		t.signed = append(t.signed, signedHeader{name: name, value: value, what: what})
	}
	return t
}

func mapKeys(h http.Header) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for k := range h {
			if !yield(k) {
				return
			}
		}
	}
}

// plainPath reports whether a path reads the same however often it is escaped.
func plainPath(path string) bool {
	for _, c := range []byte(path) {
		letter := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
		if !letter && strings.IndexByte("/-._~", c) < 0 {
			return false
		}
	}
	return !strings.Contains(path, "//") && !strings.Contains(path, "/.")
}

// readAuthorization reads the scope and the signed headers of an Authorization header.
func readAuthorization(header string) (scope string, names []string, ok bool) {
	rest, ok := strings.CutPrefix(header, algorithm+" Credential=")
	if !ok {
		return "", nil, false
	}
	credential, rest, _ := strings.Cut(rest, ", SignedHeaders=")
	list, _, ok := strings.Cut(rest, ", Signature=")
	if !ok {
		return "", nil, false
	}
	_, dated, _ := strings.Cut(credential, "/")
	_, scope, ok = strings.Cut(dated, "/")
	return scope, strings.Split(list, ";"), ok
}

// writer writes requests; it keeps its buffers and its signing key from one to the next.
type writer struct {
	body, request, text []byte

	key struct{ secret, date, region, name string }
	mac hash.Hash
	sum [sha256.Size]byte
}

// write writes out the whole request around w.body, signed at now.
func (w *writer) write(t *template, c *aws.Credentials, now time.Time) []byte {
	var room [len(longDate)]byte
	date := now.UTC().AppendFormat(room[:0], longDate)
	w.sum = sha256.Sum256(w.body)
	var payload [2 * sha256.Size]byte
	hex.Encode(payload[:], w.sum[:])

	say := func(b []byte, h *signedHeader) []byte {
		switch h.what {
		case lengthOf:
			return strconv.AppendInt(b, int64(len(w.body)), 10)
		case dateOf:
			return append(b, date...)
		case tokenOf:
			return append(b, c.SessionToken...)
		case hashOf:
			return append(b, payload[:]...)
		case constant:
		}
		return append(b, h.value...)
	}

	// The canonical request. Source: "Create a signed AWS API request", IAM User Guide.
	text := append(w.text[:0], "POST\n"...)
	text = append(text, t.path...)
	text = append(text, "\n\n"...)
	for i := range t.signed {
		if h := &t.signed[i]; h.what != tokenOf || c.SessionToken != "" {
			text = append(text, h.name...)
			text = append(text, ':')
			text = append(say(text, h), '\n')
		}
	}
	text = append(text, '\n')
	text = t.names(text, c)
	text = append(text, '\n')
	text = append(text, payload[:]...)

	w.sum = sha256.Sum256(text)
	text = append(text[:0], algorithm+"\n"...)
	text = append(text, date...)
	text = append(text, '\n')
	text = append(text, date[:shortLength]...)
	text = append(text, t.scope...)
	text = append(text, '\n')
	text = hex.AppendEncode(text, w.sum[:])
	signature := w.keyed(t, c, date[:shortLength], text)

	b := append(w.request[:0], t.head...)
	for i := range t.signed {
		h := &t.signed[i]
		if h.what == constant || h.what == tokenOf && c.SessionToken == "" {
			continue
		}
		b = append(b, h.name...)
		b = append(b, ": "...)
		b = append(say(b, h), "\r\n"...)
	}
	b = append(b, "Authorization: "+algorithm+" Credential="...)
	b = append(b, c.AccessKeyID...)
	b = append(b, '/')
	b = append(b, date[:shortLength]...)
	b = append(b, t.scope...)
	b = append(b, ", SignedHeaders="...)
	b = t.names(b, c)
	b = append(b, ", Signature="...)
	b = hex.AppendEncode(b, signature)
	b = append(b, "\r\n\r\n"...)
	b = append(b, w.body...)
	w.text, w.request = text, b
	return b
}

// names appends the list of the signed headers.
func (t *template) names(b []byte, c *aws.Credentials) []byte {
	for i := range t.signed {
		if h := &t.signed[i]; h.what != tokenOf || c.SessionToken != "" {
			if i > 0 {
				b = append(b, ';')
			}
			b = append(b, h.name...)
		}
	}
	return b
}

// keyed signs text with the key of the day, which is made anew when the day or the secret changes.
func (w *writer) keyed(t *template, c *aws.Credentials, date, text []byte) []byte {
	k := &w.key
	if w.mac == nil || k.secret != c.SecretAccessKey || k.date != string(date) || k.region != t.region || k.name != t.name {
		k.secret, k.date, k.region, k.name = c.SecretAccessKey, string(date), t.region, t.name
		key := []byte("AWS4" + c.SecretAccessKey)
		for _, part := range []string{k.date, t.region, t.name, termination} {
			mac := hmac.New(sha256.New, key)
			mac.Write([]byte(part))
			key = mac.Sum(nil)
		}
		w.mac = hmac.New(sha256.New, key)
	}
	w.mac.Reset()
	w.mac.Write(text)
	return w.mac.Sum(w.sum[:0])
}
