package cli

import (
	"context"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/stationmaster/worker/doctor"
	"github.com/stationmaster/worker/worker"
)

// doctorFlags are those of worker doctor.
type doctorFlags struct {
	addr, sample             string
	fix, canary, permissions bool
	wait, grace              time.Duration
}

func (s *state) doctorCommand() *cobra.Command {
	var f doctorFlags
	cmd := &cobra.Command{
		Use: "doctor", Short: "Say where a message would get lost, and what mends it",
		Long: `Read everything back, and say where a message would get lost, come twice or cost too much:
what was read, what would happen to a message, and the command that mends it.

It changes nothing and needs read-only permissions: worker iam operator. What it may not read
is unknown, and never right. KMS and CloudWatch are asked when keys are used and on AWS.

--fix applies the configuration (worker topology apply) when that mends anything, and looks again.
--canary sends a real message along each line to a queue of its own, which is deleted again: by
the topic where that gives it to nobody else, else by a copy of the topic. For that the caller
has to create, subscribe and delete queues and topics called stationmaster-canary-….
--sample FILE runs your messages through the filters, written one after the other as objects like
{"body": {"event": "paid"}, "attributes": {"plan": "gold"}}, perhaps with topic, dedup_id and the
queues that must get it (for). Without a topic it may be meant for any: it is a finding when each
of them stops it, and unknown when only some do.

Exit codes: 0 healthy, 3 warnings or something that AWS would not tell, 4 messages would be lost.`,
		Example: example("worker doctor", "worker doctor --fix", "worker doctor --canary --json", "worker doctor --sample message.json", "worker doctor explain D-01"),
		Args:    known,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := s.untilSignal(cmd.Context())
			defer stop()
			return s.doctor(ctx, &f)
		},
	}
	cmd.Flags().BoolVar(&f.fix, "fix", false, "apply the configuration when that mends anything, and look again")
	cmd.Flags().BoolVar(&f.canary, "canary", false, "send a message along each line, to a queue of its own")
	cmd.Flags().DurationVar(&f.wait, "canary-wait", 2*time.Minute, "how long a canary may take")
	cmd.Flags().StringVar(&f.sample, "sample", "", "file with messages as they are published (- for standard input)")
	cmd.Flags().DurationVar(&f.grace, "grace-period", 0, "what a worker has before it is killed: terminationGracePeriodSeconds")
	cmd.Flags().BoolVar(&f.permissions, "permissions", false, "try what the caller may do, who has the worker's role")
	cmd.Flags().StringVar(&f.addr, "aws-addr", worker.DefaultDevAddr, "where to look for a dev worker")
	cmd.AddCommand(s.explainCommand())
	return cmd
}

func (s *state) doctor(ctx context.Context, f *doctorFlags) error {
	samples, err := s.samples(f.sample)
	if err != nil {
		return err
	}
	o, err := worker.OpenOperator(ctx, s.workerOptions(), f.addr)
	if err != nil {
		return err
	}
	look := func(canary bool) (*doctor.Report, error) {
		var one sync.Mutex
		return o.Examine(ctx, worker.Checkup{
			Samples: samples, Grace: f.grace, Permissions: f.permissions, Canary: canary, CanaryWait: f.wait,
			Step: func(text string) {
				one.Lock()
				defer one.Unlock()
				s.notef("canary %s", text)
			},
		})
	}
	r, err := look(f.canary && !f.fix)
	if err != nil {
		return err
	}
	if f.fix {
		if r, err = s.fix(ctx, o, r, f, look); err != nil {
			return err
		}
	}
	if err := s.examined(o.Where, f.addr, r, !f.fix && s.fixable(ctx, o, r)); err != nil {
		return err
	}
	if code := r.ExitCode(); code != doctor.ExitHealthy {
		return &quiet{code}
	}
	return nil
}

// fixable tells whether apply would change something. Where that cannot be read, it may.
func (s *state) fixable(ctx context.Context, o *worker.Operator, r *doctor.Report) bool {
	if s.json || !r.Fixable() {
		return false
	}
	plan, err := o.Plan(ctx)
	return err != nil || len(plan.Changes) > 0
}

// fix applies when that mends anything, and looks again.
func (s *state) fix(ctx context.Context, o *worker.Operator, r *doctor.Report, f *doctorFlags, look func(bool) (*doctor.Report, error)) (*doctor.Report, error) {
	if !r.Fixable() && !f.canary {
		return r, nil
	}
	if r.Fixable() {
		if !s.json {
			if err := s.examined(o.Where, f.addr, r, false); err != nil {
				return nil, err
			}
			s.printf("\nfix: apply the configuration\n")
		}
		_, err := s.applying(ctx, o, worker.ConfirmWithin, f.addr)
		switch {
		case ctx.Err() != nil:
			return nil, err
		case err != nil: // what is left says more than where it stopped
			report(s.stderr, s.name, err)
		}
		if !s.json {
			s.printf("\n")
		}
	}
	return look(f.canary)
}

// samples reads the file of --sample.
func (s *state) samples(name string) ([]doctor.Sample, error) {
	if name == "" {
		return nil, nil
	}
	from := s.stdin
	if name != "-" {
		file, err := os.Open(name)
		if err != nil {
			return nil, usagef("worker doctor --help", "worker doctor: %v", err)
		}
		defer func() { _ = file.Close() }() // it was only read
		from = file
	}
	all, err := doctor.ReadSamples(io.LimitReader(from, mostSamples), name)
	if err != nil {
		return nil, usagef("worker doctor --help", "worker doctor: %v", err)
	}
	return all, nil
}

// mostSamples bounds what is read of a file of samples.
const mostSamples = 64 << 20

func (s *state) explainCommand() *cobra.Command {
	return &cobra.Command{
		Use: "explain [CODE]", Short: "Tell the story of a check, or list all of them",
		Long:    "Tell the story of a check: how it comes about, what becomes of messages, and how it is looked for.\nWithout a code, list all of them.",
		Example: example("worker doctor explain D-01", "worker doctor explain"),
		Args:    cobra.MaximumNArgs(1),
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
			var codes []string
			for _, c := range doctor.Catalogue() {
				codes = append(codes, c.Code+"\t"+c.Title)
			}
			return first(args, codes, nil)
		},
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return s.catalogue()
			}
			c, ok := doctor.Explain(args[0])
			if !ok {
				return usagef("worker doctor explain", "worker doctor explain: there is no check %s", args[0])
			}
			if s.json {
				return s.encode(c)
			}
			p := &page{width: s.pageWidth()}
			p.line(0, c.Code+"  "+c.Title)
			p.line(0, string(c.Severity)+": "+severities[c.Severity]+"; looked for: "+strings.Join(c.How, ", "))
			p.WriteByte('\n')
			p.line(0, c.Story)
			s.printf("%s", p.String())
			return nil
		},
	}
}

func (s *state) catalogue() error {
	if s.json {
		return s.encode(doctor.Catalogue())
	}
	var rows [][]string
	for _, c := range doctor.Catalogue() {
		rows = append(rows, []string{c.Code, string(c.Severity), c.Title, strings.Join(c.How, ", ")})
	}
	s.table(rows)
	return nil
}

// pageWidth is how wide the report is: as the terminal, else as the shell says, else what most have.
func (s *state) pageWidth() int {
	const usual, least = 100, 40
	if s.columns >= least {
		return min(s.columns, usual)
	}
	text, _ := s.lookup("COLUMNS")
	if n, err := strconv.Atoi(text); err == nil && n >= least {
		return n
	}
	return usual
}
