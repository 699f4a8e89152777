package cli

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/stationmaster/worker/topology"
	"github.com/stationmaster/worker/worker"
)

func (s *state) iamCommand() *cobra.Command {
	var addr string
	var prune bool
	cmd := &cobra.Command{
		Use: "iam " + strings.Join(topology.Roles(), "|"), Short: "Print the least privilege of a role, for exactly this topology",
		Long: `Print the identity policy of IAM, as JSON, that lets a role do what it does with the topology
of the configuration, and nothing else:

  worker       receives, settles and dead-letters, and verifies what it stands on
  operator     looks at everything and changes nothing: plan and doctor
  canary       the operator who also runs doctor --canary: makes and deletes queues and topics of its own
  replayer     empties dead-letter queues into the queues that they came from
  provisioner  applies the topology; with --prune it may also delete
  publisher    publishes to the topics

A worker whose jobs publish needs publisher as well.`,
		Example:   example("worker iam worker > worker-policy.json", "worker iam provisioner --prune"),
		ValidArgs: topology.Roles(),
		Args:      want("ROLE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, stop := s.untilSignal(cmd.Context())
			defer stop()
			o, err := worker.OpenOperator(ctx, s.workerOptions(), addr)
			if err != nil {
				return err
			}
			policy, err := o.Policy(args[0], prune)
			if err != nil {
				return usagef(cmd.CommandPath()+" --help", "%v", err)
			}
			if n := len(strings.Join(strings.Fields(policy), "")); n > topology.MaxPolicy {
				s.notef("the policy has %d characters, and a managed policy of IAM takes %d: split its statements among several", n, topology.MaxPolicy)
			}
			s.printf("%s", policy)
			return nil
		},
	}
	cmd.Flags().BoolVar(&prune, "prune", false, "let the provisioner delete, too: topology apply --prune")
	cmd.Flags().StringVar(&addr, "aws-addr", worker.DefaultDevAddr, "where to look for a dev worker")
	return cmd
}
