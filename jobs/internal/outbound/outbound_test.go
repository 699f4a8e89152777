package outbound_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stationmaster/worker/jobs/internal/outbound"
	"github.com/stationmaster/worker/retry"
)

func serve(t *testing.T, h http.HandlerFunc) *url.URL {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return address(t, s.URL)
}

func address(t *testing.T, raw string) *url.URL {
	t.Helper()
	u, err := url.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func client(t *testing.T, o outbound.Options) *outbound.Client {
	t.Helper()
	c := outbound.New(o)
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

func TestAnAddressIsCheckedWhenItIsDialled(t *testing.T) {
	var connections atomic.Int64
	s := httptest.NewUnstartedServer(http.NotFoundHandler())
	s.Config.ConnState = func(net.Conn, http.ConnState) { connections.Add(1) }
	s.Start()
	defer s.Close()
	_, port, err := net.SplitHostPort(s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	c := client(t, outbound.Options{})
	// A name that resolves to loopback, and loopback written in ways that a check of the text misses.
	for _, host := range []string{"localhost", "127.0.0.1", "[::ffff:127.0.0.1]", "0.0.0.0", "[::]"} {
		err := c.Post(t.Context(), address(t, "http://"+host+":"+port+"/"), nil, nil)
		if _, refused := errors.AsType[*outbound.RefusedError](err); !refused || !retry.IsNever(err) {
			t.Errorf("%s: %v, want a permanent refusal", host, err)
		}
	}
	if n := connections.Load(); n != 0 {
		t.Errorf("%d connections were made", n)
	}
}

func TestPostSendsTheRequestAsItIs(t *testing.T) {
	var got *http.Request
	var size int64
	to := serve(t, func(w http.ResponseWriter, r *http.Request) {
		got, size = r, r.ContentLength
		w.WriteHeader(http.StatusAccepted)
	})
	header := http.Header{"Content-Type": {"application/json"}}
	err := client(t, outbound.Options{AllowPrivate: true}).Post(t.Context(), to.JoinPath("in"), header, []byte(`{"a":1}`))
	if err != nil {
		t.Fatal(err)
	}
	if got.Method != http.MethodPost || got.URL.Path != "/in" || got.Header.Get("Content-Type") != "application/json" || size != 7 {
		t.Errorf("got %s %s %v, %d bytes", got.Method, got.URL, got.Header, size)
	}
	if _, changed := header["User-Agent"]; changed {
		t.Error("the caller's header was changed")
	}
}

func TestAnswersAreClassed(t *testing.T) {
	c := client(t, outbound.Options{AllowPrivate: true})
	var answer atomic.Int64
	to := serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(int(answer.Load())) })
	for code, permanent := range map[int]bool{
		300: true, 304: true, 400: true, 401: true, 404: true, 410: true, 413: true, 422: true, 499: true,
		408: false, 425: false, 429: false, 500: false, 502: false, 503: false, 504: false, 599: false,
	} {
		answer.Store(int64(code))
		err := c.Post(t.Context(), to, nil, nil)
		status, ok := errors.AsType[*outbound.StatusError](err)
		if !ok || status.Code != code || retry.IsNever(err) != permanent {
			t.Errorf("%d: %v, permanent %v; want permanent %v", code, err, retry.IsNever(err), permanent)
		}
	}
	for _, code := range []int{200, 201, 204, 299} {
		answer.Store(int64(code))
		if err := c.Post(t.Context(), to, nil, nil); err != nil {
			t.Errorf("%d: %v", code, err)
		}
	}
}

func TestNoRedirectIsFollowed(t *testing.T) {
	for _, code := range []int{301, 302, 303, 307, 308} {
		var elsewhere atomic.Bool
		target := serve(t, func(http.ResponseWriter, *http.Request) { elsewhere.Store(true) })
		to := serve(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, target.String(), code) })
		err := client(t, outbound.Options{AllowPrivate: true}).Post(t.Context(), to, nil, []byte("x"))
		if !retry.IsNever(err) || elsewhere.Load() {
			t.Errorf("%d: %v, followed %v", code, err, elsewhere.Load())
		}
	}
}

func TestRetryAfter(t *testing.T) {
	date := func(d time.Duration) string { return time.Now().Add(d).UTC().Format(http.TimeFormat) }
	for _, row := range []struct {
		header   string
		min, max time.Duration // 0, 0: not asked for
	}{
		{"120", 2 * time.Minute, 2 * time.Minute},
		{" 7 ", 7 * time.Second, 7 * time.Second},
		{"999999", 12 * time.Hour, 12 * time.Hour},
		{"99999999999999999999999", 12 * time.Hour, 12 * time.Hour},
		{date(time.Hour), 59 * time.Minute, time.Hour},
		{date(100 * time.Hour), 12 * time.Hour, 12 * time.Hour},
		{date(-time.Hour), 0, 0},
		{"0", 0, 0},
		{"-5", 0, 0},
		{"1.5", 0, 0},
		{"soon", 0, 0},
		{"", 0, 0},
	} {
		to := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", row.header)
			w.WriteHeader(http.StatusServiceUnavailable)
		})
		err := client(t, outbound.Options{AllowPrivate: true}).Post(t.Context(), to, nil, nil)
		after, asked := errors.AsType[*retry.AfterError](err)
		if asked != (row.max > 0) {
			t.Errorf("Retry-After %q: %v, asked %v", row.header, err, asked)
			continue
		}
		if asked && (after.Delay < row.min || after.Delay > row.max) {
			t.Errorf("Retry-After %q: %s, want %s to %s", row.header, after.Delay, row.min, row.max)
		}
	}
}

