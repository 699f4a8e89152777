package house_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
)

// longest is the most lines a Go file may have.
const longest = 600

// walker reads every Go file of a tree and collects what breaks a rule of the house.
type walker struct {
	plan   []room
	faults []string
	// documented says for each package with code whether one of its files has a package comment.
	documented map[string]bool
}

// inspect returns the faults of the tree, each as "file:line: what".
func inspect(tree fs.FS, plan []room) ([]string, error) {
	w := &walker{plan: plan, documented: map[string]bool{}}
	err := fs.WalkDir(tree, ".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && name != "." && (skipped(entry.Name()) || ownModule(tree, name)):
			return fs.SkipDir
		case entry.IsDir() || !strings.HasSuffix(name, ".go"):
			return nil
		}
		return w.file(tree, name)
	})
	for pkg, ok := range w.documented {
		if !ok {
			w.faultf("%s: has no package comment", pkg)
		}
	}
	slices.Sort(w.faults)
	return w.faults, err
}

// skipped says which folders hold no code of the module, as the go command sees it.
func skipped(dir string) bool {
	return dir == "testdata" || dir == "bin" || strings.HasPrefix(dir, ".") || strings.HasPrefix(dir, "_")
}

// ownModule says whether a folder is another module: it stands outside the house.
func ownModule(tree fs.FS, dir string) bool {
	_, err := fs.Stat(tree, path.Join(dir, "go.mod"))
	return err == nil
}

func (w *walker) faultf(format string, args ...any) {
	w.faults = append(w.faults, fmt.Sprintf(format, args...))
}

func (w *walker) file(tree fs.FS, name string) error {
	source, err := fs.ReadFile(tree, name)
	if err != nil {
		return err
	}
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, name, source, parser.ParseComments)
	if err != nil {
		return err
	}
	if n := set.File(file.Pos()).LineCount(); n > longest {
		w.faultf("%s: has %d lines, more than %d: split it by what it does", name, n, longest)
	}
	pkg, test := path.Dir(name), strings.HasSuffix(name, "_test.go")
	if test {
		w.sleeps(set, file)
	} else {
		w.documented[pkg] = w.documented[pkg] || file.Doc != nil
		if public(pkg) {
			w.exports(set, file)
		}
	}
	home, ok := lookup(w.plan, pkg)
	if !ok {
		w.faultf("%s: package %s has no floor: give it one in internal/house", name, pkg)
		return nil
	}
	for _, spec := range file.Imports {
		imported, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return err
		}
		if why := w.judge(pkg, home, imported, test); why != "" {
			w.faultf("%s: imports %s: %s", set.Position(spec.Pos()), imported, why)
		}
	}
	return nil
}

// judge says what is wrong with one import, or nothing.
func (w *walker) judge(pkg string, home room, imported string, test bool) string {
	if below, ok := strings.CutPrefix(imported, module+"/"); ok {
		return w.judgeInside(pkg, home, below, test)
	}
	switch {
	case test:
		return ""
	case strings.HasPrefix(imported, sdkService) && !slices.Contains(sdkServices, pkg):
		return "service packages of the SDK belong to internal/awsapi"
	case strings.HasPrefix(imported, sdk) && !slices.Contains(sdkCore, pkg):
		return "the SDK is for " + strings.Join(sdkCore, ", ")
	case home.floor == 0 && strings.Contains(strings.Split(imported, "/")[0], "."):
		return "the ground floor imports the standard library only"
	}
	return ""
}

// judgeInside judges an import of this module; to is the path below the module's root.
func (w *walker) judgeInside(pkg string, home room, to string, test bool) string {
	target, ok := lookup(w.plan, to)
	switch {
	case test && (to == pkg || slices.Contains(anywhere, to)):
		return ""
	case !ok:
		return "it has no floor"
	case target.floor == home.floor:
		return fmt.Sprintf("sideways, both live on floor %d", home.floor)
	case target.floor > home.floor:
		return fmt.Sprintf("upward, from floor %d to floor %d", home.floor, target.floor)
	case !test && home.only != nil && !slices.Contains(home.only, to):
		return fmt.Sprintf("%s may import only %s", pkg, strings.Join(home.only, ", "))
	case !test && home.pattern == "jobs/*" && !public(to) && !strings.HasPrefix(to, "jobs/internal/"):
		return "a bundled job uses public packages only, as an outsider's would"
	}
	return ""
}

// public says whether somebody outside this module can import the package.
func public(pkg string) bool {
	parts := strings.Split(pkg, "/")
	return !slices.Contains(parts, "internal") && parts[0] != "cmd"
}

// sleeps finds time.Sleep in a test: it is slow where it is safe and flaky where it is fast.
func (w *walker) sleeps(set *token.FileSet, file *ast.File) {
	ast.Inspect(file, func(n ast.Node) bool {
		if sel, ok := n.(*ast.SelectorExpr); ok && sel.Sel.Name == "Sleep" {
			if x, ok := sel.X.(*ast.Ident); ok && x.Name == "time" {
				w.faultf("%s: time.Sleep in a test: wait for a condition, or use testing/synctest", set.Position(n.Pos()))
			}
		}
		return true
	})
}
