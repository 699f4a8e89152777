package plugins

import (
	"bytes"
	"context"
	"debug/buildinfo"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/stationmaster/worker/internal/jobsgen"
)

// BuildOptions say what to build, and for which worker.
type BuildOptions struct {
	// Package is the job's package as the go command takes it: ./jobs/email.
	Package string
	// Out is the file to write; empty is the last part of the package and .so, here.
	Out string
	// Worker is the build information of the worker that is to load it.
	Worker *debug.BuildInfo
	// Environ is the environment of the go command.
	Environ []string
	// Say takes what the go command says.
	Say io.Writer
}

// Built is a plugin that was built.
type Built struct {
	File    string   `json:"file"`
	Package string   `json:"package"`
	Go      string   `json:"go"`
	Flags   []string `json:"flags"`
	// Differences are what it shares with the worker in another version: the runtime may refuse it.
	Differences []string `json:"differences"`
}

// Build builds the package of a job as a plugin for a worker, with the worker's toolchain and flags.
// The file appears when it is whole: a worker that has loaded the one before goes on.
func Build(ctx context.Context, o BuildOptions) (*Built, error) {
	if setting(o.Worker, "CGO_ENABLED") == "0" {
		return nil, errors.New("the worker " + static(o.Worker) + "; then build the plugin with that one, or name it with --worker")
	}
	b := &builder{BuildOptions: o, flags: flagsOf(o.Worker)}
	p, err := b.find(ctx)
	if err != nil {
		return nil, err
	}
	if b.Out == "" {
		b.Out = filepath.Base(p.Dir) + ".so"
	}
	if err := b.build(ctx, p); err != nil {
		return nil, err
	}
	theirs, err := buildinfo.ReadFile(b.Out)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", b.Out, err)
	}
	return &Built{
		File: b.Out, Package: p.ImportPath, Go: theirs.GoVersion, Flags: b.flags,
		Differences: append([]string{}, Compare(o.Worker, theirs)...),
	}, nil
}

// WorkerInfo reads the build information of a worker's file; an empty name is this process.
func WorkerInfo(file string) (*debug.BuildInfo, error) {
	if file == "" {
		if info, ok := debug.ReadBuildInfo(); ok {
			return info, nil
		}
		return nil, errors.New("this worker has no build information: build it with go build, in a module")
	}
	info, err := buildinfo.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("worker %s: %w", file, err)
	}
	return info, nil
}

// flagsOf are the flags that make every package as the worker's.
func flagsOf(info *debug.BuildInfo) []string {
	on := func(key string) string { // explicit, since GOFLAGS may say otherwise
		if setting(info, key) == "true" {
			return key + "=true"
		}
		return key + "=false"
	}
	// GOFIPS140 brings its tag along; said twice, it would be told as a difference.
	tags := slices.DeleteFunc(strings.Split(setting(info, "-tags"), ","), func(tag string) bool { return strings.HasPrefix(tag, "fips140v") })
	flags := []string{"-buildmode=plugin", on("-trimpath"), on("-race"), "-tags=" + strings.Join(tags, ",")}
	for _, key := range []string{"-gcflags", "-asmflags"} {
		if value := setting(info, key); value != "" {
			flags = append(flags, key+"="+value)
		}
	}
	return flags
}

type builder struct {
	BuildOptions
	flags []string
}

// target is what go list knows of a package.
type target struct {
	Name, ImportPath, Dir string
}

// find asks the go command for the package, and looks whether it registers a job.
func (b *builder) find(ctx context.Context) (target, error) {
	var out bytes.Buffer
	var p target
	if err := b.run(ctx, &out, "list", "-json=Name,ImportPath,Dir", b.Package); err != nil {
		return p, err
	}
	if err := json.NewDecoder(&out).Decode(&p); err != nil {
		return p, fmt.Errorf("go list %s: %w", b.Package, err)
	}
	switch registers, err := jobsgen.Registers(os.DirFS(p.Dir)); {
	case err != nil:
		return p, err
	case !registers && p.Name != "main":
		return p, fmt.Errorf("%s registers no job: call jobs.Register in its init", p.ImportPath)
	}
	return p, nil
}

