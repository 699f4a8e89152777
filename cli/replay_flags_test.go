package cli

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"

	"github.com/stationmaster/worker/dlqreplay"
)

func parsed(t *testing.T, args ...string) (*cobra.Command, *replayFlags) {
	t.Helper()
	cmd := &cobra.Command{Use: "replay-dlq"}
	f := replayFlagsOf(cmd)
	if err := cmd.Flags().Parse(args); err != nil {
		t.Fatal(err)
	}
	return cmd, f
}

func TestFlagsSelectInTheOrderOfTheCommandLine(t *testing.T) {
	_, f := parsed(t, "--group", "a3f9c1", "--not-job", "email", "--unannotated", "--deaths", "<2", "--job", "sms", "--not-where", ".body.test", "--attr", "k=v", "--since", "2h")
	want := dlqreplay.Filter{
		{Key: "group", Value: "a3f9c1"},
		{Key: "job", Value: "email", Not: true},
		{Key: "unannotated"},
		{Key: "deaths", Value: "<2"},
		{Key: "job", Value: "sms"},
		{Key: "where", Value: ".body.test", Not: true},
		{Key: "attr", Value: "k=v"},
		{Key: "since", Value: "2h"},
	}
	if diff := cmp.Diff(want, f.filter); diff != "" {
		t.Error(diff)
	}
}

func TestFlagsOfThePace(t *testing.T) {
	_, f := parsed(t)
	got, err := f.pace()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(usualPace(), got); diff != "" {
		t.Error(diff)
	}
	if n := f.paceFor(got, 20).Canary; n != 0 {
		t.Errorf("a canary of %d for 20 messages", n)
	}
	if n := f.paceFor(got, 21).Canary; n != 5 {
		t.Errorf("a canary of %d for 21 messages", n)
	}
	_, f = parsed(t, "--canary", "3", "--rate", "600/m", "--settle", "0s", "--stop-on-return", "never", "--concurrency", "4", "--ramp", "--max-backlog", "9")
	got, err = f.pace()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(dlqreplay.Pace{Rate: 10, Ramp: true, MaxBacklog: 9, Loops: 4, Canary: 3, StopOnReturn: 1}, f.paceFor(got, 3)); diff != "" {
		t.Error(diff)
	}
	if _, f = parsed(t, "--rate", "max"); f.rate != "max" {
		t.Error(f.rate)
	}
	if got, err = f.pace(); err != nil || got.Rate != 0 {
		t.Errorf("--rate max: %v, %v", got.Rate, err)
	}
}

func TestEveryWrongFlagIsToldAtOnce(t *testing.T) {
	_, f := parsed(t, "--rate", "fast", "--stop-on-return", "120%", "--concurrency", "0", "--limit", "-1", "--expect", "-2", "--settle", "-1s", "--native", "sometimes", "--to", "job:")
	_, err := f.pace()
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{
		`--rate "fast": must be a number above 0 with /s, /m or /h, such as 50/s, or max`,
		`--stop-on-return "120%": must be from 0% to 100%, or never`, `--concurrency "0": must be from 1 to 256, or auto`,
		"--limit -1: must not be negative", "--expect -2: must not be negative", "--settle -1s: must not be negative; 0s does not wait",
		`--native "sometimes": must be auto, always or never`, `--to "job:": must be origin, a queue, or job:NAME`,
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("no %q in\n%v", want, err)
		}
	}
}

func TestFlagsThatDoNothingAreRefused(t *testing.T) {
	for _, row := range []struct {
		verb string
		args []string
		want string
	}{
		{"show", []string{"--rate", "1"}, "--rate does nothing for show"},
		{"", []string{"--delete"}, "--delete does nothing for a plan or a replay"},
		{"export", []string{"--canary", "1", "--job", "email", "--delete"}, "--canary does nothing for export"},
		{"history", []string{"--go"}, "--go does nothing for history"},
	} {
		cmd, f := parsed(t, row.args...)
		if err := f.allowed(cmd, row.verb); err == nil || err.Error() != row.want {
			t.Errorf("%s %v: %v, want %s", row.verb, row.args, err, row.want)
		}
	}
	cmd, f := parsed(t, "--job", "email", "--not-class", "timeout", "--limit", "3", "--go", "--yes", "--settle", time.Second.String())
	if err := f.allowed(cmd, ""); err != nil {
		t.Error(err)
	}
}

func TestArgumentsSayWhatIsToBeDone(t *testing.T) {
	cmd := &cobra.Command{Use: "replay-dlq"}
	for _, row := range []struct {
		args string
		want askedFor
		says string
	}{
		{"", askedFor{}, ""},
		{"orders", askedFor{queue: "orders"}, ""},
		{"orders show m1", askedFor{"orders", "show", "m1"}, ""},
		{"orders discard", askedFor{queue: "orders", verb: "discard"}, ""},
		{"resume r-01", askedFor{verb: "resume", object: "r-01"}, ""},
		{"history", askedFor{verb: "history"}, ""},
		{"show m1", askedFor{}, "replay-dlq: QUEUE is missing before show"},
		{"orders shwo m1", askedFor{}, `replay-dlq: unknown command "shwo"`},
		{"orders show", askedFor{}, "replay-dlq show: ID is missing"},
		{"orders discard now", askedFor{}, `replay-dlq: unexpected argument "now"`},
		{"orders show m1 m2", askedFor{}, `replay-dlq: unexpected argument "m2"`},
	} {
		got, err := readReplayArgs(cmd, strings.Fields(row.args))
		switch {
		case row.says == "" && (err != nil || got != row.want):
			t.Errorf("%s: %+v, %v", row.args, got, err)
		case row.says != "" && (err == nil || err.Error() != row.says):
			t.Errorf("%s: %v, want %s", row.args, err, row.says)
		}
	}
}
