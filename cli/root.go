package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// execute runs the command of s and returns its exit code.
func execute(ctx context.Context, s *state) int {
	root := s.root() //nolint:contextcheck // each command gets the context of its execution
	root.SetArgs(s.args)
	root.SetIn(s.stdin)
	root.SetOut(s.stdout)
	root.SetErr(s.stderr)
	err := root.ExecuteContext(ctx)
	report(s.stderr, s.name, err)
	return exitCode(err)
}

func (s *state) root() *cobra.Command {
	root := s.group("worker", "Run jobs for the messages of SNS topics and SQS queues",
		s.runCommand(), s.devCommand(), s.publishCommand(), s.sendCommand(), s.jobsCommand(),
		s.pauseCommand(), s.resumeCommand(), s.replayCommand(), s.topologyCommand(), s.doctorCommand(), s.iamCommand(), s.schedulesCommand(), s.configCommand(), s.versionCommand())
	root.Long = `Run jobs for the messages of SNS topics and SQS queues.

Start with "worker dev": it brings its own SNS and SQS and needs no account.

Exit codes: 0 done, 1 failed while running, 2 wrong usage or configuration.`
	root.SilenceUsage, root.SilenceErrors = true, true
	root.PersistentFlags().StringVarP(&s.configFile, "config", "c", "", "configuration file (default config.toml, when there is one)")
	root.PersistentFlags().BoolVar(&s.json, "json", false, "print what is printed on standard output as JSON")
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usagef(cmd.CommandPath()+" --help", "%s: %v", cmd.CommandPath(), err)
	})
	if err := root.MarkPersistentFlagFilename("config", "toml"); err != nil {
		panic(err) // the flag is defined above
	}
	return root
}

// typos are the letters that may be wrong in a command for another one to be meant.
const typos = 2

// group is a command that only has commands.
func (s *state) group(use, short string, commands ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{
		Use: use, Short: short,
		Args: known,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(commands...)
	return cmd
}

// known refuses what is no command of a group.
func known(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	fix := cmd.CommandPath() + " --help"
	cmd.SuggestionsMinimumDistance = typos
	if like := cmd.SuggestionsFor(args[0]); len(like) > 0 {
		fix = cmd.CommandPath() + " " + strings.Join(like, ", or "+cmd.CommandPath()+" ")
	}
	return usagef(fix, "%s: unknown command %q", cmd.CommandPath(), args[0])
}

// want checks the number of arguments and names those that are missing.
func want(names ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		fix := cmd.CommandPath() + " --help"
		switch {
		case len(args) < len(names):
			verb := "is"
			if len(names)-len(args) > 1 {
				verb = "are"
			}
			return usagef(fix, "%s: %s %s missing", cmd.CommandPath(), strings.Join(names[len(args):], " and "), verb)
		case len(args) > len(names):
			return usagef(fix, "%s: unexpected argument %q", cmd.CommandPath(), args[len(names)])
		}
		return nil
	}
}

// example indents the lines of an example as cobra prints them.
func example(lines ...string) string {
	return "  " + strings.Join(lines, "\n  ")
}

func (s *state) printf(format string, a ...any) { fmt.Fprintf(s.stdout, format, a...) }

func (s *state) notef(format string, a ...any) { fmt.Fprintf(s.stderr, "worker: "+format+"\n", a...) }
