package cli

import (
	"github.com/spf13/cobra"

	"github.com/stationmaster/worker/topology"
	"github.com/stationmaster/worker/worker"
)

// ExitChanges is the exit code of a plan that wants changes.
const ExitChanges = 3

func (s *state) topologyCommand() *cobra.Command {
	return s.group("topology", "Set up topics, queues, dead-letter queues, permissions and subscriptions",
		s.planCommand(), s.applyCommand(), s.mapCommand())
}

func (s *state) planCommand() *cobra.Command {
	var addr string
	var prune, others bool
	cmd := &cobra.Command{
		Use: "plan", Short: "Say what apply would change, and why",
		Long: `Say what apply would change, and why, and change nothing. It is apply itself, run on what was
read. Read-only permissions are enough: worker iam operator.

Exit codes: 0 no change, 3 changes are wanted.`,
		Example: example("worker topology plan", "worker topology plan --prune", "worker topology plan --json"),
		Args:    want(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := s.untilSignal(cmd.Context())
			defer stop()
			o, err := worker.OpenOperator(ctx, s.workerOptions(), addr)
			if err != nil {
				return err
			}
			plan, err := o.Plan(ctx)
			if err != nil {
				return err
			}
			var doomed []topology.Doomed
			if prune {
				if doomed, err = o.Unwanted(ctx); err != nil {
					return err
				}
			}
			if err := s.planned(o.Where, addr, plan, doomed, others); err != nil {
				return err
			}
			if len(plan.Changes) > 0 || deletions(doomed) > 0 {
				return &quiet{ExitChanges}
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&prune, "prune", false, "say also what apply --prune would delete")
	cmd.Flags().BoolVar(&others, "others", false, "say what others have to see to, also when nothing is to be changed")
	cmd.Flags().StringVar(&addr, "aws-addr", worker.DefaultDevAddr, "where to look for a dev worker")
	return cmd
}
