package dlqreplay

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/stationmaster/worker/internal/journal"
)

// writeNew writes a new file that is there wholly or not at all; fs.ErrExist when path exists.
func writeNew(path string, text []byte) error {
	file, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return err
	}
	_, err = file.Write(text)
	if err == nil {
		err = file.Sync()
	}
	if err = errors.Join(err, file.Close()); err == nil {
		err = giveName(file.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(file.Name()))
	}
	return nil
}

// giveName renames a file and never overwrites another: rename(2) would.
func giveName(from, to string) error {
	err := os.Link(from, to)
	switch {
	case err == nil:
		err = os.Remove(from)
	case errors.Is(err, fs.ErrExist):
		return fmt.Errorf("%s: %w", to, fs.ErrExist)
	default: // a file system without hard links
		if _, has := os.Lstat(to); !errors.Is(has, fs.ErrNotExist) {
			return fmt.Errorf("%s: %w", to, fs.ErrExist)
		}
		err = os.Rename(from, to)
	}
	if err != nil {
		return err
	}
	return journal.SyncDir(filepath.Dir(to))
}
