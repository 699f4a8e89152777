//go:build !unix

package worker

// restrict does nothing here: the file's own mode follows.
func restrict(uintptr, uint32) {}
