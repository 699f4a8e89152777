//go:build linux || darwin || freebsd || netbsd || openbsd

package leanhttp

import (
	"errors"
	"net"
	"syscall"
)

// probe looks whether a connection has something to read, or its end, without waiting and without
// taking it. On TLS that sees only the TCP below, which is enough: what a server sends on an idle
// connection is its farewell.
type probe struct {
	raw  syscall.RawConn
	look func(fd uintptr) bool
	n    int
	err  error
	one  [1]byte
}

func (p *probe) open(c net.Conn) {
	under, ok := c.(syscall.Conn)
	if !ok {
		return
	}
	raw, err := under.SyscallConn()
	if err != nil {
		return
	}
	p.raw = raw
	p.look = func(fd uintptr) bool {
		p.n, _, p.err = syscall.Recvfrom(int(fd), p.one[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		return true
	}
}

// stale reports true unless the connection is silent and open. A connection that cannot be looked
// at counts as open: its write or its read will tell.
func (p *probe) stale() bool {
	if p.raw == nil {
		return false
	}
	if err := p.raw.Read(p.look); err != nil {
		return true
	}
	return !errors.Is(p.err, syscall.EAGAIN) && !errors.Is(p.err, syscall.EWOULDBLOCK) && !errors.Is(p.err, syscall.EINTR)
}
