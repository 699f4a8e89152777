package leanhttp

import (
	"bytes"
	"fmt"
	"io"
	"strconv"
)

// maxLine bounds a line between chunks: a size with its extensions, or a trailer.
const maxLine = 8 << 10

// readChunks reads a body in chunks and moves them together in the buffer where they came.
func (a *Answer) readChunks(from io.Reader, at int) error {
	body, next := at, at // the body ends, and what is not yet read begins
	for {
		line, after, err := a.line(from, next)
		if err != nil {
			a.broken(at, body, err)
			return nil
		}
		size, err := chunkSize(line)
		if err != nil {
			a.broken(at, body, err)
			return nil
		}
		if size == 0 {
			return a.readTrailer(from, at, body, after)
		}
		if size > maxBody-(body-at) { // their sum may be more than an int holds
			return fmt.Errorf("answer in chunks: must be at most %d bytes", maxBody)
		}
		for len(a.buf) < after+size+1 {
			if err := a.more(from); err != nil {
				body += copy(a.buf[body:], a.buf[after:])
				a.broken(at, body, err)
				return nil
			}
		}
		body += copy(a.buf[body:], a.buf[after:after+size])
		line, next, err = a.line(from, after+size)
		if err == nil && len(line) > 0 {
			err = malformed("a chunk of %d bytes goes on", size)
		}
		if err != nil {
			a.broken(at, body, err)
			return nil
		}
	}
}

// readTrailer passes over what follows the last chunk.
func (a *Answer) readTrailer(from io.Reader, at, body, next int) error {
	for range 64 {
		line, after, err := a.line(from, next)
		if err != nil {
			a.broken(at, body, err)
			return nil
		}
		if len(line) == 0 {
			a.keep = a.keep && after == len(a.buf)
			a.Body = a.buf[at:body:body]
			return nil
		}
		if _, _, err := field(line); err != nil {
			a.broken(at, body, err)
			return nil
		}
		next = after
	}
	a.broken(at, body, malformed("its trailer has no end"))
	return nil
}

// line returns the line that begins at at, and where the next one does.
func (a *Answer) line(from io.Reader, at int) (line []byte, next int, err error) {
	for {
		if i := bytes.IndexByte(a.buf[at:], '\n'); i >= 0 {
			line, ok := bytes.CutSuffix(a.buf[at:at+i], []byte{'\r'})
			if !ok { // who is lenient here can be made to see other chunks than a proxy did
				return nil, 0, malformed("a line between chunks ends without a carriage return")
			}
			return line, at + i + 1, nil
		}
		if len(a.buf)-at > maxLine {
			return nil, 0, malformed("a line between chunks is longer than %d bytes", maxLine)
		}
		if err := a.more(from); err != nil {
			return nil, 0, err
		}
	}
}

func chunkSize(line []byte) (int, error) {
	digits, _, _ := bytes.Cut(line, []byte{';'})
	digits = bytes.TrimRight(digits, " \t")
	size, err := strconv.ParseUint(string(digits), 16, 31)
	if err != nil {
		return 0, malformed("chunk size %.32q", line)
	}
	return int(size), nil
}
