package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/stationmaster/worker/topology"
	"github.com/stationmaster/worker/worker"
)

// ExitPending is the exit code of an apply that has done everything, and that subscriptions are left of
// which somebody else has to confirm.
const ExitPending = 3

// applyFlags are those of worker topology apply.
type applyFlags struct {
	addr       string
	prune, yes bool
	confirm    time.Duration
}

func (s *state) applyCommand() *cobra.Command {
	var f applyFlags
	cmd := &cobra.Command{
		Use: "apply", Short: "Bring the account to match the configuration",
		Long: `Bring the account to match the configuration, in the order that loses no message:
dead-letter queues, queues and their policies, topics, and the subscriptions last.

Policies are merged: statements of others stay. Nothing is deleted without --prune. Applying
again changes nothing, and goes on where an error or a signal stopped it. On AWS, changed queues
are given a minute to spread before anything is subscribed to them, SQS keeps the name of a deleted
queue for a minute, and HTTP endpoints have two minutes to confirm their subscriptions
(--confirm-wait). What is waited for, and for how long, is told on standard error.

With --prune it then shows what it has made before and the configuration no longer has, and what
that holds, asks, and deletes it: subscriptions first, then queues, then topics. Queues and topics
are known by the tag that [topology] owner gives them: one owner is one configuration of one account.
What somebody else uses by now stays, with the reason. Before a queue goes, SNS and SQS are given a
minute, and it is counted once more: with a message that came in between it is not deleted.
--yes does not ask, and deletes no queue with messages in it.

Exit codes: 0 as configured, 1 failed or interrupted, 2 wrong usage or configuration, 3 as configured
save for subscriptions that wait to be confirmed, and get nothing until then.`,
		Example: example("worker topology apply", "worker topology apply --config production.toml --json", "worker topology apply --prune"),
		Args:    want(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := s.untilSignal(cmd.Context())
			defer stop()
			o, err := worker.OpenOperator(ctx, s.workerOptions(), f.addr)
			if err != nil {
				return err
			}
			if !s.json {
				s.printf("apply to %s\n", o.Where)
			}
			return s.applyTo(ctx, o, &f)
		},
	}
	cmd.Flags().BoolVar(&f.prune, "prune", false, "delete what was made before and is no longer in the configuration, after asking")
	cmd.Flags().BoolVar(&f.yes, "yes", false, "do not ask; delete no queue that holds messages")
	cmd.Flags().DurationVar(&f.confirm, "confirm-wait", worker.ConfirmWithin, "how long HTTP endpoints have to confirm their subscriptions")
	cmd.Flags().StringVar(&f.addr, "aws-addr", worker.DefaultDevAddr, "where to look for a dev worker")
	return cmd
}

func (s *state) applyTo(ctx context.Context, o *worker.Operator, f *applyFlags) error {
	r, err := s.applying(ctx, o, f.confirm, f.addr)
	if err != nil {
		return err
	}
	if err := s.applied(r, o.Errands()); err != nil {
		return err
	}
	if n := countUnconfirmed(r); n > 0 {
		if !s.json {
			s.printf("%s not confirmed within %s, and SNS delivers nothing there:\n", areOf(n, "subscription"), lasting(f.confirm))
			s.unconfirmed(r, f.addr)
		}
		if f.prune {
			s.notef("nothing is deleted before that")
		}
		return &quiet{ExitPending}
	}
	if f.prune {
		return s.prune(ctx, o, f.yes)
	}
	return nil
}

// applying applies the configuration, and tells each change and each wait. What is pending in the end is
// no error of it. A signal that ends it is told with what had been done.
func (s *state) applying(ctx context.Context, o *worker.Operator, confirm time.Duration, addr string) (topology.Result, error) {
	w := &waits{s: s}
	r, err := o.Apply(ctx, confirm, w.step)
	w.end()
	pending := errors.Is(err, topology.ErrPending)
	switch {
	case !errors.Is(err, context.Canceled) && pending:
		return r, nil
	case !errors.Is(err, context.Canceled):
		return r, err
	case pending:
		s.notef("interrupted: all is done, and %s not confirmed yet", areOf(countUnconfirmed(r), "subscription"))
		s.unconfirmed(r, addr)
	default:
		s.notef("interrupted after %s: what is left, and what this has cut, is done by: %s topology apply%s",
			count(len(r.Changed), "change"), s.name, s.there(addr))
	}
	return r, &quiet{ExitFailed}
}

// countUnconfirmed counts the subscriptions whose confirmation is missing, without those of people.
func countUnconfirmed(r topology.Result) (n int) {
	for _, p := range r.Pending {
		if !p.People() {
			n++
		}
	}
	return n
}

// unconfirmed says which subscriptions are pending, and what has to be done.
func (s *state) unconfirmed(r topology.Result, addr string) {
	if s.json {
		return
	}
	served := false
	for _, p := range r.Pending {
		served = served || p.Served
		if !p.People() {
			one := &page{width: s.pageWidth()}
			one.WriteString("? ")
			one.line(len("? "), p.Name+": "+p.Who)
			s.printf("%s", one.String())
		}
	}
	if served {
		s.printf("start the worker:  %s run%s\n", s.name, s.there(""))
	}
	s.printf("then apply again:  %s topology apply%s\n", s.name, s.there(addr))
}

// waitEvery is how often a wait is told to machines.
const waitEvery = 10 * time.Second

// waits tells what is waited for: on one line of standard error that changes while somebody watches, and
// by one line for each wait otherwise.
type waits struct {
	s     *state
	shown bool
	told  string
	at    time.Duration // when the machines were last told
}

// step tells a change, or what is waited for.
func (w *waits) step(c topology.Change) {
	if c.Kind == topology.Waiting {
		w.tell(c)
		return
	}
	w.end()
	w.s.changed(c)
}

func (w *waits) tell(c topology.Change) {
	what := c.Name + ": " + c.What
	began := what != w.told
	w.told = what
	if w.s.json && (began || c.Waited >= w.at+waitEvery) {
		w.at = c.Waited
		_ = w.s.encode(waitOf(c)) // nobody reads
	}
	switch {
	case w.s.terminal:
		line := fmt.Sprintf("  waiting %s of at most %s · %s", lasting(c.Waited.Truncate(time.Second)), lasting(c.AtMost), what)
		fmt.Fprintf(w.s.stderr, "\r\033[K%s", fit(line, w.s.columns-1))
		w.shown = true
	case began && !w.s.json:
		w.s.notef("waiting up to %s · %s", lasting(c.AtMost-c.Waited), what)
	}
}

func (w *waits) end() {
	if w.shown {
		fmt.Fprint(w.s.stderr, "\r\033[K")
		w.shown = false
	}
	w.told = ""
}
