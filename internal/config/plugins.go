package config

import (
	"path/filepath"
	"reflect"
	"strings"
)

// plug decodes [plugins] before everything else and has them loaded, so that their jobs are known when
// the rest is checked. It reports whether jobs may be missing because a plugin was not loaded.
func (l *loader) plug(o *Options) (unplugged bool, warnings []string) {
	raw, given := l.merged.Raw()["plugins"]
	if !given {
		return false, nil
	}
	var own collector // the whole is decoded again later, and says the same faults
	var p Plugins
	decoder{&own}.table("plugins", raw, reflect.ValueOf(&p).Elem())
	for i, path := range p.Paths {
		if strings.TrimSpace(path) == "" {
			own.addf("plugins.paths", "is empty")
			l.faults.addf(at("plugins.paths", i), `is empty: write a file or a pattern like "plugins/*.so"`)
		}
	}
	switch {
	case len(own.faults) > 0:
		return true, nil
	case len(p.Paths) == 0:
		return false, nil
	case o.Plug == nil:
		return true, nil
	}
	plugged := o.Plug(p, filepath.Dir(l.file))
	for _, f := range plugged.Faults {
		l.faults.addf(f.Key, "%s", f.Problem)
	}
	if len(plugged.Faults) > 0 {
		return true, nil
	}
	o.Jobs = plugged.Jobs
	return false, plugged.Warnings
}
