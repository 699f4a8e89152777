package jobs

import (
	"fmt"
	"maps"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
)

// Registry holds jobs by name. The zero value is not usable; see NewRegistry and Default.
type Registry struct {
	mu    sync.Mutex
	byJob map[string]*Definition
}

// NewRegistry returns an empty registry, for tests and for workers that choose their jobs by hand.
func NewRegistry() *Registry { return &Registry{byJob: map[string]*Definition{}} }

var standard = NewRegistry()

// Default returns the registry that Register and its like fill.
func Default() *Registry { return standard }

// Lookup returns the job of a name.
func (r *Registry) Lookup(name string) (*Definition, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	d, ok := r.byJob[name]
	return d, ok
}

// Names returns the names of all jobs, sorted.
func (r *Registry) Names() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Sorted(maps.Keys(r.byJob))
}

var (
	validName = regexp.MustCompile(`^[a-z][a-z0-9_-]{0,79}$`)
	// notJobs are folders of jobs/ that hold no job.
	notJobs = map[string]bool{"all": true, "jobstest": true, "internal": true, "middleware": true}
)

// add panics on a fault: registration happens in init, where nobody could handle an error, and a
// worker that silently lacks a job would be worse.
func (r *Registry) add(d *Definition, options []Option) {
	for _, o := range options {
		o(d)
	}
	switch {
	case !validName.MatchString(d.Name):
		panic(fmt.Sprintf("jobs: register %q: a job's name is a lower-case letter, then letters, digits, _ and -", d.Name))
	case notJobs[d.Name]:
		panic(fmt.Sprintf("jobs: register %q: the name is reserved", d.Name))
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if before, twice := r.byJob[d.Name]; twice {
		panic(fmt.Sprintf("jobs: register %q: registered twice, by %s and by %s", d.Name, before.Package, d.Package))
	}
	r.byJob[d.Name] = d
}

// registrant is the package that called the function that calls this one.
func registrant() string {
	pc, _, _, ok := runtime.Caller(2)
	if !ok {
		return "unknown"
	}
	name := runtime.FuncForPC(pc).Name() // path/to/package.init.0
	slash := strings.LastIndexByte(name, '/') + 1
	pkg, _, _ := strings.Cut(name[slash:], ".")
	return name[:slash] + pkg
}
