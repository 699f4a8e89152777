package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/stationmaster/worker/internal/awsapi"
	"github.com/stationmaster/worker/internal/awsarn"
	"github.com/stationmaster/worker/internal/pause"
	"github.com/stationmaster/worker/internal/telemetry"
	"github.com/stationmaster/worker/jobs"
	"github.com/stationmaster/worker/poller"
	"github.com/stationmaster/worker/queue"
	"github.com/stationmaster/worker/retry"
	"github.com/stationmaster/worker/topology"
)

const (
	minReopen = 2 * time.Second
	maxReopen = time.Minute
)

// spec is one queue as configured: what to poll, and how.
type spec struct {
	key   string // its name in the configuration
	queue topology.Queue
	// job takes every message; or kinds maps kinds to jobs, and rule says how to read the kind.
	job   string
	kinds map[string]string
	rule  string

	slots, prefetch, receivers       int
	visibility, timeout, grace, wait time.Duration
	retry                            retry.Policy

	fifo, breaker, paused bool
	weight, suspectAfter  int
	rate                  float64
}

// jobNames are the jobs that the queue needs, sorted.
func (s *spec) jobNames() []string {
	if len(s.kinds) == 0 {
		return []string{s.job}
	}
	var names []string
	for _, job := range s.kinds {
		names = append(names, job)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// label is what the queue's job is called where one word must do.
func (s *spec) label() string { return strings.Join(s.jobNames(), ",") }

// station is one queue of a running worker: found, then polled until the drain.
type station struct {
	spec
	w    *Worker
	seen *telemetry.Queue
	log  *slog.Logger

	mu     sync.Mutex
	poller *poller.Poller
	url    string // once it has been found
	hurry  bool
	rest   rest // what an operator asked for before there was a poller

	emptied emptied // used by untilEmpty alone
}

// route finds the job of a message.
func (s *station) route(instances map[string]*jobs.Instance) func(*jobs.Info) (*jobs.Instance, bool) {
	if len(s.kinds) == 0 {
		only := instances[s.job]
		return func(*jobs.Info) (*jobs.Instance, bool) { return only, true }
	}
	return func(m *jobs.Info) (*jobs.Instance, bool) {
		kind, ok := m.Kind(s.rule)
		if !ok {
			return nil, false
		}
		i, ok := instances[s.kinds[kind]]
		return i, ok
	}
}

// run finds the queue, however long that takes, and polls it until the receive context ends. A
// queue that is missing costs the others nothing.
func (s *station) run(receive, handle context.Context) poller.Report {
	for again := minReopen; ; again = min(2*again, maxReopen) {
		p, attributes, err := s.open(receive)
		if err == nil {
			watched, stop := context.WithCancel(receive)
			var watching sync.WaitGroup
			watching.Go(func() { s.watch(watched, attributes) })
			defer watching.Wait()
			defer stop()
			return p.Run(receive, handle)
		}
		if receive.Err() != nil {
			return poller.Report{}
		}
		s.seen.Fail(err)
		s.log.LogAttrs(receive, slog.LevelError, "queue cannot be polled: it is tried again", slog.Any("err", err), slog.Duration("pause", again))
		if pause.For(receive, again) != nil {
			return poller.Report{}
		}
	}
}

// open finds the queue and makes its poller. It returns the queue's attributes, as far as they may be
// read.
func (s *station) open(ctx context.Context) (*poller.Poller, map[string]string, error) {
	url, err := s.find(ctx)
	if err != nil {
		return nil, nil, err
	}
	if err := s.w.verdict.of(ctx, s.queue.Name); err != nil {
		return nil, nil, err
	}
	attributes, err := s.w.api.QueueAttributes(ctx, url)
	if err != nil && !errors.Is(err, queue.ErrDenied) {
		return nil, nil, withFix(err, s.queue)
	}
	visibility := s.visibility
	if visibility == 0 {
		visibility = seconds(attributes["VisibilityTimeout"])
	}
	dead, err := s.deadLetters(ctx, url, attributes)
	if err != nil {
		return nil, nil, err
	}
	q := s.w.api.Queue(url, awsapi.QueueOptions{Visibility: s.visibility})
	p, err := poller.New(poller.Options{
		Name: s.queue.Name, Receiver: q, Settler: q, DeadLetters: dead,
		Route: s.route(s.w.instances), Job: s.label(), Retry: s.retry,
		Slots: s.slots, Prefetch: s.prefetch, Receivers: s.receivers,
		Visibility: visibility, Wait: s.wait, Timeout: s.timeout, UnknownGrace: s.grace,
		FIFO: s.fifo, Budget: s.w.budget, Weight: s.weight, Breaker: s.breaker, Rate: s.rate, Paused: s.paused,
		Suspects: s.suspects(), SuspectAfter: s.suspectAfter,
		CutPolls: s.w.cutPolls, Hooks: s.seen.Hooks(), Build: s.w.o.Version, Host: hostname(),
	})
	if err != nil {
		return nil, nil, err
	}
	s.seen.Attach(telemetry.Source{
		State: p.State, Requests: q.Requests,
		Counts: func(ctx context.Context) (visible, inFlight int64, err error) {
			n, err := s.w.api.QueueCounts(ctx, url)
			return n.Visible + n.Delayed, n.InFlight, err
		},
	})
	s.mu.Lock()
	defer s.mu.Unlock()
	s.poller, s.url = p, url
	if s.hurry {
		p.Hurry()
	}
	s.rest.tell(p)
	return p, attributes, nil
}

// suspects is the lane for messages that may have ended the process before; nil when nobody looks.
func (s *station) suspects() poller.Lane {
	if s.suspectAfter == 0 {
		return nil
	}
	return s.w.suspects
}

// find returns the queue's URL.
func (s *station) find(ctx context.Context) (string, error) {
	url, err := addressOf(ctx, s.w.api, s.queue)
	if err != nil {
		return "", withFix(err, s.queue)
	}
	return url, nil
}

// addressOf returns the URL of a queue as it is declared, and asks SQS where that does not say it.
func addressOf(ctx context.Context, api *awsapi.Client, q topology.Queue) (string, error) {
	if q.URL != "" {
		return q.URL, nil
	}
	name, account := q.Name, ""
	if q.ARN != "" {
		name, account = ofARN(q.ARN)
	}
	return api.QueueURL(ctx, name, account)
}

// rush cuts the open poll.
func (s *station) rush() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hurry = true
	if s.poller != nil {
		s.poller.Hurry()
	}
}

// state is what the poller is doing; false before there is one.
func (s *station) state() (poller.State, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.poller == nil {
		return poller.State{}, false
	}
	return s.poller.State(), true
}

// ofARN returns the name and the account of a queue.
func ofARN(arn string) (name, account string) {
	if a := awsarn.Parse(arn); a.Resource != "" {
		return a.Resource, a.Account
	}
	return arn, ""
}

// withFix adds the way out to an error of finding a queue.
func withFix(err error, q topology.Queue) error {
	switch {
	case errors.Is(err, queue.ErrNotFound) && q.Unmanaged:
		return fmt.Errorf("%w; it is not managed here (manage = false): ask its owner, or correct its name, url or arn", err)
	case errors.Is(err, queue.ErrNotFound):
		return fmt.Errorf("%w; create it with: worker topology apply", err)
	case errors.Is(err, queue.ErrDenied):
		return fmt.Errorf("%w; allow sqs:GetQueueUrl, sqs:GetQueueAttributes, sqs:ReceiveMessage, sqs:DeleteMessage and sqs:ChangeMessageVisibility to this worker's role", err)
	}
	return err
}
