package cli

import (
	"context"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"regexp"
	"runtime/debug"
	"strings"
	"sync"
	"syscall"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/stationmaster/worker/worker"
)

// state is the process as a value: what a command may see of the operating system.
type state struct {
	name           string // how to call this program again
	args           []string
	environ        []string
	stdin          io.Reader
	stdout, stderr io.Writer
	terminal       bool // stderr is one: somebody reads along
	columns        int  // of the terminal that stdout is; 0 when it is none
	signals        func() (got <-chan os.Signal, stop func())
	options        []worker.Option
	column         column // of what a worker tells while it runs

	// Flags that every command has.
	configFile string
	json       bool
	noPlugins  bool // of the commands that load plugins to look at their jobs
}

// process is the state of the real process.
func process(options []worker.Option) *state {
	built, _ := debug.ReadBuildInfo() // nil without modules
	return &state{
		name:     programName(os.Args[0], built),
		args:     os.Args[1:],
		environ:  os.Environ(),
		stdin:    os.Stdin,
		stdout:   os.Stdout,
		stderr:   os.Stderr,
		terminal: isTerminal(os.Stderr),
		columns:  columnsOf(os.Stdout),
		options:  options,
		signals: func() (<-chan os.Signal, func()) {
			// Three: a drain, its hurry, and the exit; none may be dropped while the others are handled.
			got := make(chan os.Signal, 3)
			signal.Notify(got, os.Interrupt, syscall.SIGTERM)
			return got, func() { signal.Stop(got) }
		},
	}
}

// goRun are the paths of what go run starts: built a moment ago, or kept in the build cache.
var goRun = regexp.MustCompile(`/go-build\d+/b\d+/exe/[^/]+$|/[0-9a-f]{2}/[0-9a-f]{64}-d/[^/]+$`)

// programName is what to type to run this program again: what was typed, and go run again where that
// has started it.
func programName(path string, built *debug.BuildInfo) string {
	if !goRun.MatchString(path) {
		return path
	}
	if built == nil || built.Path == "" {
		return "go run ./cmd/" + path[strings.LastIndexByte(path, '/')+1:]
	}
	below, inside := strings.CutPrefix(built.Path, built.Main.Path)
	if v := built.Main.Version; inside && (v == "" || v == "(devel)") {
		return "go run ." + below
	}
	return "go run " + built.Path
}

func isTerminal(f *os.File) bool {
	about, err := f.Stat()
	return err == nil && about.Mode()&os.ModeCharDevice != 0
}

// columnsOf is the width of a terminal; 0 for everything else.
func columnsOf(f *os.File) int {
	width, _, err := term.GetSize(int(f.Fd()))
	if err != nil {
		return 0
	}
	return width
}

// lookup reads one variable of the environment; the last of several counts.
func (s *state) lookup(name string) (value string, set bool) {
	for _, entry := range s.environ {
		if v, ok := strings.CutPrefix(entry, name+"="); ok {
			value, set = v, true
		}
	}
	return value, set
}

// there are the flags with which another command is about the same configuration and the same account,
// to be written behind it.
func (s *state) there(addr string) string {
	var flags string
	if s.configFile != "" {
		flags += " --config " + shellWord(s.configFile)
	}
	if addr != "" && addr != worker.DefaultDevAddr {
		flags += " --aws-addr " + shellWord(addr)
	}
	return flags
}

// workerOptions are what every command tells package worker.
func (s *state) workerOptions() worker.Options {
	o := worker.Options{
		ConfigFile: s.configFile,
		Environ:    s.environ,
		LogTo:      s.stderr,
		LogText:    s.terminal,
		TextHandler: func(to io.Writer, level slog.Leveler) slog.Handler {
			return &peopleHandler{to: to, level: level, column: &s.column, mu: &sync.Mutex{}}
		},
		Version:   version().Version,
		Flags:     map[string]any{},
		NoPlugins: s.noPlugins,
	}
	for _, adjust := range s.options {
		adjust(&o)
	}
	return o
}

// noPluginsFlag lets a command do without the code of plugins.
func (s *state) noPluginsFlag(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&s.noPlugins, "no-plugins", false, "load no plugins: no foreign code runs, and what is said of jobs that are not compiled in is not checked")
}

// untilSignal returns a context that the first signal ends, for commands that have nothing to drain.
func (s *state) untilSignal(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	got, stop := s.signals()
	go func() {
		select {
		case <-got:
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, func() { stop(); cancel() }
}
