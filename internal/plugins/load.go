package plugins

import (
	"debug/buildinfo"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"sync"

	"github.com/stationmaster/worker/jobs"
)

// Plugin is a file that was loaded.
type Plugin struct {
	File string
	// Jobs are the names that it registered.
	Jobs []string
}

// opened are the files that this process has tried, by their real path: the runtime opens none twice,
// and waits for ever on one whose init has panicked.
var opened = struct {
	sync.Mutex
	results map[string]result
	// packages are the files that run here, by the package main in them.
	packages map[string]string
}{results: map[string]result{}, packages: map[string]string{}}

type result struct {
	plugin Plugin
	err    error
}

// Load loads files whose jobs register themselves in jobs.Default, in this order, each at most once in
// the life of the process. The errors are by file; a file that has failed does not keep the next from
// being tried, so that all faults are told.
func Load(files []string) ([]Plugin, map[string]error) {
	opened.Lock()
	defer opened.Unlock()
	var loaded []Plugin
	failed := map[string]error{}
	for _, file := range files {
		r, err := load(file)
		if err != nil {
			failed[file] = err
			continue
		}
		loaded = append(loaded, r)
	}
	return loaded, failed
}

// Able says why this worker loads no plugins; nil when it does.
func Able() error {
	if able {
		return nil
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		info = &debug.BuildInfo{}
	}
	return errors.New("this worker " + static(info))
}

func load(file string) (Plugin, error) {
	real, err := safe(file)
	if err != nil {
		return Plugin{}, err
	}
	if before, tried := opened.results[real]; tried {
		return before.plugin, before.err
	}
	p, err := first(file, real)
	opened.results[real] = result{p, err}
	return p, err
}

// first loads a file for the first time. Nothing of it runs before its build information says that it
// could fit.
func first(file, real string) (Plugin, error) {
	if err := Able(); err != nil {
		return Plugin{}, err
	}
	theirs, err := infoOf(real)
	if err != nil {
		return Plugin{}, err
	}
	ours, ok := debug.ReadBuildInfo()
	if !ok {
		return Plugin{}, errors.New("this worker has no build information to compare it with: build the worker with go build, in a module")
	}
	if d := decisive(ours, theirs); len(d) > 0 {
		return Plugin{}, mismatch(ours, theirs, file, "", d, nil)
	}
	before := jobs.Default().Names()
	err = guarded(real)
	if _, ran := errors.AsType[*panicError](err); ran || err == nil {
		opened.packages[theirs.Path] = real
	}
	if err != nil {
		return Plugin{}, explain(ours, theirs, file, err)
	}
	p := Plugin{File: file}
	for _, name := range jobs.Default().Names() {
		if !slices.Contains(before, name) {
			p.Jobs = append(p.Jobs, name)
		}
	}
	if len(p.Jobs) > 0 {
		return p, nil
	}
	if here := compiledIn(theirs); here != "" {
		return Plugin{}, fmt.Errorf("job %s is compiled into this worker already: leave the plugin out, or the import", here)
	}
	return Plugin{}, errors.New("registers no job: call jobs.Register in an init function of its package")
}

// panicError is what a plugin's init ended with.
type panicError struct{ value any }

func (e *panicError) Error() string { return fmt.Sprint(e.value) }

// guarded opens a plugin and makes an error of what its init panics with.
func guarded(file string) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &panicError{v}
		}
	}()
	return open(file)
}

// explain says what an error of the runtime means for the files at hand.
func explain(ours, theirs *debug.BuildInfo, file string, err error) error {
	if p, ok := errors.AsType[*panicError](err); ok {
		text := p.Error()
		if fault, registering := strings.CutPrefix(text, "jobs: register "); registering {
			return fmt.Errorf("job %s: leave one of them out", fault)
		}
		return fmt.Errorf("its init panicked: %s (in package %s, or in one that it imports): mend it, or leave the file out of plugins.paths",
			text, strings.TrimSuffix(theirs.Path, wrapper))
	}
	// The runtime's words are the only place where it names the package.
	if strings.Contains(err.Error(), "plugin already loaded") {
		return fmt.Errorf("is a plugin of package %s, as %s is: remove one of them",
			strings.TrimSuffix(theirs.Path, wrapper), opened.packages[theirs.Path])
	}
	_, pkg, named := strings.Cut(err.Error(), "plugin was built with a different version of package ")
	if !named {
		told := strings.Join(append([]string{""}, Compare(ours, theirs)...), "; ")
		return fmt.Errorf("cannot be opened: %w%s; build it again%s", err, told, mismatch(ours, theirs, file, "", nil, nil).how())
	}
	pkg, _, _ = strings.Cut(strings.TrimSpace(pkg), " ")
	return mismatch(ours, theirs, file, pkg, CompareAt(ours, theirs, pkg), err)
}

// infoOf reads what a plugin's file says of its build.
func infoOf(file string) (*debug.BuildInfo, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("cannot be read: %w", err)
	}
	defer func() { _ = f.Close() }() // it was only read
	info, err := buildinfo.Read(f)
	if err != nil {
		return nil, fmt.Errorf("is no Go plugin, or not all of one (%w): build it with: worker jobs build ./jobs/NAME -o %s", err, file)
	}
	if mode := setting(info, "-buildmode"); mode != "plugin" {
		return nil, fmt.Errorf("is no Go plugin, it was built with -buildmode=%s: build it with: worker jobs build ./jobs/NAME -o %s", mode, file)
	}
	return info, nil
}

// compiledIn is the job of the worker's own that a plugin's package has registered before.
func compiledIn(theirs *debug.BuildInfo) string {
	pkg := strings.TrimSuffix(theirs.Path, wrapper)
	for _, name := range jobs.Default().Names() {
		if d, ok := jobs.Default().Lookup(name); ok && d.Package == pkg {
			return name
		}
	}
	return ""
}

// Package is the package of jobs that a plugin's file was built from; empty when it is no plugin.
func Package(file string) string {
	theirs, err := buildinfo.ReadFile(filepath.Clean(file))
	if err != nil {
		return ""
	}
	return strings.TrimSuffix(theirs.Path, wrapper)
}
