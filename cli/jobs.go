package cli

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/stationmaster/worker/worker"
)

func (s *state) jobsCommand() *cobra.Command {
	list := &cobra.Command{
		Use: "list", Short: "List the jobs that are compiled in",
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
				s.printf("no job is compiled in: import one in the main package\n")
				return nil
			}
			rows := [][]string{{"JOB", "TAKES", "QUEUES", "SETTINGS", "PACKAGE"}}
			for _, j := range all {
				takes := "one"
				if j.Batch {
					takes = "batches"
				}
				rows = append(rows, []string{j.Name, takes, dash(j.Queues), dash(j.Settings), j.Package})
			}
			s.table(rows)
			return nil
		},
	}
	return s.group("jobs", "The jobs of this worker", list)
}

func dash(words []string) string {
	if len(words) == 0 {
		return "-"
	}
	return strings.Join(words, ", ")
}
