package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"time"
)

// process is a child of this program that ends when its standard input does.
type process struct {
	cmd  *exec.Cmd
	hold io.Closer
	out  *bufio.Reader
}

// start runs this program again with other arguments.
func start(ctx context.Context, errs io.Writer, args ...string) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", args[0], err)
	}
	cmd := exec.CommandContext(ctx, self, args...)
	cmd.Stderr = errs
	hold, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", args[0], err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", args[0], err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", args[0], err)
	}
	return &process{cmd: cmd, hold: hold, out: bufio.NewReader(out)}, nil
}

func (p *process) stop() error {
	if err := errors.Join(p.hold.Close(), p.cmd.Wait()); err != nil {
		return fmt.Errorf("stop %s: %w", p.cmd.Args[1], err)
	}
	return nil
}

// child is the stub's process, seen from its parent.
type child struct {
	*process
	endpoint string
}

func startStub(ctx context.Context, errs io.Writer) (*child, error) {
	p, err := start(ctx, errs, stubCommand)
	if err != nil {
		return nil, err
	}
	line, err := p.out.ReadString('\n')
	if err != nil {
		_ = p.stop() // what it said on standard error is the cause
		return nil, fmt.Errorf("start the stub: read its address: %w", err)
	}
	return &child{process: p, endpoint: strings.TrimSpace(line)}, nil
}

// queueURL is the one queue there is.
func (c *child) queueURL() string { return c.endpoint + "/000000000000/bench" }

func (c *child) counts(ctx context.Context) (now counts, err error) {
	err = c.ask(ctx, statsPath, &now)
	return now, err
}

// set changes how far the stub is away and what comes to its queue.
func (c *child) set(ctx context.Context, delay time.Duration, rate string) error {
	return c.ask(ctx, setPath+"?delay="+delay.String()+"&rate="+rate, new(struct{}))
}

func (c *child) ask(ctx context.Context, path string, into any) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.endpoint+path, http.NoBody)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("ask the stub: %w", err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("ask the stub for %s: status %d", path, response.StatusCode)
	}
	if err := json.NewDecoder(response.Body).Decode(into); err != nil {
		return fmt.Errorf("ask the stub: %w", err)
	}
	return nil
}
