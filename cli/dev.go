package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/stationmaster/worker/worker"
)

func (s *state) devCommand() *cobra.Command {
	var addr string
	var awsOnly, nasty bool
	cmd := &cobra.Command{
		Use: "dev", Short: "Run with an embedded SNS and SQS: no account, nothing to install",
		Long: `Run with an embedded SNS and SQS that fail as silently as AWS does, the topology
applied, and receivers on this machine for what the bundled jobs send: each mail,
webhook and event that arrives is printed.

Everything is in memory and ends with the command. With --nasty changes take up to
a minute to act (filter policies 15), counts lag, short polls miss messages, deleted
messages come again, messages overtake each other, and polls that are given up
still take messages.`,
		Example: example("worker dev", "worker dev --aws-only", "worker dev --nasty", "worker dev break mail", "worker dev mend mail"),
		Args:    known,
	}
	overrides := s.workerFlags(cmd)
	cmd.PersistentFlags().StringVar(&addr, "aws-addr", worker.DefaultDevAddr, "where the embedded SNS and SQS listen")
	cmd.Flags().BoolVar(&awsOnly, "aws-only", false, "only the embedded SNS and SQS, with the topology applied; no worker")
	cmd.Flags().BoolVar(&nasty, "nasty", false, "let the embedded SNS and SQS be as slow and as inexact as AWS may be")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		o := s.workerOptions()
		o.Flags = overrides()
		return s.observed(cmd.Context(), o, func(ctx context.Context, o worker.Options) (err error) {
			dev, err := worker.StartDev(ctx, o, worker.DevOptions{Addr: addr, Nasty: nasty, Arrived: s.arrived()})
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, dev.Close()) }()
			if awsOnly {
				return s.awsOnly(ctx, dev)
			}
			w, err := dev.Worker(ctx)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, w.Close()) }()
			s.column.wideFor(w)
			s.banner(dev.Info(), w)
			if nasty && !s.json {
				s.printf("nasty: the queue policies just set may take a minute to act; what is published before is lost in silence, as on AWS\n")
			}
			return s.supervise(ctx, w)
		})
	}
	cmd.AddCommand(s.tellCommand("break", "Make a receiver of the running dev worker fail", &addr),
		s.tellCommand("mend", "Let a receiver of the running dev worker work again", &addr))
	return cmd
}

// tellCommand is dev break or dev mend.
func (s *state) tellCommand(verb, short string, addr *string) *cobra.Command {
	return &cobra.Command{
		Use: verb + " mail|webhook|analytics", Short: short,
		Example:   example("worker dev " + verb + " mail"),
		ValidArgs: worker.Receivers(),
		Args:      want("mail, webhook or analytics"),
		RunE: func(cmd *cobra.Command, args []string) error {
			err := worker.TellDev(cmd.Context(), *addr, verb, args[0])
			if errors.Is(err, worker.ErrNoDev) {
				return fmt.Errorf("%w: start one with: %s dev", err, s.name)
			}
			if err != nil {
				return usagef("", "dev %s %s: %v", verb, args[0], err)
			}
			if s.json {
				return s.encode(map[string]any{"receiver": args[0], "broken": verb == "break"})
			}
			if verb == "break" {
				s.printf("%s is broken: its jobs fail and are retried until it is mended or their attempts are spent\n", args[0])
			} else {
				s.printf("%s works again\n", args[0])
			}
			return nil
		},
	}
}

func (s *state) awsOnly(ctx context.Context, dev *worker.Dev) error {
	if err := dev.Apply(ctx); err != nil {
		return err
	}
	ctx, stop := s.untilSignal(ctx)
	defer stop()
	if s.json {
		if err := s.encode(dev.Info()); err != nil {
			return err
		}
	} else {
		b := version()
		s.printf("stationmaster worker dev %s(%s) · embedded SNS+SQS on %s · topology applied\n", named(b), b.goRelease(), dev.Info().Endpoint)
		// The SDKs read AWS_REGION, the AWS CLI and boto3 the other one.
		s.printf("use it:  export AWS_ENDPOINT_URL=%s AWS_REGION=%[2]s AWS_DEFAULT_REGION=%[2]s AWS_ACCESS_KEY_ID=local AWS_SECRET_ACCESS_KEY=local\n",
			dev.Info().Endpoint, dev.Info().Region)
	}
	<-ctx.Done()
	return nil
}