func (b *builder) build(ctx context.Context, p target) error {
	scratch, err := os.MkdirTemp("", "workerplugin")
	if err != nil {
		return fmt.Errorf("build %s: %w", p.ImportPath, err)
	}
	defer func() { _ = os.RemoveAll(scratch) }() // of no use to anybody
	args := append([]string{"build"}, b.flags...)
	pkg := p.ImportPath
	if p.Name != "main" {
		overlay, err := wrap(scratch, p)
		if err != nil {
			return fmt.Errorf("build %s: %w", p.ImportPath, err)
		}
		args, pkg = append(args, "-overlay", overlay), p.ImportPath+wrapper
	}
	if err := os.MkdirAll(filepath.Dir(b.Out), 0o755); err != nil {
		return fmt.Errorf("build %s: %w", p.ImportPath, err)
	}
	// Beside its place, so that the rename is one step.
	part := filepath.Join(filepath.Dir(b.Out), "."+filepath.Base(b.Out)+".part")
	defer func() { _ = os.Remove(part) }() // gone, when all is well
	if err := b.run(ctx, io.Discard, append(args, "-o", part, pkg)...); err != nil {
		return err
	}
	about, err := os.Stat(part)
	if err != nil {
		return fmt.Errorf("build %s: %w", p.ImportPath, err)
	}
	if err := os.Chmod(part, about.Mode().Perm()&^others); err != nil {
		return fmt.Errorf("build %s: %w", p.ImportPath, err)
	}
	if err := os.Rename(part, b.Out); err != nil {
		return fmt.Errorf("build %s: %w", p.ImportPath, err)
	}
	return nil
}

// wrap writes the package main that a plugin has to be, laid over the tree below the job's package,
// where it may import what is internal there.
func wrap(scratch string, p target) (overlay string, err error) {
	source := filepath.Join(scratch, "main.go")
	text := fmt.Sprintf("// Package main is a job as a plugin.\npackage main\n\nimport _ %q\n\nfunc main() {}\n", p.ImportPath)
	if err := os.WriteFile(source, []byte(text), 0o600); err != nil {
		return "", err
	}
	over, err := json.Marshal(map[string]any{"Replace": map[string]string{
		filepath.Join(p.Dir, filepath.FromSlash(wrapper), "main.go"): source,
	}})
	if err != nil {
		return "", err
	}
	overlay = filepath.Join(scratch, "overlay.json")
	return overlay, os.WriteFile(overlay, over, 0o600)
}

// run runs the go command with the worker's toolchain.
func (b *builder) run(ctx context.Context, out io.Writer, args ...string) error {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Env = append(append([]string{}, b.Environ...), environOf(b.Worker)...)
	cmd.Stdout, cmd.Stderr = out, b.Say
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("go %s %s: %w", args[0], b.Package, err)
	}
	return nil
}

// environOf are the variables that choose the worker's toolchain and target, and its flags of cgo.
func environOf(info *debug.BuildInfo) []string {
	env := []string{"CGO_ENABLED=1"}
	if release, _, _ := strings.Cut(info.GoVersion, " "); strings.HasPrefix(release, "go1.") {
		env = append(env, "GOTOOLCHAIN="+release)
	}
	if setting(info, "GOFIPS140") == "" { // which is what a file says of "off"
		env = append(env, "GOFIPS140=off")
	}
	for _, s := range info.Settings {
		if (strings.HasPrefix(s.Key, "GO") && s.Key != "GODEBUG") || slices.Contains(cgoSettings, s.Key) {
			env = append(env, s.Key+"="+s.Value)
		}
	}
	return env
}
