//go:build unix

package worker

import (
	"io/fs"
	"os"
	"syscall"
)

// restrict gives a socket that is not bound yet its mode. Linux makes the file with it, so that it is
// never open to others; other systems refuse, and the file's own mode follows.
func restrict(fd uintptr, mode uint32) { _ = syscall.Fchmod(int(fd), mode) }

// mine reports whether a file belongs to the user of this process.
func mine(about fs.FileInfo) bool {
	of, known := about.Sys().(*syscall.Stat_t)
	return known && int(of.Uid) == os.Geteuid()
}
