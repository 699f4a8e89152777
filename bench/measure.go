package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"syscall"
	"time"
)

// settling is how long a side runs before it is measured: connections open, the engine's loops grow.
const settling = 300 * time.Millisecond

// side is one of the two that are compared: it takes messages from the stub until its context ends.
type side func(ctx context.Context, stub *child) error

// figures are what one round showed.
type figures struct {
	throughput float64 // messages deleted per second
	cpu        float64 // processor seconds of this process per message
	requests   float64 // per message
}

// measure runs a side for a while in the middle of which it counts: neither its start nor its drain is
// in the figures.
func measure(ctx context.Context, stub *child, run side, length time.Duration) (figures, error) {
	running, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- run(running, stub) }()

	if err := wait(ctx, settling, ended); err != nil {
		return figures{}, err
	}
	before, err := snap(ctx, stub)
	if err != nil {
		return figures{}, err
	}
	if err := wait(ctx, length, ended); err != nil {
		return figures{}, err
	}
	after, err := snap(ctx, stub)
	if err != nil {
		return figures{}, err
	}
	stop()
	if err := <-ended; err != nil {
		return figures{}, err
	}
	return after.since(before)
}

// wait lets a side work for a while; that it ends by itself is a failure.
func wait(ctx context.Context, d time.Duration, ended <-chan error) error {
	select {
	case <-time.After(d):
		return nil
	case err := <-ended:
		return errors.Join(err, errors.New("a side ended before its round did"))
	case <-ctx.Done():
		return ctx.Err()
	}
}

// moment is the state of everything that is counted.
type moment struct {
	at   time.Time
	cpu  time.Duration
	stub counts
}

func snap(ctx context.Context, stub *child) (moment, error) {
	seen, err := stub.counts(ctx)
	if err != nil {
		return moment{}, err
	}
	cpu, err := used()
	return moment{at: time.Now(), cpu: cpu, stub: seen}, err
}

// used is the processor time of this process so far.
func used() (time.Duration, error) {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return 0, fmt.Errorf("getrusage: %w", err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano()), nil
}

func (m moment) since(before moment) (figures, error) {
	d := m.stub.less(before.stub)
	if d.Deleted == 0 || d.Given == 0 {
		return figures{}, errors.New("a side deleted nothing in its round")
	}
	n := float64(d.Deleted)
	return figures{
		throughput: n / m.at.Sub(before.at).Seconds(),
		cpu:        (m.cpu - before.cpu).Seconds() / n,
		// Each kind by the messages of its own: what was received shortly before the end is deleted after it.
		requests: float64(d.Receives)/float64(d.Given) + float64(d.Requests-d.Receives)/n,
	}, nil
}

// median of each figure by itself.
func median(rounds []figures) figures {
	of := func(pick func(figures) float64) float64 {
		values := make([]float64, len(rounds))
		for i, r := range rounds {
			values[i] = pick(r)
		}
		slices.Sort(values)
		middle := len(values) / 2
		if len(values)%2 == 0 {
			return (values[middle-1] + values[middle]) / 2
		}
		return values[middle]
	}
	return figures{
		throughput: of(func(f figures) float64 { return f.throughput }),
		cpu:        of(func(f figures) float64 { return f.cpu }),
		requests:   of(func(f figures) float64 { return f.requests }),
	}
}
