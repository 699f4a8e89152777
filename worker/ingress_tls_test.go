package worker

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"log/slog"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stationmaster/worker/internal/config"
)

// This test sees what a caller would have to wait seconds for.

// TestARenewedCertificateIsTaken without a restart, and half a renewal leaves the old one.
func TestARenewedCertificateIsTaken(t *testing.T) {
	dir := t.TempDir()
	i := config.Ingress{TLSCert: filepath.Join(dir, "tls.crt"), TLSKey: filepath.Join(dir, "tls.key")}
	write := func(serial int64, modified time.Time) {
		t.Helper()
		k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{SerialNumber: big.NewInt(serial)}, &x509.Certificate{}, &k.PublicKey, k)
		if err != nil {
			t.Fatal(err)
		}
		secret, err := x509.MarshalPKCS8PrivateKey(k)
		if err != nil {
			t.Fatal(err)
		}
		for file, block := range map[string]*pem.Block{i.TLSCert: {Type: "CERTIFICATE", Bytes: der}, i.TLSKey: {Type: "PRIVATE KEY", Bytes: secret}} {
			if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Chtimes(i.TLSCert, modified, modified); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := serverTLS(i, slog.New(slog.DiscardHandler)); err == nil {
		t.Error("no file, and no error")
	}
	began := time.Now().Add(-time.Hour)
	write(1, began)
	var told strings.Builder
	c := &renewed{certFile: i.TLSCert, keyFile: i.TLSKey, log: slog.New(slog.NewTextHandler(&told, nil))}
	serial := func() int64 {
		t.Helper()
		c.looked = time.Time{} // as if lookAtCertificate had passed
		pair, err := c.get(nil)
		if err != nil {
			t.Fatal(err)
		}
		return pair.Leaf.SerialNumber.Int64()
	}
	if got := serial(); got != 1 {
		t.Errorf("serial %d", got)
	}
	write(2, began.Add(time.Minute))
	if got := serial(); got != 2 {
		t.Errorf("renewed: serial %d", got)
	}
	if err := os.WriteFile(i.TLSCert, []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	if told.Len() > 0 {
		t.Errorf("told %s", told.String())
	}
	if got := serial(); got != 2 {
		t.Errorf("half renewed: serial %d", got)
	}
	if !strings.Contains(told.String(), "the one before is served") || !strings.Contains(told.String(), "until=") {
		t.Errorf("told %q", told.String())
	}
	if err := os.Remove(i.TLSCert); err != nil {
		t.Fatal(err)
	}
	if got := serial(); got != 2 {
		t.Errorf("gone: serial %d", got)
	}
	write(3, began.Add(2*time.Minute))
	if got := serial(); got != 3 {
		t.Errorf("renewed again: serial %d", got)
	}
}
