package plugins_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stationmaster/worker/internal/plugins"
	"github.com/stationmaster/worker/jobs"
)

const here = "github.com/stationmaster/worker/internal/plugins/testdata/"

func init() {
	jobs.Register("compiled", func(context.Context, *jobs.Message[string]) error { return nil })
}

// needsPlugins skips where no plugin can be built that fits this test.
func needsPlugins(t testing.TB) {
	t.Helper()
	if err := plugins.Able(); err != nil {
		t.Skip(err)
	}
	if _, err := exec.LookPath("gcc"); err != nil {
		t.Skip("needs a C compiler: ", err)
	}
	if testing.CoverMode() != "" {
		t.Skip("what is instrumented for coverage fits no plugin")
	}
}

// files are built once: a process opens no second file of the same plugin.
var files struct {
	sync.Mutex
	dir    string
	byName map[string]*plugins.Built
}

func TestMain(m *testing.M) {
	code := m.Run()
	_ = os.RemoveAll(files.dir) // a temporary folder; empty when nothing was built
	os.Exit(code)               //nolint:forbidigo // the end of TestMain
}

// build builds a job of testdata for this process.
func build(t testing.TB, name string) *plugins.Built {
	t.Helper()
	needsPlugins(t)
	files.Lock()
	defer files.Unlock()
	if before, ok := files.byName[name]; ok {
		return before
	}
	info, err := plugins.WorkerInfo("")
	if err != nil {
		t.Fatal(err)
	}
	if files.dir == "" {
		files.byName = map[string]*plugins.Built{}
		if files.dir, err = os.MkdirTemp("", "plugins"); err != nil { //nolint:usetesting // it outlives the test
			t.Fatal(err)
		}
	}
	built, err := plugins.Build(t.Context(), plugins.BuildOptions{
		Package: "./testdata/" + name, Out: filepath.Join(files.dir, name+".so"), Worker: info, Say: t.Output(),
		Environ: os.Environ(), //nolint:forbidigo // the go command needs that of this test
	})
	if err != nil {
		t.Fatal(err)
	}
	files.byName[name] = built
	return built
}

// refused loads a file that must be refused.
func refused(t testing.TB, file string) error {
	t.Helper()
	loaded, failed := plugins.Load([]string{file})
	if len(loaded) != 0 || failed[file] == nil {
		t.Fatalf("loaded %v, failed %v", loaded, failed)
	}
	return failed[file]
}

// buildOther builds a job of testdata as build does, but against a package retry that has one function
// more than this process knows.
func buildOther(t testing.TB, name string) string {
	t.Helper()
	needsPlugins(t)
	dir := t.TempDir()
	retry, err := filepath.Abs("../../retry")
	if err != nil {
		t.Fatal(err)
	}
	job, err := filepath.Abs("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	put(t, filepath.Join(dir, "more.go"), "package retry\n\n// More is new.\nfunc More() int { return 1 }\n")
	put(t, filepath.Join(dir, "main.go"), fmt.Sprintf("package main\n\nimport _ %q\n\nfunc main() {}\n", here+name))
	overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{
		filepath.Join(retry, "more.go"):               filepath.Join(dir, "more.go"),
		filepath.Join(job, "workerplugin", "main.go"): filepath.Join(dir, "main.go"),
	}})
	if err != nil {
		t.Fatal(err)
	}
	put(t, filepath.Join(dir, "overlay.json"), string(overlay))
	info, err := plugins.WorkerInfo("")
	if err != nil {
		t.Fatal(err)
	}
	args := []string{"build", "-buildmode=plugin", "-overlay", filepath.Join(dir, "overlay.json")}
	if strings.Contains(info.String(), "-race=true") {
		args = append(args, "-race")
	}
	file := filepath.Join(dir, name+".so")
	cmd := exec.CommandContext(t.Context(), "go", append(args, "-o", file, here+name+"/workerplugin")...)
	if said, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	return file
}

func put(t testing.TB, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
