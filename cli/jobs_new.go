package cli

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/stationmaster/worker/internal/jobsgen"
	"github.com/stationmaster/worker/worker"
)

func (s *state) jobsNewCommand() *cobra.Command {
	return &cobra.Command{
		Use: "new NAME", Short: "Write the folder of a new job, with a test that passes",
		Long: `Write jobs/NAME in the module of the current folder: a job that compiles and a test that
passes. Nothing is asked, and nothing that is there is overwritten.

What feeds the job is printed on standard output, as config.toml has it: a queue, and a
subscription to the first topic of the configuration.

Exit codes: 0 written, 1 not, 2 wrong usage.`,
		Example: example("worker jobs new greet", "worker jobs new greet >> config.toml"),
		Args:    want("NAME"),
		RunE: func(_ *cobra.Command, args []string) error {
			root, err := jobsgen.Root(".")
			if err != nil {
				return err
			}
			job, err := jobsgen.New(root, args[0])
			if err != nil {
				return err
			}
			feed := worker.Suggest(s.workerOptions(), job.Name)
			if s.json {
				return s.encode(map[string]any{"job": job.Name, "package": job.Package, "module": root, "files": job.Files, "config": feed})
			}
			s.notef("wrote %s", strings.Join(job.Files, " and "))
			s.notef("try it: go test ./%s", job.Dir)
			s.notef("compile it in: %s jobs generate", s.name)
			if feed == "" {
				s.notef("a queue of the configuration leads to it already")
				return nil
			}
			s.notef("feed it from config.toml:")
			s.printf("\n%s", feed)
			return nil
		},
	}
}

func (s *state) jobsGenerateCommand() *cobra.Command {
	return &cobra.Command{
		Use: "generate", Short: "Write jobs/all, which imports every job of jobs/",
		Long: `Write jobs/all/all.go in the module of the current folder: a package that imports every
folder of jobs/ whose package registers a job. A main package that imports jobs/all has
them compiled in.`,
		Example: example("worker jobs generate", "go run github.com/stationmaster/worker/cmd/worker jobs generate"),
		Args:    want(),
		RunE: func(*cobra.Command, []string) error {
			root, err := jobsgen.Root(".")
			if err != nil {
				return err
			}
			r, err := jobsgen.Write(root)
			if err != nil {
				return err
			}
			for _, name := range r.Silent {
				s.notef("jobs/%s registers no job and is left out: call jobs.Register in its init", name)
			}
			if s.json {
				return s.encode(map[string]any{"file": jobsgen.File, "changed": r.Changed, "jobs": emptied(r.Jobs), "silent": emptied(r.Silent)})
			}
			said := "%s is current: %s\n"
			if r.Changed {
				said = "wrote %s: %s\n"
			}
			s.printf(said, jobsgen.File, dash(r.Jobs))
			return nil
		},
	}
}

// emptied makes [] of what JSON would call null.
func emptied(words []string) []string { return append([]string{}, words...) }
