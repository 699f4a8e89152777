package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
)

// child is the stub's process, seen from its parent.
type child struct {
	cmd      *exec.Cmd
	hold     io.Closer // the pipe whose end ends it
	endpoint string
}

func startStub(ctx context.Context, errs io.Writer) (*child, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("start the stub: %w", err)
	}
	cmd := exec.CommandContext(ctx, self, stubCommand)
	cmd.Stderr = errs
	hold, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("start the stub: %w", err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("start the stub: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the stub: %w", err)
	}
	c := &child{cmd: cmd, hold: hold}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		_ = c.stop() // what it said on standard error is the cause
		return nil, fmt.Errorf("start the stub: read its address: %w", err)
	}
	c.endpoint = strings.TrimSpace(line)
	return c, nil
}

func (c *child) stop() error {
	if err := c.hold.Close(); err != nil {
		return fmt.Errorf("stop the stub: %w", err)
	}
	if err := c.cmd.Wait(); err != nil {
		return fmt.Errorf("stop the stub: %w", err)
	}
	return nil
}

// queueURL is the one queue there is.
func (c *child) queueURL() string { return c.endpoint + "/000000000000/bench" }

func (c *child) counts(ctx context.Context) (counts, error) {
	var now counts
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.endpoint+statsPath, http.NoBody)
	if err != nil {
		return now, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return now, fmt.Errorf("read the stub's counts: %w", err)
	}
	defer response.Body.Close()
	if err := json.NewDecoder(response.Body).Decode(&now); err != nil {
		return now, fmt.Errorf("read the stub's counts: %w", err)
	}
	return now, nil
}
