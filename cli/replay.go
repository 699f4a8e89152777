package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/stationmaster/worker/dlqreplay"
	"github.com/stationmaster/worker/queue"
	"github.com/stationmaster/worker/worker"
)

const replayLong = `See what is in a dead-letter queue, grouped by cause, and send back what can succeed now.

QUEUE is a queue or its dead-letter queue: a key of the configuration, a name, an ARN or
a URL. Without it, the dead-letter queues of the configuration are listed.

  replay-dlq QUEUE             the plan: scan, group, say what a replay would do. Sends nothing
  replay-dlq QUEUE --go        scan, show, ask, replay, all while holding the same messages
  replay-dlq QUEUE show ID     one dead letter: why it died, its attributes, its body
  replay-dlq QUEUE run ID      run its job here: success deletes it, anything else releases it unchanged
  replay-dlq QUEUE export FILE copy them into a file (.zst compresses); --delete takes them out of the queue
  replay-dlq QUEUE import FILE put a file back into its dead-letter queue, or send it --to a queue
  replay-dlq QUEUE discard     export into the state directory, then delete
  replay-dlq resume RUN        go on with a run that ended early
  replay-dlq history           the runs of this machine

A scan receives every message once: each receive count grows by one, and nobody else sees
the messages until they are released. Nothing is deleted that was not accepted elsewhere.

Flags of one name are alternatives, those of different names must all hold, and each of
them has an opposite: --not-job, --not-group and so on. What they select is fixed by the
scan; what dies meanwhile is not touched.

A replay sends --canary messages first and waits for --settle whether they come back; more
than --stop-on-return that do end it. --canary 0, --settle 0s and --stop-on-return never
switch that off. Jobs that want to be asked before a replay (jobs.ReplayAsk) are replayed
after a typed yes, or with --job NAME; --yes alone leaves them out.

--native auto lets SQS itself move everything when that is the better tool: more than
10,000 messages, one destination, and nothing selected, bounded, checked or watched
(--canary 0 --settle 0s --check=false --max-deaths 0). It is faster, and can be neither
resumed nor audited.

Journals and plans are kept in $XDG_STATE_HOME/worker/replay (~/.local/state/worker/replay).
The first Ctrl-C finishes what is on its way and releases the rest; the second leaves at once.

Exit codes: 0 everything selected was replayed and stayed away, or the plan was shown ·
1 something failed before anything was done · 2 wrong usage · 3 nothing matched · 4 some
failed, returned, were skipped or are left · 5 stopped by the canary or by the rate of
returns · 6 refused before anything was touched · 130 interrupted (resumable).`

func (s *state) replayCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "replay-dlq [QUEUE] [show ID | run ID | export FILE | import FILE | discard]",
		Short: "See why messages died, and send them back", Long: replayLong,
		Example: example("worker replay-dlq email", "worker replay-dlq email --group a3f9c1 --go",
			"worker replay-dlq email --not-class timeout --since 2h --limit 100 --go --yes", "worker replay-dlq resume r-01jd7x2k"),
		ValidArgsFunction: s.replayArgs,
	}
	f := replayFlagsOf(cmd)
	s.noPluginsFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		asked, err := readReplayArgs(cmd, args)
		if err == nil {
			err = f.allowed(cmd, asked.verb)
		}
		var pace dlqreplay.Pace
		if err == nil {
			pace, err = f.pace()
		}
		if err != nil {
			return usageOf(err)
		}
		r := &replaying{s: s, f: f, asked: asked, pace: pace, now: time.Now()}
		return r.run(cmd.Context())
	}
	return cmd
}

// replayArgs completes queues, then verbs.
func (s *state) replayArgs(_ *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	switch len(args) {
	case 0:
		_, queues, err := worker.Declared(s.workerOptions())
		if err != nil {
			queues = nil
		}
		return append(queues, "resume", "history"), cobra.ShellCompDirectiveNoFileComp
	case 1:
		return []cobra.Completion{"show", "run", "export", "import", "discard"}, cobra.ShellCompDirectiveNoFileComp
	case 2:
		if args[1] == "export" || args[1] == "import" {
			return nil, cobra.ShellCompDirectiveDefault
		}
	}
	return nil, cobra.ShellCompDirectiveNoFileComp
}

