package config

import (
	"cmp"
	"maps"
	"reflect"
	"slices"
)

// Value is one effective value and where it came from.
type Value struct {
	Key    string `json:"key"`
	Value  string `json:"value"`
	Origin string `json:"origin"`
}

// Show returns every effective value by key, defaults and the settings of jobs included. Secrets
// are "[redacted]", and so is what belongs to a job whose settings are not known.
func (l *Loaded) Show() []Value {
	s := shower{origins: l.origins}
	s.value("", reflect.ValueOf(l.Config))
	for _, job := range l.jobNames() {
		l.showJob(&s, job)
	}
	slices.SortFunc(s.values, func(a, b Value) int { return cmp.Compare(a.Key, b.Key) })
	return s.values
}

// jobNames are the jobs that the configuration names, sorted.
func (l *Loaded) jobNames() []string {
	all := slices.Collect(maps.Keys(l.Config.Jobs))
	for _, q := range l.Config.Queues {
		if q.Job != "" {
			all = append(all, q.Job)
		}
		all = slices.AppendSeq(all, maps.Values(q.Jobs))
	}
	for _, sub := range l.Config.Subscriptions {
		if sub.Job != "" {
			all = append(all, sub.Job)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func (l *Loaded) showJob(s *shower, job string) {
	path := join("jobs", job)
	redacted := func() {
		for key := range l.Config.Jobs[job] {
			s.add(join(path, key), "[redacted]")
		}
	}
	if l.settings == nil {
		redacted()
		return
	}
	settings, ok := l.settings(job)
	if !ok { // a job of a plugin that was not loaded
		redacted()
		return
	}
	if settings == nil || l.DecodeJob(job, settings) != nil {
		return
	}
	if v := reflect.ValueOf(settings); takesSettings(v) {
		s.value(path, v.Elem())
	}
}

type shower struct {
	origins origins
	values  []Value
}

func (s *shower) add(key, value string) {
	s.values = append(s.values, Value{key, value, s.origins.of(key)})
}

// value walks down to what the file can set in one line.
func (s *shower) value(path string, v reflect.Value) {
	switch t := v.Type(); {
	case t == dlqType || reflect.PointerTo(t).Implements(textType):
		s.add(path, text(v))
	case t.Kind() == reflect.Pointer && !v.IsNil():
		s.value(path, v.Elem())
	case t.Kind() == reflect.Struct:
		s.table(path, v)
	case t.Kind() == reflect.Map && t.Elem().Kind() != reflect.Interface:
		for key, entry := range v.Seq2() {
			s.value(join(path, key.String()), entry)
		}
	case t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Struct:
		for i := range v.Len() {
			s.value(at(path, i), v.Index(i))
		}
	default:
		s.add(path, text(v))
	}
}

func (s *shower) table(path string, v reflect.Value) {
	for _, setting := range settings(v.Type()) {
		if path == "" && setting.name == "jobs" {
			continue // shown by showJob, which knows what is secret
		}
		field := v.Field(setting.index)
		if setting.auto && field.Int() == Auto {
			s.add(join(path, setting.name), "auto")
			continue
		}
		s.value(join(path, setting.name), field)
	}
}
