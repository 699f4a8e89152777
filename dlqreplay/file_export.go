package dlqreplay

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"sync"

	"github.com/stationmaster/worker/internal/journal"
	"github.com/stationmaster/worker/queue"
)

// Exporter writes dead letters to a file, and is the Taker of runs that delete what they have exported.
// A letter is taken once it is on the disk, was read back from it, and is what was written. Until Close
// the file is called path.part: what a run that was killed has exported is in it, and an Exporter with the
// same ReplayID goes on with it.
type Exporter struct {
	path string
	part *part
	log  *journal.Log

	mu    sync.Mutex
	taken ids
}

var _ Taker = (*Exporter)(nil)

// NewExporter begins an export to a file that must not exist yet, compressed when its name ends in .zst.
func NewExporter(path string, h Header) (*Exporter, error) {
	e, err := newExporter(path, h, onDisk)
	if err != nil {
		return nil, fmt.Errorf("export: %w", err)
	}
	return e, nil
}

func newExporter(path string, h Header, open func(disk) disk) (*Exporter, error) {
	h.V = HeaderVersion
	e := &Exporter{path: path}
	p, err := openPart(path, h, open, func(f *fileLetter) { e.taken.add(string(f.ID)) })
	if err != nil {
		return nil, err
	}
	e.part, e.log = p, p.log
	return e, nil
}

// Destination is the file as the destination of a run: what goes there goes as it is.
func (e *Exporter) Destination() *Destination {
	return &Destination{Name: e.path, Taker: e, Unchanged: true}
}

// Path is the file's name after Close.
func (e *Exporter) Path() string { return e.path }

// Count is how many dead letters the file has.
func (e *Exporter) Count() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.taken.len()
}

// Take writes dead letters; the ids are their own. It returns when they are on the disk and proved. What
// the file has already is not written again.
func (e *Exporter) Take(ctx context.Context, ls []*Letter, ms []queue.Message) (made []string, errs []error) {
	if err := ctx.Err(); err != nil {
		return nil, queue.Each(fmt.Errorf("export: %w", err), len(ls))
	}
	made, errs = make([]string, len(ls)), make([]error, len(ls))
	lines := make([][]byte, len(ls))
	for i, l := range ls {
		lines[i], errs[i] = encodeLetter(l, &ms[i])
	}
	wait := e.enter(ls, lines)
	err := wait()
	whole := err == nil
	for i, l := range ls {
		if errs[i] == nil && err != nil {
			errs[i] = fmt.Errorf("export: %w", err)
		}
		if errs[i] == nil {
			made[i] = l.MessageID
		}
		whole = whole && errs[i] == nil
	}
	if whole {
		errs = nil
	}
	return made, errs
}

// enter puts the lines that are new into the file, and returns what waits for all of them.
func (e *Exporter) enter(ls []*Letter, lines [][]byte) (wait func() error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	var fresh [][]byte
	for i, line := range lines {
		if line == nil {
			continue
		}
		if _, isNew := e.taken.add(ls[i].MessageID); isNew {
			fresh = append(fresh, line)
		}
	}
	return e.log.Start(fresh...)
}

// Suspend closes the file and leaves it unfinished, as path.part, for a resume.
func (e *Exporter) Suspend() error {
	if err := e.part.close(); err != nil {
		return fmt.Errorf("export: %w", err)
	}
	return nil
}

// Close writes the last line, reads the whole file again, and gives it its name.
func (e *Exporter) Close() error {
	if err := e.finish(); err != nil {
		return fmt.Errorf("export: %w: what was exported is in %s", err, e.part.name)
	}
	return nil
}

func (e *Exporter) finish() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := e.log.Append(); err != nil { // the hash is at rest then
		_ = e.part.close() // it says the same
		return err
	}
	count := e.taken.len()
	end := fmt.Appendf(nil, `{"end":{"count":%d,"sha256":"%s"}}`, count, hex.EncodeToString(e.part.to.lines.Sum(nil)))
	if err := e.log.Append(end); err != nil {
		_ = e.part.close() // it says the same
		return err
	}
	if err := e.part.close(); err != nil {
		return err
	}
	if _, got, err := verifyFile(e.part.name, func(*fileLetter) error { return nil }); err != nil {
		return fmt.Errorf("read it again: %w", err)
	} else if got != count {
		return fmt.Errorf("read it again: it has %d of %d dead letters", got, count)
	}
	return giveName(e.part.name, e.path)
}

// WriteFile exports dead letters and deletes none: message returns what a letter is of, and event, when
// it is not nil, is called as it goes. The file is there wholly or not at all.
func WriteFile(ctx context.Context, path string, h Header, ls []*Letter,
	message func(*Letter) (queue.Message, error), event func(Event),
) error {
	h.ReplayID = "" // nothing depends on what was written before the end
	e, err := newExporter(path, h, onDisk)
	if err == nil {
		err = e.writeAll(ctx, ls, message, event)
	}
	if err != nil {
		return fmt.Errorf("export: %w", err)
	}
	return nil
}

func (e *Exporter) writeAll(ctx context.Context, ls []*Letter, message func(*Letter) (queue.Message, error), event func(Event)) error {
	for i, l := range ls {
		err := ctx.Err()
		if err == nil {
			err = e.writeOne(l, message)
		}
		if err != nil {
			return errors.Join(err, e.part.abandon())
		}
		if event != nil && ((i+1)%1000 == 0 || i+1 == len(ls)) {
			event(Event{Kind: Exporting, Done: i + 1, Total: len(ls)})
		}
	}
	if err := e.finish(); err != nil {
		return errors.Join(err, e.part.abandon())
	}
	return nil
}

func (e *Exporter) writeOne(l *Letter, message func(*Letter) (queue.Message, error)) error {
	m, err := message(l)
	if err != nil {
		return err
	}
	line, err := encodeLetter(l, &m)
	if err != nil {
		return err
	}
	if _, isNew := e.taken.add(l.MessageID); !isNew {
		return nil
	}
	return e.log.Write(line)
}
