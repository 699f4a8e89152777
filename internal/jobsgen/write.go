package jobsgen

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
)

// Written is what Write did.
type Written struct {
	Result
	// Changed: the file was not current.
	Changed bool
}

// Write writes File below the root of a module, if it is not current.
func Write(root string) (Written, error) {
	r, err := Generate(os.DirFS(root))
	if err != nil {
		return Written{}, err
	}
	name := filepath.Join(root, filepath.FromSlash(File))
	if before, err := os.ReadFile(name); err == nil && bytes.Equal(before, r.Source) {
		return Written{Result: r}, nil
	}
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return Written{}, fmt.Errorf("write the jobs: %w", err)
	}
	if err := os.WriteFile(name, r.Source, 0o644); err != nil {
		return Written{}, fmt.Errorf("write the jobs: %w", err)
	}
	return Written{Result: r, Changed: true}, nil
}
