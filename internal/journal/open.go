package journal

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"
)

// ErrInUse says that another process, or another part of this one, has the file open for appending.
var ErrInUse = errors.New("in use")

// Who asks whether a journal is in use has it for a moment: an opener tries again.
const (
	patience = 5
	asking   = 10 * time.Millisecond
)

// opened is the first line that each opener appends: who holds the lock.
type opened struct {
	At   time.Time `json:"opened"`
	PID  int       `json:"pid"`
	Host string    `json:"host,omitempty"`
}

var openedHead = []byte(`{"opened":`)

// Create begins a journal in a new file, readable by its owner only. It fails when the file exists.
func Create(path string) (*Log, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	if err := Lock(file); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", path, err), file.Close())
	}
	if err := SyncDir(filepath.Dir(path)); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return enroll(New(path, file))
}

// Open opens a journal for appending and calls each with every line that is in it. A torn last line is
// cut off. While a Log has the file open, opening it again fails with ErrInUse.
func Open(path string, each func(line []byte) error) (*Log, error) {
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	l, err := reopen(path, file, each)
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return enroll(l)
}

func reopen(path string, file *os.File, each func(line []byte) error) (*Log, error) {
	err := Lock(file)
	for range patience {
		if !errors.Is(err, ErrInUse) {
			break
		}
		<-time.After(asking)
		err = Lock(file)
	}
	if errors.Is(err, ErrInUse) {
		return nil, fmt.Errorf("%s: %w%s: wait for it, or end it", path, err, holder(file))
	} else if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	r, err := read(path, file, each)
	if err != nil {
		return nil, err
	}
	if err := file.Truncate(r.whole); err != nil {
		return nil, err
	}
	if _, err := file.Seek(r.whole, io.SeekStart); err != nil {
		return nil, err
	}
	return begin(path, file, r.sum), nil
}

// Read calls each with every line of a journal, whether or not somebody is appending to it. A torn last
// line is left out.
func Read(path string, each func(line []byte) error) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	_, err = read(path, file, each)
	return errors.Join(err, file.Close())
}

func read(path string, from io.Reader, each func(line []byte) error) (*Reader, error) {
	r := NewReader(from)
	for {
		line, err := r.Next()
		if errors.Is(err, io.EOF) || errors.Is(err, ErrTorn) {
			return r, nil
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		if bytes.HasPrefix(line, openedHead) {
			continue
		}
		if err := each(line); err != nil {
			return nil, fmt.Errorf("%s: line %d: %w", path, r.Line(), err)
		}
	}
}

func enroll(l *Log) (*Log, error) {
	host, _ := os.Hostname()
	line, err := json.Marshal(opened{At: time.Now().UTC(), PID: os.Getpid(), Host: host})
	if err == nil {
		err = l.Append(line)
	}
	if err != nil {
		_ = l.Close() // it says the same
		return nil, err
	}
	return l, nil
}

// holder says which process holds the file, as far as its last opener tells.
func holder(file io.Reader) string {
	var last opened
	lines := bufio.NewReaderSize(file, 64<<10)
	for {
		text, err := lines.ReadSlice('\n')
		if err == nil && bytes.HasPrefix(text, openedHead) {
			var o opened
			if json.Unmarshal(text, &o) == nil {
				last = o
			}
		}
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			break
		}
	}
	if last.PID == 0 {
		return " by another process"
	}
	return fmt.Sprintf(" by process %d on %s since %s", last.PID, last.Host, last.At.Format(time.RFC3339))
}

// InUse reports whether somebody has the journal open for appending, and who.
func InUse(path string) (who string, yes bool) {
	file, err := os.Open(path)
	if err != nil {
		return "", false
	}
	defer file.Close() //nolint:errcheck // it was only read
	if !held(file) {
		return "", false
	}
	return holder(file), true
}