// askedFor is what the arguments say.
type askedFor struct{ queue, verb, object string }

// objects are what a verb is done with; "" for nothing.
var objects = map[string]string{
	"show": "ID", "run": "ID", "export": "FILE", "import": "FILE", "discard": "", "resume": "RUN", "history": "",
}

func readReplayArgs(cmd *cobra.Command, args []string) (a askedFor, err error) {
	fix := cmd.CommandPath() + " --help"
	if len(args) > 0 && args[0] != "resume" && args[0] != "history" {
		if _, isVerb := objects[args[0]]; isVerb {
			return a, usagef(cmd.CommandPath()+" QUEUE "+strings.Join(args, " "), "%s: QUEUE is missing before %s", cmd.CommandPath(), args[0])
		}
		a.queue, args = args[0], args[1:]
	}
	if len(args) == 0 {
		return a, nil
	}
	a.verb, args = args[0], args[1:]
	object, known := objects[a.verb]
	switch {
	case !known:
		return a, usagef(fix, "%s: unknown command %q", cmd.CommandPath(), a.verb)
	case object == "" && len(args) > 0, len(args) > 1:
		return a, usagef(fix, "%s: unexpected argument %q", cmd.CommandPath(), args[len(args)-1])
	case object != "" && len(args) == 0:
		return a, usagef(fix, "%s: %s is missing", cmd.CommandPath()+" "+a.verb, object)
	case object != "":
		a.object = args[0]
	}
	return a, nil
}

// usageOf makes a usage error of one that is none yet.
func usageOf(err error) error {
	if err == nil {
		return nil
	}
	if _, already := errors.AsType[*usageError](err); already {
		return err
	}
	return &usageError{text: err.Error(), fix: "worker replay-dlq --help"}
}

// replaying is one call of replay-dlq.
type replaying struct {
	s     *state
	f     *replayFlags
	asked askedFor
	pace  dlqreplay.Pace
	now   time.Time

	store  dlqreplay.Store
	w      *worker.Replay
	screen *screen
	hurry  <-chan struct{}
	// answers is standard input, once something was asked.
	answers *bufio.Reader
}

func (r *replaying) run(ctx context.Context) (err error) {
	if r.store.Dir, err = r.s.stateDir(); err != nil {
		return err
	}
	defer r.s.frugal()()
	ctx, hurry, end := r.s.twoSignals(ctx, r.interrupted)
	defer end()
	r.hurry = hurry
	r.screen = &screen{
		out: r.s.stdout, live: r.s.stderr, bar: r.s.terminal, quiet: r.f.quiet, width: r.s.columns, verb: "replay",
	}
	if r.s.json {
		r.screen.json = r.s.encode
	}
	switch {
	case r.asked.verb == "history":
		return r.history()
	case r.f.iam:
		return r.permissions(ctx)
	case r.asked.verb == "resume":
		return r.resume(ctx)
	case r.asked.queue == "":
		return r.list(ctx)
	}
	err = r.opened(ctx)
	if r.w != nil {
		err = errors.Join(err, r.w.Close())
	}
	return r.ended(ctx, err)
}

// opened does what was asked of the queue.
func (r *replaying) opened(ctx context.Context) (err error) {
	if err := r.open(ctx, worker.ReplayOptions{Queue: r.asked.queue, To: r.f.to, Foreign: r.f.foreign, DevAddr: r.f.addr}); err != nil {
		return err
	}
	switch r.asked.verb {
	case "show":
		return r.show(ctx)
	case "run":
		return r.runHere(ctx)
	case "export":
		return r.export(ctx)
	case "import":
		return r.importFile(ctx)
	case "discard":
		return r.discard(ctx)
	}
	if r.f.goAhead {
		return r.replay(ctx)
	}
	return r.plan(ctx)
}

