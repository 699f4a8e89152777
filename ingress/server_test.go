package ingress_test

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sns"

	"github.com/stationmaster/worker/ingress"
	"github.com/stationmaster/worker/internal/awsapi"
	"github.com/stationmaster/worker/localaws"
)

// tlsFor makes a certificate for a name, and the pool of who trusts it.
func tlsFor(t *testing.T, name string) (server *tls.Config, trust *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{name}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	trust = x509.NewCertPool()
	trust.AddCert(leaf)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, MinVersion: tls.VersionTLS12}, trust
}

// serve serves a handler on a port, and returns its address.
func serve(t *testing.T, s *http.Server, conns int) string {
	t.Helper()
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l = ingress.Limit(l, conns)
	if s.TLSConfig != nil {
		l = tls.NewListener(l, s.TLSConfig)
	}
	ended := make(chan struct{})
	go func() { defer close(ended); _ = s.Serve(l) }() // it ends when it is closed
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		<-ended
	})
	return addr
}

// TestOverTLS: SNS posts over real sockets to a real certificate, and its own is fetched by HTTP.
func TestOverTLS(t *testing.T) {
	config, trust := tlsFor(t, "hooks.test")
	var addr atomic.Value // of the handler
	dial := func(ctx context.Context, network, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, network, addr.Load().(string))
	}
	carrier := &http.Transport{DialContext: dial, TLSClientConfig: &tls.Config{RootCAs: trust, MinVersion: tls.VersionTLS12}, ForceAttemptHTTP2: true}
	local := localaws.New(localaws.Options{Deliver: carrier})
	front := httptest.NewServer(local)
	t.Cleanup(func() {
		front.Close()
		if err := local.Close(); err != nil {
			t.Error(err)
		}
	})
	cfg := aws.Config{Region: "us-east-1", BaseEndpoint: &front.URL, Credentials: credentials.NewStaticCredentialsProvider("AKID", "secret", "")}
	api := &client{Client: awsapi.New(cfg, awsapi.Options{}), sns: sns.NewFromConfig(cfg)}
	if _, err := api.CreateTopic(t.Context(), "invitations", nil, nil); err != nil {
		t.Fatal(err)
	}
	job, seen := &audit{}, &recorder{}
	h, err := ingress.New(ingress.Options{
		SNS: api, Endpoint: front.URL,
		Paths: []ingress.Path{{Path: "/hooks/audit", Job: job.instance(t), Hooks: seen.hooks(), Topics: []ingress.Topic{{ARN: topicARN}}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	addr.Store(serve(t, ingress.NewServer(h, config, slog.New(slog.DiscardHandler)), ingress.DefaultConns))
	if _, err := api.Subscribe(t.Context(), topicARN, "https", "https://hooks.test/hooks/audit", nil); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the subscription", func() bool { return len(seen.told()) == 2 })
	if told := seen.told(); told[1] != "subscription attached" {
		t.Fatalf("told %v: %v", told, seen.event(1).Err)
	}
	for range 20 {
		if _, err := api.sns.Publish(t.Context(), &sns.PublishInput{TopicArn: aws.String(topicARN), Message: aws.String(`{}`)}); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "the messages", func() bool { return job.runs() == 20 })

	// HTTP/2 is not offered.
	c := &http.Client{Transport: carrier}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://hooks.test/hooks/audit", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	response, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.ProtoMajor != 1 || response.StatusCode != http.StatusMethodNotAllowed || response.Header.Get("Allow") != "POST" {
		t.Errorf("answer %+v", response)
	}
}

// eventually waits for a condition.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for tick := time.NewTicker(5 * time.Millisecond); !holds(); {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("%s: has not come", what)
		}
	}
}

// TestSlowClientsAreCut: what is sent a byte now and then must hold no connection for long.
func TestSlowClientsAreCut(t *testing.T) {
	g := newGuard(t)
	s := ingress.NewServer(g, nil, nil)
	if s.ReadHeaderTimeout == 0 || s.ReadHeaderTimeout > 5*time.Second || s.ReadTimeout == 0 || s.ReadTimeout > 10*time.Second ||
		s.WriteTimeout < s.ReadTimeout+ingress.MaxTimeout || s.IdleTimeout == 0 || s.MaxHeaderBytes == 0 || s.MaxHeaderBytes > 16<<10 {
		t.Fatalf("bounds %+v", s)
	}
	s.ReadHeaderTimeout, s.ReadTimeout = 100*time.Millisecond, 200*time.Millisecond // as they are, but sooner
	addr := serve(t, s, ingress.DefaultConns)
	for name, first := range map[string]string{
		"nothing":       "",
		"half a header": "POST /hooks/audit HTTP/1.1\r\nHost: x\r\nX-A",
		"half a body":   "POST /hooks/audit HTTP/1.1\r\nHost: x\r\nX-Amz-Sns-Message-Type: Notification\r\nContent-Length: 1000\r\n\r\n{\"Type\"",
	} {
		conn := dialed(t, addr)
		if _, err := io.WriteString(conn, first); err != nil {
			t.Fatal(err)
		}
		stop := make(chan struct{})
		go func() { // a byte now and then
			for tick := time.NewTicker(20 * time.Millisecond); ; {
				select {
				case <-tick.C:
					if _, err := io.WriteString(conn, "x"); err != nil {
						return
					}
				case <-stop:
					return
				}
			}
		}()
		if err := conn.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
			t.Fatal(err)
		}
		_, err := io.Copy(io.Discard, conn) // until it is closed
		close(stop)
		if late, ok := errors.AsType[net.Error](err); ok && late.Timeout() {
			t.Errorf("%s: the connection stands", name)
		}
	}
	if g.job.runs() != 0 {
		t.Errorf("%d runs", g.job.runs())
	}
}

func dialed(t *testing.T, addr string) net.Conn {
	t.Helper()
	var d net.Dialer
	conn, err := d.DialContext(t.Context(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() }) // often closed by then
	return conn
}

// TestConnectionsAreBounded: those beyond the bound wait, and none is lost.
func TestConnectionsAreBounded(t *testing.T) {
	g := newGuard(t)
	addr := serve(t, ingress.NewServer(g, nil, nil), 2)
	ask := func(conn net.Conn) (int, error) {
		if _, err := fmt.Fprintf(conn, "GET /hooks/audit HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
			return 0, err
		}
		response, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			return 0, err
		}
		_, err = io.Copy(io.Discard, response.Body)
		return response.StatusCode, err
	}
	first := []net.Conn{dialed(t, addr), dialed(t, addr)}
	for _, conn := range first {
		if _, err := fmt.Fprint(conn, "GET /hooks"); err != nil { // who has been answered so is sent away
			t.Fatal(err)
		}
	}
	third := dialed(t, addr)
	if err := third.SetReadDeadline(time.Now().Add(300 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if status, err := ask(third); err == nil {
		t.Fatalf("a third is answered: %d", status)
	}
	if err := first[0].Close(); err != nil {
		t.Fatal(err)
	}
	if err := third.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	response, err := http.ReadResponse(bufio.NewReader(third), nil)
	if err != nil || response.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("once there is room: %+v, %v", response, err)
	}
}
