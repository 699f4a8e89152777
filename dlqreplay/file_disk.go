package dlqreplay

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"

	"github.com/klauspost/compress/zstd"
)

// mostUnchecked is how many bytes are written at most before they are read back.
const mostUnchecked = 8 << 20

// disk is the file that an export is written to.
type disk interface {
	io.WriteCloser
	io.ReaderAt
	Sync() error
}

// checked is a disk whose Sync also reads back from it what was written. With zstd each Write is a frame
// of its own, so that what is on the disk can be read wherever a crash ends the file.
type checked struct {
	file  disk
	zip   *zstd.Encoder // nil: plain
	unzip *zstd.Decoder
	lines hash.Hash // of what was written, before it was compressed

	from      int64 // where unchecked begins
	unchecked []byte
	back      []byte
}

func newChecked(file disk, compressed bool) (*checked, error) {
	c := &checked{file: file, lines: sha256.New()}
	if !compressed {
		return c, nil
	}
	var err error
	if c.zip, err = zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1)); err != nil {
		return nil, err
	}
	c.unzip, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1))
	return c, err
}

// Write writes whole lines.
func (c *checked) Write(lines []byte) (int, error) {
	c.lines.Write(lines)
	out := lines
	if c.zip != nil {
		out = c.zip.EncodeAll(lines, nil)
		back, err := c.unzip.DecodeAll(out, c.back[:0])
		if err != nil || !bytes.Equal(back, lines) {
			return 0, errors.New("what was compressed is not what comes out again")
		}
		c.back = back
	}
	if _, err := c.file.Write(out); err != nil {
		return 0, err
	}
	c.unchecked = append(c.unchecked, out...)
	if len(c.unchecked) > mostUnchecked {
		return len(lines), c.Sync()
	}
	return len(lines), nil
}

// Sync brings what was written to the disk, and compares what the disk has.
func (c *checked) Sync() error {
	if err := c.file.Sync(); err != nil {
		return err
	}
	if len(c.unchecked) == 0 {
		return nil
	}
	forget(c.file, c.from, int64(len(c.unchecked)))
	back := append(c.back[:0], make([]byte, len(c.unchecked))...)
	if _, err := c.file.ReadAt(back, c.from); err != nil {
		return fmt.Errorf("read back what was written: %w", err)
	}
	if !bytes.Equal(back, c.unchecked) {
		return errors.New("what the disk has is not what was written: the disk is faulty, or somebody else writes to the file")
	}
	c.from += int64(len(c.unchecked))
	c.unchecked, c.back = c.unchecked[:0], back
	return nil
}

// Close closes the file.
func (c *checked) Close() error {
	if c.zip != nil {
		c.unzip.Close()
		return errors.Join(c.zip.Close(), c.file.Close())
	}
	return c.file.Close()
}
