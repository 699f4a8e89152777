package cli

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/spf13/cobra"

	"github.com/stationmaster/worker/internal/telemetry"
	"github.com/stationmaster/worker/worker"
)

// telemetryFlush bounds the last export.
const telemetryFlush = 5 * time.Second

func (s *state) runCommand() *cobra.Command {
	var untilEmpty bool
	cmd := &cobra.Command{
		Use: "run", Short: "Poll the queues and run their jobs until a signal ends it",
		Long: `Poll the queues and run their jobs until a signal ends it.

At the first SIGTERM or SIGINT it stops receiving, lets the running jobs end within
worker.drain_timeout, and settles what they answered. The second signal cuts that
short, the third exits at once. Then it reports in one line what it finished, handed
back, dead-lettered and had to leave; with --json the report is an object on standard
output, with the same counts for each queue under "queues".

Exit codes: 0 done, 1 something failed or a job was abandoned, 2 wrong usage or configuration.`,
		Example: example("worker run", "worker run --until-empty", "worker run --admin-addr 0.0.0.0:8080"),
		Args:    want(),
	}
	overrides := s.workerFlags(cmd)
	cmd.Flags().BoolVar(&untilEmpty, "until-empty", false, "end when every queue is empty: two empty long polls, nothing running, counts at zero")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		o := s.workerOptions()
		o.Flags, o.UntilEmpty = overrides(), untilEmpty
		return s.observed(cmd.Context(), o, func(ctx context.Context, o worker.Options) (err error) {
			w, err := worker.New(ctx, o)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, w.Close()) }()
			s.column.wideFor(w)
			w.Log().LogAttrs(ctx, slog.LevelInfo, "running", slog.String("version", o.Version), slog.String("addr", w.AdminAddr()))
			return s.supervise(ctx, w)
		})
	}
	return cmd
}

// workerFlags are the settings that a flag can change; what was not given changes nothing.
func (s *state) workerFlags(cmd *cobra.Command) func() map[string]any {
	keys := map[string]string{"admin-addr": "admin.addr", "drain-timeout": "worker.drain_timeout", "log-level": "worker.log_level"}
	cmd.Flags().String("admin-addr", "", "where /livez, /readyz, /status and /metrics listen (off for nowhere)")
	cmd.Flags().String("drain-timeout", "", "how long running jobs may go on after the first signal")
	cmd.Flags().String("log-level", "", "debug, info, warn or error")
	return func() map[string]any {
		given := map[string]any{}
		for flag, key := range keys {
			if f := cmd.Flags().Lookup(flag); f.Changed {
				given[key] = f.Value.String()
			}
		}
		return given
	}
}

// observed runs something with OpenTelemetry's SDK installed, as far as the environment asks for it.
func (s *state) observed(ctx context.Context, o worker.Options, do func(context.Context, worker.Options) error) error {
	scrape, shutdown, err := telemetry.Setup(ctx, telemetry.SetupOptions{
		Lookup: s.lookup, Version: o.Version, Log: slog.New(slog.NewTextHandler(s.stderr, nil)),
	})
	if err == nil {
		o.Metrics = scrape
		err = do(ctx, o)
	}
	flush, cancel := context.WithTimeout(context.WithoutCancel(ctx), telemetryFlush)
	defer cancel()
	return errors.Join(err, shutdown(flush))
}
