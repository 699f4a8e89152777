// Command gen writes jobs/all/all.go, the list of the jobs that are compiled in, as worker jobs
// generate does; unlike a worker it builds while that list is wrong. It runs at the module's root:
// go run ./internal/jobsgen/gen.
package main

import (
	"fmt"
	"io"
	"os"
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
	r, err := jobsgen.Write(root)
	if err != nil {
		return err
	}
	for _, name := range r.Silent {
		fmt.Fprintf(out, "jobs/%s registers no job and is left out: call jobs.Register in its init\n", name)
	}
	said := "%s is current: %s\n"
	if r.Changed {
		said = "wrote %s: %s\n"
	}
	fmt.Fprintf(out, said, jobsgen.File, strings.Join(r.Jobs, ", "))
	return nil
}
