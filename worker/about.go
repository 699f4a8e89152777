package worker

import (
	"maps"
	"reflect"
	"slices"

	"github.com/stationmaster/worker/jobs"
)

// Setting is one effective value of the configuration, and where it came from.
type Setting struct {
	Key    string `json:"key"`
	Value  string `json:"value"`
	Origin string `json:"origin"`
}

// Checked is a configuration without faults.
type Checked struct {
	// File is the file that was read; empty when there was none.
	File string
	// Topics, Queues, Subscriptions and Schedules count what it declares.
	Topics, Queues, Subscriptions, Schedules int
	// Warnings are settings that work but were hardly meant.
	Warnings []string
}

// CheckConfig reads the configuration as a worker would, plugins loaded unless Options.NoPlugins says
// otherwise, asks the jobs that queues lead to about their settings, and starts nothing. The error has a line for each fault.
func CheckConfig(o Options) (Checked, error) {
	o.fill()
	loaded, err := loadToRun(&o)
	if err != nil {
		return Checked{}, err
	}
	c := Checked{
		File: loaded.File, Topics: len(loaded.Config.Topics), Queues: len(loaded.Config.Queues),
		Subscriptions: len(loaded.Config.Subscriptions), Schedules: len(loaded.Config.Schedules), Warnings: []string{},
	}
	for _, f := range loaded.Warnings {
		c.Warnings = append(c.Warnings, f.String())
	}
	if o.NoPlugins && len(loaded.Config.Plugins.Paths) > 0 {
		c.Warnings = append(c.Warnings, "plugins.paths: not loaded, as was asked: jobs that are not compiled in, and their settings, are not checked")
	}
	return c, nil
}

// ShowConfig returns every effective setting, in the order of the keys. What only a job has against
// its settings does not keep them from being seen.
func ShowConfig(o Options) ([]Setting, error) {
	o.fill()
	loaded, err := loadWithJobs(&o)
	if err != nil {
		return nil, err
	}
	var all []Setting
	for _, v := range loaded.Show() {
		all = append(all, Setting{Key: v.Key, Value: v.Value, Origin: v.Origin})
	}
	return all, nil
}

// Declared returns the keys of the topics and of the queues in the configuration, sorted.
func Declared(o Options) (topics, queues []string, err error) {
	o.fill()
	loaded, err := load(&o)
	if err != nil {
		return nil, nil, err
	}
	return slices.Sorted(maps.Keys(loaded.Config.Topics)), slices.Sorted(maps.Keys(loaded.Config.Queues)), nil
}

// Job describes a registered job.
type Job struct {
	Name    string `json:"name"`
	Package string `json:"package"`
	Batch   bool   `json:"batch"`
	// Settings are the keys of [jobs.<name>].
	Settings []string `json:"settings"`
	// Queues are those of the configuration that lead to it.
	Queues []string `json:"queues"`
	// Plugin is the file that it was loaded from; empty when it is compiled in.
	Plugin string `json:"plugin,omitempty"`
}

// ListJobs describes the registered jobs, those of the plugins among them. The error is of the configuration; the jobs are told all the
// same, without their queues.
func ListJobs(o Options) ([]Job, error) {
	o.fill()
	queues := map[string][]string{}
	loaded, err := loadWithJobs(&o)
	if err == nil {
		for _, s := range specsOf(loaded.Config) {
			for _, job := range s.jobNames() {
				queues[job] = append(queues[job], s.queue.Name)
			}
		}
	}
	var all []Job
	for _, name := range o.Jobs.Names() {
		if d, ok := o.Jobs.Lookup(name); ok {
			all = append(all, describe(d, queues[name], o.fileOf(name)))
		}
	}
	return all, err
}

func describe(d *jobs.Definition, queues []string, file string) Job {
	j := Job{Name: d.Name, Package: d.Package, Batch: d.TakesBatches(), Settings: []string{}, Queues: queues, Plugin: file}
	if queues == nil {
		j.Queues = []string{}
	}
	if s := d.Settings(); s != nil {
		j.Settings = settingKeys(s)
	}
	return j
}

// settingKeys are the keys of a job's settings, sorted.
func settingKeys(settings any) []string {
	var keys []string
	for f := range reflect.TypeOf(settings).Elem().Fields() {
		if key := f.Tag.Get("config"); key != "" {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys
}
