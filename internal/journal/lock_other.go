//go:build !(linux || darwin || freebsd || netbsd || openbsd)

package journal

import "os"

// Lock does nothing here: two openers are not kept apart.
func Lock(*os.File) error { return nil }

func held(*os.File) bool { return false }

// SyncDir does nothing here: folders cannot be synced.
func SyncDir(string) error { return nil }
