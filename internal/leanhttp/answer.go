package leanhttp

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/textproto"
	"strconv"
	"strings"
	"sync"
	"time"
)

// errMalformed is the class of an answer that is no HTTP/1.
var errMalformed = errors.New("malformed HTTP answer")

func malformed(format string, a ...any) error {
	return fmt.Errorf("%w: %s", errMalformed, fmt.Sprintf(format, a...))
}

// Answer is one answer. What it refers to lives in a buffer that its Release gives back.
type Answer struct {
	// Status is the status code, 200 to 999.
	Status int
	// Body is all of the body that came.
	Body []byte
	// Came is when its head had come.
	Came time.Time
	// Broken is why the body ended before its time; nil when it is whole.
	Broken error

	buf        []byte // as it came over the wire, from the status line on
	start, end int    // of the header lines in buf
	proto      string
	length     int64 // of the body; -1: it ends with the connection, or comes in chunks
	chunked    bool
	keep       bool
}

const (
	// pooled is the most that a buffer may have grown to and still be kept.
	pooled = 64 << 10
	// trusted is the longest body that room is made for before it has come.
	trusted = 1 << 20
)

var buffers = sync.Pool{New: func() any { return &Answer{buf: make([]byte, 0, 16<<10)} }}

func newAnswer() *Answer {
	a, ok := buffers.Get().(*Answer)
	if !ok {
		a = new(Answer)
	}
	*a = Answer{buf: a.buf[:0]}
	return a
}

// Release ends the life of the answer and of its Body.
func (a *Answer) Release() {
	if cap(a.buf) > pooled {
		return
	}
	buffers.Put(a)
}

// Header returns the first value of a header; empty when there is none.
func (a *Answer) Header(name string) string {
	for rest := a.buf[a.start:a.end]; len(rest) > 0; {
		line, more, _ := bytes.Cut(rest, newline)
		rest = more
		key, value, ok := bytes.Cut(line, colon)
		if ok && len(key) == len(name) && strings.EqualFold(string(key), name) {
			return string(bytes.Trim(value, " \t\r"))
		}
	}
	return ""
}

var newline, colon = []byte{'\n'}, []byte{':'}

// read reads one answer; nothing of it has been read before.
func read(from io.Reader) (*Answer, error) {
	a := newAnswer()
	if err := a.read(from); err != nil {
		a.Release()
		return nil, err
	}
	return a, nil
}

// more reads on, and makes room before.
func (a *Answer) more(from io.Reader) error {
	if len(a.buf) > 2*maxBody {
		return malformed("more than %d bytes", 2*maxBody) // of chunks that carry next to nothing
	}
	if len(a.buf) == cap(a.buf) {
		grown := make([]byte, len(a.buf), 2*cap(a.buf)+4096)
		copy(grown, a.buf)
		a.buf = grown
	}
	for range 100 {
		n, err := from.Read(a.buf[len(a.buf):cap(a.buf)])
		a.buf = a.buf[:len(a.buf)+n]
		if n > 0 {
			return nil // an error comes again
		}
		if err != nil {
			return err
		}
	}
	return io.ErrNoProgress
}

// read reads one answer; those that only say "go on" are passed over.
func (a *Answer) read(from io.Reader) error {
	at := 0
	for range 8 {
		body, err := a.readHead(from, at)
		if err != nil {
			return err
		}
		if a.Status == http.StatusSwitchingProtocols {
			return malformed("switches protocols unasked")
		}
		if a.Status >= 200 {
			a.Came = time.Now()
			return a.readBody(from, body)
		}
		at = body
	}
	return malformed("goes on and on with status %d", a.Status)
}

// readHead reads the head that begins at at and returns where its body begins.
func (a *Answer) readHead(from io.Reader, at int) (body int, err error) {
	seen := at
	for {
		if end := headEnd(a.buf[at:], seen-at); end > 0 {
			return at + end, a.parseHead(at, at+end)
		}
		seen = len(a.buf)
		if len(a.buf)-at > maxHead {
			return 0, malformed("its head is larger than %d bytes", maxHead)
		}
		if err := a.more(from); err != nil {
			if errors.Is(err, io.EOF) && len(a.buf) > 0 {
				return 0, io.ErrUnexpectedEOF
			}
			return 0, err
		}
	}
}

// headEnd returns the length of a head with its empty line; 0 when it is not all there. The first
// seen bytes have been looked at.
func headEnd(b []byte, seen int) int {
	for i := max(0, seen-3); i < len(b); i++ {
		next := bytes.IndexByte(b[i:], '\n')
		if next < 0 {
			return 0
		}
		i += next
		switch {
		case i+1 < len(b) && b[i+1] == '\n':
			return i + 2
		case i+2 < len(b) && b[i+1] == '\r' && b[i+2] == '\n':
			return i + 3
		}
	}
	return 0
}

func (a *Answer) parseHead(start, end int) error {
	line, _, _ := bytes.Cut(a.buf[start:end], newline)
	a.start, a.end = start+len(line)+1, end
	line = bytes.TrimSuffix(line, []byte{'\r'})
	proto, rest, _ := bytes.Cut(line, []byte{' '})
	switch string(proto) {
	case "HTTP/1.1":
		a.proto, a.keep = "HTTP/1.1", true
	case "HTTP/1.0":
		a.proto, a.keep = "HTTP/1.0", false
	default:
		return malformed("it begins with %.32q", line)
	}
	code, _, _ := bytes.Cut(bytes.TrimLeft(rest, " "), []byte{' '})
	status, err := strconv.Atoi(string(code))
	if err != nil || len(code) != 3 || status < 100 {
		return malformed("status %.16q", code)
	}
	a.Status, a.length, a.chunked = status, -1, false
	return a.eachLine(a.framing)
}

