package dlqreplay

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"maps"
	"os"
	"slices"
	"sync"

	"github.com/stationmaster/worker/queue"
)

// spoolMemory is how many bytes of messages stay in memory; more go to a file.
const spoolMemory = 16 << 20

var errSpoolClosed = errors.New("the spool is closed")

// spool keeps messages: the first in memory, the others in a file that has no name, so that nothing of
// it stays behind whatever ends the process. It is safe for concurrent use.
type spool struct {
	dir   string
	limit int

	mu     sync.Mutex
	kept   int
	file   *os.File
	name   string // where a file cannot be unlinked while it is open
	size   int64
	closed bool
}

// ref finds a message in its spool.
type ref struct {
	kept []byte
	at   int64
	size int32
	sum  uint32
}

// newSpool returns a spool whose file is in dir; "" is the system's folder for such files.
func newSpool(dir string) *spool { return &spool{dir: dir, limit: spoolMemory} }

// put keeps a message, and nothing that it refers to: strings of an answer of SQS may keep all of it.
func (s *spool) put(m queue.Message) (ref, error) {
	text := appendMessage(make([]byte, 0, m.Size()+overhead), &m)
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return ref{}, errSpoolClosed
	}
	if s.kept+len(text) <= s.limit {
		s.kept += len(text)
		s.mu.Unlock()
		return ref{kept: text}, nil
	}
	if err := s.open(); err != nil {
		s.mu.Unlock()
		return ref{}, err
	}
	file, at := s.file, s.size
	s.size += int64(len(text))
	s.mu.Unlock()
	if _, err := file.WriteAt(text, at); err != nil {
		return ref{}, fmt.Errorf("spool dead letters to a temporary file: %w: make room there, or choose another folder by TMPDIR", err)
	}
	return ref{at: at, size: int32(len(text)), sum: crc32.ChecksumIEEE(text)}, nil
}

// open makes the file, with the lock held.
func (s *spool) open() error {
	if s.file != nil {
		return nil
	}
	file, err := os.CreateTemp(s.dir, "worker-dead-letters-*")
	if err != nil {
		return fmt.Errorf("spool dead letters to a temporary file: %w", err)
	}
	s.file = file
	if os.Remove(file.Name()) != nil {
		s.name = file.Name()
	}
	return nil
}

// get returns a message as it was put.
func (s *spool) get(r ref) (queue.Message, error) {
	s.mu.Lock()
	file, closed := s.file, s.closed
	s.mu.Unlock()
	switch {
	case closed:
		return queue.Message{}, errSpoolClosed
	case r.kept != nil:
		return readMessage(r.kept)
	case file == nil || r.size == 0:
		return queue.Message{}, errors.New("the spool has no such message")
	}
	text := make([]byte, r.size)
	if _, err := file.ReadAt(text, r.at); err != nil {
		return queue.Message{}, fmt.Errorf("read a spooled dead letter: %w", err)
	}
	if crc32.ChecksumIEEE(text) != r.sum {
		return queue.Message{}, errors.New("a spooled dead letter is not what was written: the disk of the temporary folder is faulty")
	}
	return readMessage(text)
}

// close gives memory and file back.
func (s *spool) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	if s.file == nil {
		return nil
	}
	err := s.file.Close()
	if s.name != "" {
		err = errors.Join(err, os.Remove(s.name))
	}
	return err
}

// drop forgets a message that is needed no more. What is in the file stays there.
func (s *spool) drop(r ref) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kept -= len(r.kept)
}

// overhead is about what the lengths of a message's parts take.
const overhead = 32

// appendMessage writes a message as its parts, each after its length.
func appendMessage(b []byte, m *queue.Message) []byte {
	for _, part := range []string{m.Body, m.GroupID, m.DeduplicationID, m.TraceHeader} {
		b = appendPart(b, part)
	}
	for _, name := range slices.Sorted(maps.Keys(m.Attributes)) {
		a := m.Attributes[name]
		b = appendPart(b, name)
		b = appendPart(b, a.Type)
		b = appendPart(b, a.Text)
		b = appendPart(b, string(a.Binary))
	}
	return b
}

func appendPart(b []byte, part string) []byte {
	b = binary.AppendUvarint(b, uint64(len(part)))
	return append(b, part...)
}

func readMessage(b []byte) (queue.Message, error) {
	var parts []string
	for len(b) > 0 {
		size, n := binary.Uvarint(b)
		if n <= 0 || size > uint64(len(b)-n) {
			return queue.Message{}, errors.New("a spooled dead letter cannot be read")
		}
		b = b[n:]
		parts = append(parts, string(b[:size]))
		b = b[size:]
	}
	if len(parts) < 4 || len(parts)%4 != 0 {
		return queue.Message{}, errors.New("a spooled dead letter cannot be read")
	}
	m := queue.Message{Body: parts[0], GroupID: parts[1], DeduplicationID: parts[2], TraceHeader: parts[3]}
	for i := 4; i < len(parts); i += 4 {
		if m.Attributes == nil {
			m.Attributes = make(map[string]queue.Attribute, (len(parts)-4)/4)
		}
		a := queue.Attribute{Type: parts[i+1], Text: parts[i+2]}
		if parts[i+3] != "" {
			a.Binary = []byte(parts[i+3])
		}
		m.Attributes[parts[i]] = a
	}
	return m, nil
}
