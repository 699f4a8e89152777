package worker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

const tellTimeout = 5 * time.Second

// ErrNoAdmin says that no worker answers where the configuration says that one does.
var ErrNoAdmin = errors.New("no worker answers")

// exitError is an error that asks for an exit code.
type exitError struct {
	text string
	code int
}

func (e *exitError) Error() string { return e.text }

// ExitCode is 2 when a command or the configuration is at fault.
func (e *exitError) ExitCode() int { return e.code }

// PauseQueue lets a queue of a running worker rest for d; 0 is until it is resumed. The worker is
// found by the same configuration: admin.addr, and admin.token when there is one.
func PauseQueue(ctx context.Context, o Options, queue string, d time.Duration) (Paused, error) {
	path := "/queues/" + url.PathEscape(queue) + "/pause"
	if d != 0 {
		path += "?for=" + url.QueryEscape(d.String())
	}
	return tell(ctx, o, path)
}

// ResumeQueue ends every pause of a queue of a running worker, also those of a job or of the breaker.
func ResumeQueue(ctx context.Context, o Options, queue string) (Paused, error) {
	return tell(ctx, o, "/queues/"+url.PathEscape(queue)+"/resume")
}

// tell posts to the admin port of the worker that this configuration describes.
func tell(ctx context.Context, o Options, path string) (answer Paused, err error) {
	o.fill()
	loaded, err := load(&o)
	if err != nil {
		return answer, err
	}
	at := loaded.Config.Admin.Addr
	client, base, err := adminClient(at)
	if err != nil {
		return answer, err
	}
	defer client.CloseIdleConnections()
	ctx, cancel := context.WithTimeout(ctx, tellTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, base+path, http.NoBody)
	if err != nil {
		return answer, err
	}
	if token := loaded.Config.Admin.Token; token != "" {
		request.Header.Set("Authorization", "Bearer "+string(token))
	}
	response, err := client.Do(request)
	if err != nil {
		return answer, fmt.Errorf("%w on %s, where admin.addr says: name another with --admin-addr: %w", ErrNoAdmin, at, unwrapURL(err))
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, 64<<10))
	if err != nil {
		return answer, fmt.Errorf("tell the worker on %s: %w", at, err)
	}
	if response.StatusCode != http.StatusOK {
		return answer, refused(at, response.StatusCode, strings.TrimSpace(string(body)))
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return answer, fmt.Errorf("tell the worker on %s: its answer is none: %w", at, err)
	}
	return answer, nil
}

// refused says why a worker did not do as it was told. A worker without routes that write answers as
// any server does that does not know a path.
func refused(at string, status int, text string) error {
	const usage, failed = 2, 1
	switch {
	case status == http.StatusNotFound && strings.Contains(text, "is no queue"), status == http.StatusBadRequest:
		return &exitError{text, usage}
	case status == http.StatusNotFound, status == http.StatusMethodNotAllowed:
		return &exitError{fmt.Sprintf(`the worker on %s takes no orders: give it an admin.token, or a socket with admin.addr = "unix:/path"`, at), failed}
	case status == http.StatusUnauthorized:
		return &exitError{text + ": set admin.token, or WORKER_ADMIN__TOKEN, as the worker has it", failed}
	}
	return &exitError{fmt.Sprintf("the worker on %s answered %d: %s", at, status, text), failed}
}

// adminClient reaches an admin address as the configuration writes it.
func adminClient(at string) (client *http.Client, base string, err error) {
	if path, socket := strings.CutPrefix(at, adminSocket); socket {
		return socketClient(path), "http://admin", nil
	}
	if at == adminOff {
		return nil, "", &exitError{"admin.addr is off: name where the worker listens with --admin-addr", 2}
	}
	host, port, err := net.SplitHostPort(at)
	if err != nil || port == "0" {
		return nil, "", &exitError{fmt.Sprintf("admin.addr %q does not say where the worker listens: name it with --admin-addr", at), 2}
	}
	if ip := net.ParseIP(host); host == "" || (ip != nil && ip.IsUnspecified()) {
		host = "127.0.0.1" // it listens everywhere, so here, too
	}
	// No proxy of the environment: a token must not leave for it.
	return &http.Client{Transport: &http.Transport{}}, "http://" + net.JoinHostPort(host, port), nil
}

// socketClient speaks HTTP over a unix socket, whatever host it is asked for.
func socketClient(path string) *http.Client {
	return &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "unix", path)
		},
	}}
}

// unwrapURL leaves out the method and the URL, which say nothing to an operator.
func unwrapURL(err error) error {
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		return wrapped.Err
	}
	return err
}
