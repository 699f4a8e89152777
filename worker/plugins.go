package worker

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/stationmaster/worker/internal/config"
	"github.com/stationmaster/worker/internal/plugins"
	"github.com/stationmaster/worker/jobs"
)

// plug loads the plugins of a configuration. Every fault of every file is told.
func (o *Options) plug(p config.Plugins, dir string) config.Plugged {
	var found config.Plugged
	var files []string
	fault := func(key string, err error) {
		found.Faults = append(found.Faults, config.Fault{Key: key, Problem: err.Error()})
	}
	for i, path := range p.Paths {
		some, err := plugins.Find(dir, path)
		if err != nil {
			fault(fmt.Sprintf("plugins.paths[%d]", i), err)
		} else if len(some) == 0 {
			at, err := filepath.Abs(dir)
			if err != nil {
				at = dir
			}
			found.Warnings = append(found.Warnings, fmt.Sprintf("%q names no file in %s", path, at))
		}
		for _, file := range some {
			if !slices.Contains(files, file) {
				files = append(files, file)
			}
		}
	}
	switch err := plugins.Able(); {
	case len(files) == 0:
	case err != nil:
		fault("plugins.paths", err)
	case o.Jobs != jobs.Default():
		fault("plugins.paths", fmt.Errorf("plugins register their jobs in jobs.Default(), and this worker has a registry of its own: remove the paths, or Options.Jobs"))
	default:
		var failed map[string]error
		o.plugged, failed = plugins.Load(files)
		for _, file := range slices.Sorted(maps.Keys(failed)) {
			fault(file, failed[file])
		}
	}
	found.Jobs = o.Jobs.Names()
	return found
}

// tellPlugins says in the log what foreign code runs here.
func (w *Worker) tellPlugins(ctx context.Context) {
	for _, p := range w.o.plugged {
		w.log.LogAttrs(ctx, slog.LevelInfo, "plugin loaded", slog.String("file", p.File), slog.String("jobs", strings.Join(p.Jobs, " ")))
	}
}

// fileOf is the plugin that a job came from; empty when it is compiled in.
func (o *Options) fileOf(job string) string {
	for _, p := range o.plugged {
		if slices.Contains(p.Jobs, job) {
			return p.File
		}
	}
	return ""
}
