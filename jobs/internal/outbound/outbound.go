// Package outbound is the HTTP client that the bundled jobs send with. Where it sends is decided by
// a setting, and sometimes by somebody else's DNS, so it is guarded: the address that is dialled is
// checked after the name was resolved, which a check of the URL cannot do. No redirect is followed,
// since it would carry the request to a place that nobody configured; no proxy of the environment is
// used, since a proxy resolves and dials in our place and the guard would see only the proxy.
//
// An answer becomes an error that says what retrying can do about it. No error holds a URL beyond
// its scheme and host: paths and queries of webhooks are often credentials.
package outbound

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/stationmaster/worker/retry"
)

const (
	// DefaultTimeout bounds a request when Options do not.
	DefaultTimeout = 10 * time.Second
	// maxAnswer is how much of an answer is read, so that its connection can be used again; maxSaid
	// how much of it a job gets to see.
	maxAnswer  = 64 << 10
	maxSaid    = 1 << 10
	maxHeaders = 64 << 10
	idle       = 90 * time.Second
	perHost    = 64
)

// Options say how to send.
type Options struct {
	// AllowPrivate lets requests go to loopback, link-local, private and other special addresses.
	AllowPrivate bool
	// Timeout bounds one request, from dialling to the end of the answer; DefaultTimeout when 0.
	Timeout time.Duration
}

// Client posts. It may be used from many goroutines.
type Client struct {
	http    *http.Client
	timeout time.Duration
}

// New returns a guarded client.
func New(o Options) *Client {
	dialer := &net.Dialer{KeepAlive: 30 * time.Second}
	if !o.AllowPrivate {
		dialer.Control = control
	}
	if o.Timeout <= 0 {
		o.Timeout = DefaultTimeout
	}
	return &Client{
		timeout: o.Timeout,
		http: &http.Client{
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
			Transport: &http.Transport{
				Proxy:                  nil, // see the package comment
				DialContext:            dialer.DialContext,
				ForceAttemptHTTP2:      true,
				DisableCompression:     true, // nearly all of the answer is thrown away
				MaxResponseHeaderBytes: maxHeaders,
				MaxIdleConnsPerHost:    perHost,
				IdleConnTimeout:        idle,
			},
		},
	}
}

// Close gives up the idle connections. A nil client has none: Provision did not come so far.
func (c *Client) Close() error {
	if c == nil {
		return nil
	}
	c.http.CloseIdleConnections()
	return nil
}

// Post sends body and judges the answer: nil for 2xx, else a StatusError. An answer 408, 425, 429 or
// 5xx may be retried, after its Retry-After if it has one; every other is marked by retry.Never, and
// so is an address that is refused. What fails on the way is a plain error.
func (c *Client) Post(ctx context.Context, to *url.URL, header http.Header, body []byte) error {
	answer, err := c.Exchange(ctx, to, header, body)
	if err != nil {
		return err
	}
	return answer.Judge()
}

// Exchange sends body and returns the answer, for a job that has more to judge by than its status.
// An address that is refused is marked by retry.Never.
func (c *Client) Exchange(ctx context.Context, to *url.URL, header http.Header, body []byte) (*Answer, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	where := origin(to)
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, to.String(), bytes.NewReader(body))
	if err != nil {
		return nil, retry.Never(fmt.Errorf("post %s: %w", where, bare(err)))
	}
	if header != nil {
		r.Header = header.Clone()
	}
	r.Header.Set("User-Agent", "stationmaster")
	answer, err := c.http.Do(r)
	if err != nil {
		return nil, undelivered(where, err)
	}
	defer answer.Body.Close()
	// A body that breaks off changes nothing: the status was the answer.
	said, _ := io.ReadAll(io.LimitReader(answer.Body, maxSaid))
	_, _ = io.CopyN(io.Discard, answer.Body, maxAnswer)
	return &Answer{
		Code: answer.StatusCode, Said: said, From: where,
		after: retryAfter(answer.Header.Get("Retry-After"), time.Now()),
	}, nil
}

// undelivered makes the error of a request without an answer.
func undelivered(where string, err error) error {
	if refused, ok := errors.AsType[*RefusedError](err); ok {
		return retry.Never(fmt.Errorf("post %s: %w", where, refused))
	}
	return fmt.Errorf("post %s: %w", where, bare(err))
}

// bare takes the URL off an error of net/http and net/url.
func bare(err error) error {
	if with, ok := errors.AsType[*url.Error](err); ok {
		return with.Err
	}
	return err
}

// origin is what may be shown of a URL.
func origin(u *url.URL) string { return u.Scheme + "://" + u.Host }
