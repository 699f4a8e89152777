package config

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math"
	"os"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/knadh/koanf/parsers/toml/v2"
	"github.com/knadh/koanf/providers/confmap"
	"github.com/knadh/koanf/v2"
	gotoml "github.com/pelletier/go-toml/v2"
)

// DefaultFile is read when no file is named and there is one.
const DefaultFile = "config.toml"

// Options say where the configuration comes from, from the weakest to the strongest.
type Options struct {
	// File is the file to read; it must exist. Empty is DefaultFile, if there is one.
	File string
	// Layers lie over the file, the last on top.
	Layers []Layer
	// Environ is the environment as os.Environ has it; only WORKER_* is read.
	Environ []string
	// Flags are settings of the command line by key path ("admin.addr").
	Flags map[string]any
	// Settings returns the settings struct of a registered job with its defaults, nil when the job
	// has none. When Settings itself is nil, jobs are not checked.
	Settings func(job string) (settings any, known bool)
	// Jobs are the names of the registered jobs, for advice about an unknown one.
	Jobs []string
	// AskJobs asks each job that a queue leads to what is wrong with its settings (CheckSettings): it
	// will run here. A command that only publishes, say, needs no secret of a job.
	AskJobs bool
	// Plug loads the plugins that the configuration names; dir is the folder of its file. When it is nil
	// or fails, and plugins are named, a job that is not registered may be one of theirs, and is not
	// checked.
	Plug func(p Plugins, dir string) Plugged
}

// Plugged is what loading plugins led to.
type Plugged struct {
	// Jobs are the names of all jobs that are registered then.
	Jobs     []string
	Faults   []Fault
	Warnings []string
}

// Layer is a set of values laid over the file, by key paths or as nested tables.
type Layer struct {
	Origin string
	Values map[string]any
}

// Loaded is a configuration without faults.
type Loaded struct {
	Config Config
	// File is the file that was read; empty when there was none.
	File string
	// Warnings are settings that work but were hardly meant.
	Warnings []Fault

	settings func(job string) (any, bool)
	origins  origins
}

// Load reads and checks the configuration. Its error is Faults: all of them.
func Load(o Options) (*Loaded, error) {
	l := &loader{Options: o, merged: koanf.New("."), origins: origins{}}
	if fault, ok := l.read(); !ok {
		return nil, Faults{fault}
	}
	for _, layer := range o.Layers {
		l.merge(nested(layer.Values), func(string) string { return layer.Origin })
	}
	environment := environment{loader: l, variables: map[string]string{}}
	l.merge(environment.read(), func(path string) string { return environment.variables[path] })
	l.merge(nested(o.Flags), flag)

	unplugged, warnings := l.plug(&o)
	c := defaults()
	decoder{&l.faults}.table("", l.merged.Raw(), reflect.ValueOf(&c).Elem())
	fill(&c)
	check := checker{collector: &l.faults, config: &c, options: &o, unplugged: unplugged, plugNotes: warnings}
	for _, w := range warnings {
		check.warnings.addf("plugins.paths", "%s", w)
	}
	check.all()
	if len(l.faults.faults) > 0 {
		return nil, Faults(l.faults.sorted(l.foreign))
	}
	return &Loaded{
		Config: c, File: l.file, origins: l.origins, settings: o.Settings,
		Warnings: check.warnings.sorted(l.foreign),
	}, nil
}

// loader merges the layers and remembers which of them set a value.
type loader struct {
	Options
	file    string
	merged  *koanf.Koanf
	origins origins
	faults  collector
}

// read reads the file, if there is one, as the first layer. Nothing can be checked without it.
func (l *loader) read() (fault Fault, ok bool) {
	name := l.File
	if name == "" {
		name = DefaultFile
	}
	data, err := os.ReadFile(name)
	if err != nil {
		if l.File == "" && errors.Is(err, fs.ErrNotExist) {
			return Fault{}, true
		}
		if at, ok := errors.AsType[*fs.PathError](err); ok {
			err = at.Err // the key names the file already
		}
		return Fault{name, fmt.Sprintf("cannot be read: %v: name another with --config", err)}, false
	}
	values, err := toml.Parser().Unmarshal(data)
	if err != nil {
		return syntax(name, err), false
	}
	l.file = name
	l.merge(values, func(string) string { return name })
	return Fault{}, true
}

// syntax says where the file stops being TOML.
func syntax(name string, err error) Fault {
	problem := oneLine(strings.TrimPrefix(err.Error(), "toml: "))
	if at, ok := errors.AsType[*gotoml.DecodeError](err); ok {
		line, column := at.Position()
		name = fmt.Sprintf("%s:%d:%d", name, line, column)
	}
	return Fault{name, problem}
}

// merge lays values over what is there.
func (l *loader) merge(values map[string]any, origin func(path string) string) {
	if len(values) == 0 {
		return
	}
	// Keys may hold dots ("com.example.invited" as a kind), so nothing is unflattened here.
	if err := l.merged.Load(confmap.Provider(values, ""), nil); err != nil {
		l.faults.addf(origin(""), "cannot be merged: %s", err)
		return
	}
	l.origins.note("", values, origin)
}

// foreign names where a value came from, unless it is the file or nowhere.
func (l *loader) foreign(path string) string {
	if from := l.origins.of(path); from != l.file && from != originDefault {
		return from
	}
	return ""
}

// flag is the flag that sets a key: the worker's own settings go without their table's name.
func flag(path string) string {
	return "--" + strings.NewReplacer(".", "-", "_", "-").Replace(strings.TrimPrefix(path, "worker."))
}

// nested makes tables of key paths and TOML's types of Go's.
func nested(values map[string]any) map[string]any {
	all := map[string]any{}
	for _, path := range slices.Sorted(maps.Keys(values)) {
		put(all, strings.Split(path, "."), plain(values[path]))
	}
	return all
}

// put sets one value in nested tables, merging tables.
func put(into map[string]any, path []string, v any) {
	for _, key := range path[:len(path)-1] {
		below, ok := into[key].(map[string]any)
		if !ok {
			below = map[string]any{}
			into[key] = below
		}
		into = below
	}
	last := path[len(path)-1]
	table, isTable := v.(map[string]any)
	before, wasTable := into[last].(map[string]any)
	if !isTable || !wasTable {
		into[last] = v
		return
	}
	for key, v := range table {
		put(before, []string{key}, v)
	}
}

// plain converts a Go value to what the TOML parser would have made of it.
func plain(v any) any {
	if d, ok := v.(time.Duration); ok {
		return d.String()
	}
	r := reflect.ValueOf(v)
	switch r.Kind() {
	case reflect.String:
		return r.String()
	case reflect.Bool:
		return r.Bool()
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return r.Int()
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return int64(min(r.Uint(), math.MaxInt64))
	case reflect.Float32, reflect.Float64:
		return r.Float()
	case reflect.Slice:
		list := make([]any, r.Len())
		for i := range list {
			list[i] = plain(r.Index(i).Interface())
		}
		return list
	case reflect.Map:
		table := make(map[string]any, r.Len())
		for k, v := range r.Seq2() {
			table[fmt.Sprint(k.Interface())] = plain(v.Interface())
		}
		return table
	default:
		return v
	}
}
