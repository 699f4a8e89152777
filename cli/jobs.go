package cli

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/stationmaster/worker/worker"
)

func (s *state) jobsCommand() *cobra.Command {
	list := &cobra.Command{
		Use: "list", Short: "List the jobs that are compiled in, and those of plugins",
		Example: example("worker jobs list", "worker jobs list --json"),
		Args:    want(),
		RunE: func(*cobra.Command, []string) error {
			all, err := worker.ListJobs(s.workerOptions())
			if err != nil {
				s.notef("the configuration has faults, so no queue of a job is told: try: %s config check", s.name)
			}
			if s.json {
				return s.encode(all)
			}
			if len(all) == 0 {
				s.printf("no job is compiled in: write one with %s jobs new NAME, and import it in the main package\n", s.name)
				return nil
			}
			rows := [][]string{{"JOB", "TAKES", "QUEUES", "SETTINGS", "PACKAGE"}}
			for _, j := range all {
				takes := "one"
				if j.Batch {
					takes = "batches"
				}
				rows = append(rows, []string{j.Name, takes, dash(j.Queues), dash(j.Settings), j.Package + from(j.Plugin)})
			}
			s.table(rows)
			return nil
		},
	}
	s.noPluginsFlag(list)
	return s.group("jobs", "The jobs of this worker", list, s.jobsNewCommand(), s.jobsGenerateCommand(), s.jobsBuildCommand())
}

// from names the file of a plugin.
func from(file string) string {
	if file == "" {
		return ""
	}
	return " (" + file + ")"
}

func dash(words []string) string {
	if len(words) == 0 {
		return "-"
	}
	return strings.Join(words, ", ")
}
