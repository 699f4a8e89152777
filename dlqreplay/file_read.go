package dlqreplay

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"

	"github.com/klauspost/compress/zstd"

	"github.com/stationmaster/worker/internal/journal"
)

var (
	// errUnfinished says that a file is good as far as it goes, and goes not to its end.
	errUnfinished = errors.New("the file ends before its last line: it was cut, or its export did not end")
	zstdMagic     = []byte{0x28, 0xb5, 0x2f, 0xfd}
)

// fileReader reads an export, letter by letter.
type fileReader struct {
	path   string
	lines  *journal.Reader
	close  func()
	zipped bool
	hash   hash.Hash
	last   []byte // the line that is not in the hash yet, since the end's is of the lines before it
	head   fileHead
	seen   ids
}

// readFile begins reading an export. A file with no whole head is errUnfinished.
func readFile(path string, from io.Reader) (*fileReader, error) {
	f := &fileReader{path: path, hash: sha256.New(), close: func() {}}
	buffered := bufio.NewReaderSize(from, 256<<10)
	from = buffered
	if magic, _ := buffered.Peek(len(zstdMagic)); bytes.Equal(magic, zstdMagic) {
		// One after the other, so that all before a fault is read before the fault is told.
		z, err := zstd.NewReader(buffered, zstd.WithDecoderConcurrency(1))
		if err != nil {
			return nil, f.fault(0, err)
		}
		from, f.close, f.zipped = z, z.Close, true
	}
	f.lines = journal.NewReader(from)
	f.lines.Raw = func(text []byte) {
		f.hash.Write(f.last)
		f.last = append(f.last[:0], text...)
	}
	if err := f.readHead(); err != nil {
		f.close()
		return nil, err
	}
	return f, nil
}

func (f *fileReader) readHead() error {
	line, err := f.line()
	if err != nil {
		return err
	}
	switch err := json.Unmarshal(line, &f.head); {
	case err != nil:
		return f.fault(1, err)
	case f.head.Format != fileFormat:
		return f.fault(1, errors.New("is no export of dead letters: its first line must name the format"))
	case f.head.V > fileVersion:
		return f.fault(1, fmt.Errorf("is of version %d, this build reads up to %d: use the build that wrote it (%s)",
			f.head.V, fileVersion, f.head.Header.Build))
	}
	return nil
}

// next returns the next letter; io.EOF after the last, once the end has proved that nothing is missing.
func (f *fileReader) next() (*fileLetter, error) {
	line, err := f.line()
	if err != nil {
		return nil, err
	}
	n := f.lines.Line()
	if bytes.HasPrefix(line, []byte(`{"end":`)) {
		return nil, f.end(n, line)
	}
	var l fileLetter
	if err := json.Unmarshal(line, &l); err != nil {
		return nil, f.fault(n, err)
	}
	if l.ID == "" {
		return nil, f.fault(n, errors.New("a dead letter without an id"))
	}
	if _, isNew := f.seen.add(string(l.ID)); !isNew {
		return nil, f.fault(n, fmt.Errorf("message %s is in the file twice", l.ID))
	}
	return &l, nil
}

func (f *fileReader) end(n int, line []byte) error {
	var e fileEnd
	if err := json.Unmarshal(line, &e); err != nil || e.End == nil {
		return f.fault(n, errors.New("the last line cannot be read"))
	}
	if got := f.seen.len(); e.End.Count != got {
		return f.fault(n, fmt.Errorf("the file has %d dead letters, its last line says %d", got, e.End.Count))
	}
	if got := hex.EncodeToString(f.hash.Sum(nil)); e.End.SHA256 != got {
		return f.fault(n, errors.New("the SHA-256 of the lines is not what the last line says: the file was changed"))
	}
	if _, err := f.lines.Next(); !errors.Is(err, io.EOF) {
		return f.fault(n+1, errors.New("something follows the last line: the file was changed"))
	}
	return io.EOF
}

func (f *fileReader) line() ([]byte, error) {
	line, err := f.lines.Next()
	var damaged *journal.DamagedError
	switch {
	case err == nil:
		return line, nil
	case errors.As(err, &damaged):
		return nil, f.fault(damaged.Line, errors.New(damaged.Why))
	case errors.Is(err, io.EOF):
		return nil, f.fault(f.lines.Line()+1, errUnfinished)
	case errors.Is(err, journal.ErrTorn), errors.Is(err, io.ErrUnexpectedEOF):
		return nil, f.fault(f.lines.Line(), errUnfinished)
	case f.zipped:
		return nil, f.fault(f.lines.Line(), fmt.Errorf("cannot be decompressed: %w: the file was changed", err))
	}
	return nil, f.fault(f.lines.Line(), err)
}

func (f *fileReader) fault(line int, err error) error {
	return fmt.Errorf("%s: line %d: %w", f.path, line, err)
}

// verifyFile reads an export to its end and returns how many letters are in it.
func verifyFile(path string, each func(*fileLetter) error) (Header, int, error) {
	file, err := os.Open(path)
	if err != nil {
		return Header{}, 0, err
	}
	defer file.Close() //nolint:errcheck // it was only read
	return verify(path, file, each)
}

func verify(path string, from io.Reader, each func(*fileLetter) error) (Header, int, error) {
	f, err := readFile(path, from)
	if err != nil {
		return Header{}, 0, err
	}
	defer f.close()
	for {
		l, err := f.next()
		if errors.Is(err, io.EOF) {
			return f.head.Header, f.seen.len(), nil
		}
		if err != nil {
			return Header{}, 0, err
		}
		if err := each(l); err != nil {
			return Header{}, 0, f.fault(f.lines.Line(), err)
		}
	}
}
