package leanhttp_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stationmaster/worker/internal/leanhttp"
)

// talker is a server on TCP or TLS that answers each request with what say makes of its number, in one write.
func talker(t *testing.T, secure bool, say func(n int) string) (address string, c *leanhttp.Client) {
	t.Helper()
	n := 0
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		hijacker, ok := w.(http.Hijacker)
		if !ok {
			t.Error("no hijacker")
			return
		}
		_, _ = io.Copy(io.Discard, r.Body)
		conn, buffered, err := hijacker.Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		n++
		talk(conn, buffered.Reader, &n, say)
	}))
	transport := &http.Transport{MaxIdleConnsPerHost: 4}
	if secure {
		server.StartTLS()
		known, ok := server.Client().Transport.(*http.Transport)
		if !ok {
			t.Fatal("no transport")
		}
		transport.TLSClientConfig = known.TLSClientConfig.Clone()
	} else {
		server.Start()
	}
	t.Cleanup(server.Close)
	c = leanhttp.New(transport, refusing{t})
	t.Cleanup(c.CloseIdle)
	return server.URL, c
}

func talk(conn net.Conn, from *bufio.Reader, n *int, say func(n int) string) {
	defer func() { _ = conn.Close() }()
	for {
		if _, err := io.WriteString(conn, say(*n)); err != nil {
			return
		}
		r, err := http.ReadRequest(from)
		if err != nil {
			return
		}
		_, _ = io.Copy(io.Discard, r.Body)
		*n++
	}
}

func answer(body string) string {
	return fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
}

func TestWhatFollowsAnAnswerIsNotTheAnswerOfTheNextRequest(t *testing.T) {
	for _, size := range []int{1, 20_000, 40_000} { // within the buffer, and beyond it
		for _, secure := range []bool{false, true} {
			t.Run(fmt.Sprintf("%d bytes, TLS %v", size, secure), func(t *testing.T) {
				address, c := talker(t, secure, func(n int) string {
					return answer(strings.Repeat(string(rune('a'+n)), size)) + answer("SMUGGLED")
				})
				for range 4 {
					if _, got := answered(t, c, post(t.Context(), t, address, "x")); got == "SMUGGLED" || len(got) != size {
						t.Fatalf("got an answer of %d bytes, %.20q, that nobody asked for", len(got), got)
					}
				}
			})
		}
	}
}

func TestATLSConnectionIsUsedAgain(t *testing.T) {
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err == nil {
			_, _ = w.Write(body)
		}
	}))
	n := connections(server)
	server.StartTLS()
	defer server.Close()
	known, ok := server.Client().Transport.(*http.Transport)
	if !ok {
		t.Fatal("no transport")
	}
	c := leanhttp.New(&http.Transport{MaxIdleConnsPerHost: 4, TLSClientConfig: known.TLSClientConfig.Clone()}, refusing{t})
	defer c.CloseIdle()
	for i := range 20 {
		want := strings.Repeat("x", i*2000)
		if _, got := answered(t, c, post(t.Context(), t, server.URL, want)); got != want {
			t.Errorf("echo of %d bytes: got %d", len(want), len(got))
		}
	}
	if n.Load() != 1 {
		t.Errorf("%d connections for 20 requests, want 1", n.Load())
	}
}