func TestAPermanentAnswerIsNotMadeTemporaryByRetryAfter(t *testing.T) {
	to := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "5")
		w.WriteHeader(http.StatusForbidden)
	})
	err := client(t, outbound.Options{AllowPrivate: true}).Post(t.Context(), to, nil, nil)
	if _, asked := errors.AsType[*retry.AfterError](err); asked || !retry.IsNever(err) {
		t.Errorf("%v: want permanent", err)
	}
}

func TestWhatFailsOnTheWayIsRetried(t *testing.T) {
	hold := make(chan struct{})
	slow := serve(t, func(http.ResponseWriter, *http.Request) { <-hold })
	t.Cleanup(func() { close(hold) })
	closed := httptest.NewServer(http.NotFoundHandler())
	closed.Close()

	short := client(t, outbound.Options{AllowPrivate: true, Timeout: 20 * time.Millisecond})
	if err := short.Post(t.Context(), slow, nil, nil); !errors.Is(err, context.DeadlineExceeded) || retry.IsNever(err) {
		t.Errorf("slow: %v", err)
	}
	long := client(t, outbound.Options{AllowPrivate: true})
	if err := long.Post(t.Context(), address(t, closed.URL), nil, nil); err == nil || retry.IsNever(err) {
		t.Errorf("nobody listens: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := long.Post(ctx, slow, nil, nil); !errors.Is(err, context.Canceled) || retry.IsNever(err) {
		t.Errorf("canceled: %v", err)
	}
	dropped := serve(t, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	if err := long.Post(t.Context(), dropped, nil, nil); err == nil || retry.IsNever(err) {
		t.Errorf("connection dropped: %v", err)
	}
}

func TestATLSCertificateOfNobodyIsRefused(t *testing.T) {
	s := httptest.NewUnstartedServer(http.NotFoundHandler())
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // it tells of the handshake that we break off
	s.StartTLS()
	defer s.Close()
	err := client(t, outbound.Options{AllowPrivate: true}).Post(t.Context(), address(t, s.URL), nil, nil)
	if _, answered := errors.AsType[*outbound.StatusError](err); err == nil || answered {
		t.Errorf("%v: want a failure before any answer", err)
	}
}

func TestNoProxyDialsForUs(t *testing.T) {
	var proxied atomic.Bool
	proxy := serve(t, func(http.ResponseWriter, *http.Request) { proxied.Store(true) })
	t.Setenv("HTTP_PROXY", proxy.String())
	t.Setenv("http_proxy", proxy.String())
	err := client(t, outbound.Options{}).Post(t.Context(), address(t, "http://192.168.255.254/"), nil, nil)
	if _, refused := errors.AsType[*outbound.RefusedError](err); !refused || proxied.Load() {
		t.Errorf("%v, proxied %v", err, proxied.Load())
	}
}

func TestAnEndlessAnswerIsNotRead(t *testing.T) {
	to := serve(t, func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			if _, err := w.Write(make([]byte, 32<<10)); err != nil {
				return
			}
		}
	})
	if err := client(t, outbound.Options{AllowPrivate: true}).Post(t.Context(), to, nil, nil); err != nil {
		t.Error(err)
	}
}

func TestErrorsHoldNoPathQueryOrBody(t *testing.T) {
	to := serve(t, func(w http.ResponseWriter, r *http.Request) {
		http.Error(w, "hunter2 in the answer", http.StatusBadRequest)
	})
	to.Path, to.RawQuery = "/services/hunter2", "token=hunter2"
	closed := *to
	closed.Host = "127.0.0.1:1"
	c := client(t, outbound.Options{AllowPrivate: true})
	guarded := client(t, outbound.Options{})
	for _, err := range []error{
		c.Post(t.Context(), to, nil, []byte("hunter2")), c.Post(t.Context(), &closed, nil, []byte("hunter2")),
		guarded.Post(t.Context(), to, nil, []byte("hunter2")),
		c.Post(t.Context(), &url.URL{Scheme: "http", Host: "bad host", Path: "/hunter2"}, nil, nil),
	} {
		if err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("error %v", err)
		}
	}
}

func TestAnAnswerIsShownToAJob(t *testing.T) {
	to := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "9")
		w.WriteHeader(http.StatusTooManyRequests)
		_, _ = w.Write(bytes.Repeat([]byte("slow down "), 10_000))
	})
	answer, err := client(t, outbound.Options{AllowPrivate: true}).Exchange(t.Context(), to.JoinPath("hunter2"), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if answer.OK() || answer.Code != 429 || answer.RetryAfter() != 9*time.Second || answer.From != to.String() {
		t.Errorf("%d, after %s, from %s", answer.Code, answer.RetryAfter(), answer.From)
	}
	if len(answer.Said) != 1024 || !bytes.HasPrefix(answer.Said, []byte("slow down slow")) {
		t.Errorf("%d bytes: %.20s", len(answer.Said), answer.Said)
	}
	own := errors.New("too fast")
	if after, ok := errors.AsType[*retry.AfterError](answer.As(own)); !ok || after.Delay != 9*time.Second || !errors.Is(after, own) {
		t.Errorf("As: %v", answer.As(own))
	}
}