// eachLine calls do with every header of the head.
func (a *Answer) eachLine(do func(name, value []byte) error) error {
	for rest := a.buf[a.start:a.end]; len(rest) > 0; {
		line, more, _ := bytes.Cut(rest, newline)
		rest = more
		line = bytes.TrimSuffix(line, []byte{'\r'})
		if len(line) == 0 {
			return nil
		}
		name, value, err := field(line)
		if err != nil {
			return err
		}
		if err := do(name, value); err != nil {
			return err
		}
	}
	return nil
}

// field reads one header line.
func field(line []byte) (name, value []byte, err error) {
	name, value, ok := bytes.Cut(line, colon)
	if !ok || len(name) == 0 {
		return nil, nil, malformed("header line %.32q", line)
	}
	for _, c := range name {
		if !tchar[c] {
			return nil, nil, malformed("header name %.32q", name)
		}
	}
	value = bytes.Trim(value, " \t")
	for _, c := range value {
		if c < ' ' && c != '\t' || c == 0x7f {
			return nil, nil, malformed("value of header %.32q", name)
		}
	}
	return name, value, nil
}

// framing takes in the headers that say where the body ends and what follows it.
func (a *Answer) framing(name, value []byte) error {
	switch {
	case is(name, "content-length"):
		n, err := strconv.ParseUint(string(value), 10, 63)
		if err != nil || (a.length >= 0 && a.length != int64(n)) {
			return malformed("content-length %.32q", value)
		}
		a.length = int64(n)
	case is(name, "transfer-encoding"):
		if a.chunked || !strings.EqualFold(string(value), "chunked") || a.proto == "HTTP/1.0" {
			return malformed("transfer-encoding %.32q", value)
		}
		a.chunked = true
	case is(name, "connection"):
		for option := range strings.SplitSeq(string(value), ",") {
			if strings.EqualFold(strings.Trim(option, " \t"), "close") {
				a.keep = false
			}
		}
	}
	return nil
}

// is compares without regard to case; lower is in lower case.
func is(name []byte, lower string) bool {
	if len(name) != len(lower) {
		return false
	}
	for i, c := range name {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}

// readBody reads the body that begins at at.
func (a *Answer) readBody(from io.Reader, at int) (err error) {
	switch {
	case a.Status == http.StatusNoContent || a.Status == http.StatusNotModified:
		a.length, a.chunked = 0, false
		a.keep = a.keep && len(a.buf) == at
		return nil
	case a.chunked:
		a.length = -1
		return a.readChunks(from, at)
	case a.length < 0:
		return a.readToEnd(from, at)
	case a.length > maxBody:
		return fmt.Errorf("answer of %d bytes: must be at most %d", a.length, maxBody)
	}
	whole := at + int(a.length)
	if whole > cap(a.buf) && whole <= trusted {
		grown := make([]byte, len(a.buf), whole)
		copy(grown, a.buf)
		a.buf = grown
	}
	for len(a.buf) < whole {
		if err := a.more(from); err != nil {
			a.broken(at, len(a.buf), err)
			return nil
		}
	}
	a.keep = a.keep && len(a.buf) == whole // more than that is nothing that was asked for
	a.Body = a.buf[at:whole:whole]
	return nil
}

func (a *Answer) readToEnd(from io.Reader, at int) error {
	a.keep = false
	for len(a.buf)-at <= maxBody {
		if err := a.more(from); err != nil {
			a.broken(at, len(a.buf), err)
			if errors.Is(err, io.EOF) {
				a.Broken = nil
			}
			return nil
		}
	}
	return fmt.Errorf("answer without end: must be at most %d bytes", maxBody)
}

// broken keeps what came of a body.
func (a *Answer) broken(start, end int, err error) {
	a.keep = false
	a.Body = a.buf[start:end:end]
	a.Broken = err
	if errors.Is(err, io.EOF) {
		a.Broken = io.ErrUnexpectedEOF
	}
}

// Response makes what net/http returns of an answer to r. Nothing of it lives in the answer's buffer.
func (a *Answer) Response(r *http.Request) *http.Response {
	h := make(http.Header, 8)
	_ = a.eachLine(func(name, value []byte) error { // has been read once without error
		key := textproto.CanonicalMIMEHeaderKey(string(name))
		h[key] = append(h[key], string(value))
		return nil
	})
	response := &http.Response{
		Status: strconv.Itoa(a.Status) + " " + http.StatusText(a.Status), StatusCode: a.Status,
		Proto: a.proto, ProtoMajor: 1, ProtoMinor: int(a.proto[len(a.proto)-1] - '0'),
		Header: h, ContentLength: a.length, Close: !a.keep, Request: r,
	}
	if response.Close {
		h.Del("Connection") // as net/http: Close says it
	}
	if a.chunked {
		h.Del("Transfer-Encoding")
		h.Del("Content-Length") // the chunks count. Source: RFC 9112, section 6.3.
		response.TransferEncoding = []string{"chunked"}
	}
	body := io.Reader(bytes.NewReader(bytes.Clone(a.Body)))
	if a.Broken != nil {
		body = io.MultiReader(body, broken{a.Broken})
	}
	response.Body = io.NopCloser(body)
	return response
}

// broken is the end of a body that ended before its time.
type broken struct{ err error }

func (b broken) Read([]byte) (int, error) { return 0, b.err }
