package config_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/stationmaster/worker/internal/config"
)

// picky is a job that has something against its settings.
type picky struct {
	Host string `config:"host"`
	Port int    `config:"port"`
}

func (p *picky) CheckSettings() error {
	var errs []error
	if p.Host == "" {
		errs = append(errs, errors.New("host: not set: give a name"))
	}
	if p.Port == 0 {
		errs = append(errs, errors.New("port: must not be 0"))
	}
	if p.Host == "both" {
		errs = append(errs, errors.New("host, port: only one may be set"))
	}
	return errors.Join(errs...)
}

func TestTheJobsThatWillRunAreAskedAboutTheirSettings(t *testing.T) {
	const fed = "[queues.q]\njob = \"picky\"\n"
	for _, row := range []struct {
		name, file string
		ask        bool
		want       []string
	}{
		{"nobody asks", fed, false, nil},
		{"without a table", fed, true, []string{"jobs.picky.host: not set: give a name", "jobs.picky.port: must not be 0"}},
		{"with a table", fed + "[jobs.picky]\nhost = \"h\"", true, []string{"jobs.picky.port: must not be 0"}},
		{"all is well", fed + "[jobs.picky]\nhost = \"h\"\nport = 1", true, nil},
		{"a fault of two keys", fed + "[jobs.picky]\nhost = \"both\"\nport = 1", true, []string{"jobs.picky: host, port: only one may be set"}},
		{"a table with faults of its own", fed + "[jobs.picky]\nport = \"x\"", true, []string{`jobs.picky.port: must be a whole number (int), not a string`}},
		{"no queue leads to it", queue + "[jobs.picky]\nhost = \"h\"", true, nil},
		{"one of several", "[queues.q]\nkind = \"body:e\"\njobs = { a = \"email\", b = \"picky\" }\n[jobs.picky]\nhost = \"h\"", true, []string{"jobs.picky.port: must not be 0"}},
		{"beside other faults", fed + "slots = 0\n[jobs.picky]\nhost = \"h\"", true, []string{"jobs.picky.port: must not be 0", "queues.q.slots: 0 must be at least 1: raise it"}},
	} {
		_, err := load(t, row.file, func(o *config.Options) {
			o.AskJobs, o.Jobs = row.ask, append(slices.Clone(registered), "picky")
			o.Settings = func(job string) (any, bool) {
				if job == "picky" {
					return &picky{}, true
				}
				return settings(job)
			}
		})
		if got := faults(t, err); !slices.Equal(got, row.want) {
			t.Errorf("%s:\n got %q\nwant %q", row.name, got, row.want)
		}
	}
}
