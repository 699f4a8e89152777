package leanhttp_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stationmaster/worker/internal/leanhttp"
)

// outcome is all that a caller can see of an answer.
type outcome struct {
	Status int
	Header http.Header
	Body   string
	Broken bool
	Err    bool
}

func see(response *http.Response, err error) outcome {
	if err != nil {
		return outcome{Err: true}
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return outcome{Status: response.StatusCode, Header: response.Header, Body: string(body), Broken: err != nil}
}

// canned answers whatever it is asked with the same bytes.
func canned(t *testing.T, answer string) string {
	return serve(t, func(c net.Conn) {
		r, err := http.ReadRequest(bufio.NewReader(c))
		if err == nil {
			_, err = io.Copy(io.Discard, r.Body)
		}
		if err == nil {
			_, _ = io.WriteString(c, answer)
		}
	})
}

func TestAnswersAreReadAsNetHTTPReadsThem(t *testing.T) {
	long := strings.Repeat("0123456789", 40_000)
	for name, answer := range map[string]string{
		"a length":                       "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-A: 1\r\nx-a:  2 \r\n\r\nhello",
		"no length":                      "HTTP/1.1 200 OK\r\n\r\nhello",
		"a length of zero":               "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n",
		"no reason":                      "HTTP/1.1 400\r\nContent-Length: 2\r\n\r\n{}",
		"no content":                     "HTTP/1.1 204 No Content\r\n\r\n",
		"chunks":                         "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\nTrailer: x\r\n\r\n",
		"chunks and a length":            "HTTP/1.1 200 OK\r\nContent-Length: 99\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
		"bare line feeds":                "HTTP/1.1 200 OK\nContent-Length: 5\n\nhello",
		"HTTP/1.0":                       "HTTP/1.0 200 OK\r\n\r\nhello",
		"a continue before":              "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
		"close":                          "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello",
		"a large body":                   "HTTP/1.1 200 OK\r\nContent-Length: 400000\r\n\r\n" + long,
		"a large body in chunks":         "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n61a80\r\n" + long + "\r\n0\r\n\r\n",
		"a body cut short":               "HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello",
		"chunks cut short":               "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n50\r\nhello",
		"chunks without their end":       "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
		"a chunk of no size":             "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\nhello\r\n",
		"a chunk that goes on":           "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhello\r\n0\r\n\r\n",
		"a head cut short":               "HTTP/1.1 200 OK\r\nContent-Le",
		"nothing":                        "",
		"something else":                 "SSH-2.0-OpenSSH\r\n\r\n",
		"a status that is none":          "HTTP/1.1 2x0 OK\r\n\r\n",
		"a length that is none":          "HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nhello",
		"two lengths":                    "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
		"a header without a colon":       "HTTP/1.1 200 OK\r\nhello\r\n\r\n",
		"an unknown transfer encoding":   "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nhello",
		"a body with what was not asked": "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello, world",
	} {
		t.Run(name, func(t *testing.T) {
			at := canned(t, answer)
			standard := &http.Client{Transport: &http.Transport{DisableCompression: true}}
			want := see(standard.Do(post(t.Context(), t, at, "x"))) //nolint:bodyclose // see closes it
			got := see(lean(t).Do(post(t.Context(), t, at, "x")))   //nolint:bodyclose // see closes it
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestAnAnswerNamesWhatIsWrongWithIt(t *testing.T) {
	for answer, want := range map[string]string{
		"HTTP/1.1 200 OK\r\nX A: 1\r\n\r\n":                     `header name "X A"`,
		"SSH-2.0-OpenSSH\r\n\r\n":                               `malformed HTTP answer: it begins with "SSH-2.0-OpenSSH"`,
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n":    `transfer-encoding "gzip"`,
		"HTTP/1.1 101 Switching\r\n\r\n":                        "switches protocols unasked",
		"HTTP/1.1 200 OK\r\n" + strings.Repeat("A: b\r\n", 1e5): "its head is larger than 262144 bytes",
		strings.Repeat("HTTP/1.1 100 Continue\r\n\r\n", 9):      "goes on and on with status 100",
		// Where an int has 32 bits, the sum of these is below zero.
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n7fffffff\r\n": "answer in chunks: must be at most",
		"HTTP/1.1 200 OK\r\nContent-Length: 999999999999\r\n\r\n":                     "answer of 999999999999 bytes: must be at most",
	} {
		_, err := lean(t).Do(post(t.Context(), t, canned(t, answer), "x")) //nolint:bodyclose // there is none
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q: err = %v, want %q", answer, err, want)
		}
	}
}

func TestExchangeAnswersWithoutCopies(t *testing.T) {
	at := canned(t, "HTTP/1.1 200 OK\r\nDate: today\r\nContent-Length: 5\r\nX-Amzn-RequestId: r-1\r\n\r\nhello")
	to, err := url.Parse(at)
	if err != nil {
		t.Fatal(err)
	}
	a, err := lean(t).Exchange(t.Context(), to, []byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"))
	if err != nil {
		t.Fatal(err)
	}
	defer a.Release()
	if a.Status != 200 || string(a.Body) != "hello" || a.Broken != nil || a.Header("x-amzn-requestid") != "r-1" || a.Header("X-None") != "" {
		t.Errorf("answer = %d %q %v, request id %q", a.Status, a.Body, a.Broken, a.Header("x-amzn-requestid"))
	}
}

// What this package takes for a whole answer, net/http does too, and both read the same. It may be
// stricter.
func FuzzAnswer(f *testing.F) {
	f.Add([]byte("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"), 7)
	f.Add([]byte("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\nT: x\r\n\r\n"), 1)
	f.Add([]byte("HTTP/1.0 404 Not Found\nA: b\n\nx"), 100)
	f.Add([]byte("HTTP/1.1 204 No Content\r\nConnection: a, close\r\n\r\n"), 3)
	f.Fuzz(func(t *testing.T, wire []byte, piece int) {
		client, server := net.Pipe()
		defer func() { _ = client.Close() }()
		go func() {
			defer func() { _ = server.Close() }()
			if _, err := http.ReadRequest(bufio.NewReader(server)); err != nil {
				return
			}
			for rest, n := wire, min(max(piece, 1), 4096); len(rest) > 0; {
				n = min(n, len(rest))
				if _, err := server.Write(rest[:n]); err != nil {
					return
				}
				rest = rest[n:]
			}
		}()
		transport := &http.Transport{DialContext: (&piped{client}).dial}
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://pipe/", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		c := leanhttp.New(transport, new(echoing))
		defer c.CloseIdle()
		got := see(c.Do(r)) //nolint:bodyclose // see closes it
		if got.Err || got.Broken || got.Status == http.StatusTeapot {
			return
		}
		in := bufio.NewReader(bytes.NewReader(wire))
		want := outcome{Status: 100}
		for want.Status >= 100 && want.Status < 200 && !want.Err {
			want = see(http.ReadResponse(in, r)) //nolint:bodyclose // see closes it
		}
		got.Header, want.Header = comparable(got.Header), comparable(want.Header)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	})
}

// comparable leaves out what net/http moves from the header into fields.
func comparable(h http.Header) http.Header {
	h.Del("Transfer-Encoding")
	h.Del("Trailer")
	h.Del("Content-Length")
	h.Del("Connection")
	return h
}

type piped struct{ c net.Conn }

var errOnce = errors.New("there is one pipe")

func (p *piped) dial(context.Context, string, string) (net.Conn, error) {
	if p.c == nil {
		return nil, errOnce
	}
	c := p.c
	p.c = nil
	return c, nil
}
