package plugins

import (
	"fmt"
	"path"
	"runtime/debug"
	"strings"
)

// Mismatch says that a plugin was built differently from the worker.
type Mismatch struct {
	File string
	// Package is the first package that the runtime found to differ; empty when it was not asked.
	Package string
	// Differences are what the two files say of themselves, the likeliest cause first.
	Differences []string
	// Fix is the command that mends it.
	Fix string
	Err error
}

func (m *Mismatch) Error() string {
	var b strings.Builder
	b.WriteString("does not fit this worker: ")
	if m.Package != "" {
		fmt.Fprintf(&b, "package %s differs: ", m.Package)
	}
	b.WriteString(strings.Join(m.Differences, "; "))
	b.WriteString("; mend it with: " + m.Fix)
	return b.String()
}

func (m *Mismatch) Unwrap() error { return m.Err }

// Settings of a build that change every package. Those that are decisive make files between which not
// even the attempt is safe; the runtime judges the rest.
var (
	decisiveSettings = []string{"GOOS", "GOARCH", "GOAMD64", "GOARM64", "GOARM", "GOPPC64", "GORISCV64", "GOEXPERIMENT", "-race", "-msan", "-asan", "-compiler"}
	otherSettings    = []string{"-trimpath", "-tags", "-gcflags", "-asmflags", "-cover", "CGO_ENABLED"}
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
	return "with " + key + "=" + value
}

// Compare says in what two files differ that share packages: toolchain, flags, versions of modules.
func Compare(ours, theirs *debug.BuildInfo) []string {
	all := append(decisive(ours, theirs), settings(ours, theirs, otherSettings)...)
	for _, d := range differing(ours, theirs) {
		all = append(all, d.text())
	}
	return all
}

// CompareAt is Compare for a package that is known to differ: what concerns its module stands first,
// and there is always an answer.
func CompareAt(ours, theirs *debug.BuildInfo, pkg string) []string {
	flags := append(decisive(ours, theirs), settings(ours, theirs, otherSettings)...)
	holder := moduleOf(modules(ours), pkg)
	var its, others []string
	for _, d := range differing(ours, theirs) {
		if d.path == holder {
			its = append(its, d.text())
		} else {
			others = append(others, d.text())
		}
	}
	switch {
	case len(its) > 0:
		return append(append(its, flags...), others...)
	case len(flags) > 0:
		return append(flags, others...)
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
	there := modules(theirs)
	for _, m := range inOrder(ours) {
		here := modules(ours)[m]
		if version, both := there[m]; both && version != here {
			all = append(all, difference{m, here, version})
		}
	}
	return all
}

func inOrder(info *debug.BuildInfo) []string {
	all := []string{info.Main.Path}
	for _, d := range info.Deps {
		all = append(all, d.Path)
	}
	return all
}

// modules are the versions in a file, replacements named.
func modules(info *debug.BuildInfo) map[string]string {
	all := map[string]string{}
	for _, m := range append([]*debug.Module{&info.Main}, info.Deps...) {
		version := m.Version
		if version == "" {
			version = "(devel)"
		}
		if m.Replace != nil {
			version = strings.TrimSpace("=> " + m.Replace.Path + " " + m.Replace.Version)
		}
		all[m.Path] = version
	}
	return all
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
