package worker

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/stationmaster/worker/internal/config"
)

// lookAtCertificate is how often the files of a certificate are looked at: they are renewed while the
// worker runs.
const lookAtCertificate = 10 * time.Second

// serverTLS is how the ingress speaks TLS; nil when something before it does.
func serverTLS(i config.Ingress, log *slog.Logger) (*tls.Config, error) {
	if i.TLSCert == "" {
		return nil, nil
	}
	c := &renewed{certFile: i.TLSCert, keyFile: i.TLSKey, log: log}
	if _, err := c.get(nil); err != nil {
		return nil, err
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: c.get}, nil
}

// renewed is a certificate that is read again when its file has changed.
type renewed struct {
	certFile, keyFile string
	log               *slog.Logger

	mu       sync.Mutex
	looked   time.Time
	modified time.Time
	now      *tls.Certificate
}

// get is tls.Config's GetCertificate. What cannot be read now, as in the middle of a renewal, leaves the
// one that was read before.
func (r *renewed) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.now != nil && time.Since(r.looked) < lookAtCertificate {
		return r.now, nil
	}
	r.looked = time.Now()
	about, err := os.Stat(r.certFile)
	if err == nil && r.now != nil && about.ModTime().Equal(r.modified) {
		return r.now, nil
	}
	var pair tls.Certificate
	if err == nil {
		pair, err = tls.LoadX509KeyPair(r.certFile, r.keyFile)
	}
	switch {
	case err == nil:
		r.now, r.modified = &pair, about.ModTime()
	case r.now == nil:
		return nil, fmt.Errorf("read ingress.tls_cert %s and ingress.tls_key %s: %w", r.certFile, r.keyFile, err)
	default: // SNS refuses one that has expired, and nobody would know why
		r.log.Warn("a renewed certificate cannot be read: the one before is served", "file", r.certFile, "until", r.now.Leaf.NotAfter, "err", err)
	}
	return r.now, nil
}
