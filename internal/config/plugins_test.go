package config_test

import (
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stationmaster/worker/internal/config"
)

const plugged = `
[plugins]
paths = ["plugins/*.so"]

[queues.q]
job = "plugged"

[jobs.plugged]
colour = "red"

[jobs.email]
form = "a typo"
`

// plug is what loading finds; it remembers what it was asked for.
func plug(found config.Plugged, asked *[]string) func(*config.Options) {
	return func(o *config.Options) {
		o.Plug = func(p config.Plugins, dir string) config.Plugged {
			*asked = append(*asked, filepath.Base(filepath.Dir(dir)))
			*asked = append(*asked, p.Paths...)
			return found
		}
		before := o.Settings
		o.Settings = func(job string) (any, bool) {
			if job == "plugged" && len(*asked) > 0 && slices.Contains(found.Jobs, job) {
				return &struct {
					Color string `config:"color"`
				}{}, true
			}
			return before(job)
		}
	}
}

func TestPluginsAreLoadedBeforeTheRestIsChecked(t *testing.T) {
	var asked []string
	_, err := load(t, plugged, plug(config.Plugged{Jobs: append([]string{"plugged"}, registered...)}, &asked))
	want := []string{
		"jobs.email.form: is no setting: did you mean from?",
		"jobs.plugged.colour: is no setting: did you mean color?",
	}
	if diff := cmp.Diff(want, faults(t, err)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"TestPluginsAreLoadedBeforeTheRestIsChecked", "plugins/*.so"}, []string{trim(asked[0]), asked[1]}); diff != "" {
		t.Error(diff)
	}
}

// trim cuts the number that a test's folder ends with.
func trim(folder string) string {
	for folder != "" && folder[len(folder)-1] >= '0' && folder[len(folder)-1] <= '9' {
		folder = folder[:len(folder)-1]
	}
	return folder
}

func TestWithoutItsPluginAJobIsNotChecked(t *testing.T) {
	typo := "jobs.email.form: is no setting: did you mean from?"
	_, err := load(t, plugged)
	if diff := cmp.Diff([]string{typo}, faults(t, err)); diff != "" {
		t.Errorf("not loaded: %s", diff)
	}
	var asked []string
	failed := config.Fault{Key: "plugins/a.so", Problem: "does not fit"}
	_, err = load(t, plugged, plug(config.Plugged{Faults: []config.Fault{failed}}, &asked))
	if diff := cmp.Diff([]string{typo, "plugins/a.so: does not fit"}, faults(t, err)); diff != "" {
		t.Errorf("failed: %s", diff)
	}
}

func TestWhatAPluginIsWarnedOfIsAWarning(t *testing.T) {
	var asked []string
	l := mustLoad(t, "[plugins]\npaths = [\"none/*.so\"]", plug(config.Plugged{Jobs: registered, Warnings: []string{"names no file"}}, &asked))
	if len(l.Warnings) != 1 || l.Warnings[0].String() != "plugins.paths: names no file" {
		t.Errorf("warnings %v", l.Warnings)
	}
	l = mustLoad(t, "[plugins]\npaths = []", func(o *config.Options) {
		o.Plug = func(config.Plugins, string) config.Plugged {
			t.Error("nothing is to be loaded")
			return config.Plugged{}
		}
	})
	if shown(t, l, "plugins.paths").Value != "" {
		t.Errorf("shown as %v", shown(t, l, "plugins.paths"))
	}
}

func TestSettingsOfAPluginThatIsNotLoadedAreNotShown(t *testing.T) {
	l := mustLoad(t, "[plugins]\npaths = [\"a.so\"]\n[jobs.plugged]\npassword = \"hunter2\"")
	if v := shown(t, l, "jobs.plugged.password"); v.Value != "[redacted]" {
		t.Errorf("shown as %v", v)
	}
}
