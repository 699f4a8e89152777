package plugins_test

import (
	"runtime/debug"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stationmaster/worker/internal/plugins"
)

func info(version string, settings map[string]string, modules ...*debug.Module) *debug.BuildInfo {
	b := &debug.BuildInfo{GoVersion: version, Path: "example.com/mine/jobs/email/workerplugin", Main: *modules[0], Deps: modules[1:]}
	for key, value := range settings {
		b.Settings = append(b.Settings, debug.BuildSetting{Key: key, Value: value})
	}
	return b
}

func module(path, version string) *debug.Module { return &debug.Module{Path: path, Version: version} }

func TestCompareSaysWhatDiffersOnEitherSide(t *testing.T) {
	ours := info("go1.26.8", map[string]string{"-trimpath": "true", "GOAMD64": "v1", "CGO_ENABLED": "1"},
		module("example.com/worker", ""), module("example.com/lib", "v1.2.3"), module("example.com/only-here", "v1.0.0"))
	theirs := info("go1.25.1", map[string]string{"-race": "true", "GOAMD64": "v3", "CGO_ENABLED": "1"},
		module("example.com/mine", ""), module("example.com/lib", "v1.2.4"), module("example.com/only-there", "v1.0.0"))
	want := []string{
		"the worker is built with go1.26.8, the plugin with go1.25.1",
		"the worker is built with GOAMD64=v1, the plugin with GOAMD64=v3",
		"the worker is built without -race, the plugin with -race",
		"the worker is built with -trimpath, the plugin without -trimpath",
		"module example.com/lib is v1.2.3 in the worker, v1.2.4 in the plugin",
	}
	if diff := cmp.Diff(want, plugins.Compare(ours, theirs)); diff != "" {
		t.Error(diff)
	}
	if d := plugins.Compare(ours, ours); len(d) != 0 {
		t.Errorf("from itself: %q", d)
	}
}

func TestCompareAtBeginsWithTheCause(t *testing.T) {
	ours := info("go1.26.8", map[string]string{"vcs.revision": "0123456789abcdef", "vcs.modified": "true"},
		module("example.com/worker", ""), module("example.com/lib", "v1.2.3"), module("example.com/lib/sub", "v0.1.0"))
	other := &debug.Module{Path: "example.com/lib/sub", Version: "v0.1.0", Replace: &debug.Module{Path: "../sub"}}
	theirs := info("go1.26.8", map[string]string{"-trimpath": "true"},
		module("example.com/worker", "v1.0.0"), module("example.com/lib", "v1.2.4"), other)
	const (
		flags = "the worker is built without -trimpath, the plugin with -trimpath"
		lib   = "module example.com/lib is v1.2.3 in the worker, v1.2.4 in the plugin"
		sub   = "module example.com/lib/sub is v0.1.0 in the worker, replaced by the folder ../sub in the plugin"
		too   = "other modules differ too: "
	)
	for pkg, want := range map[string][]string{
		"example.com/lib/deep":  {lib, flags, too + "example.com/worker, example.com/lib/sub"},
		"example.com/lib/sub/x": {sub, flags, too + "example.com/worker, example.com/lib"},
		"internal/goarch":       {flags, too + "example.com/worker, example.com/lib, example.com/lib/sub"},
	} {
		if diff := cmp.Diff(want, plugins.CompareAt(ours, theirs, pkg)); diff != "" {
			t.Errorf("%s: %s", pkg, diff)
		}
	}
	same := info("go1.26.8", map[string]string{"vcs.revision": "fedcba9876543210"},
		module("example.com/worker", ""), module("example.com/lib", "v1.2.3"), module("example.com/lib/sub", "v0.1.0"))
	for pkg, want := range map[string]string{
		"example.com/worker/jobs": "module example.com/worker is (devel) in both, and not the same sources: the worker is of commit 0123456789ab (modified), the plugin of fedcba987654",
		"fmt":                     "both are built with go1.26.8 and the same flags, and it is not of a module: rebuild both",
	} {
		if diff := cmp.Diff([]string{want}, plugins.CompareAt(ours, same, pkg)); diff != "" {
			t.Errorf("%s: %s", pkg, diff)
		}
	}
}
