package main

import (
	"context"
	"crypto/rand"
	_ "embed" // the page
	"net"
	"net/http"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coder/websocket"
	"github.com/coder/websocket/wsjson"
)

//go:embed page.html
var page string

const (
	// patience bounds one write, and the answer to a ping.
	patience = 10 * time.Second
	pinged   = 30 * time.Second
)

// place is the id of a stream's entry.
var place = regexp.MustCompile(`^[0-9]{1,20}-[0-9]{1,20}$`)

// site serves the page and its socket.
type site struct {
	hub     *hub
	hosts   []string
	source  source
	sockets sync.WaitGroup
}

// ServeHTTP implements http.Handler. A name that is not ours is refused: somebody else's name can be
// made to resolve to this machine, and their page would then count as of our origin.
func (s *site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case !s.known(r.Host):
		http.Error(w, "not this host: -hosts names those that are", http.StatusMisdirectedRequest)
	case r.Method != http.MethodGet:
		http.Error(w, "only GET", http.StatusMethodNotAllowed)
	case r.URL.Path == "/":
		s.page(w)
	case r.URL.Path == "/socket":
		s.sockets.Add(1)
		defer s.sockets.Done()
		s.socket(w, r)
	default:
		http.NotFound(w, r)
	}
}

func (s *site) known(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	if addr, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil {
		return addr.IsLoopback() || slices.Contains(s.hosts, host)
	}
	return host == "localhost" || (host != "" && slices.Contains(s.hosts, host))
}

func (s *site) page(w http.ResponseWriter) {
	nonce := rand.Text()
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; connect-src 'self'; base-uri 'none'; frame-ancestors 'none'; "+
		"script-src 'nonce-"+nonce+"'; style-src 'nonce-"+nonce+"'")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	_, _ = w.Write([]byte(strings.ReplaceAll(page, "NONCE", nonce)))
}

// socket tells one page. Its Origin must be this host: a page of somebody else's, in the same
// browser, does not get in.
func (s *site) socket(w http.ResponseWriter, r *http.Request) {
	after := r.URL.Query().Get("after")
	if after != "" && !place.MatchString(after) {
		http.Error(w, "after: must be the place of a message", http.StatusBadRequest)
		return
	}
	c, err := websocket.Accept(w, r, nil)
	if err != nil {
		return // it has answered
	}
	defer func() { _ = c.CloseNow() }()
	ctx := c.CloseRead(r.Context()) // pages say nothing; it ends when they go
	heard := s.hub.join()           // before looking back, so that nothing falls between
	defer s.hub.leave(heard)
	missed, err := s.source.missed(ctx, after)
	if err != nil {
		_ = c.Close(websocket.StatusTryAgainLater, "redis")
		return
	}
	for _, e := range missed {
		if tell(ctx, c, e) != nil {
			return
		}
	}
	s.push(ctx, c, heard)
}

// push tells what is heard until the page or the server goes.
func (s *site) push(ctx context.Context, c *websocket.Conn, heard <-chan event) {
	alive := time.NewTicker(pinged)
	defer alive.Stop()
	for {
		var err error
		select {
		case <-ctx.Done():
			_ = c.Close(websocket.StatusGoingAway, "")
			return
		case e, ok := <-heard:
			if !ok {
				_ = c.Close(websocket.StatusTryAgainLater, "too slow")
				return
			}
			err = tell(ctx, c, e)
		case <-alive.C:
			err = ping(ctx, c)
		}
		if err != nil {
			return
		}
	}
}

func tell(ctx context.Context, c *websocket.Conn, e event) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return wsjson.Write(ctx, c, e)
}

func ping(ctx context.Context, c *websocket.Conn) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return c.Ping(ctx)
}
