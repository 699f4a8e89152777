// Package worker is the daemon: it puts the parts together, starts them, and drains them.
//
//	config ──▶ topology ── verify (AWS) or apply (embedded)
//	   │
//	   ├─────▶ jobs: settings, Provision
//	   ├─────▶ station per queue: awsapi.Queue ──▶ poller ──▶ hooks ──▶ telemetry ──▶ log, /status
//	   └─────▶ schedules: tick ──▶ publish ──▶ a FIFO queue or topic
//
// It knows neither signals nor exit codes: package cli turns the first signal into the end of
// Run's context, the second into Hurry.
package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/stationmaster/worker/internal/awsapi"
	"github.com/stationmaster/worker/internal/config"
	"github.com/stationmaster/worker/internal/telemetry"
	"github.com/stationmaster/worker/jobs"
	"github.com/stationmaster/worker/poller"
	"github.com/stationmaster/worker/publish"
	"github.com/stationmaster/worker/queue"
	"github.com/stationmaster/worker/topology"
)

// Report is what a drain did, over all queues.
type Report = poller.Report

// Worker is a worker that is ready to run. Make it with New, run it once, and Close it.
type Worker struct {
	o       Options
	loaded  *config.Loaded
	log     *slog.Logger
	watch   *telemetry.Telemetry
	api     *awsapi.Client
	account topology.Account
	wanted  topology.Topology

	publisher *publish.Client
	instances map[string]*jobs.Instance
	stations  []*station
	schedules []*scheduled
	missing   map[string]bool // queues that did not exist when the worker was made
	verdict   *verdict        // nil: nobody has looked
	budget    *poller.Budget  // nil: no cap over all queues
	suspects  poller.Lane
	admin     *admin
	hooks     *hooks // nil: no path is served
	endpoints map[string]*telemetry.Endpoint
	endpoint  string // that replaces AWS's; empty: none does
	cutPolls  bool
	drainFor  time.Duration

	reports map[string]Report // by queue, when Run has returned
	hurry   chan time.Duration
	closing sync.Once
	// ends close what was opened, last first.
	ends []func() error
}

// New makes a worker: it reads the configuration, asks AWS who it is, verifies that the queues
// exist, sets up the jobs and binds the admin port. Nothing is received yet. What it opened before
// an error is closed again.
func New(ctx context.Context, o Options) (*Worker, error) {
	o.fill()
	loaded, err := loadToRun(&o)
	if err != nil {
		return nil, err
	}
	w := &Worker{
		o: o, loaded: loaded, instances: map[string]*jobs.Instance{}, hurry: make(chan time.Duration, 1),
		cutPolls: o.embedded && !o.nasty, drainFor: loaded.Config.Worker.DrainTimeout, suspects: poller.NewLane(),
	}
	if n := loaded.Config.Worker.Budget; n > 0 {
		w.budget = poller.NewBudget(n)
	}
	w.log = loggerOf(&o, loaded)
	for _, f := range loaded.Warnings {
		w.log.LogAttrs(ctx, slog.LevelWarn, "configuration", slog.String("err", f.String()))
	}
	w.tellPlugins(ctx)
	steps := []func(context.Context) error{w.observe, w.connect, w.bindIngress, w.lay, w.open, w.openIngress, w.openSchedules, w.listen}
	for _, step := range steps {
		if err := step(ctx); err != nil {
			return nil, errors.Join(err, w.Close())
		}
	}
	return w, nil
}

// observe makes what watches the worker.
func (w *Worker) observe(context.Context) (err error) {
	w.watch, err = telemetry.New(telemetry.Options{Log: w.log, Version: w.o.Version, Metrics: w.o.Metrics})
	if err == nil {
		w.ends = append(w.ends, w.watch.Close)
	}
	return err
}

// connect finds out who and where we are.
func (w *Worker) connect(ctx context.Context) error {
	cfg, err := awsConfig(ctx, &w.o, w.loaded)
	if err != nil {
		return err
	}
	if cfg.BaseEndpoint != nil && !w.o.embedded {
		w.log.LogAttrs(ctx, slog.LevelWarn, "AWS is replaced by another endpoint", slog.String("addr", *cfg.BaseEndpoint))
	}
	w.api = awsapi.New(cfg, awsapi.Options{
		Conns: connections(w.loaded.Config), Standard: w.loaded.Config.Worker.HTTPClient == "standard",
	})
	if cfg.BaseEndpoint != nil {
		w.endpoint = *cfg.BaseEndpoint
	}
	w.account, err = identify(ctx, w.api, cfg)
	return err
}

// lay verifies the topology, or applies it to the embedded server, where nobody else could have.
func (w *Worker) lay(ctx context.Context) error {
	w.wanted = topologyOf(w.loaded.Config)
	if w.o.embedded {
		if err := lay(ctx, w.wanted, w.api, w.account); err != nil {
			return err
		}
	}
	if w.loaded.Config.Worker.Verify == "off" {
		return nil
	}
	if w.o.nasty {
		return nil // what was set a moment ago has not spread, so that all of it would look wrong
	}
	return w.verify(ctx)
}

// open sets up the jobs and the stations that need them.
func (w *Worker) open(ctx context.Context) error {
	w.publisher = publish.New(publish.Options{
		Topics: w.api, Names: topicNames(w.loaded.Config), Queues: w.sender,
		Partition: w.account.Partition, Region: w.account.Region, Account: w.account.ID,
	})
	var faults []error
	openJobs := func(names ...string) {
		for _, name := range names {
			if _, opened := w.instances[name]; opened {
				continue
			}
			i, err := w.openJob(ctx, name, w.publisher)
			if err != nil {
				faults = append(faults, err)
				continue
			}
			w.instances[name] = i
			w.ends = append(w.ends, i.Close)
		}
	}
	for _, s := range w.Hooks() {
		openJobs(s.Job)
	}
	for _, s := range specsOf(w.loaded.Config) {
		openJobs(s.jobNames()...)
		label := s.label()
		w.stations = append(w.stations, &station{
			spec: s, w: w, log: w.log.With("queue", s.queue.Name, "job", label),
			seen: w.watch.Queue(telemetry.QueueOptions{Name: s.queue.Name, Job: label, Slots: s.slots, FIFO: s.fifo}),
		})
	}
	return errors.Join(faults...)
}

