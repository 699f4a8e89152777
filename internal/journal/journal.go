// Package journal keeps files of lines that outlive their process. A line is a JSON object; each ends
// with a check sum over itself and all lines before it, so that a line that was changed, taken out or put
// elsewhere is found, with its number. What an append has returned for is on the disk: many appends share
// one write and one fsync. A last line that a crash left torn is cut off when the file is opened again.
package journal

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
)

// maxPending is how many bytes may wait for the disk before appends that nobody waits for do wait.
const maxPending = 8 << 20

// ErrClosed answers appends to a log that was closed.
var ErrClosed = errors.New("the journal is closed")

// File is what a Log writes to. Write gets whole lines, in their order.
type File interface {
	io.WriteCloser
	Sync() error
}

// Log appends lines to a File. It is safe for concurrent use. Its first error is final: what follows is
// answered with it, since nobody knows what a disk did with a write that failed.
type Log struct {
	name  string
	file  File
	wake  chan struct{}
	ended chan struct{}

	mu      sync.Mutex
	sum     uint32
	pending []byte
	next    *group
	err     error
	closed  bool
}

// group is what one write carries.
type group struct {
	done    chan struct{}
	err     error
	durable bool
}

// New returns a log that writes to an empty file; name is for its errors.
func New(name string, file File) *Log { return begin(name, file, 0) }

func begin(name string, file File, sum uint32) *Log {
	l := &Log{
		name: name, file: file, sum: sum,
		wake: make(chan struct{}, 1), ended: make(chan struct{}), next: &group{done: make(chan struct{})},
	}
	go l.write()
	return l
}

// Append returns when the lines are on the disk.
func (l *Log) Append(lines ...[]byte) error { return l.Start(lines...)() }

// Start takes the lines into their place; wait returns when they are on the disk.
func (l *Log) Start(lines ...[]byte) (wait func() error) {
	g, err := l.enter(true, lines)
	if err != nil {
		return func() error { return err }
	}
	return func() error {
		<-g.done
		return g.err
	}
}

// Write takes lines that may be lost: they are written soon and are on the disk with the next Append.
func (l *Log) Write(lines ...[]byte) error {
	g, err := l.enter(false, lines)
	if g == nil {
		return err
	}
	l.mu.Lock()
	full := len(l.pending) > maxPending
	l.mu.Unlock()
	if full {
		<-g.done
	}
	return err
}

func (l *Log) enter(durable bool, lines [][]byte) (*group, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.err != nil:
		return nil, l.err
	case l.closed:
		return nil, fmt.Errorf("%s: %w", l.name, ErrClosed)
	}
	for _, line := range lines {
		if err := sealable(line); err != nil {
			return nil, fmt.Errorf("%s: %w", l.name, err)
		}
	}
	for _, line := range lines {
		l.pending, l.sum = seal(l.pending, l.sum, line)
	}
	g := l.next
	g.durable = g.durable || durable
	select {
	case l.wake <- struct{}{}:
	default:
	}
	return g, nil
}

// write is the only goroutine that touches the file.
func (l *Log) write() {
	defer close(l.ended)
	var spare []byte
	for range l.wake {
		runtime.Gosched() // those that the last write woke append again: they shall share the next
		l.mu.Lock()
		g, batch := l.next, l.pending
		l.next, l.pending = &group{done: make(chan struct{})}, spare[:0]
		err := l.err
		l.mu.Unlock()
		if err == nil {
			err = l.commit(batch, g.durable)
		}
		if err != nil {
			l.mu.Lock()
			l.err = err
			l.mu.Unlock()
		}
		g.err = err
		close(g.done)
		if spare = batch; cap(spare) > maxPending {
			spare = nil
		}
	}
}

func (l *Log) commit(batch []byte, durable bool) error {
	if len(batch) > 0 {
		if _, err := l.file.Write(batch); err != nil {
			return l.explain(err)
		}
	}
	if durable {
		if err := l.file.Sync(); err != nil {
			return l.explain(err)
		}
	}
	return nil
}

// explain names the file by the name that the log knows: an *os.File has the one it was opened with.
func (l *Log) explain(err error) error {
	if path, ok := errors.AsType[*fs.PathError](err); ok {
		err = fmt.Errorf("%s: %w", path.Op, path.Err)
	}
	for _, full := range []error{syscall.ENOSPC, syscall.EDQUOT, syscall.EFBIG} {
		if errors.Is(err, full) {
			return fmt.Errorf("%s: %w: make room in %s", l.name, err, filepath.Dir(l.name))
		}
	}
	return fmt.Errorf("%s: %w", l.name, err)
}

// Close writes what is pending, syncs and closes the file. Closing twice is closing once.
func (l *Log) Close() error {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		<-l.ended
		return nil
	}
	l.closed = true
	l.next.durable = true
	g := l.next
	select {
	case l.wake <- struct{}{}:
	default:
	}
	close(l.wake)
	l.mu.Unlock()
	<-l.ended
	return errors.Join(g.err, l.file.Close())
}
