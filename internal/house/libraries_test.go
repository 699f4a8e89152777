package house_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/mod/modfile"
)

// DESIGN.md says of each library why it is there, and of none that has gone.
func TestEachLibraryHasItsReason(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	file, err := modfile.Parse("go.mod", text, nil)
	if err != nil {
		t.Fatal(err)
	}
	var direct []string
	for _, r := range file.Require {
		if !r.Indirect {
			direct = append(direct, r.Mod.Path)
		}
	}
	design, err := os.ReadFile(filepath.Join(root, "DESIGN.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, section, found := strings.Cut(string(design), "\n## Libraries\n")
	if !found {
		t.Fatal("DESIGN.md has no section Libraries")
	}
	section, _, _ = strings.Cut(section, "\n## ")
	var named []string
	for _, m := range codeSpan.FindAllStringSubmatch(section, -1) {
		if host, _, path := strings.Cut(m[1], "/"); path && strings.Contains(host, ".") {
			named = append(named, m[1])
		}
	}
	// A name stands for the modules below it too.
	covers := func(name, module string) bool { return strings.HasPrefix(module+"/", name+"/") }
	for _, module := range direct {
		if !slices.ContainsFunc(named, func(name string) bool { return covers(name, module) }) {
			t.Errorf("%s is required, and DESIGN.md does not say why", module)
		}
	}
	for _, name := range named {
		if !slices.ContainsFunc(direct, func(module string) bool { return covers(name, module) }) {
			t.Errorf("DESIGN.md says why %s is there, and go.mod does not require it", name)
		}
	}
}
