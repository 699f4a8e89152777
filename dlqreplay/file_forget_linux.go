package dlqreplay

import (
	"os"

	"golang.org/x/sys/unix"
)

// forget asks the kernel to drop what it remembers of a part of a file, so that reading it back asks the
// disk. It is advice: where it is not taken, reading back still finds what a file system did wrong.
func forget(file disk, from, size int64) {
	f, ok := file.(*os.File)
	if !ok {
		return
	}
	if conn, err := f.SyscallConn(); err == nil {
		conn.Control(func(fd uintptr) { //nolint:errcheck // see above
			unix.Fadvise(int(fd), from, size, unix.FADV_DONTNEED) //nolint:errcheck // see above
		})
	}
}
