package dlqreplay

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/stationmaster/worker/internal/journal"
)

// part is the file of an export that has not ended.
type part struct {
	name string
	to   *checked
	log  *journal.Log
	old  *os.File // what the part was made from, locked as long as the part is open
}

func onDisk(d disk) disk { return d }

// openPart makes the unfinished file of an export, with what an earlier try of the same run wrote; each is
// called with that. What was there is replaced by a copy at once: it may end in the middle of a write.
func openPart(path string, h Header, open func(disk) disk, each func(*fileLetter)) (*part, error) {
	name := path + ".part"
	if err := reclaim(path, name, h); err != nil {
		return nil, err
	}
	old, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if old != nil {
		if err := journal.Lock(old); err != nil {
			return nil, errors.Join(fmt.Errorf("%s: %w: another export writes it", name, err), old.Close())
		}
	}
	p := &part{name: name, old: old}
	if err := p.begin(path, h, open, each); err != nil {
		return nil, errors.Join(err, p.closeOld())
	}
	return p, nil
}

// reclaim gives a file that this run had finished its unfinished name back, and refuses any other file.
func reclaim(path, name string, h Header) error {
	there, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	exists := fmt.Errorf("%s: %w: choose another name, an export overwrites nothing", path, fs.ErrExist)
	if h.ReplayID == "" || !there.Mode().IsRegular() {
		return exists
	}
	if same, err := os.Stat(name); err == nil && os.SameFile(there, same) {
		return os.Remove(path) // a crash came between the two steps of giveName
	}
	got, _, err := verifyFile(path, func(*fileLetter) error { return nil })
	if err != nil || got.ReplayID != h.ReplayID {
		return exists
	}
	return giveName(path, name)
}

func (p *part) begin(path string, h Header, open func(disk) disk, each func(*fileLetter)) error {
	file, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".part-*")
	if err != nil {
		return err
	}
	err = journal.Lock(file)
	if err == nil {
		p.to, err = newChecked(open(file), strings.HasSuffix(path, ".zst"))
	}
	if err != nil {
		return errors.Join(err, file.Close(), os.Remove(file.Name()))
	}
	p.log = journal.New(p.name, p.to)
	if err = p.copyOld(h, each); err == nil {
		err = p.log.Append()
	}
	if err == nil && p.old == nil {
		err = giveName(file.Name(), p.name)
	} else if err == nil {
		err = errors.Join(os.Rename(file.Name(), p.name), journal.SyncDir(filepath.Dir(path)))
	}
	if err != nil {
		_ = p.log.Close() // what failed is known
		return errors.Join(err, os.Remove(file.Name()))
	}
	return nil
}

// copyOld writes the first line, and what is whole of the old file when that is of the same run.
func (p *part) copyOld(h Header, each func(*fileLetter)) error {
	var from *fileReader
	if p.old != nil {
		var err error
		from, err = readFile(p.name, p.old)
		if err != nil && !errors.Is(err, errUnfinished) {
			return err
		}
	}
	if from == nil { // nothing that was acknowledged
		return p.writeHead(h)
	}
	defer from.close()
	switch was := from.head.Header; {
	case was.ReplayID == "": // of an export that deleted nothing
		return p.writeHead(h)
	case was.ReplayID != h.ReplayID:
		return fmt.Errorf("%s is the unfinished export of %s, and may be all there is of its dead letters: "+
			"finish it with worker replay-dlq resume %s, or choose another name", p.name, was.ReplayID, was.ReplayID)
	default:
		h = was
	}
	if err := p.writeHead(h); err != nil {
		return err
	}
	for {
		l, err := from.next()
		if errors.Is(err, io.EOF) || errors.Is(err, errUnfinished) {
			return nil
		}
		if err != nil {
			return err
		}
		line, err := marshal(l)
		if err != nil {
			return err
		}
		each(l)
		if err := p.log.Write(line); err != nil {
			return err
		}
	}
}

func (p *part) writeHead(h Header) error {
	line, err := marshal(fileHead{Format: fileFormat, V: fileVersion, Header: h})
	if err != nil {
		return err
	}
	return p.log.Append(line)
}

func (p *part) close() error { return errors.Join(p.log.Close(), p.closeOld()) }

func (p *part) closeOld() error {
	if p.old == nil {
		return nil
	}
	err := p.old.Close()
	p.old = nil
	return err
}

// abandon removes a file on which nothing depends.
func (p *part) abandon() error {
	_ = p.close() // why it is abandoned is known
	if err := os.Remove(p.name); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
