package plugins

import (
	"path"
	"runtime/debug"
	"strings"
)

// wrapper is the package main that Build puts below a job's package, in no folder that exists.
const wrapper = "/workerplugin"

// fix is the command that makes a plugin fit: worker jobs build takes toolchain and flags from the
// worker; versions of modules and sources are the module's own, and have to be made the same first.
func fix(ours, theirs *debug.BuildInfo, file, pkg string) string {
	build := "worker jobs build " + folderOf(theirs) + " -o " + file
	if theirs.Main.Path != ours.Main.Path && theirs.Main.Path != "" {
		build += ", in module " + theirs.Main.Path
	}
	here, there := modules(ours), modules(theirs)
	holder := moduleOf(here, pkg)
	switch version := here[holder]; {
	case pkg == "" || holder == "" || there[holder] == "":
		return build
	case version == there[holder] || !strings.HasPrefix(version, "v") || holder == theirs.Main.Path:
		return "build the worker again, then the plugin, from the same sources: " + build
	default:
		return "go get " + holder + "@" + version + " && " + build
	}
}

// folderOf is what to build a plugin from again, as far as its file knows.
func folderOf(theirs *debug.BuildInfo) string {
	pkg, ours := strings.CutSuffix(theirs.Path, wrapper)
	if below, ok := strings.CutPrefix(pkg, theirs.Main.Path+"/"); ours && ok {
		return "./" + path.Clean(below)
	}
	return "./jobs/NAME"
}
