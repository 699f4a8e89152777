package jobsgen_test

import (
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stationmaster/worker/internal/jobsgen"
)

// newModule is a module of somebody else's that requires this one.
func newModule(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	write(t, filepath.Join(root, "go.mod"), "module example.com/mine\n\ngo 1.26\n\nrequire github.com/stationmaster/worker v0.1.0\n")
	return root
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestANewJobIsAFolderThatIsImported(t *testing.T) {
	root := newModule(t)
	got, err := jobsgen.New(root, "send-mail")
	if err != nil {
		t.Fatal(err)
	}
	want := &jobsgen.Skeleton{
		Name: "send-mail", Package: "sendmail", Dir: "jobs/send-mail",
		Files: []string{"jobs/send-mail/sendmail.go", "jobs/send-mail/sendmail_test.go"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	for range 2 {
		written, err := jobsgen.Write(root)
		if err != nil || !cmp.Equal(written.Jobs, []string{"send-mail"}) || !strings.Contains(string(written.Source), `"example.com/mine/jobs/send-mail"`) {
			t.Errorf("%v: %v\n%s", err, written.Jobs, written.Source)
		}
	}
}

func TestANewJobOverwritesNothing(t *testing.T) {
	root := newModule(t)
	write(t, filepath.Join(root, "jobs", "greet", "notes.md"), "mine")
	if _, err := jobsgen.New(root, "greet"); err == nil || !strings.Contains(err.Error(), "jobs/greet is there already") {
		t.Errorf("New = %v", err)
	}
	entries, err := os.ReadDir(filepath.Join(root, "jobs", "greet"))
	if err != nil || len(entries) != 1 {
		t.Errorf("%v, %v: only what was there", entries, err)
	}
}

func TestNewSaysWhatIsWrong(t *testing.T) {
	foreign := t.TempDir()
	write(t, filepath.Join(foreign, "go.mod"), "module example.com/other\n")
	for _, row := range []struct{ root, name, want string }{
		{newModule(t), "Greet", "lower-case letter"},
		{newModule(t), "../greet", "lower-case letter"},
		{newModule(t), "all", "another kind"},
		{newModule(t), "testdata", "another kind"},
		{newModule(t), "middleware", "another kind"},
		{foreign, "greet", "example.com/other does not require github.com/stationmaster/worker: go get"},
		{t.TempDir(), "greet", "run this at the module's root"},
	} {
		if _, err := jobsgen.New(row.root, row.name); err == nil || !strings.Contains(err.Error(), row.want) {
			t.Errorf("New %q = %v, want %q", row.name, err, row.want)
		}
		if _, err := os.Stat(filepath.Join(row.root, "jobs")); err == nil {
			t.Errorf("New %q left a folder", row.name)
		}
	}
}

// Names that Go, the go command or the skeleton itself could take for something else.
func TestAnAwkwardNameMakesAFileThatIsBuilt(t *testing.T) {
	root := newModule(t)
	for _, name := range []string{"type", "main", "jobs", "testing", "to_windows", "unit_test", "x-amd64", "a"} {
		s, err := jobsgen.New(root, name)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range s.Files {
			parsed, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, file), nil, parser.AllErrors)
			if err != nil || strings.TrimSuffix(parsed.Name.Name, "_test") != s.Package {
				t.Errorf("%s: %v", file, err)
			}
		}
		if base := filepath.Base(s.Files[0]); strings.Contains(base, "_") || s.Package == "main" {
			t.Errorf("%s: %s of package %s", name, base, s.Package)
		}
	}
}

// The go command runs the test of a new job in this module, where every dependency is at hand.
func TestANewJobPassesItsOwnTest(t *testing.T) {
	top, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	root := t.TempDir()
	write(t, filepath.Join(root, "go.mod"), "module github.com/stationmaster/worker\n")
	s, err := jobsgen.New(root, "new-job")
	if err != nil {
		t.Fatal(err)
	}
	var replaced []string
	for _, file := range s.Files {
		replaced = append(replaced, `"`+filepath.Join(top, file)+`":"`+filepath.Join(root, file)+`"`)
	}
	overlay := filepath.Join(root, "overlay.json")
	write(t, overlay, `{"Replace":{`+strings.Join(replaced, ",")+`}}`)
	binary := filepath.Join(root, "job.test")
	build := exec.CommandContext(t.Context(), "go", "test", "-c", "-vet=off", "-overlay", overlay, "-o", binary, "./"+s.Dir)
	build.Dir = top
	if said, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	test := exec.CommandContext(t.Context(), binary, "-test.v")
	test.Dir = root
	said, err := test.CombinedOutput()
	if err != nil || strings.Count(string(said), "--- PASS") != 2 {
		t.Errorf("%v\n%s", err, said)
	}
}

func TestRootIsFoundFromBelow(t *testing.T) {
	root := newModule(t)
	below := filepath.Join(root, "jobs", "greet")
	if err := os.MkdirAll(below, 0o700); err != nil {
		t.Fatal(err)
	}
	got, err := jobsgen.Root(below)
	if err != nil || got != root {
		t.Errorf("Root = %s, %v, want %s", got, err, root)
	}
	if _, err := jobsgen.Root(t.TempDir()); err == nil || !strings.Contains(err.Error(), "go mod init") {
		t.Errorf("Root of no module = %v", err)
	}
}
