package cli

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/stationmaster/worker/worker"
)

func (s *state) jobsBuildCommand() *cobra.Command {
	var p worker.PluginOptions
	cmd := &cobra.Command{
		Use: "build FOLDER", Short: "Build a job as a Go plugin, a .so file that a worker loads",
		Long: `Build a job as a Go plugin for this worker, or for the one that --worker names: with its
toolchain and its flags, which the Go runtime demands. Name the file in [plugins] of the
configuration:

  [plugins]
  paths = ["plugins/*.so"]

A plugin is code that runs in the worker, with everything that the worker may do: load only
what you have built yourself, or have from whom you would take the worker itself. It is
loaded at start and never unloaded; a changed file is used after a restart. The first build
takes minutes, since the go command compiles every package anew for plugins.

It needs the go command, a C compiler, and a worker that was built with cgo, on Linux, macOS
or FreeBSD.

Exit codes: 0 built, 1 not, 2 wrong usage.`,
		Example: example("worker jobs build ./jobs/email -o plugins/email.so", "worker jobs build ./jobs/email -o email.so --worker /usr/local/bin/worker"),
		Args:    want("FOLDER"),
		RunE: func(cmd *cobra.Command, args []string) error {
			p.Package, p.Say = folderArgument(args[0]), s.stderr
			ctx, stop := s.untilSignal(cmd.Context())
			defer stop()
			b, err := worker.BuildPlugin(ctx, s.workerOptions(), p)
			if err != nil {
				return err
			}
			for _, d := range b.Differences {
				s.notef("may not fit: %s", d)
			}
			if b.Compiled != "" {
				s.notef("job %s is compiled into this worker already: a worker that is to load the plugin must not import it", b.Compiled)
			}
			if s.json {
				return s.encode(b)
			}
			s.printf("built %s: %s with %s %s\n", b.File, b.Package, b.Go, strings.Join(b.Flags, " "))
			return nil
		},
	}
	cmd.Flags().StringVarP(&p.Out, "output", "o", "", "the file to write (default FOLDER's name and .so, here)")
	cmd.Flags().StringVar(&p.Worker, "worker", "", "the file of the worker that is to load it (default this program)")
	return cmd
}

// folderArgument is a folder as the go command takes it: jobs/email alone would be a package of the
// standard library.
func folderArgument(name string) string {
	if first, _, below := strings.Cut(name, "/"); below && (strings.HasPrefix(name, ".") || name[0] == '/' || strings.Contains(first, ".")) {
		return name
	}
	return "./" + name
}
