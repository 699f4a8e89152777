//go:build unix

package worker

import "syscall"

// restrict gives a socket that is not bound yet its mode. Linux makes the file with it, so that it is
// never open to others; other systems refuse, and the file's own mode follows.
func restrict(fd uintptr, mode uint32) { _ = syscall.Fchmod(int(fd), mode) }
