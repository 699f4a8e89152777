package leanhttp

import (
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
)

// short reports whether a request is one that this package knows to send: whole, and answered once.
// What could not be written down safely is left to net/http, which says what is wrong with it.
func short(r *http.Request) bool {
	switch {
	case r.URL == nil, r.Method == http.MethodHead, r.Method == http.MethodConnect, r.Close, len(r.TransferEncoding) > 0, len(r.Trailer) > 0,
		r.ContentLength < 0, r.ContentLength > maxBody, r.ContentLength == 0 && r.Body != nil && r.Body != http.NoBody:
		return false
	}
	if !token(r.Method) && r.Method != "" || !printable(r.Host) || !printable(r.URL.Host) {
		return false
	}
	for name, values := range r.Header {
		switch name {
		case "Expect", "Upgrade", "Connection", "Transfer-Encoding", "Trailer":
			return false
		}
		if !token(name) {
			return false
		}
		for _, v := range values {
			if !printable(v) {
				return false
			}
		}
	}
	return true
}

// compose writes a request out whole.
func compose(r *http.Request) ([]byte, error) {
	method, host := r.Method, r.Host
	if method == "" {
		method = http.MethodGet
	}
	if host == "" {
		host = r.URL.Host
	}
	b := make([]byte, 0, 1024+int(r.ContentLength))
	b = append(b, method...)
	b = append(b, ' ')
	b = append(b, r.URL.RequestURI()...)
	b = append(b, " HTTP/1.1\r\nHost: "...)
	b = append(b, host...)
	b = append(b, "\r\n"...)
	for name, values := range r.Header {
		if name == "Host" || name == "Content-Length" {
			continue
		}
		for _, v := range values {
			b = append(b, name...)
			b = append(b, ": "...)
			b = append(b, strings.Trim(v, " \t")...)
			b = append(b, "\r\n"...)
		}
	}
	if r.ContentLength > 0 || method == http.MethodPost || method == http.MethodPut || method == http.MethodPatch {
		b = append(b, "Content-Length: "...)
		b = strconv.AppendInt(b, r.ContentLength, 10)
		b = append(b, "\r\n"...)
	}
	b = append(b, "\r\n"...)
	if r.Body == nil {
		return b, nil
	}
	defer r.Body.Close()
	head := len(b)
	b = append(b, make([]byte, r.ContentLength)...)
	if n, err := io.ReadFull(r.Body, b[head:]); err != nil {
		return nil, fmt.Errorf("request body: %d of %d bytes: %w", n, r.ContentLength, err)
	}
	return b, nil
}

// token reports whether s may be the name of a header. Source: RFC 9110, section 5.6.2.
func token(s string) bool {
	for i := range len(s) {
		if !tchar[s[i]] {
			return false
		}
	}
	return s != ""
}

var tchar = func() (t [256]bool) {
	for _, c := range []byte("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") {
		t[c] = true
	}
	return t
}()

// printable reports whether s may stand in a head: no control character but the tab.
func printable(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}
