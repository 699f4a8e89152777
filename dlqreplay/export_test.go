package dlqreplay

import (
	"bytes"
	"encoding/binary"
	"os"
	"time"

	"github.com/stationmaster/worker/queue"
)

// Spool is a spool for tests.
type Spool struct{ *spool }

// Ref finds a message in a Spool.
type Ref = ref

// NewSpool returns a spool that keeps at most limit bytes in memory.
func NewSpool(dir string, limit int) Spool {
	s := newSpool(dir)
	s.limit = limit
	return Spool{s}
}

// Put keeps a message.
func (s Spool) Put(m queue.Message) (Ref, error) { return s.put(m) }

// Get returns a message that was kept.
func (s Spool) Get(r Ref) (queue.Message, error) { return s.get(r) }

// Close gives everything back.
func (s Spool) Close() error { return s.close() }

// Disk is what an export is written to.
type Disk = disk

// NewExporterOn is NewExporter with a disk of the test's.
func NewExporterOn(path string, h Header, open func(Disk) Disk) (*Exporter, error) {
	return newExporter(path, h, open)
}

// ReadAll reads an export.
func ReadAll(path string) (Header, []*Letter, []queue.Message, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return Header{}, nil, nil, err
	}
	return ReadText(text)
}

// ReadText reads the text of an export.
func ReadText(text []byte) (h Header, ls []*Letter, ms []queue.Message, err error) {
	h, _, err = verify("x.jsonl", bytes.NewReader(text), func(f *fileLetter) error {
		m := f.message()
		ls, ms = append(ls, f.letter(&m)), append(ms, m)
		return nil
	})
	return h, ls, ms, err
}

// UUID is the n-th of as many ids as are needed, in SQS's form.
func UUID(n int) string {
	var key [16]byte
	binary.BigEndian.PutUint64(key[:], uint64(n)*0x9e3779b97f4a7c15)
	binary.BigEndian.PutUint64(key[8:], uint64(n)+1)
	return unpack(key)
}

// PastOf is what a run over n messages did: all are sent, and every second one is deleted.
func PastOf(n int) *Past {
	p := newPast()
	to := p.place("orders")
	e := sentEntry{Old: make([]string, 1), New: make([]string, 1)}
	for i := range n {
		e.Old[0], e.New[0] = UUID(i), UUID(n+i)
		p.sending(e.Old[0], to, time.Time{})
		if err := p.sent(&e); err != nil {
			panic(err)
		}
		if i%2 == 0 {
			p.move(p.number(e.Old[0]), Deleted)
		}
	}
	return p
}
