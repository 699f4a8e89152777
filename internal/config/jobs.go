package config

import (
	"maps"
	"reflect"
	"slices"
	"strings"
)

// DecodeJob decodes [jobs.<name>] into a job's settings struct, whose defaults stay where the
// configuration is silent.
func (l *Loaded) DecodeJob(name string, into any) error {
	var c collector
	decodeJob(&c, name, l.Config.Jobs[name], into)
	if len(c.faults) == 0 {
		return nil
	}
	return Faults(c.sorted(func(string) string { return "" }))
}

func decodeJob(c *collector, name string, values map[string]any, into any) {
	path := join("jobs", name)
	to := reflect.ValueOf(into)
	switch {
	case len(values) == 0:
	case takesSettings(to):
		decoder{c}.table(path, values, to.Elem())
	default:
		c.addf(path, "is set, and the job takes no settings: remove the table")
	}
}

// takesSettings reports whether a job has settings at all: it is a pointer to a struct with a tag.
func takesSettings(job reflect.Value) bool {
	if job.Kind() != reflect.Pointer || job.IsNil() || job.Elem().Kind() != reflect.Struct {
		return false
	}
	for f := range job.Elem().Type().Fields() {
		if _, ok := f.Tag.Lookup("config"); ok && f.IsExported() {
			return true
		}
	}
	return false
}

// jobs checks the settings of every job that the file has a table for.
func (c *checker) jobs() {
	if c.options.Settings == nil {
		return
	}
	for _, name := range slices.Sorted(maps.Keys(c.config.Jobs)) {
		path := join("jobs", name)
		if settings, ok := c.options.Settings(name); ok {
			decodeJob(c.collector, name, c.config.Jobs[name], settings)
		} else {
			c.addf(path, "is no registered job: %s%s", c.meant(name), c.registered())
		}
	}
}

// known checks that a job is registered.
func (c *checker) known(key, job string) {
	if c.options.Settings == nil {
		return
	}
	if _, ok := c.options.Settings(job); !ok {
		c.addf(key, "%q is no registered job: %s%s", job, c.meant(job), c.registered())
	}
}

func (c *checker) meant(job string) string {
	if meant, ok := nearest(job, c.options.Jobs); ok {
		return "did you mean " + meant + "?"
	}
	return "import its package in the worker, or use another"
}

// registered lists the jobs that there are.
func (c *checker) registered() string {
	if len(c.options.Jobs) == 0 {
		return ""
	}
	return " (registered: " + strings.Join(slices.Sorted(slices.Values(c.options.Jobs)), ", ") + ")"
}
