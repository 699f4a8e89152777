package main

import (
	"context"
	"fmt"
	"io"
	"time"
	"unicode/utf8"
)

// table gathers the figures that are held against a goal.
type table struct{ rows []row }

type row struct {
	figure, goal, measured string
	met                    bool
}

func (t *table) add(figure, goal, measured string, met bool) {
	t.rows = append(t.rows, row{figure, goal, measured, met})
}

func (t *table) write(out io.Writer) {
	pad := func(s string, n int) string { return fmt.Sprintf("%s%*s", s, max(0, n-utf8.RuneCountInString(s)), "") }
	fmt.Fprintf(out, "\n%s  %s  %s\n", pad("figure", 52), pad("goal", 16), "measured")
	for _, r := range t.rows {
		mark := "✓"
		if !r.met {
			mark = "✗"
		}
		fmt.Fprintf(out, "%s  %s  %s %s\n", pad(r.figure, 52), pad(r.goal, 16), mark, r.measured)
	}
}

// figures measures what is left and prints the table.
func (b *bench) figures(ctx context.Context, e, bare figures, idle *idling) error {
	fmt.Fprintf(b.out, "\nthe same, %v away\n", far)
	if err := b.stub.set(ctx, far, full); err != nil {
		return err
	}
	farEngine, farBare, err := b.compare(ctx, b.round*7/10)
	if err != nil {
		return err
	}
	t := &b.table
	ratio, distant := e.throughput/bare.throughput, farEngine.throughput/farBare.throughput
	t.add("throughput ÷ bare", "≥ 1.3, aim 2", fmt.Sprintf("%.2f", ratio), ratio >= 1.3)
	t.add("CPU per message ÷ bare", "≤ 0.8, aim 0.5", fmt.Sprintf("%.2f (%.1f µs, bare %.1f µs)", e.cpu/bare.cpu, e.cpu*1e6, bare.cpu*1e6), e.cpu/bare.cpu <= 0.8)
	t.add(fmt.Sprintf("throughput %v away ÷ bare", far), "≥ 1.6, aim 1.9", fmt.Sprintf("%.2f", distant), distant >= 1.6)
	t.add("requests per message, saturated", "≤ 0.205", fmt.Sprintf("%.4f", e.requests), e.requests <= 0.205)
	for _, more := range []func(context.Context) error{b.trickle, b.latency, b.stopUnderLoad, b.memory, b.allocations} {
		if err := more(ctx); err != nil {
			return err
		}
	}
	if err := b.idle(ctx, idle); err != nil {
		return err
	}
	t.write(b.out)
	return nil
}

// trickleRate is how many messages a second a queue gets that is neither idle nor busy.
const trickleRate = 50

// trickle counts requests where receives cannot be full.
func (b *bench) trickle(ctx context.Context) error {
	if err := b.stub.set(ctx, 0, fmt.Sprint(trickleRate)); err != nil {
		return err
	}
	f, err := measure(ctx, b.stub, engineSide(plan{slots: manySlots}), 3*time.Second)
	if err != nil {
		return fmt.Errorf("trickle: %w", err)
	}
	b.table.add(fmt.Sprintf("requests per message, %d messages a second", trickleRate), "≤ 1.2", fmt.Sprintf("%.2f", f.requests), f.requests <= 1.2)
	return b.stub.set(ctx, 0, full)
}
