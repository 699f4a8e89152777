package jobsgen

import (
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"go/format"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"text/template"
)

var (
	//go:embed skeleton.go.tmpl
	jobText string
	//go:embed skeleton_test.go.tmpl
	testText string

	// jobName is what package jobs registers.
	jobName = regexp.MustCompile(`^[a-z][a-z0-9_-]{0,79}$`)
	// taken are package names that the skeleton's own imports have, and that of a program.
	taken = []string{"context", "errors", "jobs", "jobstest", "main", "retry", "testing"}
)

// Skeleton is a new job.
type Skeleton struct {
	// Name is the job's, Package its Go package's.
	Name, Package string
	// Dir and Files are paths below the module's root, with slashes.
	Dir   string
	Files []string
}

// New writes the folder of a job below the root of a module: a file that registers the job and a test
// that passes. What is there already is neither changed nor added to.
func New(root, name string) (*Skeleton, error) {
	m, err := readModule(os.DirFS(root))
	switch {
	case err != nil:
		return nil, err
	case !jobName.MatchString(name):
		return nil, fmt.Errorf("job %q: the name must be a lower-case letter, then lower-case letters, digits, _ and -", name)
	case slices.Contains(notJobs, name) || name == "vendor":
		return nil, fmt.Errorf("job %q: jobs/%s is a folder of another kind: choose another name", name, name)
	case !m.knows:
		return nil, fmt.Errorf("module %s does not require %s: go get %[2]s@latest", m.path, worker)
	}
	s := &Skeleton{Name: name, Package: packageOf(name), Dir: path.Join("jobs", name)}
	dir := filepath.Join(root, "jobs", name)
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return nil, fmt.Errorf("job %s: %w", name, err)
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		if errors.Is(err, fs.ErrExist) {
			return nil, fmt.Errorf("%s is there already and stays as it is: choose another name", s.Dir)
		}
		return nil, fmt.Errorf("job %s: %w", name, err)
	}
	values := map[string]string{"Job": name, "Package": s.Package, "Worker": worker, "Import": path.Join(m.path, s.Dir)}
	// A file's name is the package's: a job's may end as a system or a test does, like to_windows.
	for file, text := range map[string]string{s.Package + ".go": jobText, s.Package + "_test.go": testText} {
		source, err := fill(text, values)
		if err != nil {
			return nil, fmt.Errorf("job %s: %w", name, err)
		}
		if err := os.WriteFile(filepath.Join(dir, file), source, 0o644); err != nil {
			return nil, fmt.Errorf("job %s: %w", name, err)
		}
		s.Files = append(s.Files, path.Join(s.Dir, file))
	}
	slices.Sort(s.Files)
	return s, nil
}

func fill(text string, values map[string]string) ([]byte, error) {
	t, err := template.New("").Parse(text)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	if err := t.Execute(&b, values); err != nil {
		return nil, err
	}
	return format.Source(b.Bytes())
}

// packageOf is a package name for a job: a word that Go and the skeleton leave free.
func packageOf(job string) string {
	name := strings.NewReplacer("-", "", "_", "").Replace(job)
	if token.IsKeyword(name) || slices.Contains(taken, name) {
		name += "job"
	}
	return name
}
