package worker

import (
	"errors"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"sync"
	"syscall"
	"time"
)

// devCarrier brings what the embedded SNS posts: to this worker, whatever the public URL of its paths is,
// and to other addresses of this machine. Nothing leaves it.
type devCarrier struct {
	local *http.Transport

	mu     sync.Mutex
	public *url.URL // of this worker's paths
	addr   string   // where they are served
}

var errElsewhere = errors.New("the embedded SNS reaches this machine only")

func newDevCarrier() *devCarrier {
	dialer := &net.Dialer{Control: func(_, addr string, _ syscall.RawConn) error {
		if to, err := netip.ParseAddrPort(addr); err != nil || !to.Addr().IsLoopback() {
			return errElsewhere
		}
		return nil
	}}
	return &devCarrier{local: &http.Transport{DialContext: dialer.DialContext, IdleConnTimeout: time.Second, MaxIdleConnsPerHost: 8}}
}

// reach says where the paths below a public URL are served.
func (c *devCarrier) reach(publicURL, addr string) {
	u, err := url.Parse(publicURL)
	if err != nil {
		return // the configuration was checked for it
	}
	if host, port, err := net.SplitHostPort(addr); err == nil {
		if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
			addr = net.JoinHostPort("127.0.0.1", port)
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.public, c.addr = u, addr
}

// RoundTrip implements http.RoundTripper.
func (c *devCarrier) RoundTrip(r *http.Request) (*http.Response, error) {
	c.mu.Lock()
	public, addr := c.public, c.addr
	c.mu.Unlock()
	if public != nil && r.URL.Scheme == public.Scheme && r.URL.Host == public.Host {
		r = r.Clone(r.Context())
		r.Host = r.URL.Host
		r.URL.Scheme, r.URL.Host = "http", addr
	}
	return c.local.RoundTrip(r)
}

// CloseIdleConnections lets the server that posts let go of them.
func (c *devCarrier) CloseIdleConnections() { c.local.CloseIdleConnections() }
