package cli

import (
	"github.com/spf13/cobra"

	"github.com/stationmaster/worker/topology"
	"github.com/stationmaster/worker/worker"
)

func (s *state) topologyCommand() *cobra.Command {
	return s.group("topology", "Set up topics, queues, dead-letter queues, permissions and subscriptions", s.applyCommand())
}

func (s *state) applyCommand() *cobra.Command {
	var addr string
	cmd := &cobra.Command{
		Use: "apply", Short: "Bring the account to match the configuration",
		Long: `Bring the account to match the configuration, in the order that loses no message:
dead-letter queues, queues and their policies, topics, and the subscriptions last.

Policies are merged: statements of others stay. Nothing is ever deleted. Applying again
changes nothing, and goes on where an error stopped it. On AWS, changed queues are given
a minute to spread before anything is subscribed to them.`,
		Example: example("worker topology apply", "worker topology apply --config production.toml --json"),
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
			r, err := o.Apply(ctx, s.changed)
			if err != nil {
				return err
			}
			return s.applied(r)
		},
	}
	cmd.Flags().StringVar(&addr, "aws-addr", worker.DefaultDevAddr, "where to look for a dev worker")
	return cmd
}

func (s *state) changed(c topology.Change) {
	if s.json {
		_ = s.encode(map[string]string{"kind": c.Kind, "name": c.Name, "change": c.What}) // nobody reads
		return
	}
	s.printf("  %-12s  %s: %s\n", c.Kind, c.Name, c.What)
}

func (s *state) applied(r topology.Result) error {
	if s.json {
		return s.encode(map[string]int{"changed": len(r.Changed), "unchanged": r.Unchanged})
	}
	if len(r.Changed) == 0 {
		s.printf("nothing to change: %d as configured\n", r.Unchanged)
		return nil
	}
	s.printf("%s, %d unchanged\n", count(len(r.Changed), "change"), r.Unchanged)
	return nil
}
