package worker

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"time"
)

// adminOff turns the admin port off.
const adminOff = "off"

// adminSocket begins the address of an admin port that is a socket.
const adminSocket = "unix:"

// admin is the admin port. Its methods take nil for one that is off.
type admin struct {
	listener net.Listener
	server   *http.Server
	at       string
}

// listenAdmin binds the admin port, so that a fault shows before anything runs; nil when it is off.
func listenAdmin(ctx context.Context, addr string, h http.Handler) (*admin, error) {
	if addr == "" || addr == adminOff {
		return nil, nil
	}
	l, at, err := bindAdmin(ctx, addr)
	if err != nil {
		return nil, err
	}
	return &admin{listener: l, at: at, server: &http.Server{
		Handler: h, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, WriteTimeout: 30 * time.Second, MaxHeaderBytes: 16 << 10,
	}}, nil
}

// bindAdmin listens on a port or on a socket, and says where.
func bindAdmin(ctx context.Context, addr string) (l net.Listener, at string, err error) {
	if path, socket := strings.CutPrefix(addr, adminSocket); socket {
		if l, err = listenSocket(ctx, path); err != nil {
			return nil, "", fmt.Errorf("listen on admin socket %s: %w", path, err)
		}
		return l, addr, nil
	}
	var lc net.ListenConfig
	if l, err = lc.Listen(ctx, "tcp", addr); err != nil {
		return nil, "", fmt.Errorf("listen on admin address %s: %w", addr, portFix(err, "--admin-addr (127.0.0.1:0 for any free port, off for none)"))
	}
	return l, l.Addr().String(), nil
}

// errTaken says that a living process has the socket.
var errTaken = errors.New("another process listens there: end it, or choose another path")

// listenSocket listens on a socket that only its user can open. One that a dead process left is
// replaced; anything else that has the path is left alone.
func listenSocket(ctx context.Context, path string) (net.Listener, error) {
	switch about, err := os.Lstat(path); {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, err
	case about.Mode()&fs.ModeSocket == 0:
		return nil, errors.New("the path is taken by something that is no socket: choose another")
	default:
		var d net.Dialer
		if conn, err := d.DialContext(ctx, "unix", path); err == nil {
			return nil, errors.Join(errTaken, conn.Close())
		}
		if err := os.Remove(path); err != nil {
			return nil, err
		}
	}
	const onlyUser = 0o600
	lc := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		return c.Control(func(fd uintptr) { restrict(fd, onlyUser) })
	}}
	l, err := lc.Listen(ctx, "unix", path)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(path, onlyUser); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// portFix says what to do about an address that cannot be listened on, and why: the caller has
// named the address.
func portFix(err error, flag string) error {
	if at, ok := errors.AsType[*net.OpError](err); ok {
		err = at.Err
	}
	if errors.Is(err, os.ErrPermission) {
		return fmt.Errorf("%w: ports below 1024 need a privilege; choose another with %s", err, flag)
	}
	return fmt.Errorf("%w; choose another with %s", err, flag)
}

func (a *admin) serve() {
	if a != nil {
		go func() { _ = a.server.Serve(a.listener) }() // it ends when it is closed
	}
}

func (a *admin) addr() string {
	if a == nil {
		return ""
	}
	return a.at
}

func (a *admin) close() error {
	if a == nil {
		return nil
	}
	err := a.server.Close()
	if again := a.listener.Close(); again != nil && !errors.Is(again, net.ErrClosed) {
		err = errors.Join(err, again)
	}
	return err
}
