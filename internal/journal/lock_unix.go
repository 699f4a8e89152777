//go:build linux || darwin || freebsd || netbsd || openbsd

package journal

import (
	"errors"
	"os"
	"syscall"
)

// Lock takes the file for this opening of it, or answers ErrInUse. The lock ends with the opening, also
// when the process is killed.
func Lock(file *os.File) error { return lock(file, syscall.LOCK_EX) }

// held reports whether somebody has locked the file. Those who ask do not see each other.
func held(file *os.File) bool { return errors.Is(lock(file, syscall.LOCK_SH), ErrInUse) }

func lock(file *os.File, how int) error {
	conn, err := file.SyscallConn()
	if err != nil {
		return err
	}
	var locked error
	if err := conn.Control(func(fd uintptr) {
		locked = syscall.Flock(int(fd), how|syscall.LOCK_NB)
	}); err != nil {
		return err
	}
	if errors.Is(locked, syscall.EWOULDBLOCK) {
		return ErrInUse
	}
	return locked
}

// SyncDir makes the names in a folder durable.
func SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
