// Command gen writes jobs/all/all.go, the list of the jobs that are compiled in. It runs at the
// module's root: go run ./internal/jobsgen/gen.
package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/stationmaster/worker/internal/jobsgen"
)

func main() {
	if err := generate(".", os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "generate jobs:", err)
		os.Exit(1)
	}
}

func generate(root string, out io.Writer) error {
	r, err := jobsgen.Generate(os.DirFS(root))
	if err != nil {
		return err
	}
	for _, name := range r.Silent {
		fmt.Fprintf(out, "jobs/%s registers no job and is left out: call jobs.Register in its init\n", name)
	}
	file := filepath.Join(root, filepath.FromSlash(jobsgen.File))
	if before, err := os.ReadFile(file); err == nil && bytes.Equal(before, r.Source) {
		fmt.Fprintf(out, "%s is current: %s\n", jobsgen.File, strings.Join(r.Jobs, ", "))
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(file, r.Source, 0o644); err != nil {
		return err
	}
	fmt.Fprintf(out, "wrote %s: %s\n", jobsgen.File, strings.Join(r.Jobs, ", "))
	return nil
}
