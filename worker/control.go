package worker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// A dev worker can be told to break and mend its receivers, and says where its SNS and SQS are. The
// routes change something, so they are on a unix socket in a folder that only its user can enter,
// never on a port.

// DevInfo is what a running dev worker says about itself.
type DevInfo struct {
	// Endpoint is the URL of its SNS and SQS.
	Endpoint string `json:"endpoint"`
	Region   string `json:"region"`
	Account  string `json:"account"`
}

// devAnswer is what a dev worker answers on its socket, which is its user's alone.
type devAnswer struct {
	DevInfo
	// Settings are those that it lays over the file: where its receivers are.
	Settings map[string]any `json:"settings,omitempty"`
}

// ErrNoDev says that no dev worker answers.
var ErrNoDev = errors.New("no dev worker is running")

const controlTimeout = 2 * time.Second

// devSocket is where the dev worker on a port of this machine listens for its user.
func devSocket(port string) string {
	return filepath.Join(os.TempDir(), "stationmaster-"+strconv.Itoa(os.Getuid()), "dev-"+port+".sock")
}

// devPort is the port of an address; it names the socket.
func devPort(addr string) (string, error) {
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		return "", &addressError{addr}
	}
	return port, nil
}

// addressError says that where a dev worker's SNS and SQS listen was written wrong.
type addressError struct{ addr string }

func (e *addressError) Error() string {
	return fmt.Sprintf("address %q: must be host:port, as in --aws-addr %s", e.addr, DefaultDevAddr)
}

// ExitCode is the exit code for usage.
func (e *addressError) ExitCode() int { return 2 }

// control is the socket of a running dev worker.
type control struct {
	server *http.Server
	path   string
}

// serveControl listens for the user's commands. A socket that a dead process left is replaced.
func serveControl(ctx context.Context, port string, info devAnswer, act func(verb, name string) error) (*control, error) {
	path := devSocket(port)
	if err := privateFolder(filepath.Dir(path)); err != nil {
		return nil, fmt.Errorf("listen for dev commands: %w", err)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("listen for dev commands: %w", err)
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "unix", path)
	if err != nil {
		return nil, fmt.Errorf("listen for dev commands: %w", err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /dev", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(info) // the caller has gone
	})
	mux.HandleFunc("POST /dev/{verb}/{name}", func(w http.ResponseWriter, r *http.Request) {
		if err := act(r.PathValue("verb"), r.PathValue("name")); err != nil {
			http.Error(w, err.Error(), http.StatusNotFound)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	})
	c := &control{server: &http.Server{Handler: mux, ReadHeaderTimeout: controlTimeout}, path: path}
	go func() { _ = c.server.Serve(l) }() // it ends when it is closed
	return c, nil
}

func (c *control) close() {
	_ = c.server.Close()
	_ = os.Remove(c.path) // the listener has removed it already, as a rule
}

// privateFolder makes a folder that nobody else can enter, or checks that it is one: the temporary
// directory belongs to everybody.
func privateFolder(path string) error {
	if err := os.Mkdir(path, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return isPrivate(path)
}

// isPrivate checks that nobody else can have put anything into a folder.
func isPrivate(path string) error {
	about, err := os.Lstat(path)
	if err != nil {
		return err
	}
	if !about.IsDir() || about.Mode().Perm() != 0o700 || !mine(about) {
		return fmt.Errorf("%s is open to others: remove it, or set TMPDIR to a folder of your own", path)
	}
	return nil
}

// FindDev asks the dev worker whose SNS and SQS listen on addr. The error is ErrNoDev when none
// answers.
func FindDev(ctx context.Context, addr string) (DevInfo, error) {
	answer, err := findDev(ctx, addr)
	return answer.DevInfo, err
}

func findDev(ctx context.Context, addr string) (devAnswer, error) {
	var found devAnswer
	answer, err := askDev(ctx, addr, http.MethodGet, "/dev")
	if err != nil {
		return found, err
	}
	if err := json.Unmarshal(answer, &found); err != nil {
		return found, fmt.Errorf("ask the dev worker on %s: %w", addr, err)
	}
	return found, nil
}

// TellDev tells the dev worker whose SNS and SQS listen on addr to "break" or "mend" a receiver:
// mail, webhook or analytics.
func TellDev(ctx context.Context, addr, verb, receiver string) error {
	_, err := askDev(ctx, addr, http.MethodPost, "/dev/"+url.PathEscape(verb)+"/"+url.PathEscape(receiver))
	return err
}

func askDev(ctx context.Context, addr, method, path string) ([]byte, error) {
	port, err := devPort(addr)
	if err != nil {
		return nil, err
	}
	// Who got there first could tell this user's commands where to send their messages.
	switch err := isPrivate(filepath.Dir(devSocket(port))); {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("%w on %s", ErrNoDev, addr)
	case err != nil:
		return nil, fmt.Errorf("ask the dev worker on %s: %w", addr, err)
	}
	ctx, cancel := context.WithTimeout(ctx, controlTimeout)
	defer cancel()
	client := socketClient(devSocket(port))
	defer client.CloseIdleConnections()
	request, err := http.NewRequestWithContext(ctx, method, "http://dev"+path, http.NoBody)
	if err != nil {
		return nil, err
	}
	response, err := client.Do(request)
	if err != nil {
		return nil, fmt.Errorf("%w on %s", ErrNoDev, addr)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(response.Body, 64<<10))
	if err != nil {
		return nil, fmt.Errorf("ask the dev worker on %s: %w", addr, err)
	}
	if response.StatusCode/100 != 2 {
		return nil, errors.New(strings.TrimSpace(string(answer)))
	}
	return answer, nil
}
