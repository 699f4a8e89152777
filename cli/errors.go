package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
)

// usageError says that the arguments are wrong, and how to write them right.
type usageError struct{ text, fix string }

func (e *usageError) Error() string { return e.text }

// Fix is what to do about it.
func (e *usageError) Fix() string { return e.fix }

// ExitCode is the exit code that the error asks for.
func (e *usageError) ExitCode() int { return ExitUsage }

func usagef(fix, format string, a ...any) error {
	return &usageError{text: fmt.Sprintf(format, a...), fix: fix}
}

// quiet is an exit code whose reason has been printed already.
type quiet struct{ code int }

func (e *quiet) Error() string { return fmt.Sprintf("exit code %d", e.code) }
func (e *quiet) ExitCode() int { return e.code }

// exitCode finds the code that err asks for.
func exitCode(err error) int {
	var coded interface{ ExitCode() int }
	switch {
	case err == nil:
		return ExitDone
	case errors.As(err, &coded):
		return coded.ExitCode()
	}
	return ExitFailed
}

// report prints err: one line for each thing that is wrong, and what to do about it. The name is how
// to call this program again.
func report(w io.Writer, name string, err error) {
	var said *quiet
	if err == nil || errors.As(err, &said) {
		return
	}
	if errors.Is(err, context.Canceled) {
		fmt.Fprintln(w, "worker: interrupted")
		return
	}
	for line := range strings.SplitSeq(err.Error(), "\n") {
		line = strings.TrimSpace(clean(line)) // it may quote a file
		switch {
		case line == "":
		case strings.HasPrefix(line, "worker: "), strings.HasPrefix(line, "worker "): // a command says its path
			fmt.Fprintln(w, line)
		default:
			fmt.Fprintln(w, "worker: "+line)
		}
	}
	var fixed interface{ Fix() string }
	if errors.As(err, &fixed) && fixed.Fix() != "" {
		fix := fixed.Fix()
		if command, ok := strings.CutPrefix(fix, "worker "); ok {
			fix = name + " " + strings.ReplaceAll(command, ", or worker ", ", or "+name+" ")
		}
		fmt.Fprintln(w, "worker: try: "+fix)
	}
}
