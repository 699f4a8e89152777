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

// jobs checks the settings of every job that there is a table for, and asks those that will run.
func (c *checker) jobs() {
	if c.options.Settings == nil {
		return
	}
	var fed map[string]bool
	if c.options.AskJobs {
		fed = c.fed()
	}
	for _, name := range slices.Sorted(maps.Keys(c.config.Jobs)) {
		path := join("jobs", name)
		settings, ok := c.options.Settings(name)
		if !ok && c.unplugged {
			continue
		}
		if !ok {
			c.addf(path, "is no registered job: %s%s", c.meant(name), c.registered())
			continue
		}
		before := len(c.faults)
		decodeJob(c.collector, name, c.config.Jobs[name], settings)
		if fed[name] && len(c.faults) == before {
			c.ask(path, settings)
		}
		delete(fed, name)
	}
	for _, name := range slices.Sorted(maps.Keys(fed)) {
		if settings, ok := c.options.Settings(name); ok {
			c.ask(join("jobs", name), settings)
		}
	}
}

// fed are the jobs that queues and paths lead to.
func (c *checker) fed() map[string]bool {
	all := map[string]bool{}
	for _, q := range c.config.Queues {
		for _, job := range q.Jobs {
			all[job] = true
		}
		if q.Job != "" {
			all[q.Job] = true
		}
	}
	for _, s := range c.config.Subscriptions {
		if s.Served() && s.Job != "" {
			all[s.Job] = true
		}
	}
	return all
}

// ask lets a job say what is wrong with its settings: "key: problem" for each fault.
func (c *checker) ask(path string, settings any) {
	job, ok := settings.(interface{ CheckSettings() error })
	if !ok {
		return
	}
	err := job.CheckSettings()
	if err == nil {
		return
	}
	for line := range strings.SplitSeq(err.Error(), "\n") {
		key, problem, keyed := strings.Cut(line, ": ")
		if !keyed || strings.ContainsAny(key, " ,") {
			c.addf(path, "%s", line)
			continue
		}
		c.addf(path+"."+key, "%s", problem)
	}
}

// known checks that a job is registered.
func (c *checker) known(key, job string) {
	if c.options.Settings == nil || c.unplugged {
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
	return "import its package in the worker, load it as a plugin, or use another"
}

// registered lists the jobs that there are, and plugins that there are not.
func (c *checker) registered() string {
	var notes []string
	if len(c.options.Jobs) > 0 {
		notes = append(notes, "registered: "+strings.Join(slices.Sorted(slices.Values(c.options.Jobs)), ", "))
	}
	if notes = append(notes, c.plugNotes...); len(notes) == 0 {
		return ""
	}
	return " (" + strings.Join(notes, "; ") + ")"
}
