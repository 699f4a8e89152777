package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"time"
)

const (
	// manySlots is ten for each receive loop.
	manySlots = 640
	// work is what the job of a small poller takes.
	work = 2 * time.Millisecond
	// far is how long the way to SQS and back is taken to be.
	far = 15 * time.Millisecond
)

// bench is one run.
type bench struct {
	settings

	stub      *child
	out, errs io.Writer
	table     table
}

// run prints the requests that few slots cost, then the rounds and the table, and ends with the one
// line that says it all.
func (b *bench) run(ctx context.Context) error {
	var idle *idling
	if !b.quick {
		var err error
		if idle, err = startIdling(ctx, b.errs); err != nil {
			return err
		}
	}
	if err := b.fewSlots(ctx, b.round/2); err != nil {
		return err
	}
	fmt.Fprintf(b.out, "\n%d slots, %d receive loops, no-op job; %d rounds of %v each\n", manySlots, loops, b.rounds, b.round)
	e, bare, err := b.compare(ctx, b.round)
	if err != nil {
		return err
	}
	if !b.quick {
		if err := b.figures(ctx, e, bare, idle); err != nil {
			return err
		}
	}
	ratio := e.throughput / bare.throughput
	fmt.Fprintln(b.out)
	fmt.Fprintln(b.out, verdict(ratio, e.cpu/bare.cpu, e.requests))
	if ratio < b.min {
		return fmt.Errorf("throughput is %.2f of bare, less than the %.2f asked for", ratio, b.min)
	}
	return nil
}

// compare measures both sides in alternating rounds and returns the median of each.
func (b *bench) compare(ctx context.Context, round time.Duration) (e, bare figures, err error) {
	fmt.Fprintf(b.out, "%8s  %12s  %12s  %10s  %10s\n", "round", "engine msg/s", "bare msg/s", "engine µs", "bare µs")
	engine := engineSide(plan{slots: manySlots, receivers: loops})
	var engines, bares []figures
	for i := range b.rounds {
		if b.profile != "" && i == b.rounds-1 {
			engine = profiled(engine, b.profile)
			b.profile = ""
		}
		e, bare, err := b.pair(ctx, engine, round, i%2 == 1)
		if err != nil {
			return e, bare, err
		}
		fmt.Fprintf(b.out, "%8d  %12.0f  %12.0f  %10.1f  %10.1f\n", i+1, e.throughput, bare.throughput, e.cpu*1e6, bare.cpu*1e6)
		engines, bares = append(engines, e), append(bares, bare)
	}
	return median(engines), median(bares), nil
}

// pair measures one round of each side. Who is first takes turns: the second finds a warmer machine.
func (b *bench) pair(ctx context.Context, engine side, round time.Duration, bareFirst bool) (e, plain figures, err error) {
	sides := []struct {
		name string
		run  side
		to   *figures
	}{{"engine", engine, &e}, {"bare", bare, &plain}}
	if bareFirst {
		slices.Reverse(sides)
	}
	for _, s := range sides {
		if *s.to, err = measure(ctx, b.stub, s.run, round); err != nil {
			return e, plain, fmt.Errorf("%s: %w", s.name, err)
		}
	}
	return e, plain, nil
}

// verdict is the last line.
func verdict(throughput, cpu, requests float64) string {
	return fmt.Sprintf("throughput %.2f of bare · cpu %.2f of bare · %.3f requests per message", throughput, cpu, requests)
}

// fewSlots shows what a queue with few slots pays: a receive never asks for more than can start.
func (b *bench) fewSlots(ctx context.Context, round time.Duration) error {
	fmt.Fprintf(b.out, "few slots, a job of %v\n", work)
	fmt.Fprintf(b.out, "%8s  %30s  %10s\n", "slots", "requests per message: measured", "floor")
	for _, n := range []int{1, 2, 5, 10} {
		f, err := measure(ctx, b.stub, engineSide(plan{slots: n, work: work}), round)
		if err != nil {
			return fmt.Errorf("%d slots: %w", n, err)
		}
		fmt.Fprintf(b.out, "%8d  %30.3f  %10.3f\n", n, f.requests, leastRequests(n))
	}
	return nil
}

// leastRequests is what a message costs at least: its share of a receive that asks for no more than
// there are slots, and of a delete of ten.
func leastRequests(slots int) float64 {
	return 1/float64(min(mostAtOnce, slots)) + 1.0/mostAtOnce
}
