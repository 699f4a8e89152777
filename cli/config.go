package cli

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/stationmaster/worker/worker"
)

func (s *state) configCommand() *cobra.Command {
	check := &cobra.Command{
		Use: "check", Short: "Say everything that is wrong with the configuration, or that nothing is",
		Long: `Say everything that is wrong with the configuration, or that nothing is: also what the
jobs that queues lead to have against their settings. Nothing is started and nobody is
asked, neither AWS nor a server of a job. Plugins are loaded, which runs their code;
with --no-plugins none of it runs, and their jobs and settings are not checked.

Exit codes: 0 no faults, 2 faults.`,
		Example: example("worker config check", "worker config check --config production.toml", "worker config check --no-plugins"),
		Args:    want(),
		RunE: func(*cobra.Command, []string) error {
			c, err := worker.CheckConfig(s.workerOptions())
			if err != nil {
				return err
			}
			if s.json {
				return s.encode(map[string]any{"file": c.File, "topics": c.Topics, "queues": c.Queues, "subscriptions": c.Subscriptions, "schedules": c.Schedules, "warnings": c.Warnings})
			}
			for _, w := range c.Warnings {
				s.notef("%s", w)
			}
			file := c.File
			if file == "" {
				file = "no file"
			}
			has := []string{count(c.Topics, "topic"), count(c.Queues, "queue"), count(c.Subscriptions, "subscription")}
			if c.Schedules > 0 {
				has = append(has, count(c.Schedules, "schedule"))
			}
			s.printf("%s: no faults · %s\n", file, strings.Join(has, " · "))
			return nil
		},
	}
	show := &cobra.Command{
		Use: "show", Short: "Print the effective configuration, and where each value came from",
		Long:    "Print the effective configuration, and where each value came from. Secrets are not shown.",
		Example: example("worker config show", "worker config show --json"),
		Args:    want(),
		RunE: func(*cobra.Command, []string) error {
			settings, err := worker.ShowConfig(s.workerOptions())
			if err != nil {
				return err
			}
			if s.json {
				return s.encode(settings)
			}
			rows := make([][]string, len(settings))
			for i, v := range settings {
				rows[i] = []string{v.Key, v.Value, v.Origin}
			}
			s.table(rows)
			return nil
		},
	}
	s.noPluginsFlag(check)
	s.noPluginsFlag(show)
	return s.group("config", "Check and show the configuration", check, show)
}