// sender finds a queue by its name: one that is declared where the configuration says.
func (w *Worker) sender(ctx context.Context, name string) (queue.Sender, error) {
	wanted := topology.Queue{Name: name}
	for _, q := range w.wanted.Queues {
		if q.Name == name {
			wanted = q
		}
	}
	url, err := addressOf(ctx, w.api, wanted)
	if err != nil {
		return nil, err
	}
	return w.api.Queue(url, awsapi.QueueOptions{}), nil
}

func (w *Worker) openJob(ctx context.Context, name string, lender jobs.Publisher) (*jobs.Instance, error) {
	d, ok := w.o.Jobs.Lookup(name)
	if !ok {
		return nil, fmt.Errorf("job %s: not registered", name) // the configuration was checked for it
	}
	return d.Open(ctx, func(into any) error { return w.loaded.DecodeJob(name, into) },
		&jobs.Env{Job: name, Log: w.log.With("job", name), Publisher: lender}, w.o.Middleware...)
}

func (w *Worker) listen(ctx context.Context) (err error) {
	w.admin, err = listenAdmin(ctx, w.loaded.Config.Admin.Addr, w.routes())
	if err == nil && w.admin != nil {
		w.ends = append(w.ends, w.admin.close)
	}
	return err
}

// Run polls until ctx ends, or the queues are empty if that was asked for, then drains within the
// drain timeout and reports. The error is of what failed while running; a drain that abandoned
// jobs is no error of Run, the report says it.
func (w *Worker) Run(ctx context.Context) (Report, error) {
	receive, stop := context.WithCancel(ctx)
	defer stop()
	handle, kill := context.WithCancelCause(context.WithoutCancel(ctx))
	defer kill(nil)
	w.admin.serve()
	w.watch.SetState("running")

	reports := make([]Report, len(w.stations))
	var running sync.WaitGroup
	for n, s := range w.stations {
		running.Go(func() { reports[n] = s.run(receive, handle) })
	}
	for _, s := range w.schedules {
		running.Go(func() { s.run(receive) })
	}
	var posted Report
	running.Go(func() { posted = w.hooks.run(receive, handle) })
	var emptyErr error
	if w.o.UntilEmpty {
		running.Go(func() { emptyErr = w.untilEmpty(receive); stop() })
	}
	ended := make(chan struct{})
	go func() { running.Wait(); close(ended) }()
	<-receive.Done()
	w.watch.SetState("draining")
	w.drain(ended, kill)
	<-ended
	w.watch.SetState("stopped")
	total := posted
	w.reports = map[string]Report{}
	for n, r := range reports {
		total = total.Add(r)
		w.reports[w.stations[n].queue.Name] = r
	}
	return total, emptyErr
}

// QueueReports are the reports by queue, once Run has returned.
func (w *Worker) QueueReports() map[string]Report { return w.reports }

// drain waits for the stations to end, and cancels the jobs when their time is over.
func (w *Worker) drain(ended <-chan struct{}, kill context.CancelCauseFunc) {
	timer := time.NewTimer(w.drainFor)
	defer timer.Stop()
	for {
		select {
		case <-ended:
			return
		case by := <-w.hurry:
			for _, s := range w.stations {
				s.rush()
			}
			timer.Reset(by)
		case <-timer.C:
			kill(poller.ErrDrain)
			return
		}
	}
}

// Hurry cuts the open polls and gives the jobs only this much longer: the second signal. Before the
// drain has begun it does nothing until it begins.
func (w *Worker) Hurry(by time.Duration) {
	select {
	case w.hurry <- by:
	default:
	}
}

// Close closes what New opened, last first. Only the first call does anything.
func (w *Worker) Close() error {
	var errs []error
	w.closing.Do(func() {
		for _, end := range slices.Backward(w.ends) {
			errs = append(errs, end())
		}
	})
	return errors.Join(errs...)
}

// AdminAddr is where the admin port listens; empty when it is off.
func (w *Worker) AdminAddr() string { return w.admin.addr() }

// DrainTimeout is how long jobs may go on after the first signal.
func (w *Worker) DrainTimeout() time.Duration { return w.drainFor }

// Log returns the worker's logger.
func (w *Worker) Log() *slog.Logger { return w.log }

// CutsPolls reports whether open polls are cut when the drain begins.
func (w *Worker) CutsPolls() bool { return w.cutPolls }

// PollsEnd is when the last open poll returns at the latest; zero when none is open.
func (w *Worker) PollsEnd() (last time.Time) {
	for _, s := range w.stations {
		if state, ok := s.state(); ok && state.PollEnds.After(last) {
			last = state.PollEnds
		}
	}
	return last
}

// Busy is how many messages are being handled.
func (w *Worker) Busy() (n int) {
	for _, s := range w.stations {
		if state, ok := s.state(); ok {
			n += state.Busy
		}
	}
	return n + w.hooks.busy(w.endpoints)
}

// connections are how many a pool keeps: a loop per ten slots and their settling.
func connections(c config.Config) int {
	n := 16
	for _, q := range c.Queues {
		n += q.Slots/5 + 4
	}
	return n
}
