package leanhttp

import (
	"context"
	"net"
	"time"
)

// past is a deadline that cuts whatever waits.
var past = time.Unix(1, 0)

// conn is one connection. One exchange uses it at a time.
type conn struct {
	scheme, host string
	raw          net.Conn // TCP
	stream       net.Conn // the same, or TLS on it
	idle         time.Time
	bounded      bool // the last exchange left a deadline on it
	probe        probe
	one          [1]byte
	cut          func()
}

// watch makes what each exchange needs once, so that an exchange allocates nothing for it.
func (k *conn) watch() {
	k.cut = func() { _ = k.raw.SetDeadline(past) } // on a closed connection there is nothing to cut
	k.probe.open(k.raw)
}

func (k *conn) close() { _ = k.stream.Close() } // nobody waits for it any more

// stale reports whether the server has closed an idle connection, or said something unasked.
func (k *conn) stale() bool {
	if k.stream != k.raw && !k.drained() {
		return true
	}
	if k.bounded {
		if k.raw.SetDeadline(time.Time{}) != nil {
			return true
		}
		k.bounded = false
	}
	return k.probe.stale()
}

// drained reports whether TLS holds nothing of what it has taken off the TCP connection already, where
// no look at that connection finds it: the next answer must not begin with what is left of the last.
func (k *conn) drained() bool {
	k.bounded = true
	if k.raw.SetReadDeadline(past) != nil {
		return false
	}
	n, err := k.stream.Read(k.one[:]) // does not wait, and TLS goes on after a timeout
	return n == 0 && isTimeout(err)
}

// exchange writes the request and reads the answer. After an error the connection is of no use any
// more; written is how much of the request has left.
func (k *conn) exchange(ctx context.Context, request []byte) (a *Answer, written int, err error) {
	if deadline, bounded := ctx.Deadline(); bounded {
		if err := k.raw.SetDeadline(deadline); err != nil {
			return nil, 0, err
		}
		k.bounded = true
	}
	if ctx.Done() != nil {
		stop := context.AfterFunc(ctx, k.cut)
		defer func() {
			if !stop() && a != nil {
				a.keep = false // it is being cut, or will be in a moment
			}
		}()
	}
	written, err = k.stream.Write(request)
	if err != nil && written == 0 {
		return nil, 0, err
	}
	a, readErr := read(k.stream)
	switch {
	case err == nil && readErr != nil:
		return nil, written, readErr
	case readErr != nil:
		return nil, written, err
	case err != nil: // a server may refuse a request before it has read all of it
		a.keep = false
	}
	return a, written, nil
}
