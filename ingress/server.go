package ingress

import (
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
	"time"

	"golang.org/x/net/netutil"
)

// Bounds of a connection. A request of SNS is small and comes at once; who sends a byte now and then
// must not hold a connection for long.
const (
	headerTimeout = 5 * time.Second
	readTimeout   = 10 * time.Second
	idleTimeout   = time.Minute
	maxHeader     = 16 << 10
	// DefaultConns is how many connections are open at once: more wait in the system's queue.
	DefaultConns = 256
)

// NewServer makes the server for a handler. Serve it on a listener that Limit bounds.
func NewServer(h http.Handler, certificates *tls.Config, log *slog.Logger) *http.Server {
	s := &http.Server{
		Handler: h, TLSConfig: certificates,
		ReadHeaderTimeout: headerTimeout, ReadTimeout: readTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeader,
		// It counts from the end of the header, so that it covers the body, the job and the answer.
		WriteTimeout: readTimeout + MaxTimeout + 2*endGrace,
		// SNS speaks HTTP/1.1; what it does not need is not offered to others.
		Protocols: new(http.Protocols),
	}
	s.Protocols.SetHTTP1(true)
	if log != nil {
		s.ErrorLog = slog.NewLogLogger(log.Handler(), slog.LevelDebug) // strangers make the most of it
	}
	return s
}

// Limit bounds the connections of a listener.
func Limit(l net.Listener, most int) net.Listener { return netutil.LimitListener(l, most) }
