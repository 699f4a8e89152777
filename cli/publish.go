package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/stationmaster/worker/queue"
	"github.com/stationmaster/worker/worker"
)

// publishers is how many requests a --count has open at once.
const publishers = 16

// message are the flags of what publish and send put in.
type message struct {
	attributes      []string
	groupID, dedup  string
	count           int
	delay           time.Duration
	addr            string
	command, object string
}

func (s *state) publishCommand() *cobra.Command {
	return s.putCommand("publish", "topic", "Publish a message to a topic",
		example(`worker publish invitations '{"event":"user_invited","email":"ada@example.com"}'`,
			`worker publish invitations - --attr plan=gold < body.json`),
		s.topics,
		func(ctx context.Context, o *worker.Operator, to string, m queue.Message) (string, error) {
			return o.Publish(ctx, to, m)
		})
}

func (s *state) sendCommand() *cobra.Command {
	return s.putCommand("send", "queue", "Send a message to a queue, past every topic",
		example(`worker send email '{"event":"user_invited","email":"ada@example.com"}'`, `worker send email - < body.json`),
		s.queues,
		func(ctx context.Context, o *worker.Operator, to string, m queue.Message) (string, error) {
			return o.Send(ctx, to, m)
		})
}

type put func(ctx context.Context, o *worker.Operator, to string, m queue.Message) (id string, err error)

func (s *state) putCommand(verb, object, short, examples string, complete cobra.CompletionFunc, do put) *cobra.Command {
	m := message{command: verb, object: object}
	cmd := &cobra.Command{
		Use: verb + " " + strings.ToUpper(object) + " BODY", Short: short,
		Long: short + `. BODY "-" is standard input.

When no variable and no setting says which AWS is meant and "worker dev" runs on this
machine, the message goes to its embedded SNS and SQS.`,
		Example: examples, Args: want(strings.ToUpper(object), "BODY"), ValidArgsFunction: complete,
	}
	f := cmd.Flags()
	f.StringArrayVar(&m.attributes, "attr", nil, "a message attribute `name=value`, type String; may be repeated")
	f.StringVar(&m.groupID, "group-id", "", "the MessageGroupId: FIFO needs one")
	f.StringVar(&m.dedup, "dedup-id", "", "the MessageDeduplicationId (FIFO); with --count each has its number behind it")
	f.DurationVar(&m.delay, "delay", 0, "start it no sooner than in `duration`, at most 12h; not on FIFO")
	f.IntVar(&m.count, "count", 1, "how many times")
	f.StringVar(&m.addr, "aws-addr", worker.DefaultDevAddr, "where to look for a dev worker")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		ctx, stop := s.untilSignal(cmd.Context())
		defer stop()
		return s.put(ctx, &m, args[0], args[1], do)
	}
	return cmd
}

func (s *state) put(ctx context.Context, m *message, to, body string, do put) error {
	if m.count < 1 {
		return usagef("", "worker %s: --count %d: must be at least 1", m.command, m.count)
	}
	if m.delay < 0 || m.delay > queue.MaxHeld {
		return usagef("--delay 2h", "worker %s: --delay %v: must be between 0s and %v, for which SQS hides a message", m.command, m.delay, queue.MaxHeld)
	}
	filled, err := s.fill(m, body)
	if err != nil {
		return err
	}
	o, err := worker.OpenOperator(ctx, s.workerOptions(), m.addr)
	if err != nil {
		return err
	}
	if m.count == 1 {
		id, err := do(ctx, o, to, filled)
		if err != nil {
			return withFlag(err, filled)
		}
		return s.said(m, to, id, 1, o.Where)
	}
	return s.putMany(ctx, m, o, to, filled, do)
}

// putMany puts the message in many times, with progress for whoever watches.
func (s *state) putMany(ctx context.Context, m *message, o *worker.Operator, to string, filled queue.Message, do put) error {
	bar := s.progress(m.command+" "+to, m.count)
	defer bar.end()
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(publishers)
	for n := range m.count {
		one := filled
		if m.dedup != "" {
			one.DeduplicationID = fmt.Sprintf("%s-%d", m.dedup, n+1) // or all but the first would be taken for copies
		}
		group.Go(func() error {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			if _, err := do(ctx, o, to, one); err != nil {
				return withFlag(err, one)
			}
			bar.step()
			return nil
		})
	}
	err := group.Wait()
	bar.end()
	if err != nil {
		return fmt.Errorf("%w: %d of %d were accepted", err, bar.count(), m.count)
	}
	return s.said(m, to, "", m.count, o.Where)
}

// withFlag adds the flag that a FIFO queue or topic asked for.
func withFlag(err error, m queue.Message) error {
	switch text := err.Error(); {
	case !errors.Is(err, queue.ErrRejected):
	case m.GroupID == "" && strings.Contains(text, "MessageGroupId"):
		return fmt.Errorf("%w; give it with --group-id", err)
	case m.DeduplicationID == "" && strings.Contains(text, "MessageDeduplicationId"):
		return fmt.Errorf("%w; give it with --dedup-id", err)
	}
	return err
}

func (s *state) said(m *message, to, id string, n int, where string) error {
	if s.json {
		out := map[string]any{m.object: to, "count": n, "where": where}
		if id != "" {
			out["message_id"] = id
		}
		return s.encode(out)
	}
	past := map[string]string{"publish": "published", "send": "sent"}[m.command]
	if id != "" {
		s.printf("%s %s to %s · %s\n", past, id, to, where)
		return nil
	}
	s.printf("%s %s to %s · %s\n", past, count(n, "message"), to, where)
	return nil
}

// fill makes the message of the flags and the body.
func (s *state) fill(m *message, body string) (queue.Message, error) {
	if body == "-" {
		text, err := io.ReadAll(io.LimitReader(s.stdin, queue.MaxBytes+1))
		if err != nil {
			return queue.Message{}, fmt.Errorf("read standard input: %w", err)
		}
		body = strings.TrimSuffix(string(text), "\n")
	}
	filled := queue.Message{Body: body, GroupID: m.groupID, DeduplicationID: m.dedup, Delay: m.delay}
	for _, text := range m.attributes {
		name, value, ok := strings.Cut(text, "=")
		if !ok || name == "" {
			return filled, usagef("--attr plan=gold", "worker %s: --attr %q: must be name=value", m.command, text)
		}
		if filled.Attributes == nil {
			filled.Attributes = map[string]queue.Attribute{}
		}
		filled.Attributes[name] = queue.Attribute{Type: "String", Text: value}
	}
	return filled, nil
}
