package worker

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"
)

// adminOff turns the admin port off.
const adminOff = "off"

// admin is the admin port. Its methods take nil for one that is off.
type admin struct {
	listener net.Listener
	server   *http.Server
}

// listenAdmin binds the admin port, so that a fault shows before anything runs; nil when it is off.
func listenAdmin(ctx context.Context, addr string, h http.Handler) (*admin, error) {
	if addr == "" || addr == adminOff {
		return nil, nil
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("listen on admin address %s: %w", addr, portFix(err, "--admin-addr (127.0.0.1:0 for any free port, off for none)"))
	}
	return &admin{listener: l, server: &http.Server{
		Handler: h, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, WriteTimeout: 30 * time.Second, MaxHeaderBytes: 16 << 10,
	}}, nil
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
	return a.listener.Addr().String()
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