// arrived prints a line for each mail, webhook and event, one at a time.
func (s *state) arrived() func(worker.Arrival) {
	var mu sync.Mutex
	return func(a worker.Arrival) {
		mu.Lock()
		defer mu.Unlock()
		if s.json {
			_ = s.encode(map[string]any{"arrived": a.Kind, "id": a.ID, "to": a.To, "summary": a.Summary, "duplicate": a.Duplicate}) // nobody reads
			return
		}
		again := ""
		if a.Duplicate {
			again = "  (again)"
		}
		s.printf("%s  %s  %s · %s%s\n", time.Now().Format(time.TimeOnly), s.column.pad(a.Kind), a.To, a.Summary, again)
	}
}

func named(b build) string {
	if b.Version == "devel" {
		return ""
	}
	return b.Version + " "
}

// banner draws what runs: topics, the queues that they lead to, and what to try.
func (s *state) banner(info worker.DevInfo, w *worker.Worker) {
	stations := w.Stations()
	if s.json {
		_ = s.encode(map[string]any{"endpoint": info.Endpoint, "admin": w.AdminAddr(), "stations": stations, "ingress": w.IngressAddr(), "hooks": w.Hooks()}) // nobody reads
		return
	}
	b := version()
	head := fmt.Sprintf("stationmaster worker dev %s(%s) · embedded SNS+SQS on %s", named(b), b.goRelease(), info.Endpoint)
	if a := w.AdminAddr(); strings.HasPrefix(a, "unix:") {
		head += " · admin " + a
	} else if a != "" {
		head += " · admin http://" + a
	}
	if a := w.IngressAddr(); a != "" {
		head += " · ingress " + a
	}
	s.printf("%s\n", head)
	for _, h := range w.Hooks() { // a path is a station of its own
		stations = append(stations, worker.Station{Queue: h.Path, Job: h.Job, DLQ: strings.Join(h.DLQs, ","), Topics: h.Topics, Slots: h.Slots, State: "served"})
	}
	s.table(lines(stations))
	if topic := firstTopic(stations); topic != "" {
		s.printf("try:  %s publish %s '%s'%s\n", s.name, topic, tryBody(topic), s.tryFlags(topic, info))
	}
}

// tryBody is a message that the jobs of a topic are likely to understand: those that come with the
// worker take invitations, and jobs new writes one that takes an id.
func tryBody(topic string) string {
	if topic == "invitations" {
		return `{"event":"user_invited","email":"ada@example.com"}`
	}
	return `{"id":"42"}`
}

// tryFlags are what publish needs to get a message to this topic of this dev worker.
func (s *state) tryFlags(topic string, info worker.DevInfo) string {
	flags := ""
	if strings.HasSuffix(topic, ".fifo") {
		flags += " --group-id ada --dedup-id 1"
	}
	if at := strings.TrimPrefix(info.Endpoint, "http://"); at != worker.DefaultDevAddr {
		flags += " --aws-addr " + at
	}
	return flags
}

func firstTopic(stations []worker.Station) string {
	for _, st := range stations {
		if len(st.Topics) > 0 {
			return st.Topics[0]
		}
	}
	return ""
}

// lines are the rows of the banner: each topic once, with its queues below.
func lines(stations []worker.Station) [][]string {
	byTopic := map[string][]worker.Station{}
	var order []string
	for _, st := range stations {
		topics := st.Topics
		if len(topics) == 0 {
			topics = []string{""}
		}
		for _, topic := range topics {
			if _, seen := byTopic[topic]; !seen {
				order = append(order, topic)
			}
			byTopic[topic] = append(byTopic[topic], st)
		}
	}
	var rows [][]string
	for _, topic := range order {
		for i, st := range byTopic[topic] {
			name, arrow := "", "├─▶"
			switch {
			case i == 0:
				name, arrow = topic, "──▶"
			case i == len(byTopic[topic])-1:
				arrow = "└─▶"
			}
			if topic == "" {
				arrow = "   "
			}
			rows = append(rows, []string{"  " + name, arrow + " " + st.Queue, st.DLQ, count(st.Slots, "slot"), st.State})
		}
	}
	return rows
}
