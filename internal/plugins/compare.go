package plugins

import (
	"fmt"
	"path"
	"runtime/debug"
	"strconv"
	"strings"
)

// Mismatch says that a plugin was built differently from the worker.
type Mismatch struct {
	File string
	// Package is the first package that the runtime found to differ; empty when all of them do.
	Package string
	// Differences are what the two files say of themselves, the likeliest cause first.
	Differences []string
	// Module is where Fix is to be run: the plugin's module; empty when it is the worker's too.
	Module string
	// Fix is the command that mends it.
	Fix string
	// Err is what the runtime said; nil when it was not asked.
	Err error
}

func (m *Mismatch) Error() string {
	what := "every package differs"
	if m.Package != "" {
		what = "package " + m.Package + " differs"
	}
	return fmt.Sprintf("does not fit this worker: %s: %s; mend it%s", what, strings.Join(m.Differences, "; "), m.how())
}

// how is the command, and where to run it.
func (m *Mismatch) how() string {
	if m.Module != "" {
		return " in module " + m.Module + " with: " + m.Fix
	}
	return " with: " + m.Fix
}

func (m *Mismatch) Unwrap() error { return m.Err }

// Settings of a build that change every package. Those that are decisive make files between which not
// even the attempt is safe; the runtime judges the rest.
var (
	decisiveSettings = []string{"GOOS", "GOARCH", "GOAMD64", "GOARM64", "GOARM", "GOPPC64", "GORISCV64", "GOEXPERIMENT", "-race", "-msan", "-asan", "-compiler"}
	otherSettings    = append([]string{"-trimpath", "-tags", "-gcflags", "-asmflags", "-cover", "CGO_ENABLED", "GOFIPS140"}, cgoSettings...)
	// Constants of C are compiled into the package that names them. With -trimpath, files do not tell them.
	cgoSettings = []string{"CGO_CFLAGS", "CGO_CPPFLAGS", "CGO_CXXFLAGS", "CGO_LDFLAGS"}
)

// setting is a setting of a build; empty when it was not given.
func setting(info *debug.BuildInfo, key string) string {
	for _, s := range info.Settings {
		if s.Key == key {
			return s.Value
		}
	}
	return ""
}

// decisive are the differences that no two files can have.
func decisive(ours, theirs *debug.BuildInfo) []string {
	var all []string
	if ours.GoVersion != theirs.GoVersion {
		all = append(all, fmt.Sprintf("the worker is built with %s, the plugin with %s", ours.GoVersion, theirs.GoVersion))
	}
	return append(all, settings(ours, theirs, decisiveSettings)...)
}

func settings(ours, theirs *debug.BuildInfo, keys []string) []string {
	var all []string
	for _, key := range keys {
		here, there := setting(ours, key), setting(theirs, key)
		if here == there {
			continue
		}
		all = append(all, fmt.Sprintf("the worker is built %s, the plugin %s", with(key, here), with(key, there)))
	}
	return all
}

func with(key, value string) string {
	switch value {
	case "":
		return "without " + key
	case "true":
		return "with " + key
	}
	if strings.Contains(value, " ") {
		value = strconv.Quote(value)
	}
	return "with " + key + "=" + value
}

// flags are the settings in which two files differ, the toolchain first.
func flags(ours, theirs *debug.BuildInfo) []string {
	return append(decisive(ours, theirs), settings(ours, theirs, otherSettings)...)
}

// Compare says in what two files differ that share packages: toolchain, flags, versions of modules.
func Compare(ours, theirs *debug.BuildInfo) []string {
	all := flags(ours, theirs)
	for _, d := range differing(ours, theirs) {
		all = append(all, d.text())
	}
	return all
}

// CompareAt is Compare for a package that is known to differ: what concerns its module stands first,
// what does not is only named, and there is always an answer.
func CompareAt(ours, theirs *debug.BuildInfo, pkg string) []string {
	holder := moduleOf(modules(ours), pkg)
	var causes, others, named []string
	for _, d := range differing(ours, theirs) {
		if d.path == holder {
			causes = append(causes, d.text())
		} else {
			others, named = append(others, d.text()), append(named, d.path)
		}
	}
	causes = append(causes, flags(ours, theirs)...)
	switch {
	case len(causes) > 0 && len(named) > 0:
		return append(causes, "other modules differ too: "+strings.Join(named, ", "))
	case len(causes) > 0:
		return causes
	case holder == "":
		return append(others, "both are built with "+ours.GoVersion+" and the same flags, and it is not of a module: rebuild both")
	}
	return append([]string{fmt.Sprintf("module %s is %s in both, and not the same sources: %s",
		holder, modules(ours)[holder], revisions(ours, theirs))}, others...)
}

// revisions says which commits were built, where the files know it.
func revisions(ours, theirs *debug.BuildInfo) string {
	here, there := revision(ours), revision(theirs)
	if here == "" && there == "" {
		return "one of them was built before a change"
	}
	return fmt.Sprintf("the worker is of commit %s, the plugin of %s", unknown(here), unknown(there))
}

func revision(info *debug.BuildInfo) string {
	commit := setting(info, "vcs.revision")
	if commit == "" {
		return ""
	}
	const short = 12
	commit = commit[:min(short, len(commit))]
	if setting(info, "vcs.modified") == "true" {
		commit += " (modified)"
	}
	return commit
}

func unknown(s string) string {
	if s == "" {
		return "unknown"
	}
	return s
}

// difference is a module that both files hold in different versions.
type difference struct{ path, here, there string }

func (d difference) text() string {
	return fmt.Sprintf("module %s is %s in the worker, %s in the plugin", d.path, d.here, d.there)
}

func differing(ours, theirs *debug.BuildInfo) []difference {
	var all []difference
	here, there := modules(ours), modules(theirs)
	for _, m := range parts(ours) {
		if version, both := there[m.Path]; both && version != here[m.Path] {
			all = append(all, difference{m.Path, here[m.Path], version})
		}
	}
	return all
}

// modules are the versions in a file, replacements named.
func modules(info *debug.BuildInfo) map[string]string {
	all := map[string]string{}
	for _, m := range parts(info) {
		all[m.Path] = m.Version
		switch {
		case m.Replace != nil && local(m.Replace):
			all[m.Path] = "replaced by the folder " + m.Replace.Path
		case m.Replace != nil:
			all[m.Path] = "replaced by " + m.Replace.Path + " " + m.Replace.Version
		case m.Version == "":
			all[m.Path] = devel
		}
	}
	return all
}

// devel is the version of what has none.
const devel = "(devel)"

// local: a module is a folder of whoever built it.
func local(m *debug.Module) bool { return m.Version == "" || m.Version == devel }

// parts are the modules that a file is made of, the main one first.
func parts(info *debug.BuildInfo) []*debug.Module {
	return append([]*debug.Module{&info.Main}, info.Deps...)
}

// moduleOf is the module that a package belongs to; empty for the standard library.
func moduleOf(modules map[string]string, pkg string) string {
	for at := pkg; at != "." && at != "/"; at = path.Dir(at) {
		if _, ok := modules[at]; ok {
			return at
		}
	}
	return ""
}
