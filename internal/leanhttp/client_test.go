package leanhttp_test

import (
	"bufio"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stationmaster/worker/internal/leanhttp"
)

// refusing fails the test when it is asked: what is plain must not need it.
type refusing struct{ t *testing.T }

func (r refusing) Do(request *http.Request) (*http.Response, error) {
	r.t.Errorf("%s %s went to the fallback", request.Method, request.URL)
	return nil, errors.New("not here")
}

func lean(t *testing.T) *leanhttp.Client {
	t.Helper()
	c := leanhttp.New(&http.Transport{MaxIdleConnsPerHost: 4}, refusing{t})
	t.Cleanup(c.CloseIdle)
	return c
}

func post(ctx context.Context, t *testing.T, address, body string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, address, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-Amz-Target", "AmazonSQS.ReceiveMessage")
	return r
}

func answered(t *testing.T, c leanhttp.Doer, r *http.Request) (*http.Response, string) {
	t.Helper()
	response, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response, string(body)
}

// connections counts the connections that a test server has accepted.
func connections(s *httptest.Server) *atomic.Int64 {
	var n atomic.Int64
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			n.Add(1)
		}
	}
	return &n
}

func TestARequestArrivesAsNetHTTPWouldSendIt(t *testing.T) {
	seen := make(chan string, 2)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		h := r.Header.Clone()
		h.Del("Accept-Encoding") // net/http adds it by itself
		seen <- fmt.Sprint(r.Method, r.RequestURI, r.Host, r.ContentLength, h, string(body), err)
	}))
	defer server.Close()
	for _, c := range []leanhttp.Doer{lean(t), server.Client()} {
		r := post(t.Context(), t, server.URL+"/a%20b?q=1", "hello")
		r.Header["X-Two"] = []string{"one", "two"}
		r.Header.Set("User-Agent", "stationmaster")
		answered(t, c, r)
	}
	if diff := cmp.Diff(<-seen, <-seen); diff != "" {
		t.Error(diff)
	}
}

func TestAConnectionIsUsedAgain(t *testing.T) {
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body) // whole: the server stops reading once it answers
		if err == nil {
			_, _ = w.Write(body)
		}
	}))
	n := connections(server)
	server.Start()
	defer server.Close()
	c := lean(t)
	for i := range 20 {
		want := strings.Repeat("x", i*1000)
		if _, got := answered(t, c, post(t.Context(), t, server.URL, want)); got != want {
			t.Errorf("echo of %d bytes: got %d", len(want), len(got))
		}
	}
	if n.Load() != 1 {
		t.Errorf("%d connections for 20 requests, want 1", n.Load())
	}
}

func TestNoMoreIdleConnectionsAreKeptThanAllowed(t *testing.T) {
	gate := make(chan struct{})
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-gate }))
	var open atomic.Int64
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		switch state {
		case http.StateNew:
			open.Add(1)
		case http.StateClosed:
			open.Add(-1)
		default:
		}
	}
	server.Start()
	defer server.Close()
	c := lean(t)
	ended := make(chan error)
	for range 10 {
		go func() {
			response, err := c.Do(post(t.Context(), t, server.URL, "x"))
			if err == nil {
				err = response.Body.Close()
			}
			ended <- err
		}()
	}
	eventually(t, "ten connections are open", func() bool { return open.Load() == 10 })
	close(gate)
	for range 10 {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
	eventually(t, "four connections are left", func() bool { return open.Load() == 4 })
	c.CloseIdle()
	eventually(t, "none is left", func() bool { return open.Load() == 0 })
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	limit := time.After(10 * time.Second)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-limit:
			t.Fatalf("not within ten seconds: %s", what)
		}
	}
}

// A server may close an idle connection at any time. The next request must not fail for it.
func TestAConnectionThatTheServerClosedIsNotUsed(t *testing.T) {
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	n := connections(server)
	server.Start()
	defer server.Close()
	c := lean(t)
	for range 5 {
		answered(t, c, post(t.Context(), t, server.URL, "x"))
		server.CloseClientConnections()
	}
	if n.Load() != 5 {
		t.Errorf("%d connections, want one for each of 5 requests", n.Load())
	}
}

