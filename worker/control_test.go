package worker_test

import (
	"errors"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/stationmaster/worker/worker"
)

// The temporary directory is everybody's: who got there first could tell a user's commands to send
// their messages to him.
func TestADevWorkerOfSomebodyElseIsNotBelieved(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	folder := filepath.Join(os.TempDir(), "stationmaster-"+strconv.Itoa(os.Getuid()))
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "unix", filepath.Join(folder, "dev-4566.sock"))
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"endpoint":"http://192.0.2.1","region":"us-east-1"}`))
	})}
	ended := make(chan struct{})
	go func() { defer close(ended); _ = server.Serve(l) }()
	defer func() { _ = server.Close(); <-ended }()

	if _, err := worker.FindDev(t.Context(), "127.0.0.1:4566"); err != nil {
		t.Fatalf("a folder of one's own: %v", err)
	}
	if err := os.Chmod(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	if info, err := worker.FindDev(t.Context(), "127.0.0.1:4566"); err == nil || errors.Is(err, worker.ErrNoDev) {
		t.Errorf("a folder that others can enter: got %+v and %v, want an error that says so", info, err)
	}
	if os.Getuid() != 0 {
		t.Skip("only root can give a folder to somebody else")
	}
	if err := errors.Join(os.Chmod(folder, 0o700), os.Chown(folder, 12345, 12345)); err != nil {
		t.Fatal(err)
	}
	if info, err := worker.FindDev(t.Context(), "127.0.0.1:4566"); err == nil || errors.Is(err, worker.ErrNoDev) {
		t.Errorf("a folder of another user: got %+v and %v, want an error that says so", info, err)
	}
}
