package journal

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
)

const (
	sealHead = `,"crc":"`
	sealTail = `"}`
	sealSize = len(sealHead) + 8 + len(sealTail)
	// maxLine bounds one line: a message of 1 MiB whose bytes are all written as \u00xx, six times.
	maxLine = 32 << 20
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// ErrTorn says that a file ends inside a line, as a crash in the middle of a write leaves it.
var ErrTorn = errors.New("ends inside a line")

// DamagedError is a line that is not what was written.
type DamagedError struct {
	Line int
	Why  string
}

func (e *DamagedError) Error() string { return fmt.Sprintf("line %d: %s", e.Line, e.Why) }

func sealable(line []byte) error {
	if len(line) < 3 || line[0] != '{' || line[len(line)-1] != '}' || bytes.IndexByte(line, '\n') >= 0 {
		return fmt.Errorf("%.40q is not a JSON object on one line", line)
	}
	if len(line) > maxLine-sealSize {
		return fmt.Errorf("a line of %d bytes is too long", len(line))
	}
	return nil
}

func seal(to []byte, sum uint32, line []byte) ([]byte, uint32) {
	sum = crc32.Update(sum, castagnoli, line)
	to = append(to, line[:len(line)-1]...)
	to = fmt.Appendf(to, "%s%08x%s\n", sealHead, sum, sealTail)
	return to, sum
}

// Reader reads the lines of a journal and checks each.
type Reader struct {
	// Raw, when not nil, is called with each line as it stands in the file, its check sum and its end
	// included, before the line is checked.
	Raw func(text []byte)

	from  *bufio.Reader
	long  []byte
	line  int
	sum   uint32
	whole int64
}

// NewReader returns a reader of a journal from its first byte.
func NewReader(from io.Reader) *Reader {
	return &Reader{from: bufio.NewReaderSize(from, 64<<10)}
}

// Line is the number of the line that Next returned last, or failed at; the first is 1.
func (r *Reader) Line() int { return r.line }

// Next returns the next line as it was appended, valid until the next call. At the end it returns io.EOF;
// ErrTorn when the file ends inside a line; a *DamagedError for a line that was not written so, or not here.
func (r *Reader) Next() ([]byte, error) {
	text, err := r.read()
	switch {
	case errors.Is(err, io.EOF) && len(text) == 0:
		return nil, io.EOF
	case errors.Is(err, io.EOF):
		r.line++
		return nil, ErrTorn
	case err != nil:
		r.line++
		return nil, err
	}
	r.line++
	if r.Raw != nil {
		r.Raw(text)
	}
	size := int64(len(text))
	line, sum, ok := unseal(text[:len(text)-1], r.sum)
	if !ok {
		// Blocks of a file that a crash kept from the disk read as zeros, also when its last one arrived.
		zeros := bytes.IndexByte(text, 0) >= 0
		if _, err := r.from.Peek(1); zeros && errors.Is(err, io.EOF) {
			return nil, ErrTorn
		}
		return nil, &DamagedError{Line: r.line, Why: "changed, or not in its place: its check sum does not fit"}
	}
	r.sum = sum
	r.whole += size
	return line, nil
}

func (r *Reader) read() ([]byte, error) {
	text, err := r.from.ReadSlice('\n')
	if !errors.Is(err, bufio.ErrBufferFull) {
		return text, err
	}
	r.long = append(r.long[:0], text...)
	for errors.Is(err, bufio.ErrBufferFull) {
		if len(r.long) > maxLine {
			return nil, &DamagedError{Line: r.line + 1, Why: "too long for a line of a journal"}
		}
		text, err = r.from.ReadSlice('\n')
		r.long = append(r.long, text...)
	}
	return r.long, err
}

// unseal takes the check sum off, in place.
func unseal(text []byte, sum uint32) (line []byte, next uint32, ok bool) {
	at := len(text) - sealSize
	if at < 2 || text[0] != '{' || !bytes.HasPrefix(text[at:], []byte(sealHead)) {
		return nil, 0, false
	}
	written := string(text[at:])
	text[at] = '}'
	line = text[:at+1]
	next = crc32.Update(sum, castagnoli, line)
	return line, next, written == fmt.Sprintf("%s%08x%s", sealHead, next, sealTail)
}
