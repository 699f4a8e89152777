package cli

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/stationmaster/worker/worker"
)

// tellHelp is what pause and resume have in common.
const tellHelp = `

The running worker is found as the configuration says, admin.addr: a port, where it
wants its admin.token (WORKER_ADMIN__TOKEN), or a socket ("unix:/path"), where the
file's owner is let in. Each process has its own pauses: tell each one.

Exit codes: 0 done, 1 no worker answers or it refuses, 2 wrong usage, configuration or queue.`

func (s *state) pauseCommand() *cobra.Command {
	var length time.Duration
	cmd := &cobra.Command{
		Use: "pause QUEUE", Short: "Let a queue of the running worker rest",
		Long: `Let a queue of the running worker rest: it is not polled, the jobs that run go on, and
what waits for its start goes back. No message spends an attempt.` + tellHelp,
		Example: example("worker pause email --for 10m", "worker pause email"),
		Args:    want("QUEUE"), ValidArgsFunction: s.queues,
	}
	overrides := s.adminFlag(cmd)
	cmd.Flags().DurationVar(&length, "for", 0, "for how long, such as 10m (default until it is resumed)")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if cmd.Flags().Changed("for") && length <= 0 {
			return usagef("worker pause "+args[0]+" --for 10m", "worker pause: --for %v: must be more than nothing", length)
		}
		o := s.workerOptions()
		o.Flags = overrides()
		answer, err := worker.PauseQueue(cmd.Context(), o, args[0], length)
		if err != nil {
			return err
		}
		return s.toldQueue(answer)
	}
	return cmd
}

func (s *state) resumeCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "resume QUEUE", Short: "Let a paused queue of the running worker go on",
		Long:    `End every pause of a queue of the running worker, also one of a job or of the breaker.` + tellHelp,
		Example: example("worker resume email"),
		Args:    want("QUEUE"), ValidArgsFunction: s.queues,
	}
	overrides := s.adminFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		o := s.workerOptions()
		o.Flags = overrides()
		answer, err := worker.ResumeQueue(cmd.Context(), o, args[0])
		if err != nil {
			return err
		}
		return s.toldQueue(answer)
	}
	return cmd
}

// adminFlag is the one setting that tells where the running worker is.
func (s *state) adminFlag(cmd *cobra.Command) func() map[string]any {
	cmd.Flags().String("admin-addr", "", "where the running worker listens (default admin.addr)")
	return func() map[string]any {
		if f := cmd.Flags().Lookup("admin-addr"); f.Changed {
			return map[string]any{"admin.addr": f.Value.String()}
		}
		return map[string]any{}
	}
}

// toldQueue says what the queue does now.
func (s *state) toldQueue(p worker.Paused) error {
	if s.json {
		return s.encode(p)
	}
	text := fmt.Sprintf("%s is %s", p.Queue, p.State)
	if p.By != "" {
		text = fmt.Sprintf("%s rests (%s)", p.Queue, p.By)
		if p.Until != nil {
			text += " until " + p.Until.Local().Format(time.DateTime)
		} else {
			text += " until it is resumed"
		}
	}
	s.printf("%s\n", text)
	return nil
}