func (r *replaying) open(ctx context.Context, o worker.ReplayOptions) (err error) {
	if r.w, err = worker.OpenReplay(ctx, r.s.workerOptions(), o); err != nil {
		return err
	}
	r.screen.dlq = r.w.DLQ.Name
	return nil
}

// ended gives an error the exit code that it asks for: what was interrupted before a run has begun has no
// report to say so.
func (r *replaying) ended(ctx context.Context, err error) error {
	r.screen.rest()
	var said *quiet
	switch {
	case err == nil || errors.As(err, &said):
		return err
	case ctx.Err() != nil && errors.Is(err, context.Canceled):
		r.screen.must("Interrupted: nothing was sent.")
		return &quiet{exitSignal}
	case errors.Is(err, queue.ErrDenied):
		return &coded{fmt.Errorf("%w; %s tells what is needed", err, "--print-iam"), exitRefused}
	}
	return err
}

// coded is an error with an exit code.
type coded struct {
	error
	code int
}

func (c *coded) ExitCode() int { return c.code }
func (c *coded) Unwrap() error { return c.error }

// interrupted says what the first signal does, and the second.
func (r *replaying) interrupted(n int) {
	if n == 1 {
		r.s.notef("interrupted: finishing what is on its way, releasing the rest · again to leave at once")
	}
}

// frugally is how much memory a replay takes before it collects its garbage at once, not when its heap has
// doubled: what a scan holds at most fits in, and it may run beside a worker.
const frugally = 224 << 20

// frugal sets that until its answer is called, unless the environment says something else.
func (s *state) frugal() (end func()) {
	for _, name := range []string{"GOGC", "GOMEMLIMIT"} {
		if _, set := s.lookup(name); set {
			return func() {}
		}
	}
	before := debug.SetMemoryLimit(frugally)
	return func() { debug.SetMemoryLimit(before) }
}

// stateDir is where journals and plans are kept.
func (s *state) stateDir() (string, error) {
	if dir, _ := s.lookup("XDG_STATE_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "worker", "replay"), nil
	}
	home, _ := s.lookup("HOME")
	if home == "" {
		return "", usagef("", "neither XDG_STATE_HOME nor HOME says where the journals of replays are kept: set one of them")
	}
	return filepath.Join(home, ".local", "state", "worker", "replay"), nil
}

// twoSignals returns a context that the first signal ends, and a channel that the second one closes.
func (s *state) twoSignals(ctx context.Context, told func(n int)) (work context.Context, hurry <-chan struct{}, end func()) {
	work, cancel := context.WithCancel(ctx)
	closing := make(chan struct{})
	got, stop := s.signals()
	done := make(chan struct{})
	go func() {
		for n := 1; ; n++ {
			select {
			case <-got:
			case <-done:
				return
			}
			told(n)
			switch n {
			case 1:
				cancel()
			case 2:
				close(closing)
			}
		}
	}()
	return work, closing, func() { stop(); close(done); cancel() }
}

// again is how to call this for the same queue: the program, the command and the flags that were given.
func (r *replaying) again(flags ...string) []string {
	words := []string{r.s.name, "replay-dlq", shellWord(r.asked.queue)}
	if r.s.configFile != "" {
		words = append(words, "--config", shellWord(r.s.configFile))
	}
	for _, t := range r.f.filter {
		words = append(words, t.String())
	}
	return append(words, flags...)
}

// command writes a command of this program about a run.
func (r *replaying) command(words ...string) string {
	return strings.Join(append([]string{r.s.name, "replay-dlq"}, words...), " ") + r.s.there(r.f.addr)
}

// home shortens a path below the user's folder.
func (r *replaying) home(path string) string {
	home, _ := r.s.lookup("HOME")
	if below, ok := strings.CutPrefix(path, home+string(os.PathSeparator)); ok && home != "" {
		return "~/" + below
	}
	return path
}