// A request that reached the server is never sent again: it may have been carried out.
func TestALostAnswerIsAnErrorAndNotASecondRequest(t *testing.T) {
	var requests atomic.Int64
	at := serve(t, func(c net.Conn) {
		in := bufio.NewReader(c)
		for i := range 2 {
			if _, err := http.ReadRequest(in); err != nil {
				return
			}
			requests.Add(1)
			if i == 0 {
				_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
			}
		}
	})
	c := lean(t)
	get := func() error {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, at, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		response, err := c.Do(r)
		if err == nil {
			_ = response.Body.Close()
		}
		return err
	}
	if err := get(); err != nil {
		t.Fatal(err)
	}
	err := get()
	var wrapped *url.Error
	if !errors.Is(err, io.EOF) || !errors.As(err, &wrapped) || wrapped.Op != "Get" {
		t.Errorf("err = %#v, want an url.Error of io.EOF", err)
	}
	if requests.Load() != 2 {
		t.Errorf("the server saw %d requests, want 2", requests.Load())
	}
}

// serve gives every connection to handle, and closes it then.
func serve(t *testing.T, handle func(net.Conn)) string {
	t.Helper()
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() { handle(c); _ = c.Close() }()
		}
	}()
	return "http://" + l.Addr().String()
}

func TestTheEndOfTheContextCutsTheConnection(t *testing.T) {
	gone := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
		close(gone)
	}))
	defer server.Close()
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(20*time.Millisecond, cancel)
	_, err := lean(t).Do(post(ctx, t, server.URL, "x")) //nolint:bodyclose // there is none
	if !errors.Is(err, context.Canceled) {
		t.Errorf("err = %v, want %v", err, context.Canceled)
	}
	<-gone
}

func TestADeadlineEndsAnExchange(t *testing.T) {
	release := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	defer server.Close()
	defer close(release)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	_, err := lean(t).Do(post(ctx, t, server.URL, "x")) //nolint:bodyclose // there is none
	var timeout net.Error
	if !errors.Is(err, context.DeadlineExceeded) || !errors.As(err, &timeout) || !timeout.Timeout() {
		t.Errorf("err = %v, want a timeout", err)
	}
}

// A deadline that has passed while a connection lay idle must not hurt whoever takes it next.
func TestAnOldDeadlineDoesNotReachTheNextRequest(t *testing.T) {
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	n := connections(server)
	server.Start()
	defer server.Close()
	c := lean(t)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	answered(t, c, post(ctx, t, server.URL, "x"))
	<-ctx.Done()
	<-time.After(20 * time.Millisecond)
	answered(t, c, post(t.Context(), t, server.URL, "x"))
	if n.Load() != 1 {
		t.Errorf("%d connections, want 1", n.Load())
	}
}

func TestTLSIsVerifiedAgainstTheRootsOfTheTransport(t *testing.T) {
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.Proto)
	}))
	defer server.Close()
	transport, ok := server.Client().Transport.(*http.Transport)
	if !ok {
		t.Fatal("no transport")
	}
	c := leanhttp.New(transport, refusing{t})
	defer c.CloseIdle()
	for range 2 {
		if _, proto := answered(t, c, post(t.Context(), t, server.URL, "x")); proto != "HTTP/1.1" {
			t.Errorf("spoke %s", proto)
		}
	}
	_, err := lean(t).Do(post(t.Context(), t, server.URL, "x")) //nolint:bodyclose // there is none
	if _, unknown := errors.AsType[x509.UnknownAuthorityError](err); !unknown {
		t.Errorf("err = %v, want an unknown authority", err)
	}
}

// echoing answers for the fallback and counts.
type echoing struct{ n int }

func (e *echoing) Do(r *http.Request) (*http.Response, error) {
	e.n++
	return &http.Response{StatusCode: http.StatusTeapot, Body: http.NoBody, Request: r}, nil
}

