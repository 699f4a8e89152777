package plugins

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Find returns the files that a path or a pattern like plugins/*.so names, sorted, by their absolute
// paths. A path that is relative is below dir. A pattern may name nothing; a path must be there.
func Find(dir, pattern string) ([]string, error) {
	at := pattern
	if !filepath.IsAbs(at) {
		at = filepath.Join(dir, at)
	}
	at, err := filepath.Abs(at)
	if err != nil {
		return nil, fmt.Errorf("find %s: %w", pattern, err)
	}
	if !strings.ContainsAny(pattern, `*?[`) {
		if _, err := os.Stat(at); err != nil {
			return nil, fmt.Errorf("%s is not there: build it with: worker jobs build ./jobs/NAME -o %[1]s", at)
		}
		return []string{at}, nil
	}
	files, err := filepath.Glob(at)
	if err != nil {
		return nil, fmt.Errorf("%q is no pattern: write it like plugins/*.so", pattern)
	}
	slices.Sort(files)
	return files, nil
}

const others fs.FileMode = 0o002 // may write

// safe returns the real path of a file that only its owner and group can change: whoever can write a
// plugin runs code in the worker.
func safe(file string) (string, error) {
	real, err := filepath.EvalSymlinks(file)
	if err != nil {
		return "", fmt.Errorf("cannot be read: %w", err)
	}
	if real, err = filepath.Abs(real); err != nil {
		return "", fmt.Errorf("cannot be read: %w", err)
	}
	about, err := os.Stat(real)
	switch {
	case err != nil:
		return "", fmt.Errorf("cannot be read: %w", err)
	case !about.Mode().IsRegular():
		return "", fmt.Errorf("is no file, and so no plugin")
	case about.Mode()&others != 0:
		return "", fmt.Errorf("everybody on this machine can write it, and so run code in the worker: chmod o-w %s", real)
	}
	// The link's own folders decide too what the name leads to.
	named, err := filepath.Abs(file)
	if err != nil {
		return "", fmt.Errorf("cannot be read: %w", err)
	}
	for _, at := range []string{real, named} {
		if err := safeFolders(at); err != nil {
			return "", err
		}
	}
	return real, nil
}

// safeFolders checks that nobody else can put another file in the place of this one. In a sticky
// folder above its own (/tmp) only owners can.
func safeFolders(file string) error {
	own := filepath.Dir(file)
	for dir := own; ; dir = filepath.Dir(dir) {
		about, err := os.Stat(dir)
		if err != nil {
			return fmt.Errorf("cannot be read: %w", err)
		}
		if mode := about.Mode(); mode&others != 0 && (dir == own || mode&fs.ModeSticky == 0) {
			return fmt.Errorf("everybody on this machine can write its folder %s, and so run code in the worker: chmod o-w %[1]s", dir)
		}
		if dir == filepath.Dir(dir) {
			return nil
		}
	}
}
