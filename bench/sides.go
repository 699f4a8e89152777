package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"syscall"
	"time"
)

// sideCommand is the argument that makes this program one of the two sides, in a process of its own:
// engine or bare, where the stub is, and how many loops receive.
const sideCommand = "side"

// spent is what a side says of itself at its end.
type spent struct {
	CPU time.Duration `json:"cpu"`
}

// serveSide runs a side until it gets a signal or its standard input is closed.
func serveSide(ctx context.Context, args []string, in io.Reader, out io.Writer) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		_, _ = io.Copy(io.Discard, in)
		cancel()
	}()
	receivers, err := strconv.Atoi(args[2])
	if err != nil {
		return fmt.Errorf("side: loops: %w", err)
	}
	run := bare
	if args[0] == "engine" {
		run = engineSide(plan{slots: manySlots, receivers: receivers, whole: true})
	}
	stub := &child{endpoint: args[1]}
	if err := run(ctx, stub); err != nil {
		return err
	}
	cpu, err := used()
	if err != nil {
		return err
	}
	return json.NewEncoder(out).Encode(spent{CPU: cpu})
}

// idling are an engine and a plain loop with an empty queue each, while everything else is measured.
type idling struct {
	stubs, sides [2]*process
	ends         [2]string
	began        time.Time
}

func startIdling(ctx context.Context, errs io.Writer) (*idling, error) {
	i := &idling{began: time.Now()}
	for n, name := range []string{"engine", "bare"} {
		stub, err := startStub(ctx, errs)
		if err != nil {
			return nil, err
		}
		if err := stub.set(ctx, 0, "0"); err != nil {
			return nil, err
		}
		receivers := 0
		if name == "bare" {
			receivers = loops
		}
		i.stubs[n], i.ends[n] = stub.process, stub.endpoint
		if i.sides[n], err = start(ctx, errs, sideCommand, name, stub.endpoint, strconv.Itoa(receivers)); err != nil {
			return nil, err
		}
	}
	return i, nil
}

// idle waits until two long polls of each have ended, and tells what a minute costs.
func (b *bench) idle(ctx context.Context, i *idling) error {
	const polls = 2
	var perMinute [2]float64
	for n, endpoint := range i.ends {
		var c counts
		for c.Empties < polls {
			var err error
			if c, err = (&child{endpoint: endpoint}).counts(ctx); err != nil {
				return err
			}
			if time.Since(i.began) > 2*time.Minute {
				return errors.New("idle: two long polls did not end in two minutes")
			}
			if c.Empties < polls {
				if err := pause(ctx, 100*time.Millisecond); err != nil {
					return err
				}
			}
		}
		perMinute[n] = float64(c.Empties) / time.Unix(0, c.EmptyAt).Sub(i.began).Minutes()
	}
	took := time.Since(i.began)
	// The side is cut: its open poll would go on for twenty seconds.
	if err := i.sides[0].cmd.Process.Signal(syscall.SIGKILL); err != nil {
		return err
	}
	_ = i.sides[0].cmd.Wait() // killed
	cpu := i.sides[0].cmd.ProcessState.UserTime() + i.sides[0].cmd.ProcessState.SystemTime()
	b.table.add("idle: receives a minute and queue", "≤ 3.1", fmt.Sprintf("%.1f (bare %.0f), %.1f ms of CPU a minute, start included",
		perMinute[0], perMinute[1], float64(cpu)/1e6/took.Minutes()), perMinute[0] <= 3.1)
	errs := []error{i.sides[1].cmd.Process.Kill()}
	_ = i.sides[1].cmd.Wait() // killed
	for _, s := range i.stubs {
		errs = append(errs, s.stop())
	}
	return errors.Join(errs...)
}

// pause waits for d.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// stopUnderLoad ends each side by SIGTERM in the middle of its work and counts what it leaves hidden.
func (b *bench) stopUnderLoad(ctx context.Context) error {
	if err := b.stub.set(ctx, far, full); err != nil {
		return err
	}
	var left [2]int64
	for n, name := range []string{"engine", "bare"} {
		before, err := b.stub.counts(ctx)
		if err != nil {
			return err
		}
		p, err := start(ctx, b.errs, sideCommand, name, b.stub.endpoint, strconv.Itoa(loops))
		if err != nil {
			return err
		}
		if err := pause(ctx, time.Second); err != nil {
			return err
		}
		if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
			return err
		}
		if _, err := io.Copy(io.Discard, p.out); err != nil { // until it has ended
			return err
		}
		if err := p.stop(); err != nil {
			return err
		}
		if err := pause(ctx, 4*far); err != nil { // what the stub has still on its way
			return err
		}
		after, err := b.stub.counts(ctx)
		if err != nil {
			return err
		}
		left[n] = after.less(before).inFlight()
	}
	b.table.add("left in flight at SIGTERM under full load", "0", fmt.Sprintf("%d (bare %d)", left[0], left[1]), left[0] == 0)
	return b.stub.set(ctx, 0, full)
}
