package plugins_test

import (
	"archive/zip"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/stationmaster/worker/internal/plugins"
)

// lab holds two modules that share a third one: a worker of this module, as far as it loads plugins, and
// the plugin of somebody else's. What is built there are real files, with whatever flags are asked for.
type lab struct {
	root, dir string
	environ   []string
}

// The shared module. Its sources depend on everything that a build can be told.
const (
	sharedText = "// Package shared is known to both.\npackage shared\n\n// Name is constant.\nconst Name = \"shared\"\n"
	sharedMore = "package shared\n\n// More is new.\nfunc More() int { return 1 }\n"
	sharedTag  = "//go:build special\n\n" + sharedMore
	sharedC    = "package shared\n\n// #ifndef LEVEL\n// #define LEVEL 1\n// #endif\nimport \"C\"\n\n// Level is a constant of C.\nconst Level = C.LEVEL\n"
	orderText  = `// Package order is a job of somebody else's.
package order

import (
	"context"

	"example.com/shared"

	"github.com/stationmaster/worker/jobs"
)

func init() { jobs.Register(shared.Name, func(context.Context, *jobs.Message[string]) error { return nil }) }
`
)

func newLab(t *testing.T) *lab {
	t.Helper()
	needsPlugins(t)
	if testing.Short() {
		t.Skip("builds a worker and plugins, with several flags")
	}
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	l := &lab{root: root, dir: t.TempDir()}
	known := l.run(t, os.Environ(), "go", "env", "GOMODCACHE") //nolint:forbidigo // the go command needs that of this test
	l.environ = append(os.Environ(),                           //nolint:forbidigo // as above
		"GOWORK=off", "GOSUMDB=off", "GOFLAGS=-mod=mod -modcacherw -buildvcs=false", "GOMODCACHE="+filepath.Join(l.dir, "cache"),
		"GOPROXY=file://"+filepath.Join(l.dir, "proxy")+",file://"+filepath.Join(strings.TrimSpace(known), "cache", "download"))
	l.publish(t, "v1.0.0", sharedText)
	l.publish(t, "v1.1.0", sharedText+"\n// Since v1.1.0.\nfunc Since() int { return 1 }\n")
	l.write(t, "plug/jobs/order/order.go", orderText)
	l.write(t, "shared.go", "package main\n\nimport _ \"example.com/shared\"\n")
	overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{
		filepath.Join(root, "internal/plugins/testdata/loader/shared.go"): filepath.Join(l.dir, "shared.go"),
	}})
	if err != nil {
		t.Fatal(err)
	}
	l.write(t, "overlay.json", string(overlay))
	t.Chdir(filepath.Join(l.dir, "plug"))
	return l
}

func (l *lab) write(t *testing.T, name, text string) {
	t.Helper()
	name = filepath.Join(l.dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		t.Fatal(err)
	}
	put(t, name, text)
}

// publish puts a version of the shared module where the go command gets modules from.
func (l *lab) publish(t *testing.T, version, text string) {
	t.Helper()
	const mod = "module example.com/shared\n\ngo 1.26.0\n"
	at := "proxy/example.com/shared/@v/" + version
	l.write(t, at+".info", `{"Version":"`+version+`"}`)
	l.write(t, at+".mod", mod)
	var packed strings.Builder
	w := zip.NewWriter(&packed)
	for name, text := range map[string]string{"go.mod": mod, "shared.go": text, "tag.go": sharedTag, "c.go": sharedC} {
		f, err := w.Create("example.com/shared@" + version + "/" + name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	l.write(t, at+".zip", packed.String())
}

func (l *lab) run(t *testing.T, environ []string, name string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Env = environ
	said, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %q: %v\n%s", filepath.Base(name), args, err, said)
	}
	return string(said)
}

// needs writes both go.mod files: whose module it is, what it says of the shared one.
func (l *lab) needs(t *testing.T, whose, shared string) {
	t.Helper()
	sum, err := os.ReadFile(filepath.Join(l.root, "go.sum"))
	if err != nil {
		t.Fatal(err)
	}
	text := "module example.com/plug\n\ngo 1.26.0\n\nrequire github.com/stationmaster/worker v0.0.0\nreplace github.com/stationmaster/worker => " + l.root + "\n"
	if whose == "mine" {
		ours, err := os.ReadFile(filepath.Join(l.root, "go.mod"))
		if err != nil {
			t.Fatal(err)
		}
		text = string(ours)
	}
	l.write(t, whose+"/go.mod", text+shared)
	l.write(t, whose+"/go.sum", string(sum))
}

// worker builds a worker that uses the shared module.
func (l *lab) worker(t *testing.T, name, shared string, environ ...string) string {
	t.Helper()
	l.needs(t, "mine", shared)
	file := filepath.Join(l.dir, name)
	l.run(t, append(l.environ, environ...), "go", "build", "-C", l.root, "-modfile", filepath.Join(l.dir, "mine", "go.mod"),
		"-overlay", filepath.Join(l.dir, "overlay.json"), "-o", file, "./internal/plugins/testdata/loader")
	return file
}

// plugin builds the plugin for a worker, or for one that was built with other settings.
func (l *lab) plugin(t *testing.T, worker, name, shared string, others ...debug.BuildSetting) *plugins.Built {
	t.Helper()
	l.needs(t, "plug", shared)
	info, err := plugins.WorkerInfo(worker)
	if err != nil {
		t.Fatal(err)
	}
	for _, other := range others { // the last of each key counts for the go command, the first for us
		info.Settings = append([]debug.BuildSetting{other}, info.Settings...)
		info.Settings = append(info.Settings, other)
	}
	built, err := plugins.Build(t.Context(), plugins.BuildOptions{
		Package: "./jobs/order", Out: filepath.Join(l.dir, name+".so"), Worker: info, Environ: l.environ, Say: t.Output(),
	})
	if err != nil {
		t.Fatal(err)
	}
	return built
}

// load is what a worker says of a plugin, the file's name left out.
func (l *lab) load(t *testing.T, worker, file string) string {
	t.Helper()
	said := l.run(t, l.environ, worker, file)
	return strings.ReplaceAll(strings.TrimSuffix(strings.TrimPrefix(said, file+": "), "\n"), file, "FILE")
}
