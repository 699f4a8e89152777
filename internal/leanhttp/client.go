package leanhttp

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"
)

const (
	// maxHead bounds the head of an answer, maxBody its body: ten messages of 1 MiB, all of it escaped.
	maxHead = 256 << 10
	maxBody = 128 << 20
	// idleTimeout is how long an unused connection is kept when the transport does not say.
	idleTimeout = 90 * time.Second
)

// Doer sends one request, as http.Client and the SDK's clients do.
type Doer interface {
	Do(*http.Request) (*http.Response, error)
}

// Client sends requests over plain HTTP/1.1, on TCP or TLS. It is safe for concurrent use.
type Client struct {
	transport *http.Transport
	tls       *tls.Config
	fallback  Doer
	pool      pool
}

// New makes a client that dials, verifies and gives up as transport would, and keeps as many idle
// connections per host as transport says. Whatever is not a short exchange over HTTP/1.1 goes to
// fallback, which should be built on the same transport.
func New(transport *http.Transport, fallback Doer) *Client {
	c := &Client{transport: transport, fallback: fallback}
	c.pool.most = transport.MaxIdleConnsPerHost
	if c.pool.most <= 0 {
		c.pool.most = http.DefaultMaxIdleConnsPerHost
	}
	c.pool.keep = transport.IdleConnTimeout
	if c.pool.keep <= 0 {
		c.pool.keep = idleTimeout
	}
	c.tls = new(tls.Config)
	if transport.TLSClientConfig != nil {
		c.tls = transport.TLSClientConfig.Clone()
	}
	c.tls.NextProtos = nil // HTTP/1.1
	return c
}

// Plain reports whether requests to u can go without the fallback: no proxy stands between, and the
// transport dials in no way of its own that this package does not know.
func (c *Client) Plain(u *url.URL) bool {
	t := c.transport
	if (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.User != nil || t.DisableKeepAlives {
		return false
	}
	if t.DialTLSContext != nil || t.DialTLS != nil || t.Dial != nil { //nolint:staticcheck // who sets a deprecated one means it
		return false
	}
	if t.Proxy == nil {
		return true
	}
	through, err := t.Proxy(&http.Request{URL: u, Header: http.Header{}})
	return err == nil && through == nil
}

// Do sends a request and returns its answer, whose body is in memory already. Errors are those of
// net/http: an url.Error with the operation and the address.
func (c *Client) Do(r *http.Request) (*http.Response, error) {
	if !short(r) || !c.Plain(r.URL) {
		return c.fallback.Do(r)
	}
	request, err := compose(r)
	if err != nil {
		return nil, Failure(r, err)
	}
	answer, err := c.Exchange(r.Context(), r.URL, request)
	if err != nil {
		return nil, Failure(r, err)
	}
	defer answer.Release()
	if answer.Status == http.StatusTemporaryRedirect || answer.Status == http.StatusPermanentRedirect {
		return c.redirected(r, request)
	}
	return answer.Response(r), nil
}

// redirected asks again through the fallback, which knows how to follow.
func (c *Client) redirected(r *http.Request, request []byte) (*http.Response, error) {
	again := r.Clone(r.Context())
	if r.ContentLength > 0 {
		body := bytes.Clone(request[len(request)-int(r.ContentLength):])
		again.Body = io.NopCloser(bytes.NewReader(body))
		again.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
	}
	return c.fallback.Do(again)
}

// Failure is what net/http makes of an error of an exchange: an url.Error.
func Failure(r *http.Request, err error) error {
	op := "Get"
	if r.Method != "" {
		op = r.Method[:1] + string(bytes.ToLower([]byte(r.Method[1:])))
	}
	return &url.Error{Op: op, URL: r.URL.Redacted(), Err: err}
}

// CloseIdle closes the connections that nobody uses.
func (c *Client) CloseIdle() { c.pool.closeIdle() }

// Exchange sends request, which must be one whole request as it goes over the wire, to the host of
// to, and reads the answer. The caller releases the answer.
//
// The answer to a request that reached the server is returned whatever it says. When it breaks off
// in the middle of its body it is returned too, with the reason in Broken. The end of ctx closes the
// connection and is returned as ctx's error.
func (c *Client) Exchange(ctx context.Context, to *url.URL, request []byte) (*Answer, error) {
	for {
		k, reused, err := c.connection(ctx, to)
		if err != nil {
			return nil, err
		}
		answer, written, err := k.exchange(ctx, request)
		if err == nil {
			if answer.keep {
				c.pool.put(k)
			} else {
				k.close()
			}
			return answer, nil
		}
		k.close()
		if reused && written == 0 && ctx.Err() == nil {
			continue // the server had closed it, and has seen nothing
		}
		return nil, ended(ctx, err)
	}
}

// ended prefers the reason why the connection was cut to what the cut looks like.
func ended(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if deadline, bound := ctx.Deadline(); bound && !time.Now().Before(deadline) && isTimeout(err) {
		<-ctx.Done() // its timer is a little late, and callers ask it
		return ctx.Err()
	}
	return err
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}

// connection takes an idle connection that is still open, or dials.
func (c *Client) connection(ctx context.Context, to *url.URL) (k *conn, reused bool, err error) {
	for {
		k := c.pool.get(to.Scheme, to.Host)
		if k == nil {
			break
		}
		if !k.stale() {
			return k, true, nil
		}
		k.close()
	}
	k, err = c.dial(ctx, to)
	return k, false, err
}

func (c *Client) dial(ctx context.Context, to *url.URL) (*conn, error) {
	port := to.Port()
	if port == "" {
		port = "80"
		if to.Scheme == "https" {
			port = "443"
		}
	}
	dial := c.transport.DialContext
	if dial == nil {
		dial = new(net.Dialer).DialContext
	}
	raw, err := dial(ctx, "tcp", net.JoinHostPort(to.Hostname(), port))
	if err != nil {
		return nil, err
	}
	k := &conn{scheme: to.Scheme, host: to.Host, raw: raw, stream: raw}
	if to.Scheme == "https" {
		if k.stream, err = c.handshake(ctx, raw, to.Hostname()); err != nil {
			_ = raw.Close() // the handshake's error is the cause
			return nil, err
		}
	}
	k.watch()
	return k, nil
}

func (c *Client) handshake(ctx context.Context, raw net.Conn, host string) (net.Conn, error) {
	config := c.tls
	if config.ServerName == "" {
		config = config.Clone()
		config.ServerName = host
	}
	if limit := c.transport.TLSHandshakeTimeout; limit > 0 {
		bounded, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("TLS handshake: %w after %s", context.DeadlineExceeded, limit))
		defer cancel()
		ctx = bounded
	}
	secure := tls.Client(raw, config)
	if err := secure.HandshakeContext(ctx); err != nil {
		if cause := context.Cause(ctx); cause != nil {
			return nil, cause
		}
		return nil, err
	}
	return secure, nil
}
