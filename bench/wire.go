package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"
)

const (
	statsPath = "/stats"
	setPath   = "/set"
)

// serveStub is the stub's process: it says where it listens and serves until its standard input, a
// pipe that its parent holds, is closed.
func serveStub(ctx context.Context, in io.Reader, out io.Writer) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("stub: %w", err)
	}
	go func() {
		_, _ = io.Copy(io.Discard, in) // however it ends, the parent is gone
		cancel()
	}()
	context.AfterFunc(ctx, func() { _ = l.Close() })
	fmt.Fprintf(out, "http://%s\n", l.Addr())
	return newStub().serve(l)
}

// serve speaks just enough HTTP/1.1 for the clients of the benchmark: net/http's server would take
// more of the processors than the worker that is measured.
func (s *stub) serve(l net.Listener) error {
	for {
		c, err := l.Accept()
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("stub: %w", err)
		}
		go func() {
			s.connection(c)
			_ = c.Close()
		}()
	}
}

func (s *stub) connection(c net.Conn) {
	in := bufio.NewReaderSize(c, 16<<10)
	var body, out []byte
	for {
		r, err := readRequest(in, body)
		if err != nil {
			return
		}
		body = r.body
		status, answer := "200 OK", s.route(r)
		if answer == nil {
			status, answer = "400 Bad Request", []byte(`{"__type":"com.amazonaws.sqs#UnsupportedOperation"}`)
		}
		out = fmt.Appendf(out[:0], "HTTP/1.1 %s\r\nContent-Type: application/x-amz-json-1.0\r\nContent-Length: %d\r\n\r\n", status, len(answer))
		if _, err := c.Write(append(out, answer...)); err != nil {
			return
		}
	}
}

func (s *stub) route(r request) []byte {
	path, query, _ := strings.Cut(r.path, "?")
	switch path {
	case statsPath:
		answer, err := json.Marshal(s.counts())
		if err != nil {
			return nil
		}
		return answer
	case setPath:
		values, err := url.ParseQuery(query)
		if err != nil {
			return nil
		}
		delay, err := time.ParseDuration(values.Get("delay"))
		if err != nil {
			return nil
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.set(delay, values.Get("rate")) != nil {
			return nil
		}
		return []byte("{}")
	}
	return s.answer(r.target, r.body)
}

// request is what the stub reads of one.
type request struct {
	path, target string
	body         []byte
}

// readRequest reads one request into the room of a body read before.
func readRequest(in *bufio.Reader, room []byte) (r request, err error) {
	line, err := in.ReadSlice('\n')
	if err != nil {
		return r, err
	}
	_, rest, _ := bytes.Cut(line, []byte{' '})
	path, _, _ := bytes.Cut(rest, []byte{' '})
	if r.path = "/"; len(path) > 1 {
		r.path = string(path)
	}
	length := 0
	for {
		line, err := in.ReadSlice('\n')
		if err != nil {
			return r, err
		}
		name, value, more := bytes.Cut(bytes.TrimSpace(line), []byte{':'})
		if !more {
			break
		}
		value = bytes.TrimSpace(value)
		switch {
		case bytes.EqualFold(name, []byte("Content-Length")):
			if length, err = strconv.Atoi(string(value)); err != nil || length < 0 || length > 1<<20 {
				return r, errors.New("bad length")
			}
		case bytes.EqualFold(name, []byte("X-Amz-Target")):
			r.target = string(value)
		}
	}
	if cap(room) < length {
		room = make([]byte, length)
	}
	r.body = room[:length]
	_, err = io.ReadFull(in, r.body)
	return r, err
}
