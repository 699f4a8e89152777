package config

import (
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

const prefix = "WORKER_"

var serviceLink = regexp.MustCompile(`^WORKER(_\w+)?_(SERVICE_(HOST|PORT(_\w+)?)|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)$`)

// fromKubernetes reports whether a variable is one of those that Kubernetes sets in every pod beside
// a Service whose name begins with "worker": not ours, and not the operator's either.
func fromKubernetes(name, value string) bool {
	if strings.Contains(name, "__") {
		return false
	}
	return serviceLink.MatchString(name) || strings.HasSuffix(name, "_PORT") && strings.Contains(value, "://")
}

// variable is a setting as the environment names it.
type variable struct {
	path   []string
	typ    reflect.Type
	tag    setting
	tables bool // a list of tables: not to be set here
	open   bool // a table of free keys: the next level is one of them
	twice  bool // two settings go by this name
}

// environment resolves WORKER_* variables against the settings that exist.
type environment struct {
	*loader
	known     map[string]variable
	variables map[string]string // by key path
}

// read returns the values that the environment sets.
func (e *environment) read() map[string]any {
	e.known = map[string]variable{}
	e.table(nil, reflect.TypeFor[Config](), e.merged.Raw())
	values := map[string]any{}
	for _, entry := range e.Environ {
		name, value, ok := strings.Cut(entry, "=")
		if ok && strings.HasPrefix(name, prefix) && !fromKubernetes(name, value) {
			e.set(values, name, value)
		}
	}
	return values
}

func (e *environment) set(values map[string]any, name, value string) {
	v, ok := e.find(name)
	switch {
	case !ok:
		e.faults.addf(name, "is no setting: %s", e.advice(name))
		return
	case v.tables:
		e.faults.addf(name, "a list of tables can only be set in the file: move it there")
		return
	case v.twice:
		e.faults.addf(name, "means two settings: set it in the file")
		return
	}
	parsed, ok := parse(value, v.typ, v.tag)
	if !ok {
		e.faults.addf(name, "%q must be %s", value, wanted(v.typ))
		return
	}
	put(values, v.path, parsed)
	path := ""
	for _, key := range v.path {
		path = join(path, key)
	}
	e.variables[path] = name
}

// find resolves a variable; below a table of free keys any key will do.
func (e *environment) find(name string) (variable, bool) {
	if v, ok := e.known[name]; ok && !v.open {
		return v, true
	}
	for above := name; ; {
		cut := strings.LastIndex(above, "__")
		if cut < 0 {
			return variable{}, false
		}
		above = above[:cut]
		v, ok := e.known[above]
		if key := name[cut+2:]; ok && v.open && !strings.Contains(key, "__") {
			v.path = append(slices.Clone(v.path), strings.ToLower(key))
			return v, true
		}
		if ok && v.tables {
			return v, true
		}
	}
}

func (e *environment) advice(name string) string {
	all := slices.Sorted(maps.Keys(e.known))
	// One underscore where two belong is the likeliest slip.
	squash := func(s string) string { return strings.ReplaceAll(s, "_", "") }
	for _, known := range all {
		if squash(known) == squash(name) {
			return "did you mean " + known + "?"
		}
	}
	if meant, ok := nearest(name, all); ok {
		return "did you mean " + meant + "?"
	}
	return "unset it; levels of a key are joined by two underscores (WORKER_ADMIN__ADDR), and a [queues], [topics] or [schedules] name must be in the file"
}

// table notes the variables of a table's settings.
func (e *environment) table(path []string, t reflect.Type, values any) {
	raw, _ := values.(map[string]any)
	for _, s := range settings(t) {
		below := append(slices.Clone(path), s.name)
		switch {
		case len(path) == 0 && s.name == "jobs":
			e.jobs()
		default:
			e.setting(below, s.typ, s, raw[s.name])
		}
	}
}

func (e *environment) setting(path []string, t reflect.Type, tag setting, values any) {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	raw, _ := values.(map[string]any)
	single := t == dlqType || reflect.PointerTo(t).Implements(textType)
	switch {
	case single:
		e.note(variable{path: path, typ: t, tag: tag})
	case t.Kind() == reflect.Struct:
		e.table(path, t, raw)
	case t.Kind() == reflect.Map:
		for _, key := range slices.Sorted(maps.Keys(raw)) {
			e.setting(append(slices.Clone(path), key), t.Elem(), setting{}, raw[key])
		}
		if k := t.Elem().Kind(); k != reflect.Struct && k != reflect.Map && k != reflect.Interface {
			e.note(variable{path: path, typ: t.Elem(), open: true})
		}
	case t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Struct:
		e.note(variable{path: path, tables: true})
	case t.Kind() != reflect.Interface:
		e.note(variable{path: path, typ: t, tag: tag})
	}
}

// jobs notes the settings of the registered jobs, whether the file has a table for them or not.
func (e *environment) jobs() {
	if e.Settings == nil {
		return
	}
	seen := slices.Clone(e.Jobs)
	tables, _ := e.merged.Raw()["jobs"].(map[string]any)
	seen = slices.AppendSeq(seen, maps.Keys(tables))
	queues, _ := e.merged.Raw()["queues"].(map[string]any)
	for _, q := range queues {
		q, _ := q.(map[string]any)
		kinds, _ := q["jobs"].(map[string]any)
		for _, job := range append(slices.Collect(maps.Values(kinds)), q["job"]) {
			if name, ok := job.(string); ok {
				seen = append(seen, name)
			}
		}
	}
	slices.Sort(seen)
	for _, job := range slices.Compact(seen) {
		if settings, known := e.Settings(job); known && settings != nil {
			e.setting([]string{"jobs", job}, reflect.TypeOf(settings), setting{}, tables[job])
		}
	}
}

func (e *environment) note(v variable) {
	name := prefix + strings.ToUpper(strings.ReplaceAll(strings.Join(v.path, "__"), "-", "_"))
	_, v.twice = e.known[name]
	e.known[name] = v
}

// parse reads the text of a variable as the type of its setting; a list is separated by commas.
func parse(value string, t reflect.Type, tag setting) (any, bool) {
	if tag.auto && value == "auto" {
		return value, true
	}
	if t == dlqType && (value == "true" || value == "false") {
		return value == "true", true
	}
	if t == dlqType || t == durationType || reflect.PointerTo(t).Implements(textType) {
		return value, true
	}
	switch t.Kind() {
	case reflect.Bool:
		on, err := strconv.ParseBool(value)
		return on, err == nil
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		n, err := strconv.ParseInt(value, 10, 64)
		return n, err == nil
	case reflect.Float32, reflect.Float64:
		f, err := strconv.ParseFloat(value, 64)
		return f, err == nil
	case reflect.Slice:
		list := []any{}
		for part := range strings.SplitSeq(value, ",") {
			if part = strings.TrimSpace(part); part != "" {
				v, ok := parse(part, t.Elem(), setting{})
				if !ok {
					return nil, false
				}
				list = append(list, v)
			}
		}
		return list, true
	default:
		return value, t.Kind() == reflect.String
	}
}
