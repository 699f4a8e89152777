package worker

import (
	"context"
	"io"

	"github.com/stationmaster/worker/internal/plugins"
	"github.com/stationmaster/worker/jobs"
)

// PluginOptions say which job to build as a plugin, and for which worker.
type PluginOptions struct {
	// Package is the job's package as the go command takes it: ./jobs/email.
	Package string
	// Out is the file to write; empty is the last part of the package and .so, in the current folder.
	Out string
	// Worker is the file of the worker that is to load it; empty is this program.
	Worker string
	// Say takes what the go command says.
	Say io.Writer
}

// BuiltPlugin is a plugin that was built.
type BuiltPlugin struct {
	File    string   `json:"file"`
	Package string   `json:"package"`
	Go      string   `json:"go"`
	Flags   []string `json:"flags"`
	// Differences are what it shares with the worker in another version. The Go runtime refuses it if the
	// worker holds one of the packages concerned.
	Differences []string `json:"differences"`
	// Compiled is the job of the same package that this worker has already; empty when it has none, or
	// when the plugin is for another.
	Compiled string `json:"compiled,omitempty"`
}

// BuildPlugin builds a job as a plugin, with the toolchain and the flags of the worker that is to load
// it. It runs the go command.
func BuildPlugin(ctx context.Context, o Options, p PluginOptions) (*BuiltPlugin, error) {
	o.fill()
	info, err := plugins.WorkerInfo(p.Worker)
	if err != nil {
		return nil, err
	}
	built, err := plugins.Build(ctx, plugins.BuildOptions{Package: p.Package, Out: p.Out, Worker: info, Environ: o.Environ, Say: p.Say})
	if err != nil {
		return nil, err
	}
	b := &BuiltPlugin{File: built.File, Package: built.Package, Go: built.Go, Flags: built.Flags, Differences: built.Differences}
	if p.Worker == "" {
		b.Compiled = registeredBy(o.Jobs, built.Package)
	}
	return b, nil
}

// registeredBy is the job that a package has registered.
func registeredBy(r *jobs.Registry, pkg string) string {
	for _, name := range r.Names() {
		if d, ok := r.Lookup(name); ok && d.Package == pkg {
			return name
		}
	}
	return ""
}