func TestWhatIsUnusualGoesToTheFallback(t *testing.T) {
	through := func(*http.Request) (*url.URL, error) { return &url.URL{Scheme: "http", Host: "127.0.0.1:1"}, nil }
	for name, row := range map[string]struct {
		transport *http.Transport
		change    func(*http.Request)
	}{
		"a proxy":              {transport: &http.Transport{Proxy: through}},
		"a dialer of TLS":      {transport: &http.Transport{DialTLSContext: (&net.Dialer{}).DialContext}},
		"no keep-alive":        {transport: &http.Transport{DisableKeepAlives: true}},
		"an unknown length":    {change: func(r *http.Request) { r.ContentLength = -1 }},
		"a stream":             {change: func(r *http.Request) { r.ContentLength = 0 }},
		"a bad header":         {change: func(r *http.Request) { r.Header.Set("X-Bad", "a\r\nb: c") }},
		"a bad header's name":  {change: func(r *http.Request) { r.Header["a b"] = []string{"c"} }},
		"a bad host":           {change: func(r *http.Request) { r.Host = "a\nb" }},
		"an expectation":       {change: func(r *http.Request) { r.Header.Set("Expect", "100-continue") }},
		"a closing connection": {change: func(r *http.Request) { r.Close = true }},
		"HEAD":                 {change: func(r *http.Request) { r.Method = http.MethodHead }},
		"another scheme":       {change: func(r *http.Request) { r.URL.Scheme = "unix" }},
	} {
		t.Run(name, func(t *testing.T) {
			fallback, transport := new(echoing), row.transport
			if transport == nil {
				transport = new(http.Transport)
			}
			r := post(t.Context(), t, "http://127.0.0.1:1/", "body")
			if row.change != nil {
				row.change(r)
			}
			response, err := leanhttp.New(transport, fallback).Do(r)
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			if fallback.n != 1 || response.StatusCode != http.StatusTeapot {
				t.Errorf("the fallback was asked %d times", fallback.n)
			}
		})
	}
}

func TestWhatTheProxyFunctionExceptsIsPlain(t *testing.T) {
	c := leanhttp.New(&http.Transport{Proxy: func(r *http.Request) (*url.URL, error) {
		if r.URL.Hostname() == "inside" {
			return nil, nil //nolint:nilnil // as http.ProxyFromEnvironment says "none"
		}
		return &url.URL{Scheme: "http", Host: "proxy"}, nil
	}}, nil)
	if !c.Plain(&url.URL{Scheme: "https", Host: "inside"}) || c.Plain(&url.URL{Scheme: "https", Host: "outside"}) {
		t.Error("Plain does not ask the transport's proxy function")
	}
}

func TestARedirectIsFollowedByTheFallback(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/" {
			http.Redirect(w, r, "/there", http.StatusTemporaryRedirect)
			return
		}
		_, _ = io.Copy(w, r.Body)
	}))
	defer server.Close()
	c := leanhttp.New(&http.Transport{}, server.Client())
	if _, got := answered(t, c, post(t.Context(), t, server.URL, "carried on")); got != "carried on" {
		t.Errorf("the body at the end of the redirect: %q", got)
	}
}

func TestAnUnreachableServerIsADialError(t *testing.T) {
	_, err := lean(t).Do(post(t.Context(), t, "http://127.0.0.1:1", "x")) //nolint:bodyclose // there is none
	dial, ok := errors.AsType[*net.OpError](err)
	if !ok || dial.Op != "dial" {
		t.Errorf("err = %v, want a dial error", err)
	}
}

func TestAnEarlyRefusalOfALargeRequestIsRead(t *testing.T) {
	at := serve(t, func(c net.Conn) {
		_, _ = io.ReadFull(c, make([]byte, 1000))
		_, _ = io.WriteString(c, "HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig")
		// Close with unread input resets the connection, and may overtake the answer; this does not.
		_ = c.(*net.TCPConn).CloseWrite()
		_, _ = io.Copy(io.Discard, c)
	})
	response, body := answered(t, lean(t), post(t.Context(), t, at, strings.Repeat("x", 8<<20)))
	if response.StatusCode != http.StatusRequestEntityTooLarge || body != "big" {
		t.Errorf("got %d %q", response.StatusCode, body)
	}
}
