package dlqreplay

import "github.com/stationmaster/worker/queue"

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
