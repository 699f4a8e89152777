package cli

import (
	"github.com/spf13/cobra"

	"github.com/stationmaster/worker/worker"
)

// topics completes the first argument to the topics of the configuration.
func (s *state) topics(_ *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	topics, _, err := worker.Declared(s.workerOptions())
	return first(args, topics, err)
}

// queues completes the first argument to the queues of the configuration.
func (s *state) queues(_ *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	_, queues, err := worker.Declared(s.workerOptions())
	return first(args, queues, err)
}

// first offers names for the first argument, and nothing for a body. A configuration with faults has
// no names: whoever types sees them when the command runs.
func first(args, names []string, err error) ([]cobra.Completion, cobra.ShellCompDirective) {
	if err != nil || len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}
