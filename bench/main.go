// Command bench measures the worker's engine against a plain SDK loop, on one stub of SQS that runs in
// a process of its own. It says what the engine costs: leases, slots, batched settling, retries.
//
//	go run ./bench            the whole table, three quarters of a minute; the last line sums up
//	go run ./bench -quick     only what the last line says
//	go run ./bench -min 0.9   the same, and fails below nine tenths of the plain loop
//
//	          ┌─ bench ────────────────────────┐        ┌─ bench stub ─────────────┐
//	round 1   │ engine: poller, awsapi, no-op  │◀──────▶│ ReceiveMessage: always n │
//	round 2   │ bare:   receive 10, delete 10  │  HTTP  │ DeleteMessageBatch: yes  │
//	round 3   │ engine …                       │        │ counts what it is asked  │
//	          └────────────────────────────────┘        └──────────────────────────┘
//
// The rounds alternate, so that a machine that slows down slows both; the result is the ratio of the
// medians.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// Exit codes.
const (
	exitFailed = 1
	exitUsage  = 2
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	switch {
	case err == nil || errors.Is(err, flag.ErrHelp):
	case errors.Is(err, errUsage):
		os.Exit(exitUsage)
	default:
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(exitFailed)
	}
}

var errUsage = errors.New("usage")

// settings are the flags.
type settings struct {
	rounds  int
	round   time.Duration
	min     float64
	quick   bool
	profile string
}

func run(ctx context.Context, args []string, in io.Reader, out, errs io.Writer) error {
	switch {
	case len(args) == 1 && args[0] == stubCommand:
		return serveStub(ctx, in, out)
	case len(args) == 4 && args[0] == sideCommand:
		return serveSide(ctx, args[1:], in, out)
	}
	var s settings
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(errs)
	flags.IntVar(&s.rounds, "rounds", 5, "rounds of each side")
	flags.DurationVar(&s.round, "round", time.Second, "length of one round")
	flags.Float64Var(&s.min, "min", 0, "fail when the throughput is below this part of the plain loop's")
	flags.BoolVar(&s.quick, "quick", false, "measure only what the last line says")
	flags.StringVar(&s.profile, "cpuprofile", "", "write a CPU profile of the engine's last round to this `file`")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return err
		}
		return errUsage // flag has said what is wrong
	}
	if flags.NArg() > 0 || s.rounds < 1 || s.round <= 0 {
		fmt.Fprintln(errs, "bench: takes no arguments, at least one round, and a round of some length")
		flags.Usage()
		return errUsage
	}
	stub, err := startStub(ctx, errs)
	if err != nil {
		return err
	}
	b := &bench{stub: stub, settings: s, out: out, errs: errs}
	return errors.Join(b.run(ctx), stub.stop())
}
