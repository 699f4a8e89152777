package cli

import (
	"github.com/spf13/cobra"

	"github.com/stationmaster/worker/worker"
)

// ticksShown is how many of the ticks to come are shown: enough to see what an expression means.
const ticksShown = 3

func (s *state) schedulesCommand() *cobra.Command {
	return &cobra.Command{
		Use: "schedules", Short: "List the schedules of the configuration, and their next ticks",
		Long: `List the schedules of the configuration: when they tick, in which zone, where they
publish, and their next three ticks, by the clock of the zone. AWS is not asked. What
the ticks of a running worker led to is in its /status and /metrics.

Exit codes: 0 listed, 2 wrong usage or configuration.`,
		Example: example("worker schedules", "worker schedules --json"),
		Args:    want(),
		RunE: func(*cobra.Command, []string) error {
			all, err := worker.ListSchedules(s.workerOptions(), ticksShown)
			switch {
			case err != nil:
				return err
			case s.json:
				return s.encode(all)
			case len(all) == 0:
				s.printf("the configuration has no schedules: add [schedules.NAME] with cron, body, and queue or topic\n")
				return nil
			}
			s.table(timetable(all))
			return nil
		},
	}
}

// timetable has a row for each tick; the first says whose they are.
func timetable(all []worker.Schedule) [][]string {
	rows := [][]string{{"SCHEDULE", "CRON", "ZONE", "TO", "STATE", "NEXT"}}
	for _, one := range all {
		to, state := "queue "+one.Queue, "ticking"
		if one.Topic != "" {
			to = "topic " + one.Topic
		}
		if one.Paused {
			state = "paused"
		}
		row := []string{one.Name, one.Cron, one.Zone, to, state}
		for _, at := range one.Next {
			rows = append(rows, append(row, at.Format("Mon 2006-01-02 15:04 MST")))
			row = make([]string, len(row))
		}
	}
	return rows
}
