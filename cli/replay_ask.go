package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
)

// mayAsk refuses what would have to ask where nobody can be asked.
func (r *replaying) mayAsk() error {
	if r.s.json && !r.f.yes {
		return usageOf(errors.New("--json cannot ask: say --yes as well"))
	}
	return nil
}

// ask asks on the terminal, and returns the answer in small letters. No answer is the empty one.
func (r *replaying) ask(ctx context.Context, question string) (string, error) {
	r.screen.rest()
	fmt.Fprint(r.s.stderr, strings.TrimRight(wrapped(question, r.s.columns, 0), " "), " ")
	type line struct {
		text string
		err  error
	}
	answered := make(chan line, 1)
	if r.answers == nil {
		r.answers = bufio.NewReader(r.s.stdin)
	}
	go func() { // it stays behind when nobody answers: a read of a terminal cannot be cut
		text, err := r.answers.ReadString('\n')
		answered <- line{text, err}
	}()
	select {
	case <-ctx.Done():
		fmt.Fprintln(r.s.stderr)
		return "", context.Cause(ctx)
	case l := <-answered:
		text := strings.ToLower(strings.TrimSpace(l.text))
		if !r.s.terminal && l.err == nil {
			fmt.Fprintln(r.s.stderr, text) // nobody has typed it here
		}
		if l.err != nil && !errors.Is(l.err, io.EOF) {
			return "", fmt.Errorf("read the answer: %w", l.err)
		}
		if l.err != nil && text == "" {
			fmt.Fprintln(r.s.stderr)
			r.s.notef("nobody answers: without a terminal say --yes")
		}
		return text, nil
	}
}
