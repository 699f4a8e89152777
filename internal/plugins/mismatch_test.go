package plugins_test

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const (
	required = "require example.com/shared v1.0.0\n"
	build1   = "worker jobs build ./jobs/order -o FILE"
)

// standard is a package of the standard library that differs: which is the linker's choice.
var standard = regexp.MustCompile(`package [a-z0-9/]+ differs`)

// Every mismatch here is one of real files, and what the worker says is compared whole: that is what
// somebody has at three in the morning.
func TestAMismatchNamesBothSidesAndTheCommand(t *testing.T) {
	l := newLab(t)
	worker := l.worker(t, "worker", required)
	fits := l.plugin(t, worker, "fits", required)
	if said := l.load(t, worker, fits.File); said != "loaded FILE [shared]" {
		t.Fatal(said)
	}
	// A module without a version may be anything; this one is the same.
	unknown := "module github.com/stationmaster/worker is (devel) in the worker, replaced by the folder " + l.root + " in the plugin"
	if diff := cmp.Diff([]string{unknown}, fits.Differences); diff != "" {
		t.Error(diff)
	}
	l.write(t, "shared/go.mod", "module example.com/shared\n")
	l.write(t, "shared/shared.go", sharedText+sharedMore[len("package shared\n"):])
	folder := filepath.Join(l.dir, "shared")
	set := func(key, value string) debug.BuildSetting { return debug.BuildSetting{Key: key, Value: value} }
	const mend = "; other modules differ too: github.com/stationmaster/worker; mend it in module example.com/plug with: "
	for name, row := range map[string]struct {
		shared string
		other  debug.BuildSetting
		want   string
	}{
		"trimpath": {
			required, set("-trimpath", "true"),
			"package STD differs: the worker is built without -trimpath, the plugin with -trimpath" + mend + build1,
		},
		"race": {
			required, set("-race", "true"),
			"every package differs: the worker is built without -race, the plugin with -race; mend it in module example.com/plug with: " + build1,
		},
		"tags": {
			required, set("-tags", "special"),
			"package example.com/shared differs: the worker is built without -tags, the plugin with -tags=special" + mend + build1,
		},
		"cgo": {
			required, set("CGO_CFLAGS", "-DLEVEL=2 -O1"),
			`package example.com/shared differs: the worker is built without CGO_CFLAGS, the plugin with CGO_CFLAGS="-DLEVEL=2 -O1"` + mend + build1,
		},
		"version": {
			"require example.com/shared v1.1.0\n", set("", ""),
			"package example.com/shared differs: module example.com/shared is v1.0.0 in the worker, v1.1.0 in the plugin" + mend +
				"go get example.com/shared@v1.0.0 && " + build1,
		},
		"replaced": {
			required + "replace example.com/shared => " + folder, set("", ""),
			"package example.com/shared differs: module example.com/shared is v1.0.0 in the worker, replaced by the folder " + folder + " in the plugin" + mend +
				"go mod edit -dropreplace example.com/shared && go get example.com/shared@v1.0.0 && " + build1,
		},
	} {
		t.Run(name, func(t *testing.T) {
			built := l.plugin(t, worker, name, row.shared, row.other)
			said := standard.ReplaceAllString(l.load(t, worker, built.File), "package STD differs")
			if diff := cmp.Diff("does not fit this worker: "+row.want, said); diff != "" {
				t.Error(diff)
			}
			// The build has said so before anybody loads it, where the worker was not another one.
			if name == "version" && (len(built.Differences) != 2 || !strings.Contains(row.want, built.Differences[1])) {
				t.Errorf("differences %q", built.Differences)
			}
		})
	}
	t.Run("toolchain", func(t *testing.T) {
		whole, err := os.ReadFile(fits.File)
		if err != nil {
			t.Fatal(err)
		}
		info := bytes.Index(whole, []byte("\xff Go buildinf:"))
		version := []byte("go1.")
		at := info + bytes.Index(whole[info:], version)
		copy(whole[at:], "go9.")
		file := filepath.Join(l.dir, "toolchain.so")
		put(t, file, string(whole))
		if said := l.load(t, worker, file); !strings.Contains(said, "every package differs: the worker is built with go1.") || !strings.Contains(said, ", the plugin with go9.") {
			t.Error(said)
		}
	})
	// A worker with the certified cryptography builds a plugin with the same, whose tag the go command adds.
	t.Run("fips", func(t *testing.T) {
		fips := l.worker(t, "fips", required, "GOFIPS140=v1.0.0")
		built := l.plugin(t, fips, "fips", required)
		if diff := cmp.Diff([]string{unknown}, built.Differences); diff != "" {
			t.Error(diff)
		}
		if said := l.load(t, fips, built.File); said != "loaded FILE [shared]" {
			t.Error(said)
		}
	})
	t.Run("static", func(t *testing.T) {
		static := l.worker(t, "static", required, "CGO_ENABLED=0")
		want := "this worker is static, built without cgo, and loads no plugins: build it in module github.com/stationmaster/worker with: " +
			"CGO_ENABLED=1 go build ./internal/plugins/testdata/loader (on Linux, macOS or FreeBSD, with a C compiler); or compile the job in: worker jobs generate"
		if diff := cmp.Diff(want, l.load(t, static, fits.File)); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("folder", func(t *testing.T) {
		replaced := required + "replace example.com/shared => " + folder
		worker := l.worker(t, "replaced", replaced)
		want := "does not fit this worker: package example.com/shared differs: module example.com/shared is replaced by the folder " + folder +
			" in the worker, v1.0.0 in the plugin" + mend + "go mod edit -replace example.com/shared=" + folder + " && go mod tidy && " + build1
		if diff := cmp.Diff(want, l.load(t, worker, fits.File)); diff != "" {
			t.Error(diff)
		}
		l.write(t, "shared/shared.go", sharedText)
		want = "does not fit this worker: package example.com/shared differs: module example.com/shared is replaced by the folder " + folder +
			" in both, and not the same sources: one of them was built before a change; " + unknown +
			"; mend it in module example.com/plug with: build the worker again, then the plugin, from the same sources: " + build1
		if diff := cmp.Diff(want, l.load(t, worker, l.plugin(t, worker, "changed", replaced).File)); diff != "" {
			t.Error(diff)
		}
	})
}
