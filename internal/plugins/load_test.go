package plugins_test

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stationmaster/worker/internal/plugins"
	"github.com/stationmaster/worker/jobs"
	"github.com/stationmaster/worker/queue"
	"github.com/stationmaster/worker/retry"
)

func TestAPluginRegistersItsJobOnce(t *testing.T) {
	built := build(t, "echo")
	if built.Package != here+"echo" || built.Go != runtime.Version() || len(built.Differences) != 0 || plugins.Package(built.File) != built.Package {
		t.Errorf("%+v", built)
	}
	for range 2 { // a second load of the same configuration finds what the first has found
		loaded, failed := plugins.Load([]string{built.File})
		if len(failed) != 0 {
			t.Fatal(failed)
		}
		if diff := cmp.Diff([]plugins.Plugin{{File: built.File, Jobs: []string{"echo"}}}, loaded); diff != "" {
			t.Error(diff)
		}
	}
	d, ok := jobs.Default().Lookup("echo")
	if !ok || d.Package != here+"echo" || d.Settings() == nil {
		t.Fatalf("%v: %+v", ok, d)
	}
	i, err := d.Open(t.Context(), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	errs := i.Run(t.Context(), []*jobs.Info{
		jobs.Read(&queue.Delivery{Message: queue.Message{Body: `{"text":"hi"}`}}),
		jobs.Read(&queue.Delivery{Message: queue.Message{Body: `{}`}}),
	})
	if errs[0] != nil || !retry.IsNever(errs[1]) {
		t.Errorf("answers %v", errs)
	}
	if err := i.Close(); err != nil {
		t.Error(err)
	}
	whole, err := os.ReadFile(built.File)
	if err != nil {
		t.Fatal(err)
	}
	again := filepath.Join(t.TempDir(), "copy.so")
	put(t, again, string(whole))
	if err := refused(t, again); !strings.Contains(err.Error(), "is a plugin of package "+here+"echo, as "+built.File+" is: remove one of them") {
		t.Errorf("a copy: %v", err)
	}
}

func TestAPluginOfOtherSourcesIsExplained(t *testing.T) {
	file := buildOther(t, "other")
	err := refused(t, file)
	m, ok := errors.AsType[*plugins.Mismatch](err)
	if !ok || m.Package != "github.com/stationmaster/worker/retry" {
		t.Fatalf("%T %v", err, err)
	}
	for _, want := range []string{
		"does not fit this worker: package github.com/stationmaster/worker/retry differs: module github.com/stationmaster/worker is (devel) in both, and not the same sources",
		"mend it with: build the worker again, then the plugin, from the same sources: worker jobs build ./internal/plugins/testdata/other -o " + file,
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%v\ndoes not say %q", err, want)
		}
	}
	t.Log(err)
}

func TestAPluginThatFailsIsAClearError(t *testing.T) {
	for name, want := range map[string]string{
		"panics": "its init panicked: no licence (in package " + here + "panics, or in one that it imports): mend it, or leave the file out of plugins.paths",
		"twice":  `job "compiled": registered twice, by ` + strings.TrimSuffix(here, "/testdata/") + `_test and by ` + here + "twice: leave one of them out",
		"silent": "registers no job: call jobs.Register in an init function",
	} {
		file := build(t, name).File
		for range 2 { // the runtime itself would wait for ever the second time
			if err := refused(t, file); !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v, want %q", name, err, want)
			}
		}
	}
}

func TestWhatIsNoPluginIsNotOpened(t *testing.T) {
	if err := plugins.Able(); err != nil {
		t.Skip(err)
	}
	dir := t.TempDir()
	text := filepath.Join(dir, "text.so")
	put(t, text, "#!/bin/sh\n")
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(dir, "program.so")
	if err := os.Symlink(self, program); err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]string{
		text:                           "is no Go plugin, or not all of one (unrecognized file format): build it with: worker jobs build ./jobs/NAME -o " + text,
		program:                        "is no Go plugin, it was built with -buildmode=exe: build it with: worker jobs build",
		dir:                            "is no file",
		filepath.Join(dir, "aside.so"): "cannot be read",
	} {
		if err := refused(t, file); !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", filepath.Base(file), err, want)
		}
	}
}

// A copy that was cut short says so wherever it was cut, and nothing of it runs.
func TestHalfAPluginIsNotOpened(t *testing.T) {
	whole, err := os.ReadFile(build(t, "silent").File)
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []int{0, 1, 50, 99} { // percent
		file := filepath.Join(t.TempDir(), "half.so")
		put(t, file, string(whole[:len(whole)*part/100]))
		if err := refused(t, file); !strings.Contains(err.Error(), "not all of one (unrecognized file format)") {
			t.Errorf("%d%%: %v", part, err)
		}
	}
}

