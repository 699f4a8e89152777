package cli

import (
	"errors"

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

func (s *state) applyCommand() *cobra.Command {
	var addr string
	var prune, yes bool
	cmd := &cobra.Command{
		Use: "apply", Short: "Bring the account to match the configuration",
		Long: `Bring the account to match the configuration, in the order that loses no message:
dead-letter queues, queues and their policies, topics, and the subscriptions last.

Policies are merged: statements of others stay. Nothing is deleted without --prune. Applying
again changes nothing, and goes on where an error stopped it. On AWS, changed queues are given
a minute to spread before anything is subscribed to them, and HTTP endpoints two minutes to
confirm their subscriptions.

With --prune it then shows what it has made before and the configuration no longer has, and what
that holds, asks, and deletes it: subscriptions first, then queues, then topics. Queues and topics
are known by the tag that [topology] owner gives them: one owner is one configuration of one account.
--yes does not ask, and deletes no queue with messages in it.`,
		Example: example("worker topology apply", "worker topology apply --config production.toml --json", "worker topology apply --prune"),
		Args:    want(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := s.untilSignal(cmd.Context())
			defer stop()
			o, err := worker.OpenOperator(ctx, s.workerOptions(), addr)
			if err != nil {
				return err
			}
			if !s.json {
				s.printf("apply to %s\n", o.Where)
			}
			w := &waits{s: s}
			r, err := o.Apply(ctx, func(c topology.Change) {
				if c.Kind == topology.Waiting {
					w.tell(c.What)
					return
				}
				w.end()
				s.changed(c)
			})
			w.end()
			if err != nil && !errors.Is(err, topology.ErrPending) {
				return err
			}
			err = errors.Join(s.applied(r, o.Errands()), err)
			if prune && err == nil {
				return s.prune(ctx, o, yes)
			}
			return err
		},
	}
	cmd.Flags().BoolVar(&prune, "prune", false, "delete what was made before and is no longer in the configuration, after asking")
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask; delete no queue that holds messages")
	cmd.Flags().StringVar(&addr, "aws-addr", worker.DefaultDevAddr, "where to look for a dev worker")
	return cmd
}
