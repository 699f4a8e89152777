package jobsgen

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/mod/modfile"
)

// module is what a go.mod says.
type module struct {
	path string
	// knows: it is this module, or requires it.
	knows bool
}

func readModule(root fs.FS) (module, error) {
	text, err := fs.ReadFile(root, "go.mod")
	if err != nil {
		return module{}, fmt.Errorf("find the module: %w: run this at the module's root", err)
	}
	file, err := modfile.ParseLax("go.mod", text, nil)
	if err != nil {
		return module{}, fmt.Errorf("read the module: %w", err)
	}
	if file.Module == nil {
		return module{}, errors.New("go.mod: has no module line")
	}
	m := module{path: file.Module.Mod.Path, knows: file.Module.Mod.Path == worker}
	for _, r := range file.Require {
		m.knows = m.knows || r.Mod.Path == worker
	}
	return m, nil
}

// Root returns the folder of the module that dir lies in, as the go command finds it.
func Root(dir string) (string, error) {
	start, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	for at := start; ; at = filepath.Dir(at) {
		if about, err := os.Stat(filepath.Join(at, "go.mod")); err == nil && !about.IsDir() {
			return at, nil
		}
		if at == filepath.Dir(at) {
			return "", fmt.Errorf("no go.mod in %s or above: go to the module of your worker, or make one with go mod init", start)
		}
	}
}
