package plugins

import (
	"fmt"
	"path"
	"path/filepath"
	"runtime/debug"
	"strings"
)

// wrapper is the package main that Build puts below a job's package, in no folder that exists.
const wrapper = "/workerplugin"

// mismatch says what to do about a plugin that does not fit. Without pkg every package differs.
func mismatch(ours, theirs *debug.BuildInfo, file, pkg string, differences []string, err error) *Mismatch {
	if at, err := filepath.Abs(file); err == nil { // the command is run in the folder of the plugin's module
		file = at
	}
	m := &Mismatch{File: file, Package: pkg, Differences: differences, Err: err}
	if theirs.Main.Path != ours.Main.Path {
		m.Module = theirs.Main.Path
	}
	before, after := fix(ours, theirs, pkg)
	m.Fix = before + "worker jobs build " + folderOf(theirs) + " -o " + file + after
	return m
}

// fix is what to do before and after the command that builds a plugin: that takes toolchain and flags
// from the worker; versions of modules and sources are the plugin's own, and have to be made the same
// first.
func fix(ours, theirs *debug.BuildInfo, pkg string) (before, after string) {
	holder := moduleOf(modules(ours), pkg)
	here, there := module(ours, holder), module(theirs, holder)
	switch {
	case here == nil || there == nil: // of the standard library, or everything
		return "", ""
	case modules(ours)[holder] == modules(theirs)[holder]:
		if len(flags(ours, theirs)) > 0 {
			return "", ""
		}
		return sameSources, ""
	case here == &ours.Main || there == &theirs.Main:
		return sameSources, ""
	case here.Replace != nil && !local(here.Replace):
		return "go mod edit -replace " + holder + "=" + here.Replace.Path + "@" + here.Replace.Version + " && go mod tidy && ", ""
	case here.Replace != nil:
		if !filepath.IsAbs(here.Replace.Path) && theirs.Main.Path != ours.Main.Path {
			after = ", where " + here.Replace.Path + " is seen from module " + ours.Main.Path
		}
		return "go mod edit -replace " + holder + "=" + here.Replace.Path + " && go mod tidy && ", after
	case there.Replace != nil:
		return "go mod edit -dropreplace " + holder + " && go get " + holder + "@" + here.Version + " && ", ""
	}
	return "go get " + holder + "@" + here.Version + " && ", ""
}

const sameSources = "build the worker again, then the plugin, from the same sources: "

// module is a module of a file; nil when it is not in it.
func module(info *debug.BuildInfo, path string) *debug.Module {
	for _, m := range parts(info) {
		if m.Path == path && path != "" {
			return m
		}
	}
	return nil
}

// folderOf is what to build a plugin from again, as far as its file knows.
func folderOf(theirs *debug.BuildInfo) string {
	pkg, ours := strings.CutSuffix(theirs.Path, wrapper)
	if below, ok := strings.CutPrefix(pkg, theirs.Main.Path+"/"); ours && ok {
		return "./" + path.Clean(below)
	}
	return "./jobs/NAME"
}

// static says of a worker that it loads no plugins, and how it is built so that it does.
func static(info *debug.BuildInfo) string {
	pkg := "./" + strings.TrimPrefix(strings.TrimPrefix(info.Path, info.Main.Path), "/")
	return fmt.Sprintf("is static, built without cgo, and loads no plugins: build it in module %s with: CGO_ENABLED=1 go build %s "+
		"(on Linux, macOS or FreeBSD, with a C compiler); or compile the job in: worker jobs generate", info.Main.Path, pkg)
}
