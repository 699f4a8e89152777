package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime/pprof"
	"sync/atomic"
	"time"

	"github.com/stationmaster/worker/internal/awsapi"
	"github.com/stationmaster/worker/internal/gcpace"
	"github.com/stationmaster/worker/internal/telemetry"
	"github.com/stationmaster/worker/jobs"
	"github.com/stationmaster/worker/poller"
	"github.com/stationmaster/worker/queue"
)

// jobName is the one job of the benchmark.
const jobName = "bench"

// lease is long beside a round: beats are not what is measured.
const lease = time.Minute

// plan is how the engine is set up for a round.
type plan struct {
	slots     int
	receivers int // 0: as the engine likes
	work      time.Duration
	// whole: at the end the open polls are waited for, as on AWS, where what a cut one brings would
	// stay hidden.
	whole bool
}

// worked is what the job of the running round takes: there is one registry, so there is one job.
var worked atomic.Int64

func init() {
	// The body is taken as it is: the plain loop reads nothing either.
	jobs.Register(jobName, func(ctx context.Context, _ *jobs.Message[json.RawMessage]) error {
		if gate := held.Load(); gate != nil {
			crowding.Add(1)
			<-*gate
			return nil
		}
		work := time.Duration(worked.Load())
		if work == 0 {
			return nil
		}
		select {
		case <-time.After(work):
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	})
}

// engineSide is what the daemon runs for one queue: the engine on its clients, observed.
func engineSide(p plan) side {
	return func(ctx context.Context, stub *child) error {
		handle, cancel := context.WithCancel(context.WithoutCancel(ctx))
		defer cancel()
		worked.Store(int64(p.work))
		job, err := open(handle)
		if err != nil {
			return err
		}
		defer gcpace.Start(os.LookupEnv, os.DirFS("/"))()
		api := awsapi.New(config(stub.endpoint), awsapi.Options{})
		q := api.Queue(stub.queueURL(), awsapi.QueueOptions{Visibility: lease})
		engine, err := newEngine(p, q, q, job)
		if err != nil {
			return err
		}
		report := engine.Run(ctx, handle)
		if err := job.Close(); err != nil {
			return err
		}
		if report.Abandoned > 0 || report.Uncertain > 0 {
			return fmt.Errorf("engine: drain: %d abandoned, %d uncertain", report.Abandoned, report.Uncertain)
		}
		return nil
	}
}

// newEngine is what the daemon makes of a queue: its poller, observed.
func newEngine(p plan, r queue.Receiver, s queue.Settler, job *jobs.Instance) (*poller.Poller, error) {
	observer, err := telemetry.New(telemetry.Options{})
	if err != nil {
		return nil, err
	}
	return poller.New(poller.Options{
		Name:       jobName,
		Receiver:   r,
		Settler:    s,
		Job:        jobName,
		Route:      func(*jobs.Info) (*jobs.Instance, bool) { return job, true },
		Slots:      p.slots,
		Receivers:  p.receivers,
		Visibility: lease,
		CutPolls:   !p.whole,
		Hooks:      observer.Queue(telemetry.QueueOptions{Name: jobName, Job: jobName, Slots: p.slots}).Hooks(),
	})
}

func open(ctx context.Context) (*jobs.Instance, error) {
	definition, ok := jobs.Default().Lookup(jobName)
	if !ok {
		return nil, fmt.Errorf("job %s: not registered", jobName)
	}
	return definition.Open(ctx, func(any) error { return nil }, &jobs.Env{})
}

// profiled writes a CPU profile of what a side does to a file.
func profiled(run side, file string) side {
	return func(ctx context.Context, stub *child) (err error) {
		f, err := os.Create(file)
		if err != nil {
			return fmt.Errorf("profile: %w", err)
		}
		defer func() { err = errors.Join(err, f.Close()) }()
		if err := pprof.StartCPUProfile(f); err != nil {
			return fmt.Errorf("profile: %w", err)
		}
		defer pprof.StopCPUProfile()
		return run(ctx, stub)
	}
}
