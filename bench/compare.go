package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"time"
)

const (
	// manySlots lets every receive loop hold two full receives and more, so that slots are never
	// what is measured.
	manySlots = 640
	// work is what the job of a small poller takes.
	work = 2 * time.Millisecond
)

// compare prints the requests that few slots cost, then the rounds, and ends with the one line that
// says it all.
func compare(ctx context.Context, stub *child, s settings, out io.Writer) error {
	if err := fewSlots(ctx, stub, s.round/2, out); err != nil {
		return err
	}
	fmt.Fprintf(out, "\n%d slots, %d receive loops, no-op job; %d rounds of %v each\n", manySlots, loops, s.rounds, s.round)
	fmt.Fprintf(out, "%8s  %12s  %12s  %10s  %10s\n", "round", "engine msg/s", "bare msg/s", "engine µs", "bare µs")
	engine := engineSide(plan{slots: manySlots, receivers: loops})
	var engines, bares []figures
	for i := range s.rounds {
		if s.profile != "" && i == s.rounds-1 {
			engine = profiled(engine, s.profile)
		}
		e, b, err := pair(ctx, stub, engine, s.round, i%2 == 1)
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "%8d  %12.0f  %12.0f  %10.1f  %10.1f\n", i+1, e.throughput, b.throughput, e.cpu*1e6, b.cpu*1e6)
		engines, bares = append(engines, e), append(bares, b)
	}
	e, b := median(engines), median(bares)
	ratio := e.throughput / b.throughput
	fmt.Fprintln(out)
	fmt.Fprintln(out, verdict(ratio, e.cpu/b.cpu, e.requests))
	if ratio < s.min {
		return fmt.Errorf("throughput is %.2f of bare, less than the %.2f asked for", ratio, s.min)
	}
	return nil
}

// pair measures one round of each side. Who is first takes turns: the second finds a warmer machine.
func pair(ctx context.Context, stub *child, engine side, round time.Duration, bareFirst bool) (e, b figures, err error) {
	sides := []struct {
		name string
		run  side
		to   *figures
	}{{"engine", engine, &e}, {"bare", bare, &b}}
	if bareFirst {
		slices.Reverse(sides)
	}
	for _, s := range sides {
		if *s.to, err = measure(ctx, stub, s.run, round); err != nil {
			return e, b, fmt.Errorf("%s: %w", s.name, err)
		}
	}
	return e, b, nil
}

// verdict is the last line.
func verdict(throughput, cpu, requests float64) string {
	return fmt.Sprintf("throughput %.2f of bare · cpu %.2f of bare · %.3f requests per message", throughput, cpu, requests)
}

// fewSlots shows what a queue with few slots pays: a receive never asks for more than can start.
func fewSlots(ctx context.Context, stub *child, round time.Duration, out io.Writer) error {
	fmt.Fprintf(out, "few slots, a job of %v\n", work)
	fmt.Fprintf(out, "%8s  %30s  %10s\n", "slots", "requests per message: measured", "floor")
	for _, n := range []int{1, 2, 5, 10} {
		f, err := measure(ctx, stub, engineSide(plan{slots: n, work: work}), round)
		if err != nil {
			return fmt.Errorf("%d slots: %w", n, err)
		}
		fmt.Fprintf(out, "%8d  %30.3f  %10.3f\n", n, f.requests, leastRequests(n))
	}
	return nil
}

// leastRequests is what a message costs at least: its share of a receive that asks for no more than
// there are slots, and of a delete of ten.
func leastRequests(slots int) float64 {
	return 1/float64(min(mostAtOnce, slots)) + 1.0/mostAtOnce
}