func TestAFileThatCannotBeReadIsNotCalledNoPlugin(t *testing.T) {
	if err := plugins.Able(); err != nil {
		t.Skip(err)
	}
	file := filepath.Join(t.TempDir(), "secret.so")
	put(t, file, "text")
	if err := os.Chmod(file, 0); err != nil {
		t.Fatal(err)
	}
	if f, err := os.Open(file); err == nil {
		_ = f.Close() // it was only tried
		t.Skip("root reads everything")
	}
	if err := refused(t, file); !errors.Is(err, os.ErrPermission) || !strings.Contains(err.Error(), "cannot be read") {
		t.Error(err)
	}
}

func TestWhatEverybodyCanWriteIsRefused(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("it has other permissions")
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "plugins", "job.so")
	if err := os.Mkdir(filepath.Dir(file), 0o700); err != nil {
		t.Fatal(err)
	}
	put(t, file, "no plugin, but that is not looked at")
	mode := func(name string, m os.FileMode) {
		t.Helper()
		if err := os.Chmod(name, m); err != nil {
			t.Fatal(err)
		}
	}
	for _, row := range []struct{ name, want string }{
		{file, "everybody on this machine can write it"},
		{filepath.Dir(file), "can write its folder " + filepath.Dir(file)},
		{dir, "can write its folder " + dir},
	} {
		about, err := os.Stat(row.name)
		if err != nil {
			t.Fatal(err)
		}
		mode(row.name, 0o777)
		if err := refused(t, file); !strings.Contains(err.Error(), row.want) || !strings.Contains(err.Error(), "chmod o-w "+row.name) {
			t.Errorf("%v, want %q", err, row.want)
		}
		mode(row.name, about.Mode().Perm())
	}
	mode(dir, 0o777|os.ModeSticky) // as /tmp is
	if err := refused(t, file); strings.Contains(err.Error(), "everybody") {
		t.Error(err)
	}
	link := filepath.Join(dir, "link.so")
	if err := os.Symlink(file, link); err != nil {
		t.Fatal(err)
	}
	if err := refused(t, link); !strings.Contains(err.Error(), "can write its folder "+dir) {
		t.Errorf("a link in a folder of everybody's: %v", err)
	}
}

func TestFind(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"b.so", "a.so", "notes.md"} {
		put(t, filepath.Join(dir, name), "")
	}
	got, err := plugins.Find(dir, "*.so")
	if diff := cmp.Diff([]string{filepath.Join(dir, "a.so"), filepath.Join(dir, "b.so")}, got); err != nil || diff != "" {
		t.Error(err, diff)
	}
	if got, err := plugins.Find("/elsewhere", filepath.Join(dir, "a.so")); err != nil || len(got) != 1 {
		t.Error(got, err)
	}
	if got, err := plugins.Find(dir, "none/*.so"); err != nil || len(got) != 0 {
		t.Error(got, err)
	}
	t.Chdir(filepath.Dir(dir))
	if got, err := plugins.Find(filepath.Base(dir), "a.so"); err != nil || got[0] != filepath.Join(dir, "a.so") {
		t.Error(got, err)
	}
	if _, err := plugins.Find(dir, "c.so"); err == nil || !strings.Contains(err.Error(), "worker jobs build ./jobs/NAME -o "+filepath.Join(dir, "c.so")) {
		t.Error(err)
	}
	if _, err := plugins.Find(dir, "[.so"); err == nil || !strings.Contains(err.Error(), "is no pattern") {
		t.Error(err)
	}
}

func TestAStaticWorkerIsTold(t *testing.T) {
	info, err := plugins.WorkerInfo("")
	if err != nil {
		t.Fatal(err)
	}
	static := *info
	static.Settings = nil
	for _, s := range info.Settings {
		if s.Key == "CGO_ENABLED" {
			s.Value = "0"
		}
		static.Settings = append(static.Settings, s)
	}
	_, err = plugins.Build(t.Context(), plugins.BuildOptions{Package: "./testdata/echo", Worker: &static, Say: t.Output()})
	if err == nil || !strings.HasPrefix(err.Error(), "the worker is static") || !strings.HasSuffix(err.Error(), "then build the plugin with that one, or name it with --worker") {
		t.Errorf("Build = %v", err)
	}
	if _, err := plugins.WorkerInfo("load_test.go"); err == nil {
		t.Error("a text has build information")
	}
}
