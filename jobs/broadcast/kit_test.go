package broadcast_test

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"github.com/stationmaster/worker/jobs"
	"github.com/stationmaster/worker/jobs/broadcast"
)

const body = `{"event":"user_invited","email":"<ada@example.com>"}`

// server is a Redis to test with.
type server struct {
	addr string
	real bool
	mini *miniredis.Miniredis // nil when it is real
}

// eachServer runs a test on the Redis in this process, and on the one that is installed, if there is
// one.
func eachServer(t *testing.T, test func(t *testing.T, s server)) {
	t.Helper()
	t.Run("miniredis", func(t *testing.T) {
		m := miniredis.RunT(t)
		test(t, server{addr: m.Addr(), mini: m})
	})
	t.Run("redis-server", func(t *testing.T) {
		port := free(t)
		start(t, "--port", port)
		test(t, server{addr: "127.0.0.1:" + port, real: true})
	})
}

// start runs the redis-server of this machine until the test ends.
func start(t *testing.T, arguments ...string) {
	t.Helper()
	binary, err := exec.LookPath("redis-server")
	if err != nil {
		t.Skip("no redis-server on the PATH")
	}
	dir := t.TempDir()
	c := exec.CommandContext(t.Context(), binary, append([]string{
		"--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", dir,
	}, arguments...)...)
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	ready, said := make(chan bool, 1), ""
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		defer close(ready)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			if strings.Contains(lines.Text(), "Ready to accept connections") {
				ready <- true
			}
			said += lines.Text() + "\n"
		}
	}()
	t.Cleanup(func() { _ = c.Process.Kill(); <-ended; _ = c.Wait() })
	if !<-ready {
		t.Fatalf("redis-server ended:\n%s", said)
	}
}

func free(t *testing.T) (port string) {
	t.Helper()
	l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	_, port, err = net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// look is a client to see with what the job has done.
func look(t *testing.T, o *redis.Options) *redis.Client {
	t.Helper()
	c := redis.NewClient(o)
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// certificate is one for 127.0.0.1, as files.
type certificate struct {
	tls            *tls.Config
	file, key, not string // not: the certificate of somebody else
}

func certify(t *testing.T) certificate {
	t.Helper()
	lent := httptest.NewTLSServer(http.NotFoundHandler())
	defer lent.Close()
	key, err := x509.MarshalPKCS8PrivateKey(lent.TLS.Certificates[0].PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write := func(name, kind string, der []byte) string {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	return certificate{
		tls:  lent.TLS.Clone(),
		file: write("cert.pem", "CERTIFICATE", lent.Certificate().Raw), key: write("key.pem", "PRIVATE KEY", key),
		not: write("empty.pem", "NOTHING", nil),
	}
}

// open opens the job, for several messages.
func open(t *testing.T, set func(*broadcast.Job)) *jobs.Instance {
	t.Helper()
	d, _ := jobs.Default().Lookup("broadcast")
	i, err := d.Open(t.Context(), func(into any) error { set(into.(*broadcast.Job)); return nil }, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := i.Close(); err != nil {
			t.Error(err)
		}
	})
	return i
}

// handle lets the job handle one message.
func handle(t *testing.T, i *jobs.Instance, m jobs.Info) error {
	t.Helper()
	return i.Run(t.Context(), []*jobs.Info{&m})[0]
}
